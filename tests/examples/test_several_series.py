"""One wheel for two series of torch: built once, installed and run under real releases of both."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from examples_support import build_environment, pip, run

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.network]

EXAMPLE = Path(__file__).parents[2] / "examples/custom_op"
RELEASES = ("2.11.0", "2.13.0")
ANY = {"PIP_CONFIG_FILE": os.devnull}
"""A mirror may have older releases only."""
CALL = """\
import torch, warp_ops
print(torch.ops.warp_ops.shear(torch.eye(3), 1.0).sum().item(), *torch.ops.loaded_libraries)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's wheel for both."""
    project = tmp_path_factory.mktemp("several") / "custom_op"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    settings = (project / "pyproject.toml").read_text()
    table = '[tool.torchscript-build]\nseries = ["2.11", "2.13"]\n\n'
    # without CUDA's libraries no program can be started here
    settings = settings.replace("verify = true", "verify = false")
    (project / "pyproject.toml").write_text(settings.replace("[[tool", f"{table}[[tool", 1))
    for release in RELEASES:
        run(
            [sys.executable, "-m", "torchscript_build", "fetch", release],
            cwd=project,
            env={**build_environment(), **ANY},
        )
    pip("wheel", "--no-build-isolation", "--no-deps", "-w", project / "dist", ".", cwd=project)
    (made,) = (project / "dist").glob("*.whl")
    return made


@pytest.mark.parametrize("release", RELEASES)
def test_under_a_real_release(wheel: Path, tmp_path: Path, release: str) -> None:
    """Some gigabytes each; nothing of it stays."""
    environment = tmp_path / "environment"
    series = release.rpartition(".")[0]
    try:
        run([sys.executable, "-m", "venv", environment], cwd=tmp_path)
        python = environment / "bin/python"
        install = [python, "-m", "pip", "install", "-q", "--no-cache-dir", f"torch=={release}", "numpy", wheel]
        run(install, cwd=tmp_path, env={**build_environment(), **ANY})
        said = run([python, "-c", CALL], cwd=tmp_path).stdout
        assert said.startswith("2.0 ")
        assert said.strip().endswith(f"/warp_ops/lib/torch{series}/libwarp.so")
        assert f"libtorch:     {release}\n" in run([environment / "bin/straighten", "--info"], cwd=tmp_path).stdout
    finally:
        shutil.rmtree(environment, ignore_errors=True)
