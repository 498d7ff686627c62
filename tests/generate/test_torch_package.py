"""A project that knows the stock package Torch only, against ours: configured, compiled, linked and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import pytest
from children import clean_variables, run_child, run_python
from small_projects import write_project
from support import write
from tiny_torch import build_fake_cuda_torch, copy_torch

from torchscript_build.system.elf import read_elf

CMAKELISTS = """\
cmake_minimum_required(VERSION 3.18)
project(stock LANGUAGES CXX)
find_package(Torch REQUIRED)
find_package(Torch 2.1)
set(CMAKE_CXX_FLAGS "${CMAKE_CXX_FLAGS} ${TORCH_CXX_FLAGS}")
foreach(name IN ITEMS torch torch_library torch_cpu c10)
  if(NOT TARGET ${name})
    message(SEND_ERROR "no target ${name}")
  endif()
endforeach()
message(STATUS "version ${Torch_VERSION} found ${Torch_FOUND} ${TORCH_FOUND} in ${TORCH_INSTALL_PREFIX}")
message(STATUS "include ${TORCH_INCLUDE_DIRS}")
add_executable(app main.cpp)
target_link_libraries(app "${TORCH_LIBRARIES}")
set_property(TARGET app PROPERTY CXX_STANDARD 14)
add_executable(plain plain.cpp)
target_link_libraries(plain PRIVATE torch)
find_package(Torch 99 QUIET)
if(Torch_FOUND)
  message(SEND_ERROR "99 was found")
