"""Kinds of operator libraries that Python sees: plain ones, modules with pybind11, modules of the limited API."""

from __future__ import annotations

import importlib.machinery
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from children import clean_variables, run_python
from small_projects import write_project
from support import write

from torchscript_build.system.elf import read_elf

pytestmark = [pytest.mark.slow, pytest.mark.compile, pytest.mark.torch]

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
VARIABLES = clean_variables(
    MAX_JOBS="2",
    TORCHSCRIPT_BUILD_VERBOSE="1",  # the commands are counted
    PYTHONDONTWRITEBYTECODE="1",
    TORCHSCRIPT_BUILD_CACHE_DIR=os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"],
)
AWKWARD = """a;b $<1:c> ${d} @e@ $ENV{HOME} %f% #g 'h' \\i* (j) & | < >"""

PLAIN = """\
// plain::sum(float x) -> float, from eight sources; plain::text() -> str, from a definition.
#include <torch/library.h>

#include <string>

PARTS

TORCH_LIBRARY(plain, m) {
  m.def("sum(float x) -> float", [](double x) { return SUM; });
  m.def("text() -> str", []() { return std::string(TEXT); });
}
"""
BARE = """\
// bare::half(Tensor x) -> Tensor; importing the module is what loads it.
#include <Python.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#ifndef Py_LIMITED_API
#error "not for the limited API"
#endif

PyMODINIT_FUNC PyInit_bare() {
  static PyModuleDef definition = {
      PyModuleDef_HEAD_INIT, "bare", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  return PyModule_Create(&definition);
}

TORCH_LIBRARY(bare, m) {
  m.def("half(Tensor x) -> Tensor", [](const at::Tensor& x) { return x.div(2); });
}
"""
BINDING = """\
// A function of tensors that Python calls directly.
#include <ATen/core/Tensor.h>
#include <torch/csrc/utils/pybind.h>

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("twice", [](const at::Tensor& x) { return x.mul(2); }, pybind11::arg("x"));
}
"""


def plain_sources() -> dict[str, str]:
    """Eight sources of one library; seven of them know nothing of torch."""
    parts = "\n".join(f"double part{i}(double x);" for i in range(1, 8))
    total = " + ".join(f"part{i}(x)" for i in range(1, 8))
    sources = {
        f"cpp/part{i}.cpp": f"double part{i}(double x);\ndouble part{i}(double x) {{ return {i} * x; }}\n"
        for i in range(1, 8)
    }
    return {**sources, "cpp/plain.cpp": PLAIN.replace("PARTS", parts).replace("SUM", total)}


