"""``torchscript-build conda-recipe``: its files and notes, and a recipe that has drifted from the project."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from conda_support import ask_rattler
from small_projects import write_project

from torchscript_build.cli import run_command
from torchscript_build.cli.conda import project_facts
from torchscript_build.errors import ScaffoldError, SettingsError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = '[[tool.torchscript-build.ops]]\nname = "fast"\nsources = ["fast.cpp"]\n'
    more = 'dependencies = ["numpy>=1.21"]\ndescription = "A demo"\n'
    folder = write_project(tmp_path, settings, project=more, files={"fast.cpp": "", "LICENSE": "free"})
    monkeypatch.chdir(folder)
    return folder


def test_writes_the_files_and_says_which(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["conda-recipe"]) == 0
    said = capsys.readouterr().out.splitlines()
    names = [f"recipe/{n}" for n in ("meta.yaml", "build.sh", "bld.bat", "conda_build_config.yaml")]
    assert said == [
        *names,
        "conda-forge would ask for more:",
        '  about.license: write license = "MIT" or another SPDX expression into [project]',
        '  about.home: write Homepage = "https://…" into [project.urls]',
        "  extra.recipe-maintainers: name them with --maintainer GITHUB-NAME",
    ]
    assert all((project / name).is_file() for name in names)


def test_rattler_builds_script_for_windows_has_its_name(project: Path) -> None:
    assert run_command(["conda-recipe", "--v1"]) == 0
    names = {p.name for p in (project / "recipe").iterdir()}
    assert names == {"recipe.yaml", "build.sh", "build.bat", "conda_build_config.yaml"}


def test_maintainers_are_the_recipes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["conda-recipe", "--maintainer", "ada", "--maintainer", "conda-forge/team"])
    meta = project / "recipe/meta.yaml"
    text = meta.read_text(encoding="utf-8")
    assert text.endswith("\nextra:\n  recipe-maintainers:\n    - ada\n    - conda-forge/team\n")
    assert "recipe-maintainers" not in capsys.readouterr().out
    assert run_command(["conda-recipe", "--check"]) == 0
    assert run_command(["conda-recipe", "--force"]) == 0
    assert meta.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("find", ["packages.find = {}", 'packages.find.where = ["src"]'])
def test_leftovers_of_a_build_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, find: str) -> None:
    root = "src/" if "src" in find else ""
    settings = '[[tool.torchscript-build.ops]]\nname = "fast"\nsources = ["fast.cpp"]\npackage = "demo"\n'
    leftovers = ("build/lib.linux/demo", "build/lib/demo", "dist/demo", "build/bdist/wheel/demo")
    files = {f"{folder}/__init__.py": "" for folder in (*leftovers, f"{root}demo", f"{root}demo/inner")}
    folder = write_project(tmp_path, settings, files={"fast.cpp": "", f"{root}demo/data/x.txt": "", **files})
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8").replace('packages = ["demo"]', find)
    pyproject.write_text(text, encoding="utf-8")
    if root:
        shutil.rmtree(folder / "demo")
    monkeypatch.chdir(folder)
    assert run_command(["conda-recipe"]) == 0
    meta = (folder / "recipe/meta.yaml").read_text(encoding="utf-8")
    assert "  imports:\n    - demo\n    - demo.inner\n  commands:\n" in meta


def test_a_recipe_that_setuptools_would_take_for_a_package_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = '[[tool.torchscript-build.ops]]\nname = "fast"\nsources = ["demo/fast.cpp"]\n'
    folder = write_project(tmp_path, settings, files={"demo/__init__.py": "", "demo/fast.cpp": ""})
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace('packages = ["demo"]\n', ""), encoding="utf-8")
    monkeypatch.chdir(folder)
    assert run_command(["conda-recipe", "--output", ".conda"]) == 0
    assert "setuptools takes" not in capsys.readouterr().out
    assert run_command(["conda-recipe"]) == 0
    said = capsys.readouterr().out
    cure = '[tool.setuptools]\n  packages = ["demo"]\n'
    assert (
        f"setuptools takes recipe for one of your packages now, and stops: write into pyproject.toml\n  {cure}" in said
    )
    with pytest.raises(SettingsError, match=r"Multiple top-level packages .*'recipe'.*: write packages = "):
        run_command(["conda-recipe", "--check"])


def test_what_a_cmake_project_installs_only_its_author_can_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = '[[tool.torchscript-build.cmake]]\nname = "sdk"\nsource-dir = "sdk"\ninstall = false\n'
    folder = write_project(tmp_path, settings, files={"sdk/CMakeLists.txt": ""})
    monkeypatch.chdir(folder)
    for more, name in (([], "meta.yaml"), (["--v1", "--force"], "recipe.yaml")):
        assert run_command(["conda-recipe", *more]) == 0
        assert "  test: only you know what the CMake projects install: " in capsys.readouterr().out
        assert "\n\nabout:\n" in (text := (folder / "recipe" / name).read_text(encoding="utf-8"))
        assert "test" not in text.replace("torchscript", "")


@pytest.mark.filterwarnings("ignore::setuptools.SetuptoolsDeprecationWarning")
def test_licence_files_are_those_that_the_project_names(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    (project / "legal").mkdir()
    (project / "legal/MIT.txt").write_text("free", encoding="utf-8")
    for line, files in (
        ('license-files = ["legal/*"]\n', ["legal/MIT.txt"]),
        ('license = {file = "legal/MIT.txt"}\n', ["legal/MIT.txt"]),
        ("", ["LICENSE"]),
    ):
        pyproject.write_text(text.replace('version = "1.5"\n', f'version = "1.5"\n{line}'), encoding="utf-8")
        assert project_facts(project, project / "recipe").about.license_files == tuple(files)


def test_never_overwrites_without_force(project: Path) -> None:
    (project / "recipe").mkdir()
    (project / "recipe/build.sh").write_text("mine\n", encoding="utf-8")
    with pytest.raises(ScaffoldError, match=r"recipe has build\.sh, and nothing is overwritten"):
        run_command(["conda-recipe"])
    assert [p.name for p in (project / "recipe").iterdir()] == ["build.sh"]
    assert run_command(["conda-recipe", "--force"]) == 0
    assert "mine" not in (project / "recipe/build.sh").read_text(encoding="utf-8")


def test_check_is_content_with_what_was_just_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--v1", "--output", "packaging/conda"]):
        assert run_command(["conda-recipe", *more]) == 0
        capsys.readouterr()
        assert run_command(["conda-recipe", *more, "--check"]) == 0
        assert capsys.readouterr().out == ""


def test_check_names_the_lines_that_drifted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["conda-recipe"])
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace("numpy>=1.21", "numpy>=2"), encoding="utf-8")
    (project / "recipe/bld.bat").unlink()
    capsys.readouterr()
    assert run_command(["conda-recipe", "--check"]) == 1
    number = 1 + (project / "recipe/meta.yaml").read_text(encoding="utf-8").splitlines().index("    - numpy >=1.21")
    assert capsys.readouterr().out.splitlines() == [
        f"recipe/meta.yaml:{number}: the project wants `- numpy >=2`",
        f"recipe/meta.yaml:{number}: has `- numpy >=1.21`, of which the project knows nothing",
        "recipe/bld.bat: is missing",
        "to write it anew: torchscript-build conda-recipe --force",
    ]


def test_check_leaves_lines_alone_that_say_keep(project: Path) -> None:
    run_command(["conda-recipe"])
    meta = project / "recipe/meta.yaml"
    text = meta.read_text(encoding="utf-8")
    text = text.replace("    - ninja\n", "    - ninja >=1.11  # keep\n    - ccache  # keep\n")
    meta.write_text(text, encoding="utf-8")
    assert run_command(["conda-recipe", "--check"]) == 0


def test_version_of_a_v1_recipe_drifts(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["conda-recipe", "--v1"])
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace('"1.5"', '"1.6"'), encoding="utf-8")
    capsys.readouterr()
    assert run_command(["conda-recipe", "--v1", "--check"]) == 1
    assert 'recipe/recipe.yaml:6: the project wants `version: "1.6"`' in capsys.readouterr().out


def render_v1(project: Path, folder: Path, *, cuda: bool = False, **values: list[str]) -> list[Any]:
    """What rattler-build makes of a project's recipe and its configuration."""
    pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    run_command(["conda-recipe", "--v1"])
    request = {"do": "render", "recipe": str(project / "recipe/recipe.yaml"), "cuda": cuda, "values": values}
    recipes: list[Any] = ask_rattler(request, folder, folder / "cache")["recipes"]
    return recipes


