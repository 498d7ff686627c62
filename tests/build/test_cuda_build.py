"""CUDA sources from the settings to a library: with the nvcc that is here and a tiny libtorch, or with the real one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from real_cuda import build_with_cuda, cuda_python
from small_projects import write_project
from support import write
from tiny_torch import compile_library, copy_torch

from torchscript_build.system.elf import read_elf
from torchscript_build.toolchain.cuda.tables import TORCH_HEADERS

EXAMPLE = Path(__file__).parents[2] / "examples" / "cuda_op"
OPS = """\
[[tool.torchscript-build.ops]]
name = "twice"
sources = ["twice.cpp", "twice.cu"]
python-binding = "none"
"""
CPP = """\
#include <torch/library.h>
#ifdef WITH_CUDA
int twice_cuda(int);
int twice(int x) { return twice_cuda(x); }
#else
int twice(int x) { return x + x; }
#endif
"""
CU = """\
#include <torch/library.h>
__global__ void double_it(int* x) { *x += *x; }
int twice_cuda(int x) {
  int* there = nullptr;
  if (cudaMalloc(&there, sizeof(int)) != cudaSuccess) return -1;
  double_it<<<1, 1>>>(there);
  return x;
}
"""
nvcc_needed = pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on PATH")


@pytest.fixture
def cuda_series() -> str:
    """The release of the machine's nvcc, ``"13.0"``."""
    words = run_child(["nvcc", "--version"], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    match = re.search(r"release (\d+\.\d+)", words)
    assert match
    return match.group(1)


def make_cuda_torch(fake_torch: Path, site: Path, series: str) -> Path:
    """The tiny libtorch as a CUDA build, with the headers beside it that torch's own would include."""
    root = copy_torch(fake_torch, site / "torch")
    write(root / "version.py", f"__version__ = '2.13.0+cu{series.replace('.', '')}'\ncuda = '{series}'\nhip = None\n")
    flags = "-gencode;arch=compute_90,code=sm_90;-gencode;arch=compute_100,code=sm_100"
    write(root / "include/ATen/cuda/CUDAConfig.h", f'#define NVCC_FLAGS_EXTRA "{flags}"\n')
    for header in TORCH_HEADERS:
        write(site / "nvidia" / f"cu{series.split('.')[0]}" / "include" / header.name, "#pragma once\n")
    compile_library(root / "lib" / "libc10_cuda.so", "int c10_cuda() { return 0; }\n")
    compile_library(root / "lib" / "libtorch_cuda.so", "int torch_cuda() { return 0; }\n")
    return root


@pytest.mark.slow
@nvcc_needed
@pytest.mark.compile
@pytest.mark.cuda
def test_cuda_sources_are_compiled_for_the_architectures_that_were_asked_for(
    fake_torch: Path, variables: dict[str, str], tmp_path: Path, cuda_series: str
) -> None:
    torch = make_cuda_torch(fake_torch, tmp_path / "site", cuda_series)
    project = write_project(tmp_path / "project", OPS, files={"twice.cpp": CPP, "twice.cu": CU})
    environment = {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": str(torch), "TORCH_CUDA_ARCH_LIST": "9.0"}
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout
    (library,) = project.glob("build/torchscript/*/stage/ops/demo/lib/libtwice.so")
    needed = read_elf(library).needed
    assert {"libtorch.so", "libtorch_cuda.so", "libc10.so"} & set(needed)
    assert any(name.startswith("libcudart.so") for name in needed)
    (commands,) = project.glob("build/torchscript/*/tree/build.ninja")
    assert "compute_90" in commands.read_text()
    assert "compute_100" not in commands.read_text()


@nvcc_needed
@pytest.mark.cuda
def test_a_toolkit_of_another_major_version_is_refused_before_anything_is_compiled(
    fake_torch: Path, variables: dict[str, str], tmp_path: Path, cuda_series: str
) -> None:
    major = int(cuda_series.split(".")[0])
    torch = make_cuda_torch(fake_torch, tmp_path / "site", f"{major - 1}.4")
    project = write_project(tmp_path / "project", OPS, files={"twice.cpp": CPP, "twice.cu": CU})
    nvcc = shutil.which("nvcc")
    environment = {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": str(torch), "CUDACXX": str(nvcc)}
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=environment)
    assert done.returncode == 1
    assert f"CUDA {cuda_series}" in done.stderr
    assert f"CUDA {major - 1}.4" in done.stderr
    assert "major versions must be the same" in done.stderr
    assert not list(project.glob("build/torchscript/*/tree"))


@pytest.mark.slow
@nvcc_needed
@pytest.mark.compile
@pytest.mark.cuda
def test_a_target_that_wants_cudnn_gets_the_one_beside_libtorch(
    fake_torch: Path, variables: dict[str, str], tmp_path: Path, cuda_series: str
) -> None:
    torch = make_cuda_torch(fake_torch, tmp_path / "site", cuda_series)
    cudnn = tmp_path / "site" / "nvidia" / "cudnn"
    write(cudnn / "include" / "cudnn.h", "#pragma once\nint cudnn_answer();\n")
    (cudnn / "lib").mkdir()
    compile_library(cudnn / "lib" / "libcudnn.so.9", "int cudnn_answer() { return 9; }\n")
    settings = '[[tool.torchscript-build.ops]]\nname = "dnn"\nsources = ["dnn.cpp"]\ncudnn = true\n'
    source = "#include <cudnn.h>\nint answer() { return cudnn_answer(); }\n"
    project = write_project(tmp_path / "project", settings, files={"dnn.cpp": source})
    environment = {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": str(torch)}
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nvcc" not in done.stdout
    assert "Warning" not in done.stdout
    (library,) = project.glob("build/torchscript/*/stage/ops/demo/lib/libdnn.so")
    assert "libcudnn.so.9" in read_elf(library).needed


def test_without_cuda_the_sources_are_refused_unless_the_project_says_skip(
    variables: dict[str, str], tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", OPS, files={"twice.cpp": CPP, "twice.cu": CU})
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=variables)
    assert done.returncode == 1
    assert 'without-cuda = "skip"' in done.stderr


@pytest.mark.compile
def test_skipped_cuda_sources_ask_for_no_toolkit(no_torch: dict[str, str], tmp_path: Path) -> None:
    settings = OPS + 'without-cuda = "skip"\ncuda-sources = ["gpu/*.cpp"]\n'
    files = {"twice.cpp": CPP, "twice.cu": CU, "gpu/streams.cpp": "#error needs CUDA\n"}
    project = write_project(tmp_path / "project", settings, files=files)
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=no_torch)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nvcc" not in done.stdout
    assert "without CUDA, left out: twice.cu, gpu/streams.cpp" in done.stdout


def test_only_cuda_sources_cannot_be_skipped(variables: dict[str, str], tmp_path: Path) -> None:
    settings = OPS.replace('"twice.cpp", ', "") + 'without-cuda = "skip"\n'
    project = write_project(tmp_path / "project", settings, files={"twice.cu": CU})
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=variables)
    assert done.returncode == 1
    assert "CUDA sources only" in done.stderr


@pytest.mark.compile
@pytest.mark.cuda
@pytest.mark.network
def test_example_compiles_against_the_real_cuda_build(tmp_path: Path) -> None:
    program = build_with_cuda(EXAMPLE, tmp_path / "cuda_op", "trend")
    library = program.parent.parent / "lib" / "libsmooth.so"
    assert b"sm_90" in library.read_bytes()


STABLE = """\
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>
using torch::stable::Tensor;
__global__ void double_them(const float* in, float* out, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) out[i] = 2 * in[i];
}
Tensor twice(const Tensor& input) {
  const Tensor output = torch::stable::empty_like(input);
  const auto n = static_cast<std::int64_t>(input.numel());
  double_them<<<(n + 255) / 256, 256>>>(
      static_cast<const float*>(input.data_ptr()), static_cast<float*>(output.data_ptr()), n);
  STD_TORCH_CHECK(cudaGetLastError() == cudaSuccess, "the kernel did not start");
  return output;
}
STABLE_TORCH_LIBRARY(NAMESPACE, m) { m.def("twice(Tensor x) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(NAMESPACE, CUDA, m) { m.impl("twice", TORCH_BOX(&twice)); }
"""


def stable_table(runtime: str) -> str:
    return (
        f'[[tool.torchscript-build.ops]]\nname = "{runtime}"\nsources = ["twice.cu"]\nabi = "stable"\n'
        f'definitions = ["NAMESPACE=cu_{runtime}"]\ncuda-runtime = "{runtime}"\n\n'
    )


@pytest.mark.compile
@pytest.mark.cuda
@pytest.mark.network
def test_a_stable_library_with_a_runtime_of_its_own_is_bound_to_no_cuda(tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project", stable_table("shared") + stable_table("static"), files={"twice.cu": STABLE}
    )
    python = cuda_python()
    variables = clean_variables(TORCH_CUDA_ARCH_LIST="9.0", MAX_JOBS="1")
    done = run_child(
        [python, "setup.py", "build_ts_ops"], cwd=project, env=variables, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = next(project.glob("build/torchscript/*/stage/ops/demo/lib"))
    needed = {name: read_elf(folder / f"lib{name}.so").needed for name in ("shared", "static")}
    assert "libcudart.so.13" in needed["shared"]
    assert not [name for name in needed["static"] if name.startswith(("libcudart", "libtorch_cuda", "libc10"))]
    said = run_child(
        [python, "-m", "torchscript_build", "audit-abi", folder / "libshared.so", folder / "libstatic.so"],
        env=variables,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    assert "libshared.so: keeps to torch's stable ABI: runs with torch 2.10 and newer, with CUDA 13\n" in said
    assert "libstatic.so: keeps to torch's stable ABI: runs with torch 2.10 and newer\n" in said
    assert said.count("links the shared runtime of CUDA 13, which builds of torch for another CUDA lack") == 1
