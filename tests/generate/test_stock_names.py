"""What the stock package Torch defines, and what ours does of it: nothing that projects use goes missing unnoticed.

Read from ``TorchConfig.cmake``, ``Caffe2Config.cmake`` and ``Caffe2Targets.cmake`` of 2.13's CPU and CUDA wheels.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import build_fake_cuda_torch, run_child, run_python, write

TARGETS = {
    "torch": "as SHARED, with its file",
    "torch_library": "torch by another name",
    "torch_cpu": "",
    "torch_cpu_library": "",
    "torch_cuda": "",
    "torch_cuda_library": "",
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
    "Caffe2_FOUND": "TRUE|1",
    "Caffe2_MAIN_LIBS": "torch_library",
    "CAFFE2_INCLUDE_DIRS": "{torch}/include.*",
}
LEFT_OUT = {
    "kineto_LIBRARY": "a static library, which libtorch has in it",
    "CUDA_NVRTC_LIB": "of a CUDA toolkit, which a consumer without CUDA sources needs not",
    "CAFFE2_NVRTC_LIBRARY": "libtorch loads it by itself",
    "CAFFE2_USE_CUDA": "steers public/cuda.cmake, which demands a toolkit; so do caffe2::cuda, caffe2::cublas, "
    "torch::cudart, torch::cudnn, torch::nvtoolsext and their like",
    "torch_nvshmem": "nothing links it; libtorch loads it by itself",
    "headeronly": "headers that torch has, too",
    "caffe2::mkl": "static parts of libtorch; so are caffe2::mkldnn, protobuf::libprotobuf and Tensorpipe",
    "caffe2_update_option": "torch's own build uses it, and the other functions of public/utils.cmake",
}
"""And why."""


@pytest.mark.compile
@pytest.mark.parametrize("package", ["Torch", "Caffe2"])
def test_stock_names(tmp_path: Path, variables: dict[str, str], package: str) -> None:
    torch, _ = build_fake_cuda_torch(tmp_path / "site")
    command = ["-m", "torchscript_build", "cmake-dir", "--libtorch", str(torch)]
    done = run_python(*command, cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stderr
    named = "".join(f'message("{name}=${{{name}}}|")\n' for name in (*VARIABLES, *LEFT_OUT) if "::" not in name)
    targets = "".join(f'if(TARGET {name})\n  message("target {name}")\nendif()\n' for name in (*TARGETS, *LEFT_OUT))
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
    for name in LEFT_OUT:
        assert "::" in name or f"{name}=|" in lines
    assert [line[7:] for line in lines if line.startswith("target ")] == list(TARGETS)
    assert f"LOCATION={torch}/lib/libtorch.so" in lines
    assert (tmp_path / "b/file.txt").read_text() == f"{torch}/lib/libtorch.so;{torch}/lib"
