"""Code without CUDA against a libtorch in the shape of the default wheel: it links, runs, and is not bound to CUDA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from children import run_child, run_python
from small_projects import ANSWER_APP, ANSWER_CPP, MODULE_CPP, read_project, write_project
from tiny_torch import build_fake_cuda_torch

from torchscript_build.build.discover import discover_plan
from torchscript_build.build.pipeline import BuildResult, build_targets
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment
from torchscript_build.system.elf import read_elf

pytestmark = pytest.mark.compile

SETTINGS = (
    ANSWER_APP
    + """
[[tool.torchscript-build.ops]]
name = "_bare"
sources = ["bare.cpp"]
python-module = true

[[tool.torchscript-build.ops]]
name = "_limited"
sources = ["limited.cpp"]
python-module = true
limited-api = "3.9"

[[tool.torchscript-build.ops]]
name = "device_ops"
sources = ["device.cpp"]
"""
)
FILES = {
    "answer.cpp": ANSWER_CPP,
    "bare.cpp": MODULE_CPP.replace("NAME", "_bare"),
    "limited.cpp": MODULE_CPP.replace("NAME", "_limited"),
    "device.cpp": "#include <Python.h>\nnamespace c10 { int cuda_device(); }\n"
    "int here() { return c10::cuda_device(); }\n",
}


@pytest.fixture(scope="module")
def cuda_torch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build_fake_cuda_torch(tmp_path_factory.mktemp("cuda") / "site-packages")


@pytest.mark.parametrize("flags", ["", "-Wl,--as-needed"])
def test_modules_and_programs_of_the_cuda_wheels_shape(
    tmp_path: Path, machine: Environment, cuda_torch: tuple[Path, Path], fake_torch: Path, flags: str
) -> None:
    torch, runtime = cuda_torch
    plan, result = build(
        tmp_path / "project", machine.with_variables(LDFLAGS=flags, TORCHSCRIPT_BUILD_LIBTORCH=str(torch))
    )
    assert plan.libtorch.backend == "cuda"
    for target in plan.targets:
        needed = read_elf(result.installed(target)).needed
        assert "libtorch.so" in needed, target.name
        assert ("libc10_cuda.so" in needed) is (target.name == "device_ops")
        assert not {"libtorch_cuda.so", "libcudart.so.13"} & set(needed), target.name
    assert result.accelerated == {"device_ops"}
    for lib, printed in ((f"{torch / 'lib'}:{runtime}", "kernels\n"), (str(fake_torch / "lib"), "")):
        variables = {"LD_LIBRARY_PATH": lib, "PATH": os.defpath}
        program = result.installed(next(a for a in plan.apps))
        done = run_child([program], env=variables, capture_output=True, encoding="utf-8")
        assert (done.stdout, done.stderr) == (f"{printed}answer 42\n", "")
        for ops in plan.ops[:2]:
            if ops.name == "_bare" and lib == str(fake_torch / "lib"):
                continue  # it needs libtorch_python, which the tiny libtorch lacks
            code = f"import {ops.name}; print({ops.name}.answer(), flush=True)"
            ran = run_python("-c", code, cwd=result.installed(ops).parent, variables=variables)
            assert ran.stdout.replace("kernels\n", "") == "42\n", ran.stderr


def build(folder: Path, machine: Environment) -> tuple[BuildPlan, BuildResult]:
    write_project(folder, SETTINGS, files=FILES)
    spec = read_project(folder)
    plan = discover_plan(spec, machine, project="demo", version="1", root=folder, build_base=folder / "build")
    return plan, build_targets(plan, machine, jobs=1, targets=plan.targets)