V1_BUILD = {
    "cpu": ["gxx_linux-64", "sysroot_linux-64 2.17.*"],
    "cuda129": ["gxx_linux-64 14.*", "sysroot_linux-64 2.17.*"],
    "cuda130": ["gxx_linux-64 15.*", "sysroot_linux-64 2.28.*"],
}


@pytest.mark.parametrize("cuda", [False, True], ids=["cpu", "cuda"])
def test_v1_recipes_of_the_matrix_have_names_of_their_own(project: Path, tmp_path: Path, cuda: bool) -> None:
    recipes = render_v1(project, tmp_path, cuda=cuda, python=["3.11", "3.12"])
    names = sorted(recipe["build"]["string"] for recipe in recipes)
    assert len(set(names)) == len(names)
    flavours = ["cpu", "cuda129", "cuda130"] if cuda else ["cpu"]
    assert [n.rpartition("_h")[0] for n in names] == [f"{f}_py{p}" for f in flavours for p in ("311", "312")]
    for recipe in recipes:
        flavour = recipe["build"]["string"].split("_")[0]
        compiler = "gxx_linux-64 15.*" if cuda and flavour == "cpu" else V1_BUILD[flavour][0]
        assert recipe["requirements"]["build"][:2] == [compiler, V1_BUILD[flavour][1]]
        of_cuda = [] if flavour == "cpu" else [f"cuda-version =={flavour[4:6]}.{flavour[6:]}"]
        of_torch = f"pytorch * {'cuda' if of_cuda else 'cpu'}*"
        assert recipe["requirements"]["host"][4:] == ["pytorch", of_torch, *of_cuda]


def test_v1_recipe_without_a_python_among_the_variants(project: Path, tmp_path: Path) -> None:
    [recipe] = render_v1(project, tmp_path)
    assert recipe["build"]["string"].startswith("cpu_h")
    assert not recipe["build"].get("skip")
