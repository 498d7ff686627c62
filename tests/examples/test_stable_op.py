"""One wheel for every torch: built once, installed and tested under real releases."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from examples_support import SITE_PACKAGES, build_environment, link_torch, make_environment, pip, run, transcript

pytestmark = [pytest.mark.compile, pytest.mark.torch]

EXAMPLE = Path(__file__).parents[2] / "examples/stable_op"
RELEASES = ("2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.1", "2.15.0")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's wheel, for any Python and any torch from 2.10 on."""
    folder = tmp_path_factory.mktemp("stable")
    shutil.copytree(EXAMPLE, folder / "stable_op", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    pip("wheel", "--no-build-isolation", "--no-deps", "-w", folder, ".", cwd=folder / "stable_op")
    (made,) = folder.glob("*.whl")
    assert "-py3-none-" in made.name
    return made


def run_its_tests(python: Path, folder: Path) -> str:
    shutil.copytree(EXAMPLE / "tests", folder / "tests")
    return run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], cwd=folder).stdout


@pytest.mark.slow
def test_the_wheel_passes_its_tests(wheel: Path, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "environment")
    link_torch(tmp_path / "environment")
    pip("install", "--no-deps", wheel, cwd=tmp_path, python=python)
    assert "7 passed" in run_its_tests(python, tmp_path)
    (metadata,) = (tmp_path / "environment" / SITE_PACKAGES).glob("decay_ops-*/METADATA")
    assert "\nRequires-Dist: torch >=2.10\n" in metadata.read_text()


@pytest.mark.slow
def test_readme_shows_what_the_audit_says(wheel: Path) -> None:
    ((call, said),) = transcript(re.findall(r"```console\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)[0])
    (wheel.parent / "dist").mkdir()
    shutil.copy(wheel, wheel.parent / "dist")
    assert run([sys.executable, "-m", "torchscript_build", *call[1:]], cwd=wheel.parent).stdout == said


@pytest.mark.network
@pytest.mark.parametrize("release", RELEASES)
def test_under_a_real_release(wheel: Path, tmp_path: Path, release: str) -> None:
    """Some gigabytes each; nothing of it stays."""
    environment = tmp_path / "environment"
    try:
        run([sys.executable, "-m", "venv", environment], cwd=tmp_path)
        python = environment / "bin/python"
        variables = {**build_environment(), "PIP_CONFIG_FILE": os.devnull}  # a mirror may have older releases only
        install = [python, "-m", "pip", "install", "-q", "--no-cache-dir"]
        run([*install, f"torch=={release}", "numpy", "pytest", wheel], cwd=tmp_path, env=variables)
        version = run([python, "-c", "import torch; print(torch.__version__)"], cwd=tmp_path).stdout
        assert version.split("+")[0].strip() == release
        assert "7 passed" in run_its_tests(python, tmp_path)
    finally:
        shutil.rmtree(environment, ignore_errors=True)
