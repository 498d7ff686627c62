"""Python modules by pybind against the real torch: in a CMake project, and behind a project's own header and macro."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from small_projects import write_project

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.slow]

FILES = {
    "native/CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.16)
project(native LANGUAGES CXX)
find_package(Torch REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter Development.Module)
find_library(TORCH_PYTHON_LIBRARY torch_python PATHS "${TORCH_INSTALL_PREFIX}/lib")
Python3_add_library(_cmake MODULE WITH_SOABI ../module.cpp ../kernel.cpp)
target_include_directories(_cmake PRIVATE ../include)
target_compile_definitions(_cmake PRIVATE TORCH_EXTENSION_NAME=_cmake)
target_link_libraries(_cmake PRIVATE "${TORCH_LIBRARIES}" "${TORCH_PYTHON_LIBRARY}")
install(TARGETS _cmake DESTINATION .)
""",
    "include/mylib/bind.h": """\
#pragma once
#define MYLIB_MODULE(m) PYBIND11_MODULE(TORCH_EXTENSION_NAME, m)
""",
    "module.cpp": """\
#include <mylib/bind.h>
#include <torch/extension.h>
at::Tensor twice(const at::Tensor& x);
MYLIB_MODULE(m) { m.def("twice", &twice); }
""",
    "kernel.cpp": """\
#include <torch/extension.h>
torch::Tensor twice(const torch::Tensor& x) { return x * 2; }
""",
}
SETTINGS = """\
[[tool.torchscript-build.ops]]
name = "_ops"
sources = ["module.cpp", "kernel.cpp"]
include-dirs = ["include"]
python-module = true

[[tool.torchscript-build.cmake]]
name = "native"
source-dir = "native"
"""
CHECK = """\
import torch, demo._ops, demo._cmake
print([module.twice(torch.ones(1)).item() for module in (demo._ops, demo._cmake)])
"""


def test_modules_by_pybind_take_and_give_tensors(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", SETTINGS, files=FILES)
    hook = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    done = run_python("-c", hook, cwd=project, variables=clean_variables(MAX_JOBS="1"))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "_ops: lean torch headers for 2 sources, 1 of them with Python" in done.stdout
    (wheel,) = (project / "dist").glob("demo-1.5-cp3*-cp3*-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    variables = {**clean_variables(), "PYTHONPATH": os.fspath(tmp_path / "site")}
    ran = run_child([sys.executable, "-c", CHECK], cwd=tmp_path, env=variables, capture_output=True, encoding="utf-8")
    assert ran.stdout == "[2.0, 2.0]\n", ran.stderr
