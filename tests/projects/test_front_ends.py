"""Real front ends, with the isolation that they really make; by hand: ``pytest -m network``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from children import clean_variables, run_child
from projects.shapes import SHAPES
from projects.test_project_gallery import write_shape
from support import write

pytestmark = [pytest.mark.compile, pytest.mark.network]

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class User:
    """Somebody's virtual environment, which has the tiny libtorch for a torch and is not activated."""

    folder: Path
    wheels: Path
    """Where our own wheel lies."""

    def start(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        network = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_"))}
        links = " ".join(filter(None, [str(self.wheels), network.get("PIP_FIND_LINKS")]))
        variables = {
            **clean_variables(PATH=os.defpath + ":/usr/local/bin"),
            **network,
            "PIP_FIND_LINKS": links,
            "UV_FIND_LINKS": str(self.wheels),
            "UV_CACHE_DIR": str(self.folder / "uv"),
            "TORCHSCRIPT_BUILD_CACHE_DIR": str(self.folder / "cache"),
        }
        variables.pop("PYTHONPATH", None)
        return run_child(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=cwd,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def do(self, *command: str, cwd: Path) -> str:
        done = self.start(*command, cwd=cwd)
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, fake_torch: Path) -> User:
    folder = tmp_path_factory.mktemp("user") / "venv"
    run_child([sys.executable, "-m", "venv", folder], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    shutil.copytree(fake_torch, site / "torch")
    write(site / "torch-2.13.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n")
    write(site / "torch-2.13.0.dist-info/RECORD")
    source, wheels = folder.parent / "source", folder.parent / "wheels"
    for name in ("torchscript_build", "templates"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy2(REPOSITORY / name, source / name)
    pip = [folder / "bin/python", "-m", "pip", "-q"]
    run_child([*pip, "install", "build", "uv", "setuptools>=77"], check=True)
    run_child([*pip, "wheel", "--no-deps", "-w", wheels, source], check=True)
    run_child([*pip, "install", "--find-links", wheels, "torchscript-build"], check=True)
    return User(folder, wheels)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_shape(tmp_path / "project", SHAPES["CMake program without a Python package"])


BUILDS: Mapping[str, tuple[str, ...]] = {
    "build": ("python", "-m", "build"),
    "build, the wheel alone": ("python", "-m", "build", "--wheel"),
    "build without isolation": ("python", "-m", "build", "--no-isolation"),
    "pip wheel": ("python", "-m", "pip", "wheel", "--no-deps", "-w", "dist", "."),
    "uv build without isolation": ("uv", "build", "--no-build-isolation", "--python", "PYTHON"),
}
INSTALLS: Mapping[str, tuple[str, ...]] = {
    "pip": ("python", "-m", "pip", "install", "."),
    "pip, editable": ("python", "-m", "pip", "install", "-e", "."),
    "uv without isolation": ("uv", "pip", "install", "--no-build-isolation", "--python", "PYTHON", "."),
    "uv, editable": ("uv", "pip", "install", "--no-build-isolation", "--python", "PYTHON", "-e", "."),
}


def with_python(words: tuple[str, ...], user: User) -> list[str]:
    return [str(user.folder / "bin/python") if word == "PYTHON" else word for word in words]


@pytest.mark.parametrize("way", BUILDS)
def test_a_front_end_finds_the_environment_that_it_was_started_from(user: User, project: Path, way: str) -> None:
    said = user.do(*with_python(BUILDS[way], user), cwd=project)
    names = {p.name for p in project.glob("dist/*")}
    assert "demo-1.5-py3-none-linux_x86_64.whl" in names, said
    assert ("demo-1.5.tar.gz" in names) == (way in ("build", "build without isolation", "uv build without isolation"))


@pytest.mark.parametrize("way", INSTALLS)
def test_what_is_installed_runs(user: User, project: Path, tmp_path: Path, way: str) -> None:
    user.do(*with_python(INSTALLS[way], user), cwd=project)
    try:
        assert user.do("answer", cwd=tmp_path) == "answer 42\n"
    finally:
        user.do("python", "-m", "pip", "uninstall", "-y", "demo", cwd=tmp_path)


@pytest.mark.parametrize("words", [("build",), ("pip", "install", "--python", "PYTHON", ".")])
def test_uv_with_isolation_is_told_what_to_type(user: User, project: Path, words: tuple[str, ...]) -> None:
    """It starts builds by itself, and nothing in them tells of the environment."""
    done = user.start("uv", *with_python(words, user), cwd=project)
    assert done.returncode != 0
    assert "pip install torch, then build with --no-build-isolation (pip, uv), --no-isolation (build)" in done.stdout
