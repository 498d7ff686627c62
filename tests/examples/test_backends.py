"""Every project in examples/backends: built in isolation from the index, installed without us, used, checked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from children import clean_variables, run_child
from support import write

from torchscript_build.system.elf import read_elf

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "examples/backends"
NAMES = sorted(p.name for p in FOLDER.iterdir() if p.is_dir())
BINARIES = {
    "fetchcontent": "fetch_shrink/bin/shrink",
    "meson_python": "meson_shrink/lib/libmeson_shrink.so",
    "py_build_cmake": "pbc_shrink/lib/libpbc_shrink.so",
    "scikit_build_core": "skbuild_shrink/lib/libskbuild_shrink.so",
}

by_network = pytest.mark.network
"""An isolated build gets its back end, and torch, from the index."""


def run(command: Sequence[str | Path], cwd: Path, **variables: str) -> str:
    """A command that must succeed; what it prints."""
    pip = {k: v for k, v in os.environ.items() if k.startswith("PIP_")}  # the index
    environment = clean_variables(**{**pip, "MAX_JOBS": "1", "CMAKE_BUILD_PARALLEL_LEVEL": "1", **variables})
    done = run_child(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this project."""
    folder = tmp_path_factory.mktemp("links")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("torchscript_build", "templates"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source], source)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with torch and pytest, and without us."""
    folder = tmp_path_factory.mktemp("fresh")
    run([sys.executable, "-m", "venv", folder], folder)
    run([folder / "bin/python", "-m", "pip", "install", "-q", "torch==2.13.*", "numpy", "pytest"], folder)
    return folder / "bin/python"


@pytest.fixture(scope="module", params=NAMES)
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, links: Path) -> tuple[str, Path]:
    """A project's name and the wheel that an isolated ``pip wheel .`` makes of it."""
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(FOLDER / request.param, folder / "project")
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--find-links", links, "-w", folder, "."]
    text = run(command, folder / "project")
    if request.param != "meson_python":  # it asks for flags
        assert re.search(r"Found Torch: 2\.13\.0 \(.*, new C\+\+ ABI\) in /", text)
    (file,) = folder.glob("*.whl")
    return request.param, file


def test_every_example_is_known() -> None:
    assert sorted(BINARIES) == NAMES


