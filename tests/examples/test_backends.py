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
from support import clean_variables, run_child, write

from torchscript_build.elf import read_elf

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "examples/backends"
NAMES = sorted(p.name for p in FOLDER.iterdir() if p.is_dir())
BINARIES = {
    "fetchcontent": "fetch_shrink/bin/shrink",
    "meson_python": "meson_shrink/lib/libmeson_shrink.so",
    "py_build_cmake": "pbc_shrink/lib/libpbc_shrink.so",
    "scikit_build_core": "skbuild_shrink/lib/libskbuild_shrink.so",
}

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.network]


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


def test_the_wheel_installs_and_works_without_us(wheel: tuple[str, Path], fresh: Path, tmp_path: Path) -> None:
    name, file = wheel
    run([fresh, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", file], tmp_path)
    shutil.copytree(FOLDER / name / "tests", tmp_path / "tests")
    run([fresh, "-m", "pytest", "-q", "tests"], tmp_path)
    packages = run([fresh, "-m", "pip", "list"], tmp_path)
    assert "torchscript" not in packages


def test_the_wheel_is_fit_to_be_shipped(wheel: tuple[str, Path], tmp_path: Path) -> None:
    name, file = wheel
    said = run([sys.executable, "-m", "torchscript_build", "check-wheel", file], tmp_path)
    assert said.splitlines()[0] == f"{file.name}: fit to be shipped, for torch 2.13.0+cpu"
    assert said.count("\n") == 1, said
    assert re.search(r"-py3-none-(manylinux|linux)\w+\.whl$", file.name)
    with zipfile.ZipFile(file) as archive:
        assert not [n for n in archive.namelist() if "libtorch" in n or "libc10" in n]
        binary = Path(archive.extract(BINARIES[name], tmp_path))
    assert "$ORIGIN/../../torch/lib" in read_elf(binary).runpath


def test_the_plain_project_configures_by_hand(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "fetchcontent", tmp_path / "project")
    folder = run([sys.executable, "-m", "torchscript_build", "cmake-dir"], tmp_path).strip()
    text = run(["cmake", f"-DCMAKE_PREFIX_PATH={folder}", "-S", "project", "-B", "b"], tmp_path)
    assert text.count("Found Torch: 2.13.0 (CPU, new C++ ABI) in ") == 1


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