endif()
"""
MAIN = """\
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <iostream>
#include <string>
int main() {
  std::cout << at::sum(at::ones({2, 3})).item<float>() << " " << __cplusplus / 100 << std::endl;
}
"""
PLAIN = "const char* f() { return __VERSION__; }\nint main() { return f() == nullptr; }\n"


def build_stock(folder: Path, package: Path, *, path: Optional[str] = None) -> str:
    """Build the stock project against a package Torch; returns all that CMake and the linker said."""
    write(folder / "CMakeLists.txt", CMAKELISTS)
    write(folder / "main.cpp", MAIN)
    write(folder / "plain.cpp", PLAIN)
    variables = clean_variables(**({"PATH": path} if path else {}))
    texts = []
    for arguments in (["-S", ".", "-B", "b", f"-DTorch_DIR={package}", "-DCMAKE_BUILD_TYPE=Debug"], ["--build", "b"]):
        done = run_child(["cmake", *arguments], cwd=folder, env=variables, capture_output=True, encoding="utf-8")
        texts.append(done.stdout + done.stderr)
        assert done.returncode == 0, texts[-1]
    text = "".join(texts)
    assert not re.search(r"(?i)warning", text), text
    return text


def check_stock(folder: Path, text: str, torch: Path) -> None:
    """What must be true of it with any libtorch of 2.13."""
    assert f"version 2.13.0 found TRUE TRUE in {torch}" in text or f"version 2.13.0 found 1 TRUE in {torch}" in text
    assert f"include {torch}/include;{torch}/include/torch/csrc/api/include" in text
    app = read_elf(folder / "b/app")
    assert app.runpath == (str(torch / "lib"),)
    assert app.rpath == ()
    done = run_child([folder / "b/app"], capture_output=True, encoding="utf-8", env=clean_variables())
    assert done.stdout == "6 2020\n" or done.stdout == "6 2017\n" or re.fullmatch(r"6 20\d\d\n", done.stdout), (
        done.stderr
    )


@pytest.mark.slow
@pytest.mark.compile
@pytest.mark.torch
def test_the_cpu_wheel(tmp_path: Path) -> None:
    variables = clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"))
    done = run_python("-m", "torchscript_build", "cmake-dir", cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stderr
    import torch

    text = build_stock(tmp_path / "stock", Path(done.stdout.rstrip("\n")))
    check_stock(tmp_path / "stock", text, Path(torch.__file__).parent)


@pytest.fixture(scope="module")
def cuda_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the default wheel of torch, which has CUDA."""
    named = os.environ.get("TORCHSCRIPT_BUILD_TEST_CUDA_PYTHON")
    if named:
        return Path(named)
    folder = tmp_path_factory.mktemp("cuda")
    run_child([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin/python"
    run_child([python, "-m", "pip", "install", "-q", "torch===2.13.0"], check=True)
    return python


@pytest.mark.compile
@pytest.mark.network
def test_the_cuda_wheel_without_a_cuda_toolkit(tmp_path: Path, cuda_python: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in ("/usr/local/bin", "/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            if program.name != "nvcc" and not (tools / program.name).exists():
                (tools / program.name).symlink_to(program)
    find = "import importlib.util as u; print(list(u.find_spec('torch').submodule_search_locations)[0])"
    torch = Path(
        run_child([cuda_python, "-c", find], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout.strip()
    )
    variables = clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"), PATH=str(tools))
    command = ["-m", "torchscript_build", "cmake-dir", "--libtorch", str(torch), "--cuda", "13"]
    done = run_python(*command, cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stderr
    text = build_stock(tmp_path / "stock", Path(done.stdout.rstrip("\n")), path=str(tools))
    check_stock(tmp_path / "stock", text, torch)
    needed = read_elf(tmp_path / "stock/b/app").needed
    assert "libtorch.so" in needed
    assert not any("cuda" in name or "nvrtc" in name for name in needed)
    # The same file beside the CPU wheel of the release.
    import torch as cpu_torch

    lib = Path(cpu_torch.__file__).parent / "lib"
    moved = run_child(
        [tmp_path / "stock/b/app"], env=clean_variables(LD_LIBRARY_PATH=str(lib)), capture_output=True, encoding="utf-8"
    )
    assert re.fullmatch(r"6 20\d\d\n", moved.stdout), moved.stderr


KINDS_CPP = {
    "bare.cpp": """\
#include <Python.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
static PyObject* total(PyObject*, PyObject*) { return PyFloat_FromDouble(at::sum(at::ones({2, 3})).item<double>()); }
static PyMethodDef methods[] = {{"total", total, METH_NOARGS, ""}, {}};
static PyModuleDef def = {PyModuleDef_HEAD_INIT, "_bare", nullptr, -1, methods};
PyMODINIT_FUNC PyInit__bare() { return PyModule_Create(&def); }
""",
    "bound.cpp": """\
#include <torch/extension.h>
at::Tensor twice(const at::Tensor& x) { return x * 2; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("twice", &twice); }
""",
    "kernels.cpp": """\
#include <ATen/core/dispatch/Dispatcher.h>
#include <iostream>
int main() {
  auto schema = c10::Dispatcher::singleton().findSchemaOrThrow("aten::add", "Tensor");
  std::cout << schema.hasKernelForDispatchKey(c10::DispatchKey::CUDA) << std::endl;
}
""",
}
KINDS = """\
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
name = "_bound"
sources = ["bound.cpp"]
python-module = true

[[tool.torchscript-build.app]]
name = "kernels"
sources = ["kernels.cpp"]
"""
CHECK = """\
import importlib, sys, torch
sys.path.insert(0, sys.argv[1])
import _bare, _limited, _bound
print(_bare.total(), _limited.total(), _bound.twice(torch.ones(2)).tolist(), torch.version.cuda)
"""


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.network
@pytest.mark.parametrize("built_with", ["cuda", "cpu"])
def test_cpu_code_passes_between_the_cpu_and_the_cuda_wheel(tmp_path: Path, cuda_python: Path, built_with: str) -> None:
    """Built for one, it is linked, loaded and called beside both; CUDA's kernels are there where torch has them."""
    import torch

    find = "import importlib.util as u; print(list(u.find_spec('torch').submodule_search_locations)[0])"
    folders = {
        "cuda": Path(
            run_child([cuda_python, "-c", find], encoding="utf-8", capture_output=True, check=True).stdout.strip()
        ),
        "cpu": Path(torch.__file__).parent,
    }
    files = {**KINDS_CPP, "limited.cpp": KINDS_CPP["bare.cpp"].replace("_bare", "_limited")}
    write_project(tmp_path, KINDS, files=files)
    variables = clean_variables(TORCHSCRIPT_BUILD_LIBTORCH=str(folders[built_with]), MAX_JOBS="1")
    done = run_python("setup.py", "build", cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = tmp_path.glob("build/lib*/demo")
    for file in (*package.glob("*.so"), package / "bin/kernels"):
        assert not any("cuda" in name for name in read_elf(file).needed), file
    for other, python in (("cuda", cuda_python), ("cpu", Path(sys.executable))):
        # cpython's own names do not matter here: the same minor release runs both
        ran = run_child([python, "-c", CHECK, package], env=clean_variables(), capture_output=True, encoding="utf-8")
        cuda = "None" if other == "cpu" else "13.0"
        assert ran.stdout == f"6.0 6.0 [2.0, 2.0] {cuda}\n", ran.stderr
        kernels = run_child(
            [package / "bin/kernels"],
            env=clean_variables(LD_LIBRARY_PATH=str(folders[other] / "lib")),
            capture_output=True,
            encoding="utf-8",
        )
        assert kernels.stdout == ("1\n" if other == "cuda" else "0\n"), kernels.stderr


def find_torch(
    folder: Path, package: str, variables: Mapping[str, str], request_words: str
) -> subprocess.CompletedProcess[str]:
    """Configure a project that only finds Torch."""
    text = "cmake_minimum_required(VERSION 3.19)\nproject(x NONE)\n"
    write(folder / "CMakeLists.txt", f"{text}find_package(Torch {request_words} REQUIRED CONFIG)\n")
    command = ["cmake", "-S", ".", "-B", "b", f"-DTorch_DIR={package}"]
    return run_child(command, cwd=folder, env=variables, capture_output=True, encoding="utf-8")


def test_a_package_whose_libtorch_is_gone(tmp_path: Path, variables: dict[str, str]) -> None:
    torch = copy_torch(Path(variables["TORCHSCRIPT_BUILD_LIBTORCH"]), tmp_path / "torch")
    done = run_python(
        "-m", "torchscript_build", "cmake-dir", "--libtorch", str(torch), cwd=tmp_path, variables=variables
    )
    torch.rename(tmp_path / "moved")
    write(
        tmp_path / "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.18)\nproject(x NONE)\nfind_package(Torch REQUIRED)\n",
    )
    command = ["cmake", "-S", ".", "-B", "b", f"-DTorch_DIR={done.stdout.strip()}"]
    ran = run_child(command, cwd=tmp_path, env=variables, capture_output=True, encoding="utf-8")
    assert ran.returncode == 1
    assert "libtorch has moved since this package was written" in " ".join(ran.stderr.split())


@pytest.mark.compile
def test_meson_gets_words_in_the_place_of_what_only_cmake_understands(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """What its probe, a project of this name, reads of the target; see mesonbuild/dependencies/cmake.py."""
    torch, _ = build_fake_cuda_torch(tmp_path / "site")
    words = ["-m", "torchscript_build", "cmake-dir", "--libtorch", str(torch)]
    package = run_python(*words, cwd=tmp_path, variables=variables).stdout.strip()
    properties = ["COMPILE_OPTIONS", "LINK_LIBRARIES", "LINK_OPTIONS"]
    print_all = "".join(
        f'get_target_property(p torch INTERFACE_{p})\nmessage(STATUS "{p}: ${{p}}")\n' for p in properties
    )
    start = "cmake_minimum_required(VERSION 3.18)\nproject(MesonTemp LANGUAGES CXX)\nfind_package(Torch REQUIRED)\n"
    write(tmp_path / "CMakeLists.txt", start + print_all)
    command = ["cmake", "-S", ".", "-B", "b", f"-DTorch_DIR={package}"]
    said = run_child(command, cwd=tmp_path, env=variables, capture_output=True, encoding="utf-8").stdout
    got = dict(re.findall(r"-- (\w+): (.*)", said))
    assert got["COMPILE_OPTIONS"] == "-std=c++20"
    assert got["LINK_LIBRARIES"] == ";".join(str(torch / f"lib/lib{name}.so") for name in ("torch_cpu", "c10"))
    assert got["LINK_OPTIONS"].split(";") == [
        f"-L{torch / 'lib'}",
        "-Wl,--push-state,--no-as-needed,-ltorch,--pop-state",
        "-Wl,--push-state,--as-needed,-ltorch_cuda,-lc10_cuda,--pop-state",
        "-Wl,--allow-shlib-undefined",
    ]


@pytest.mark.parametrize(
    ("request_words", "accepted"),
    [
        ("", True),
        ("2.13", True),
        ("1.8", True),
        ("2.13.0 EXACT", True),
        ("2.12 EXACT", False),
        ("99", False),
        ("2.13.1", False),
        ("2.1...<3", True),
        ("2.1...<2.13", False),
        ("2.1...2.13.0", True),
        ("2.14...3", False),
    ],
)
def test_versions_that_are_asked_for(
    tmp_path: Path, variables: dict[str, str], request_words: str, accepted: bool
) -> None:
    done = run_python("-m", "torchscript_build", "cmake-dir", cwd=tmp_path, variables=variables)
    text = (
        f"cmake_minimum_required(VERSION 3.19)\nproject(x NONE)\nfind_package(Torch {request_words} REQUIRED CONFIG)\n"
    )
    write(tmp_path / "CMakeLists.txt", text)
    command = ["cmake", "-S", ".", "-B", "b", f"-DTorch_DIR={done.stdout.strip()}"]
    ran = run_child(command, cwd=tmp_path, env=variables, capture_output=True, encoding="utf-8")
    assert (ran.returncode == 0) is accepted, ran.stderr
