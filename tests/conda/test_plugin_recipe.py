"""recipe/: what can be seen without building it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from torchscript_build.settings.read import read_pyproject

meta_yaml = pytest.importorskip("meta_yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipe"
PROJECT: Any = read_pyproject(ROOT / "pyproject.toml")["project"]


@pytest.fixture(scope="module")
def recipe() -> Any:
    [only] = meta_yaml.render_all(RECIPE)
    return only


def drift(promised: list[str], lines: list[str]) -> list[str]:
    """Where the run requirements differ from pyproject's dependencies, one line of words for each difference."""
    wanted = {}
    for text in promised:
        requirement = Requirement(text)
        wanted[requirement.name.lower().replace("_", "-")] = requirement.specifier
    found = {line.split()[0]: SpecifierSet("".join(line.split()[1:])) for line in lines}
    words = [f"pyproject.toml has {n} {s}, recipe/meta.yaml not" for n, s in wanted.items() if n not in found]
    words += [f"recipe/meta.yaml has {n} {s}, pyproject.toml not" for n, s in found.items() if n not in wanted]
    both = sorted(wanted.keys() & found.keys())
    words += [
        f"{n}: pyproject.toml has {wanted[n]}, recipe/meta.yaml {found[n]}" for n in both if wanted[n] != found[n]
    ]
    return words


def test_name_version_and_summary_are_the_projects(recipe: Any) -> None:
    assert recipe.data["package"] == {"name": PROJECT["name"], "version": PROJECT["version"]}
    assert recipe.data["about"]["summary"] == PROJECT["description"]
    assert recipe.data["about"]["license"] == PROJECT["license"]


def test_version_is_written_only_in_pyproject() -> None:
    assert PROJECT["version"] not in (RECIPE / "meta.yaml").read_text(encoding="utf-8")


def test_run_requirements_are_the_dependencies(recipe: Any) -> None:
    lines = [line for line in recipe.requirements("run") if line.split()[0] != "python"]
    assert not drift(PROJECT["dependencies"], lines)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["packaging >=22"], "pyproject.toml has jinja2 >=3.0, recipe/meta.yaml not"),
        (["packaging >=22", "jinja2 >=3.1"], "jinja2: pyproject.toml has >=3.0, recipe/meta.yaml >=3.1"),
        (["packaging >=22", "jinja2 >=3.0", "numpy"], "recipe/meta.yaml has numpy , pyproject.toml not"),
    ],
)
def test_drift_is_named(lines: list[str], said: str) -> None:
    assert drift(["packaging>=22", "Jinja2>=3.0"], lines) == [said]


def test_python_is_the_oldest_of_conda_forge_and_one_that_pyproject_promises(recipe: Any) -> None:
    oldest = meta_yaml.load_config(Path(__file__).with_name("pinning.yaml"), cuda=False)["python_min"][0]
    assert SpecifierSet(PROJECT["requires-python"]).contains(oldest)
    assert f"python >={oldest}" in recipe.requirements("run")
    assert f"python {oldest}.*" in recipe.requirements("host")


def test_tools_of_its_tests_are_no_part_of_its_hash(recipe: Any) -> None:
    assert recipe.variant == {"python_min": "3.10"}
    assert "compiler(" not in (RECIPE / "meta.yaml").read_text(encoding="utf-8")


def test_command_line_is_the_one_of_pyproject(recipe: Any) -> None:
    scripts = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert recipe.data["build"]["entry_points"] == scripts


def test_forces_neither_torch_nor_tools_on_anybody(recipe: Any) -> None:
    names = {line.split()[0] for line in recipe.requirements("run")}
    assert not names & {"pytorch", "libtorch", "cmake", "ninja"}
    assert {line.split()[0] for line in recipe.requirements("run_constrained")} == {"pytorch", "libtorch", "cmake"}


def test_files_that_it_names_exist(recipe: Any) -> None:
    assert (ROOT / recipe.data["about"]["license_file"]).is_file()
    for name in recipe.data["test"]["files"]:
        assert (RECIPE / name).is_file()


def test_writes_no_bytecode(recipe: Any) -> None:
    assert recipe.data["build"]["script"][0] == "export PYTHONDONTWRITEBYTECODE=1"
    assert "script_env" not in recipe.data["build"]  # it would hold in the test phase, too


def test_every_package_of_the_project_has_its_files(recipe: Any) -> None:
    named = set(recipe.data["test"]["imports"])
    assert {"torchscript_build", "torchscript_build.templates"} <= named
    assert any("pip check" in command for command in recipe.data["test"]["commands"])


def test_keeps_to_what_both_tools_read() -> None:
    text = (RECIPE / "meta.yaml").read_text(encoding="utf-8")
    assert "outputs:" not in text
    assert not re.search(r"^\s*- python \d", text, re.MULTILINE), "write `python {{ python_min }}.*`"