def setup(project: Path, *arguments: str) -> str:
    """The log of a setup.py that succeeds."""
    done = run_python("setup.py", *arguments, cwd=project, variables=VARIABLES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(code: str, *, path: Path, code_of_exit: int = 0) -> str:
    """What a fresh interpreter prints that sees a folder of packages; or its error."""
    done = run_python("-W", "error", "-c", code, cwd=path, variables={**VARIABLES, "PYTHONPATH": str(path)})
    assert done.returncode == code_of_exit, done.stderr
    return (done.stderr if code_of_exit else done.stdout).strip()


def wheel_of(project: Path) -> Path:
    """The project's wheel, from what is built already."""
    setup(project, "bdist_wheel", "--dist-dir", "dist")
    (file,) = (project / "dist").iterdir()
    return file


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project with a plain library of eight sources and a module of the limited API, built in place, and the log."""
    text = AWKWARD.replace("\\", "\\\\")
    settings = f"""\
[[tool.torchscript-build.ops]]
name = "plain"
sources = ["cpp/*.cpp"]
namespaces = ["plain"]
file-name = "_C.so"
definitions = [{json.dumps(f'TEXT="{text}"')}]

[[tool.torchscript-build.ops]]
name = "bare"
sources = ["bare.cpp"]
python-module = true
limited-api = "3.9"
"""
    folder = tmp_path_factory.mktemp("limited") / "project"
    project = write_project(folder, settings, files={"bare.cpp": BARE, **plain_sources()})
    return project, setup(project, "build_ts_ops", "--inplace")


@pytest.fixture(scope="session")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a module of pybind11, built in place."""
    settings = """\
[[tool.torchscript-build.ops]]
name = "binding"
sources = ["binding.cpp"]
python-module = true
python-binding = "none"
"""
    project = write_project(tmp_path_factory.mktemp("bound") / "project", settings, files={"binding.cpp": BINDING})
    setup(project, "build_ts_ops", "--inplace")
    return project


def test_eight_sources_are_built_in_one_go(limited: tuple[Path, str]) -> None:
    log = limited[1]
    assert len(re.findall(r"^\[\d+/\d+\] Building CXX object \S+/cpp/\w+\.cpp\.o$", log, re.MULTILINE)) == 8
    assert re.findall(r"^\+ \S+/(\w+) ", log, re.MULTILINE) == ["cmake", "ninja"]


def test_one_changed_source_is_compiled_alone(limited: tuple[Path, str]) -> None:
    project, _ = limited
    source = project / "cpp" / "part3.cpp"
    source.write_text(source.read_text() + "// changed\n")
    log = setup(project, "build_ts_ops", "--inplace")
    compiled = re.findall(r"^\[\d+/\d+\] Building CXX object \S+/(\w+\.cpp)\.o$", log, re.MULTILINE)
    assert compiled == ["part3.cpp"]
    assert re.findall(r"^\[\d+/\d+\] Linking .*/(\S+)$", log, re.MULTILINE) == ["_C.so"]
    assert "ninja: no work to do" in setup(project, "build_ts_ops", "--inplace")


def test_plain_library_of_a_chosen_name_is_loaded_by_torch(limited: tuple[Path, str]) -> None:
    code = "import torch; torch.ops.load_library('demo/_C.so'); print(torch.ops.plain.sum(0.5))"
    assert python(code, path=limited[0]) == "14.0"


def test_awkward_definition_arrives_in_an_operator(limited: tuple[Path, str]) -> None:
    code = "import torch; from demo import _torchscript_ops; print(torch.ops.plain.text())"
    assert python(code, path=limited[0]) == AWKWARD


def test_limited_module_is_imported_before_torch(limited: tuple[Path, str]) -> None:
    code = "import demo.bare, torch; print(torch.ops.bare.half(torch.ones(2)).tolist())"
    assert python(code, path=limited[0]) == "[0.5, 0.5]"


def test_limited_module_fits_all_pythons(limited: tuple[Path, str]) -> None:
    file = wheel_of(limited[0])
    assert re.fullmatch(r"demo-1\.5-cp39-abi3-linux_\w+\.whl", file.name)
    with zipfile.ZipFile(file) as archive:
        names = {n for n in archive.namelist() if not n.startswith("demo-")}
    assert names == {"demo/__init__.py", "demo/_torchscript_ops.py", "demo/_C.so", "demo/bare.abi3.so"}


def test_module_of_pybind_takes_and_gives_tensors(bound: Path) -> None:
    code = "import torch; from demo import binding; print(binding.twice(x=torch.ones(2)).tolist())"
    assert python(code, path=bound) == "[2.0, 2.0]"


def test_module_of_pybind_is_for_one_python(bound: Path) -> None:
    file = wheel_of(bound)
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert re.fullmatch(rf"demo-1\.5-{tag}-{tag}-linux_\w+\.whl", file.name)
    with zipfile.ZipFile(file) as archive:
        names = {n for n in archive.namelist() if not n.startswith("demo-")}
    assert names == {"demo/__init__.py", f"demo/binding{SUFFIX}"}


def test_only_modules_link_libtorch_python(limited: tuple[Path, str], bound: Path) -> None:
    plain, module = read_elf(limited[0] / "demo/_C.so"), read_elf(bound / f"demo/binding{SUFFIX}")
    assert [n for n in plain.needed if "python" in n] == []
    assert [n for n in module.needed if "python" in n] == ["libtorch_python.so"]


# --- the loader, with a real torch -----------------------------------------------------------------------------------


def test_loading_twice_is_loading_once(limited: tuple[Path, str]) -> None:
    code = """
import importlib, os, torch
torch.ops.load_library(os.path.abspath("demo/_C.so"))
from demo import _torchscript_ops
importlib.reload(_torchscript_ops)
print(torch.ops.plain.sum(1.0))
"""
    assert python(code, path=limited[0]) == "28.0"


def test_second_copy_in_another_package_is_told(limited: tuple[Path, str], tmp_path: Path) -> None:
    for name in ("first", "second"):
        shutil.copytree(limited[0] / "demo", tmp_path / name)
    error = python("import first._torchscript_ops, second._torchscript_ops", path=tmp_path, code_of_exit=1)
    last = error.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "the operator plain::sum is registered already, by " in last
    assert f"{tmp_path}/first/_C.so" in last
    assert f"{tmp_path}/second/_C.so" in last


def test_another_torch_than_the_one_built_for_is_told(limited: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(limited[0] / "demo", tmp_path / "demo")
    other = """
__version__ = "2.99.1+cpu"
class version: cuda = None
def compiled_with_cxx11_abi(): return True
"""
    write(tmp_path / "torch/__init__.py", other)
    error = python("import demo._torchscript_ops", path=tmp_path, code_of_exit=1)
    last = error.splitlines()[-1]
    assert last.startswith("ImportError: demo was built for torch 2.")
    assert "but torch 2.99" in last
    assert "is installed: pip install 'torch==2." in last
