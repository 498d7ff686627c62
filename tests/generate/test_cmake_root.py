"""find_package(Torch) through the folder that the entry point ``cmake.root`` names: no argument, no import of torch."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
from children import run_child, run_python
from support import write
from tiny_torch import copy_torch

from torchscript_build.generate.templates import templates_dir
from torchscript_build.system.elf import read_elf

ROOT = templates_dir() / "cmake_root"
DEPENDENCIES = ("jinja2", "markupsafe", "elftools", "packaging")


@pytest.fixture(
    scope="module", params=[None, *(pytest.param(v, marks=pytest.mark.network) for v in ("3.18.4.post1", "3.25.2"))]
)
def cmake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """CMake: the one that there is, and older ones from the index."""
    if request.param is None:
        return "cmake"
    folder = tmp_path_factory.mktemp("cmake")
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), f"cmake=={request.param}"]
    run_child(install, check=True)
    return str(folder / "cmake/data/bin/cmake")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages with our wheel's files and what they need, without torch, as an isolated build has it."""
    site = tmp_path_factory.mktemp("pip-build-env-x") / "lib/python3/site-packages"
    package = find_spec("torchscript_build")
    assert package is not None
    assert package.origin is not None
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(package.origin).parent, site / "torchscript_build", ignore=ignored)
    shutil.copytree(templates_dir(), site / "torchscript_build/templates", ignore=ignored)
    for name in DEPENDENCIES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        shutil.copytree(Path(spec.origin).parent, site / name, ignore=ignored)
    return site


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare")
    run_child([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin/python"


def configure(
    folder: Path,
    body: str,
    *arguments: str,
    variables: Mapping[str, str],
    root: Path = ROOT,
    cmake: str = "cmake",
    languages: str = "NONE",
) -> subprocess.CompletedProcess[str]:
    """Configure a project of a few lines; CMake's output has its line breaks taken out."""
    write(
        folder / "CMakeLists.txt", f"cmake_minimum_required(VERSION 3.15)\nproject(x LANGUAGES {languages})\n{body}\n"
    )
    command = [cmake, "-G", "Ninja", "-S", str(folder), "-B", str(folder / "b"), f"-DTorch_ROOT={root}", *arguments]
    done = run_child(command, env=dict(variables), capture_output=True, encoding="utf-8", check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, re.sub(r"\s+", " ", done.stderr))


def test_the_entry_point_names_the_folder_and_imports_nothing_of_ours() -> None:
    point = next(p for p in entry_points(group="cmake.root") if p.name == "Torch")
    ours = "[n for n in sys.modules if n.startswith('torch')]"
    code = f"import sys, {point.value} as m; print(m.__path__[0]); print({ours})"
    done = run_python("-c", code, cwd=Path.cwd(), variables={})
    assert done.returncode == 0, done.stderr
    names = ["torchscript_build", "torchscript_build.templates", "torchscript_build.templates.cmake_root"]
    lines = done.stdout.splitlines()
    assert (Path(lines[0]), lines[1]) == (ROOT, str(names))


def test_the_choice_of_the_outer_build_reaches_the_inner_ones(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path, cmake: str
) -> None:
    inner = "find_package(Torch REQUIRED)\nmessage(STATUS inner=${TORCH_INSTALL_PREFIX})\n"
    write(
        tmp_path / "inner/CMakeLists.txt", f"cmake_minimum_required(VERSION 3.15)\nproject(y LANGUAGES NONE)\n{inner}"
    )
    body = f"""\
find_package(Torch 2.1 REQUIRED)
find_package(Torch QUIET COMPONENTS c10)
message(STATUS "outer=${{TORCH_INSTALL_PREFIX}} ${{Torch_VERSION}} ${{Torch_c10_FOUND}}")
include(ExternalProject)
ExternalProject_Add(y1 SOURCE_DIR {tmp_path}/inner CMAKE_ARGS -DTorch_DIR=${{Torch_DIR}} INSTALL_COMMAND "")
ExternalProject_Add(y2 SOURCE_DIR {tmp_path}/inner CMAKE_ARGS -DTorch_ROOT=${{Torch_ROOT}} INSTALL_COMMAND "")
ExternalProject_Add(y3 SOURCE_DIR {tmp_path}/inner CMAKE_ARGS -DCMAKE_PREFIX_PATH=${{Torch_ROOT}} INSTALL_COMMAND "")
"""
    done = configure(tmp_path, body, variables=variables, cmake=cmake)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Found Torch") == 1
    assert f"-- Found Torch: 2.13.0 (CPU, new C++ ABI) in {fake_torch}\n" in done.stdout
    assert f"-- outer={fake_torch} 2.13.0 TRUE" in done.stdout
    nowhere = {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": ""}
    built = run_child([cmake, "--build", tmp_path / "b"], env=nowhere, capture_output=True, encoding="utf-8")
    assert built.returncode == 0, built.stdout
    assert built.stdout.count(f"-- inner={fake_torch}\n") == 3
    again = run_child([cmake, tmp_path / "b"], env=variables, capture_output=True, encoding="utf-8", check=True)
    assert "Found Torch" not in again.stdout  # as the stock package: once, until something changes


def test_the_folder_of_cmake_dir_is_a_prefix_path(tmp_path: Path, variables: dict[str, str], cmake: str) -> None:
    folder = run_python("-m", "torchscript_build", "cmake-dir", cwd=tmp_path, variables=variables).stdout.strip()
    path = f"-DCMAKE_PREFIX_PATH={folder}"
    done = configure(tmp_path, "find_package(Torch REQUIRED)", path, variables=variables, root=tmp_path, cmake=cmake)
    assert done.returncode == 0, done.stderr
    assert "Found Torch: 2.13.0" in done.stdout


def test_cmake_dir_leaves_what_else_is_in_a_named_folder(tmp_path: Path, variables: dict[str, str]) -> None:
    mine = write(tmp_path / "package/mine.txt", "mine")
    arguments = ("-m", "torchscript_build", "cmake-dir", "--output", "package")
    done = run_python(*arguments, cwd=tmp_path, variables=variables)
    assert done.stdout == "package\n"
    assert mine.read_text() == "mine"
    assert (tmp_path / "package/TorchConfig.cmake").is_file()


def test_another_version_is_refused_in_one_message(tmp_path: Path, variables: dict[str, str]) -> None:
    done = configure(tmp_path, "find_package(Torch 3 REQUIRED)", variables=variables)
    assert done.returncode == 1
    assert 'compatible with requested version "3"' in done.stderr
    assert f"{ROOT}/TorchConfig.cmake, version: 2.13.0" in done.stderr


def test_an_unknown_component_is_refused_with_those_that_there_are(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path
) -> None:
    done = configure(tmp_path, "find_package(Torch REQUIRED COMPONENTS c10 nn)", variables=variables)
    assert done.returncode == 1
    known = "torch, torch_library, torch_cpu, c10"
    assert f"in {fake_torch} has no component nn; its components, which need not be named, are {known}" in done.stderr
    optional = "find_package(Torch REQUIRED OPTIONAL_COMPONENTS nn)\nmessage(STATUS nn=${Torch_nn_FOUND})"
    done = configure(tmp_path, optional, variables=variables)
    assert "-- nn=FALSE" in done.stdout


def test_two_libtorches_in_one_run_are_one_message(tmp_path: Path, variables: dict[str, str], fake_torch: Path) -> None:
    other = copy_torch(fake_torch, tmp_path / "other/torch")
    arguments = ("-m", "torchscript_build", "cmake-dir", "--libtorch", str(other), "--output", "package")
    run_python(*arguments, cwd=tmp_path, variables=variables)
    write(tmp_path / "sub/CMakeLists.txt", f"set(Torch_DIR {tmp_path}/package)\nfind_package(Torch REQUIRED)\n")
    body = "find_package(Torch REQUIRED)\nadd_subdirectory(sub)\n"
    done = configure(tmp_path, body, variables=variables)
    assert done.returncode == 1
    assert done.stderr.count("two libtorches in one configure run") == 1
    assert f"2.13.0 (CPU, new C++ ABI) in {fake_torch} was found first" in done.stderr
    assert f"and now 2.13.0 (CPU, new C++ ABI) in {other}. " in done.stderr


@pytest.mark.parametrize("same", [True, False])
def test_targets_of_another_package_must_be_of_the_same_libtorch(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path, same: bool
) -> None:
    torch = fake_torch if same else copy_torch(fake_torch, tmp_path / "other/torch")
    body = f"""\
add_library(c10 SHARED IMPORTED)
set_target_properties(c10 PROPERTIES IMPORTED_CONFIGURATIONS RELEASE IMPORTED_LOCATION_RELEASE {torch}/lib/libc10.so)
find_package(Torch REQUIRED)
"""
    done = configure(tmp_path, body, variables=variables)
    assert (done.returncode == 0) == same, done.stderr
    if not same:
        assert f"there is a target c10 already, from {torch}/lib/libc10.so" in done.stderr


def test_no_libtorch_in_an_isolated_build_names_the_line_of_the_build_requirements(
    tmp_path: Path, variables: dict[str, str], site: Path, bare_python: Path
) -> None:
    isolated = {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": "", "PYTHONPATH": str(site)}
    root = site / "torchscript_build/templates/cmake_root"
    python = f"-DPython_EXECUTABLE={bare_python}"
    done = configure(tmp_path, "find_package(Torch REQUIRED)", python, variables=isolated, root=root)
    assert done.returncode == 1
    assert "error: no usable libtorch found" in done.stderr
    assert "add torch to build-system.requires in pyproject.toml" in done.stderr
    done = configure(tmp_path, "find_package(Torch QUIET)", python, variables=isolated, root=root)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", ["variable", "prefix path"])
def test_cmakes_own_variables_name_a_libtorch(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path, how: str
) -> None:
    argument = f"-D{'TORCHSCRIPT_BUILD_LIBTORCH' if how == 'variable' else 'CMAKE_PREFIX_PATH'}={fake_torch}"
    unnamed = {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": ""}
    done = configure(tmp_path, "find_package(Torch REQUIRED)", argument, variables=unnamed)
    assert done.returncode == 0, done.stderr
    assert f"in {fake_torch}\n" in done.stdout


def test_a_named_folder_without_libtorch_is_refused(tmp_path: Path, variables: dict[str, str]) -> None:
    argument = f"-DTORCHSCRIPT_BUILD_LIBTORCH={tmp_path}"
    done = configure(tmp_path, "find_package(Torch REQUIRED)", argument, variables=variables)
    assert done.returncode == 1
    assert f"error: no libtorch in {tmp_path} (named by TORCHSCRIPT_BUILD_LIBTORCH)" in done.stderr


def test_an_environment_that_names_this_folder_as_torch_dir_names_no_libtorch(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path
) -> None:
    named = {k: v for k, v in variables.items() if k != "TORCHSCRIPT_BUILD_LIBTORCH"}
    named.update(Torch_DIR=str(ROOT), TORCH_INSTALL_PREFIX=str(fake_torch))
    done = configure(tmp_path, "find_package(Torch REQUIRED)", variables=named, root=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"in {fake_torch}\n" in done.stdout


def test_a_python_that_cannot_run_us_is_passed_over(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path, site: Path, bare_python: Path
) -> None:
    """Ours lies beside the folder: any Python will do, as long as it starts."""
    root = site / "torchscript_build/templates/cmake_root"
    pythons = [f"-DPython_EXECUTABLE={tmp_path}/gone", f"-DPython3_EXECUTABLE={bare_python}"]
    done = configure(tmp_path, "find_package(Torch REQUIRED)", *pythons, variables=variables, root=root)
    assert done.returncode == 0, done.stderr
    assert f"in {fake_torch}\n" in done.stdout


def test_a_broken_installation_breaks_only_who_wants_torch(
    tmp_path: Path, variables: dict[str, str], site: Path, bare_python: Path
) -> None:
    broken = tmp_path / "lib/python3/site-packages"
    shutil.copytree(site / "torchscript_build", broken / "torchscript_build")
    code = "import torchscript_build.templates.cmake_root as m; print(m.__path__[0])"
    done = run_child(
        [bare_python, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(broken)}, capture_output=True, text=True
    )
    root = broken / "torchscript_build/templates/cmake_root"
    assert done.stdout.strip() == str(root)
    python = f"-DTORCHSCRIPT_BUILD_PYTHON={bare_python}"
    project = tmp_path / "project"
    assert configure(project, "find_package(ZLIB QUIET)", python, variables=variables, root=root).returncode == 0
    done = configure(project, "find_package(Torch REQUIRED)", python, variables=variables, root=root)
    assert done.returncode == 1
    assert "torchscript-build cannot be run to search for libtorch" in done.stderr
    assert f"{bare_python}: No module named 'jinja2' (3)" in done.stderr
    write(broken / "torchscript_build/__main__.py", "def main(:\n")
    done = configure(project, "find_package(Torch REQUIRED)", python, variables=variables, root=root)
    assert f"{bare_python}: SyntaxError: invalid syntax (__main__.py, line 1) (3)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_that_fails_without_a_word_is_named(tmp_path: Path, variables: dict[str, str]) -> None:
    python = "-DTORCHSCRIPT_BUILD_PYTHON=/bin/false"
    done = configure(tmp_path, "find_package(Torch REQUIRED)", python, variables=variables)
    assert done.returncode == 1
    assert "/bin/false: (1)" in done.stderr  # configure() makes one line of it
    assert "name a Python that has it: -DTORCHSCRIPT_BUILD_PYTHON=" in done.stderr


@pytest.mark.compile
def test_ts_install_rpath_leads_to_an_installed_torch(tmp_path: Path, variables: dict[str, str]) -> None:
    body = """\
find_package(Torch REQUIRED)
file(WRITE ${CMAKE_BINARY_DIR}/a.cpp "namespace torch { int answer(); }\\nint f() { return torch::answer(); }\\n")
foreach(name IN ITEMS anywhere below)
  add_library(${name} SHARED ${CMAKE_BINARY_DIR}/a.cpp)
  target_link_libraries(${name} PRIVATE torch)
endforeach()
set_target_properties(below PROPERTIES INSTALL_RPATH "$ORIGIN")
ts_install_rpath(anywhere)
ts_install_rpath(below DESTINATION pkg/lib)
install(TARGETS anywhere below DESTINATION pkg/lib)
"""
    done = configure(tmp_path, body, variables=variables, languages="CXX")
    assert done.returncode == 0, done.stderr
    run_child(["cmake", "--build", "b"], cwd=tmp_path, check=True)
    run_child(["cmake", "--install", "b", "--prefix", "out"], cwd=tmp_path, check=True)
    lib = tmp_path / "out/pkg/lib"
    ways = [f"$ORIGIN/{way}torch/lib" for way in ("../", "../../", "../../../", "")]
    assert list(read_elf(lib / "libanywhere.so").runpath) == ways
    assert list(read_elf(lib / "libbelow.so").runpath) == ["$ORIGIN", "$ORIGIN/../../torch/lib"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("ts_install_rpath()", "no target"),
        ("ts_install_rpath(x)", "there is no target x"),
        ("ts_install_rpath(x DESTINATION /a)", "relative to the site-packages, not /a"),
        ("ts_install_rpath(x DESTINATION)", "DESTINATION without a folder"),
    ],
)
def test_ts_install_rpath_stops_at_a_wrong_call(
    tmp_path: Path, variables: dict[str, str], call: str, words: str
) -> None:
    done = configure(tmp_path, f"find_package(Torch REQUIRED)\n{call}", variables=variables)
    assert done.returncode == 1
    assert words in done.stderr
