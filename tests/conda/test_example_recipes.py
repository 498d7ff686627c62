"""The recipes of the examples: every variant renders, and they are what `conda-recipe` writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from torchscript_build.cli.conda import make_recipe
from torchscript_build.settings.read import read_pyproject

meta_yaml = pytest.importorskip("meta_yaml", reason="PyYAML is not installed")

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(p.parent.name for p in EXAMPLES.glob("*/recipe"))
FILES = {"meta.yaml", "build.sh", "bld.bat", "conda_build_config.yaml"}
PYTHON = {"python": ["3.11"]}


def render_all(name: str, *, cuda: bool = False) -> list[Any]:
    recipes: list[Any] = meta_yaml.render_all(EXAMPLES / name / "recipe", cuda=cuda, **PYTHON)
    return recipes


def test_examples_with_a_recipe() -> None:
    assert NAMES == ["conda_app", "conda_ops"]


@pytest.mark.parametrize("name", NAMES)
def test_is_what_conda_recipe_writes(name: str) -> None:
    folder = EXAMPLES / name / "recipe"
    files = make_recipe(EXAMPLES / name, folder, v1=False)
    assert set(files) == {p.name for p in folder.iterdir()} == FILES
    for file, content in files.items():
        assert (folder / file).read_bytes() == content, f"in examples/{name}: torchscript-build conda-recipe --force"


@pytest.mark.parametrize("name", NAMES)
def test_one_cpu_variant_without_cuda_anywhere(name: str) -> None:
    [recipe] = render_all(name)
    assert "cuda" not in recipe.text().lower()
    assert re.fullmatch(r"cpu_h[0-9a-f]{7}_0", recipe.data["build"]["string"])


@pytest.mark.parametrize("name", NAMES)
def test_cuda_variants(name: str) -> None:
    recipes = render_all(name, cuda=True)
    assert [r.data["build"]["string"].split("_")[0] for r in recipes] == ["cpu", "cuda129", "cuda130"]
    assert len({r.data["build"]["string"] for r in recipes}) == 3
    torch = "pytorch" if name == "conda_ops" else "libtorch"
    for recipe, proc in zip(recipes, ("cpu", "cuda", "cuda")):
        assert recipe.requirements("host")[-2:] == [torch, f"{torch} * {proc}*"]
        assert f"{torch} * {proc}*" in recipe.requirements("run")
        meta_yaml.to_v1(recipe)
    libc = [next(line for line in r.requirements("build") if line.startswith("sysroot")) for r in recipes]
    assert libc == ["sysroot_linux-64 2.17.*", "sysroot_linux-64 2.17.*", "sysroot_linux-64 2.28.*"]


@pytest.mark.parametrize("name", NAMES)
def test_version_and_dependencies_are_the_projects(name: str) -> None:
    project: Any = read_pyproject(EXAMPLES / name / "pyproject.toml")["project"]
    [recipe] = render_all(name)
    assert recipe.data["package"] == {"name": project["name"], "version": project["version"]}
    wanted = {re.split(r"[ <>=]", d)[0] for d in project.get("dependencies", ())} - {"torch"}
    names = {line.split()[0] for line in recipe.requirements("run")} - {"python", "pytorch", "libtorch"}
    assert names == wanted


@pytest.mark.parametrize("name", NAMES)
def test_build_writes_no_bytecode(name: str) -> None:
    for script in ("build.sh", "bld.bat"):
        assert "PYTHONDONTWRITEBYTECODE=1" in (EXAMPLES / name / "recipe" / script).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_files_that_it_names_exist(name: str) -> None:
    [recipe] = render_all(name)
    root = (recipe.folder / recipe.data["source"]["path"]).resolve()
    assert root == EXAMPLES / name
    for file in (*recipe.data["about"]["license_file"], *recipe.data["test"].get("source_files", ())):
        assert (root / file).exists(), file


def test_loader_needs_no_python_where_it_runs() -> None:
    [recipe] = render_all("conda_app")
    for section in ("host", "run"):
        assert {line.split()[0] for line in recipe.requirements(section)} == {"libtorch"}
