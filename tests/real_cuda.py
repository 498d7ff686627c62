"""Builds with a real CUDA build of torch, where somebody names one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from children import clean_variables, run_child


def cuda_python() -> str:
    """An interpreter with torch's default CUDA build and torchscript-build, named by whoever runs these tests."""
    named = os.environ.get("TORCHSCRIPT_BUILD_TEST_CUDA_PYTHON")
    if not named:
        pytest.skip("TORCHSCRIPT_BUILD_TEST_CUDA_PYTHON names no interpreter with a CUDA build of torch")
    return named


def build_with_cuda(project: Path, folder: Path, name: str) -> Path:
    """A project, built in a copy and compared with Python by that interpreter; returns the program or library."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("build", "*.egg-info", "_torchscript_*"))
    variables = clean_variables(TORCH_CUDA_ARCH_LIST=os.environ.get("TORCH_CUDA_ARCH_LIST", "9.0"))
    done = run_child(
        [cuda_python(), "setup.py", "build_ts_app", "--run"],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "largest differences" in done.stdout
    (built,) = folder.glob(f"build/torchscript/*/tree/out/*/*/{name}")
    return built
