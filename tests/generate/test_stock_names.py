"""What the stock package Torch defines, and what ours does of it: nothing that projects use goes missing unnoticed.

``stock_names.txt`` is what the wheels of six releases have, for the processor alone and (1.13.1, 2.13.0) for CUDA.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from children import run_child, run_python
from generate.stock import TABLE, read_names, read_table
from support import write
from tiny_torch import build_fake_cuda_torch

TARGETS = {
    "torch": "as SHARED, with its file",
    "torch_library": "torch by another name",
    "torch_cpu": "",
    "torch_cpu_library": "",
    "torch_cuda": "",
    "torch_cuda_library": "",
    "torch_cuda_cpp": "of 1.10 to 1.13 only, where torch_cuda is two",
    "torch_cuda_cpp_library": "",
    "torch_cuda_cu": "",
    "torch_cuda_cu_library": "",
    "c10": "",
    "c10_cuda": "",
}
VARIABLES = {
    "Torch_FOUND": "TRUE|1",
    "TORCH_FOUND": "TRUE",
    "TORCH_INSTALL_PREFIX": "{torch}",
    "TORCH_INCLUDE_DIRS": "{torch}/include.*",
    "TORCH_LIBRARIES": "torch;torch_library",
    "TORCH_LIBRARY": "{torch}/lib/libtorch.so",
    "TORCH_CXX_FLAGS": "-D_GLIBCXX_USE_CXX11_ABI=[01]",
    "TORCH_CUDA_LIBRARIES": ".*libc10_cuda.so.*",
    "c10_LIBRARY": "{torch}/lib/libc10.so",
    "C10_CUDA_LIBRARY": "{torch}/lib/libc10_cuda.so",
    "torch_LIBRARY": "{torch}/lib/libtorch.so",
    "torch_cpu_LIBRARY": "{torch}/lib/libtorch_cpu.so",
    "torch_cuda_LIBRARY": "{torch}/lib/libtorch_cuda.so",
    "c10_cuda_LIBRARY": "{torch}/lib/libc10_cuda.so",
    "Caffe2_FOUND": "TRUE|1",
    "Caffe2_MAIN_LIBS": "torch_library",
    "CAFFE2_INCLUDE_DIRS": "{torch}/include.*",
}
FUNCTIONS = ("append_torchlib_if_found", "append_wholearchive_lib_if_found")
LEFT_OUT = {
    "of public/cuda.cmake, which demands a CUDA toolkit: CUDA code finds its own, other code needs none": """
        CAFFE2_USE_* CAFFE2_NVRTC_LIBRARY CUDA_* CUDNN_* CUDAToolkit_ROOT USE_CUDSS PROJECT_RANDOM_BINARY_DIR
    """,
    "targets of a CUDA toolkit; libtorch finds these libraries by its own RPATH": """
        caffe2::cuda caffe2::cu* caffe2::nvrtc* torch::cu* torch::nvt* nvtx3_dir
    """,
    "of a CUDA toolkit that is no more": """
        LIBNVTOOLSEXT NVTOOLEXT_HOME
    """,
    "Caffe2's, gone since 2.2": """
        TENSORRT_* caffe2::tensorrt
    """,
    "Caffe2's own, gone since 2.0; TORCH_VERSION tells the release": """
        CAFFE2_VERSION*
    """,
    "wheels are built without": """
        GFLAGS_* GLOG_* gflags glog::glog
    """,
    "static parts of libtorch, which it has in it": """
        MKLDNN_* caffe2::mkl* caffe2::dnnl_graph caffe2::Threads Threads::Threads protobuf::libprotobuf dummy
    """,
    "static libraries, looked for where libtorch is one; it is shared in all wheels": """
        Caffe2_perfkernels_* XNNPACK_* asmjit_* caffe2_protos_* clog_* cpuinfo_* dnnl_* eigen_blas_* fbgemm_*
        fmt_* foxi_loader_* kineto_* kleidiai_* microkernels-prod_* mkldnn_* nnpack_* onnx*_LIBRARY
        proto*_LIBRARY pthreadpool_* pytorch_qnnpack_* qnnpack_* sleef_*
    """,
    "of a SYCL toolkit, as with CUDA": """
        PYTORCH_FOUND_XPU TORCH_XPU_ARCH_LIST XPU_* torch::sycl torch::xpurt torch_xpu_LIBRARY c10_xpu_LIBRARY
    """,
    "an input of the stock package, which notes in it what it made of it": """
        TORCH_CUDA_ARCH_LIST
    """,
    "of torch's own build": """
        MSVC_DEBINFO_OPTION VCOMP_LIB
    """,
    "headers that torch has, too": """
        headeronly
    """,
    "nothing links it; libtorch loads it by itself": """
        torch_nvshmem
    """,
    "functions of public/utils.cmake, which torch's own build uses": """
        add_link_options_if_supported append_c*_flag_if_supported caffe* dedent exclude prepend pycmd*
        target_*_if_supported torch_compile_options torch_cuda_* torch_hip_* torch_set_target_props
        torch_update_find_cuda_flags torch_xpu_get*
    """,
}
"""Why ours does not define what these patterns match."""


def reason(kind: str, name: str) -> str | None:
    """Why ours does not define it; ``None`` where it does."""
    if name in {"target": TARGETS, "variable": VARIABLES, "function": FUNCTIONS}[kind]:
        return None
    found = [why for why, patterns in LEFT_OUT.items() if any(fnmatchcase(name, p) for p in patterns.split())]
    assert found, f"what of the {kind} {name}?"
    return found[0]


def test_every_name_of_six_releases_is_defined_or_left_out_for_a_reason() -> None:
    table = read_table(TABLE.read_text(encoding="utf-8"))
    assert len({release for releases in table.values() for release in releases}) >= 5
    defined = {name for kind, name in table if reason(kind, name) is None}
    # Torch_FOUND and its like are find_package's, TORCH_FOUND's module sets it by find_package_handle_standard_args.
    assert {*TARGETS, *VARIABLES, *FUNCTIONS} - defined == {"Torch_FOUND", "TORCH_FOUND", "Caffe2_FOUND"}
    left = [p for patterns in LEFT_OUT.values() for p in patterns.split()]
    assert not [p for p in left if not any(fnmatchcase(name, p) for _, name in table)]


@pytest.mark.torch
def test_the_table_says_what_this_torch_has() -> None:
    import torch

    release = torch.__version__.partition("+")[0]
    table = read_table(TABLE.read_text(encoding="utf-8"))
    if not any(release in releases for releases in table.values()):
        pytest.skip(f"the table has no {release}")
    names = read_names(Path(torch.__file__).parent / "share/cmake")
    assert not [key for key in names if release not in table.get(key, ())]


@pytest.mark.compile
@pytest.mark.parametrize("package", ["Torch", "Caffe2"])
def test_stock_names(tmp_path: Path, variables: dict[str, str], package: str) -> None:
    torch, _ = build_fake_cuda_torch(tmp_path / "site")
    command = ["-m", "torchscript_build", "cmake-dir", "--libtorch", str(torch)]
    done = run_python(*command, cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stderr
    table = read_table(TABLE.read_text(encoding="utf-8"))
    left_out = [(kind, name) for kind, name in table if reason(kind, name)]
    unset = [name for kind, name in left_out if kind == "variable"]
    named = "".join(f'message("{name}=${{{name}}}|")\n' for name in (*VARIABLES, *unset))
    possible = [*TARGETS, *(name for kind, name in left_out if kind == "target")]
    targets = "".join(f'if(TARGET {name})\n  message("target {name}")\nendif()\n' for name in possible)
    targets += "append_torchlib_if_found(torch_python torch)\n"
    targets += 'message("LIBRARIES=${TORCH_LIBRARIES}")\n'
    write(
        tmp_path / "CMakeLists.txt",
        f"cmake_minimum_required(VERSION 3.18)\nproject(x CXX)\nfind_package({package} REQUIRED)\n"
        "find_package(Torch REQUIRED)\nfind_package(Caffe2 REQUIRED)\n"
        f"{named}{targets}"
        'set(file "$<TARGET_FILE:torch>;$<TARGET_FILE_DIR:torch>")\n'
        'file(GENERATE OUTPUT file.txt CONTENT "${file}")\n'
        'get_target_property(location torch LOCATION)\nmessage("LOCATION=${location}")\n',
    )
    found = [f"-D{name}_DIR={done.stdout.strip()}" for name in ("Torch", "Caffe2")]
    ran = run_child(["cmake", "-B", "b", *found], cwd=tmp_path, env=variables, capture_output=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stderr.splitlines()
    for name, pattern in VARIABLES.items():
        expected = re.compile(f"{name}=({pattern.format(torch=torch)})\\|")
        assert any(expected.fullmatch(line) for line in lines), (name, ran.stderr)
    for name in unset:
        assert f"{name}=|" in lines
    assert [line[7:] for line in lines if line.startswith("target ")] == [t for t in TARGETS if "cuda_c" not in t]
    assert f"LIBRARIES=torch;torch_library;{torch}/lib/libtorch_python.so;{torch}/lib/libtorch.so" in lines
    assert f"LOCATION={torch}/lib/libtorch.so" in lines
    assert (tmp_path / "b/file.txt").read_text() == f"{torch}/lib/libtorch.so;{torch}/lib"