@by_network
@pytest.mark.compile
@pytest.mark.torch
def test_the_wheel_installs_and_works_without_us(wheel: tuple[str, Path], fresh: Path, tmp_path: Path) -> None:
    name, file = wheel
    run([fresh, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", file], tmp_path)
    shutil.copytree(FOLDER / name / "tests", tmp_path / "tests")
    run([fresh, "-m", "pytest", "-q", "tests"], tmp_path)
    packages = run([fresh, "-m", "pip", "list"], tmp_path)
    assert "torchscript" not in packages


@by_network
@pytest.mark.compile
@pytest.mark.torch
def test_the_wheel_is_fit_to_be_shipped(wheel: tuple[str, Path], tmp_path: Path) -> None:
    name, file = wheel
    said = run([sys.executable, "-m", "torchscript_build", "check-wheel", file], tmp_path)
    assert said.splitlines()[0] == f"{file.name}: fit to be shipped, for torch 2.13.0+cpu"
    if name == "meson_python":  # it takes all that lies beside Python code for Python's own
        assert re.search(r"-(cp3\d+)-\1-linux_x86_64\.whl$", file.name)
        assert "note: its tag is" in said.splitlines()[1]
    else:
        assert said.count("\n") == 1, said
        assert re.search(r"-py3-none-(manylinux|linux)\w+\.whl$", file.name)
    assert "problem:" not in said
    with zipfile.ZipFile(file) as archive:
        assert not [n for n in archive.namelist() if "libtorch" in n or "libc10" in n]
        info = read_elf(Path(archive.extract(BINARIES[name], tmp_path)))
    # The plugin gives programs a DT_RPATH, as to those that it compiles itself.
    assert "$ORIGIN/../../torch/lib" in (info.runpath if name != "fetchcontent" else info.rpath)


def operator_of(name: str) -> str:
    """A project's operator, without what is its own."""
    text = (FOLDER / name / "cpp/ops.cpp").read_text(encoding="utf-8")
    package = BINARIES[name].partition("/")[0]
    return " ".join(text.replace(package, "PACKAGE").split())


def test_all_back_ends_have_the_same_operator() -> None:
    assert len({operator_of(name) for name in NAMES if name != "fetchcontent"}) == 1


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
def test_plain_cmake_builds_what_a_back_end_builds(tmp_path: Path) -> None:
    """So what all back ends compile does compile, also where there is no index."""
    for name in ("fetchcontent", "scikit_build_core"):
        folder = tmp_path / name
        shutil.copytree(FOLDER / name, folder)
        package = run([sys.executable, "-m", "torchscript_build", "cmake-dir"], folder).strip()
        text = run(["cmake", f"-DCMAKE_PREFIX_PATH={package}", "-S", ".", "-B", "b"], folder)
        assert text.count("Found Torch: 2.13.0 (CPU, new C++ ABI) in ") == 1
        run(["cmake", "--build", "b"], folder)
    assert run([tmp_path / "fetchcontent/b/shrink", "1", "-3", "0.5", "2"], tmp_path) == "-2\n0\n1\n"
    package = tmp_path / "scikit_build_core/src/skbuild_shrink"
    (package / "lib").mkdir()
    shutil.copy(tmp_path / "scikit_build_core/b/libskbuild_shrink.so", package / "lib")
    tests = tmp_path / "scikit_build_core/tests"
    run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests],
        tmp_path,
        PYTHONPATH=str(package.parent),
    )


MESON = """\
project('probe', 'cpp')
folder = run_command('torchscript-build', 'cmake-dir', check: true).stdout().strip()
torch = dependency('Torch', method: 'cmake', cmake_module_path: folder, cmake_args: '-DTorch_DIR=' + folder)
executable('probe', 'probe.cpp', dependencies: torch)
"""
PROBE = """\
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <cstdio>
int main() { std::printf("%g\\n", at::sum(at::ones({2, 3})).item<float>()); }
"""


@by_network
@pytest.mark.compile
@pytest.mark.torch
def test_mesons_own_way_to_cmake_packages_finds_torch(tmp_path: Path) -> None:
    run([sys.executable, "-m", "venv", "meson"], tmp_path)
    run(["meson/bin/pip", "install", "-q", "meson", "ninja"], tmp_path)
    write(tmp_path / "meson.build", MESON)
    write(tmp_path / "probe.cpp", PROBE)
    path = os.pathsep.join([str(tmp_path / "meson/bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    said = run(["meson/bin/meson", "setup", "b"], tmp_path, PATH=path)
    assert "Run-time dependency torch found: YES 2.13.0" in said
    assert "WARNING" not in said
    run(["meson/bin/meson", "compile", "-C", "b"], tmp_path, PATH=path)
    assert run(["b/probe"], tmp_path) == "6\n"
    assert "libtorch.so" in read_elf(tmp_path / "b/probe").needed


@by_network
@pytest.mark.compile
@pytest.mark.torch
def test_without_torch_the_message_names_the_line(links: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(FOLDER / "scikit_build_core", project)
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text.replace(', "torch==2.13.*"]\nbuild-backend', "]\nbuild-backend"))
    run([sys.executable, "-m", "venv", tmp_path / "bare"], tmp_path)
    command = [tmp_path / "bare/bin/python", "-m", "pip", "wheel", "-v", "--no-deps", "--find-links", links, "."]
    with pytest.raises(AssertionError) as failed:
        run(command, project)
    assert "error: no usable libtorch found" in str(failed.value)
    assert "add torch to build-system.requires in pyproject.toml" in str(failed.value)
