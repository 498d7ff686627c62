"""The recipes of the examples: every variant renders, and they are what `conda-recipe` writes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import write

from torchscript_build.cli.conda import make_recipe
from torchscript_build.settings.read import read_pyproject

meta_yaml = pytest.importorskip("meta_yaml", reason="PyYAML is not installed")

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(p.parent.name for p in EXAMPLES.glob("*/recipe"))
FILES = {"meta.yaml", "build.sh", "bld.bat", "conda_build_config.yaml"}
PINNING = Path(__file__).with_name("pinning.yaml")
PYTHONS = ["3.11", "3.12"]


def render_all(name: str, *, cuda: bool = False, pinned: str = "") -> list[Any]:
    """Every variant for two Pythons, alone or with conda-forge's pinning before or after the recipe's configuration."""
    wanted = {"pinning": [PINNING], "pinning_last": pinned == "after"} if pinned else {"python": PYTHONS}
    recipes: list[Any] = meta_yaml.render_all(EXAMPLES / name / "recipe", cuda=cuda, **wanted)
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
def test_without_cuda_there_is_no_word_of_it(name: str) -> None:
    recipes = render_all(name)
    assert len(recipes) == (2 if name == "conda_ops" else 1)
    for recipe in recipes:
        assert "cuda" not in recipe.text().lower()


# As conda-build 26.7 names them: the hashes are of the variant keys that a recipe uses.
MATRIX = {
    ("conda_ops", False, ""): ["cpu_py311_h7c2297b_0", "cpu_py312_h7c2297b_0"],
    ("conda_ops", False, "before"): ["cpu_py311_h9fbe0b6_0", "cpu_py312_h9df09b0_0"],
    ("conda_ops", False, "after"): ["cpu_py311_h9fbe0b6_0", "cpu_py312_h9df09b0_0"],
    ("conda_ops", True, ""): [
        "cpu_py311_h506491e_0",
        "cpu_py312_h506491e_0",
        "cuda129_py311_hb4fe0ca_0",
        "cuda129_py312_hb4fe0ca_0",
        "cuda130_py311_h4888fc4_0",
        "cuda130_py312_h4888fc4_0",
    ],
    ("conda_ops", True, "before"): [
        "cpu_py311_h9fbe0b6_0",
        "cpu_py312_h9df09b0_0",
        "cuda129_py311_h7bf9b24_0",
        "cuda129_py312_h8b3fe19_0",
        "cuda130_py311_ha85a483_0",
        "cuda130_py312_h2a0d556_0",
    ],
    ("conda_ops", True, "after"): [
        "cpu_py311_h9fbe0b6_0",
        "cpu_py312_h9df09b0_0",
        "cuda129_py311_h7bf9b24_0",
        "cuda129_py312_h8b3fe19_0",
    ],
    ("conda_app", False, ""): ["cpu_h7c2297b_0"],
    ("conda_app", False, "before"): ["cpu_h36781ab_0"],
    ("conda_app", False, "after"): ["cpu_h36781ab_0"],
    ("conda_app", True, ""): ["cpu_h506491e_0", "cuda129_hb4fe0ca_0", "cuda130_h4888fc4_0"],
    ("conda_app", True, "before"): ["cpu_h36781ab_0", "cuda129_h671b386_0", "cuda130_h7856d2d_0"],
    ("conda_app", True, "after"): ["cpu_h36781ab_0", "cuda129_h671b386_0"],
}


@pytest.mark.parametrize(("name", "cuda", "pinned"), MATRIX)
def test_no_two_packages_of_the_matrix_share_a_name(name: str, cuda: bool, pinned: str) -> None:
    names = [recipe.file_name for recipe in render_all(name, cuda=cuda, pinned=pinned)]
    package = "series-ops-1.0" if name == "conda_ops" else "smooth-series-1.0"
    assert sorted(names) == [f"{package}-{build}.conda" for build in MATRIX[name, cuda, pinned]]
    assert len(set(names)) == len(names)


COMPILERS = {
    "cpu": ["gxx_linux-64 15.*", "sysroot_linux-64 2.17.*"],
    "cuda129": ["gxx_linux-64 14.*", "sysroot_linux-64 2.17.*"],
    "cuda130": ["gxx_linux-64 15.*", "sysroot_linux-64 2.28.*"],
}
CUDA_LINES = {
    "cpu": ([], []),
    "cuda129": (["cuda-version ==12.9"], ["cuda-version >=12.9,<13.0a0"]),
    "cuda130": (["cuda-version ==13.0"], ["cuda-version >=13.0,<14.0a0"]),
}


@pytest.mark.parametrize("pinned", ["", "before", "after"])
@pytest.mark.parametrize("name", NAMES)
def test_every_variant_has_its_compilers_torch_and_cuda(name: str, pinned: str) -> None:
    torch = "pytorch" if name == "conda_ops" else "libtorch"
    for recipe in render_all(name, cuda=True, pinned=pinned):
        flavour = recipe.data["build"]["string"].split("_")[0]
        assert recipe.requirements("build")[:2] == COMPILERS[flavour]
        in_host, in_run = CUDA_LINES[flavour]
        python = ["python", "pip", "setuptools >=64", "torchscript-build"] if name == "conda_ops" else []
        of_torch = f"{torch} * {flavour[:4].strip('1')}*"
        assert recipe.requirements("host") == [*python, torch, of_torch, *in_host]
        assert recipe.requirements("run") == [*python[:1], *in_run, of_torch]
        libraries = recipe.data["build"].get("missing_dso_whitelist")
        assert libraries == (None if flavour == "cpu" else ["*/libcuda.so.*"])
        meta_yaml.to_v1(recipe)


def test_groups_of_other_keys_than_conda_forges_collide() -> None:
    ours = {
        "cuda_compiler_version": ["None", "12.9", "13.0"],
        "c_stdlib_version": ["2.17", "2.17", "2.28"],
        "zip_keys": [["cuda_compiler_version", "c_stdlib_version"]],
    }
    with pytest.raises(meta_yaml.Ambiguous):
        meta_yaml.combine_configs([meta_yaml.load_config(PINNING, cuda=True), ours])


@pytest.mark.parametrize("name", NAMES)
def test_version_and_dependencies_are_the_projects(name: str) -> None:
    project: Any = read_pyproject(EXAMPLES / name / "pyproject.toml")["project"]
    recipe = render_all(name)[0]
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
    recipe = render_all(name)[0]
    root = (recipe.folder / recipe.data["source"]["path"]).resolve()
    assert root == EXAMPLES / name
    for file in (*recipe.data["about"]["license_file"], *recipe.data["test"].get("source_files", ())):
        assert (root / file).exists(), file


def test_loader_needs_no_python_where_it_runs() -> None:
    [recipe] = render_all("conda_app")
    for section in ("host", "run"):
        assert {line.split()[0] for line in recipe.requirements(section)} == {"libtorch"}


@pytest.mark.parametrize("pinned", [False, True])
def test_bundles_of_the_matrix_have_names_of_their_own(pinned: bool, tmp_path: Path) -> None:
    project = tmp_path / "conda_app"
    shutil.copytree(EXAMPLES / "conda_app", project, ignore=shutil.ignore_patterns("recipe", "build"))
    for name, content in make_recipe(project, project / "recipe", v1=False, bundle=True).items():
        write(project / "recipe" / name, content.decode())
    wanted = {"pinning": [PINNING]} if pinned else {"python": PYTHONS}
    recipes: list[Any] = meta_yaml.render_all(project / "recipe", cuda=True, **wanted)
    names = [recipe.file_name.rpartition("_h")[0] for recipe in recipes]
    assert names == [f"smooth-series-bundle-1.0-{flavour}" for flavour in ("cpu", "cuda129", "cuda130")]
    assert len({recipe.file_name for recipe in recipes}) == 3
    for recipe, compilers in zip(recipes, COMPILERS.values()):
        assert recipe.requirements("build")[:2] == compilers
        assert recipe.requirements("run") == []
        assert recipe.data["build"]["ignore_run_exports_from"] == ["libtorch", compilers[0]]
