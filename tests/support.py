"""Helpers of the core's tests: a tiny libtorch that is really compiled, projects in a folder, setup.py as a child."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import pytest

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import BuildPlan, PythonFacts, Toolchain
from torchscript_build.plan.decide import plan_build
from torchscript_build.settings.read import collect_settings
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.system import Environment, PythonTarget, StrPath
from torchscript_build.toolchain.cxx import CxxCompiler
from torchscript_build.toolchain.programs import Generator, Program

FAKE_VERSION = "2.13.0"

C10 = """\
#include <string>
namespace c10 {
struct SourceLocation { const char* function; const char* file; unsigned line; };
class Error { public: Error(SourceLocation, std::string); };
Error::Error(SourceLocation, std::string) {}
const char* origin() { return "fake c10"; }
}
"""
TORCH_CPU = """\
namespace c10 { const char* origin(); }
namespace torch { int answer() { return c10::origin()[0] == 'f' ? 42 : 0; } }
"""
SCRIPT_H = "#pragma once\nnamespace torch { int answer(); }\n"
ANSWER_CPP = """\
#include <torch/script.h>
#include <cstdio>
int main(int argc, char** argv) {
  std::printf("answer %d\\n", torch::answer());
  for (int i = 1; i < argc; ++i) std::printf("[%s]\\n", argv[i]);
}
"""
"""An app with sources of its own."""
MODULE_CPP = """\
#include <Python.h>
#include <torch/script.h>
static PyObject* answer(PyObject*, PyObject*) { return PyLong_FromLong(torch::answer()); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {}};
static PyModuleDef def = {PyModuleDef_HEAD_INIT, "NAME", nullptr, -1, methods};
PyMODINIT_FUNC PyInit_NAME() { return PyModule_Create(&def); }
"""
"""A Python module that is written by hand; its name stands for ``NAME``."""

STAND_IN_TORCH = """\
import zipfile
__version__ = "2.13.0+cpu"
def manual_seed(seed): print("seed", seed)
def no_grad():
    import contextlib
    return contextlib.nullcontext()
class nn:
    class Module:
        code = "def forward(self): pass"
        def eval(self): return self
        def named_parameters(self): return ()
        def named_buffers(self): return ()
class jit:
    class ScriptModule(nn.Module): pass
    @staticmethod
    def script(module): return module
    @staticmethod
    def load(path): return open(path, "rb").read()
    @staticmethod
    def save(module, path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("version", "constants.pkl", "data.pkl"):
                archive.writestr("net/" + name, "6")
"""
"""A torch that takes no second to import, as far as an export asks it for anything."""


def build_fake_torch(site: Path) -> Path:
    """Compile a libtorch of three tiny libraries, laid out as an installed wheel; returns ``site/torch``."""
    root = site / "torch"
    write(root / "__init__.py", "raise RuntimeError('torch must not be imported')\n")
    write(root / "version.py", f"__version__ = '{FAKE_VERSION}+cpu'\ncuda = None\nhip = None\n")
    write(root / "include/torch/script.h", SCRIPT_H)
    write(root / "include/torch/library.h", "#pragma once\n")
    write(root / "include/ATen/ATen.h", "#pragma once\n")
    write(root / "include/c10/c10.h", "#pragma once\n")
    lib = root / "lib"
    lib.mkdir()
    for name, source, needs in (
        ("c10", C10, ()),
        ("torch_cpu", TORCH_CPU, ("-lc10",)),
        ("torch", "", ("-Wl,--no-as-needed", "-ltorch_cpu")),
    ):
        compile_library(lib / f"lib{name}.so", source, *needs)
    return root


TORCH_CUDA = """\
extern "C" int cudaFake();
namespace torch { int kernels() { return cudaFake(); } }
static int registered = cudaFake();
"""
"""As large as it need be: it wants CUDA's runtime, which does not lie where a linker looks."""


def build_fake_cuda_torch(site: Path) -> tuple[Path, Path]:
    """The tiny libtorch in the shape of the default wheel, which has CUDA.

    :returns: ``site/torch``, and the folder of the CUDA runtime, for LD_LIBRARY_PATH.
    """
    root = build_fake_torch(site)
    lib, runtime = root / "lib", site / "runtime"
    runtime.mkdir()
    source = '#include <cstdio>\nextern "C" int cudaFake() { return std::puts("kernels"); }'
    compile_library(runtime / "libcudart.so.13", source)
    compile_library(lib / "libc10_cuda.so", "namespace c10 { int cuda_device() { return 3; } }", "-lc10")
    needs = (f"-L{runtime}", "-l:libcudart.so.13", "-lc10_cuda", "-ltorch_cpu")
    compile_library(lib / "libtorch_cuda.so", TORCH_CUDA, *needs)
    compile_library(
        lib / "libtorch.so", "", "-Wl,--no-as-needed", "-ltorch_cpu", "-ltorch_cuda", f"-Wl,-rpath-link,{runtime}"
    )
    python = 'extern "C" void* PyLong_FromLong(long); extern "C" void* fake_python() { return PyLong_FromLong(1); }'
    compile_library(lib / "libtorch_python.so", python, "-ltorch", f"-Wl,-rpath-link,{runtime}")
    write(root / "version.py", f"__version__ = '{FAKE_VERSION}+cu130'\ncuda: Optional[str] = '13.0'\nhip = None\n")
    return root, runtime


def compile_library(file: Path, source: str, *needs: str) -> None:
    """A shared library from a few lines of C++, with its folder as RUNPATH."""
    source_file = file.with_suffix(".cpp")
    source_file.write_text(source)
    command = ["c++", "-shared", "-fPIC", "-o", file.name, source_file.name, f"-Wl,-soname,{file.name}"]
    command += ["-L.", "-Wl,-rpath,$ORIGIN", *needs]
    run_child(command, cwd=file.parent, check=True)
    source_file.unlink()


def write(path: Path, content: str = "") -> Path:
    """Write a small text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def copy_torch(root: Path, target: Path) -> Path:
    """The fake libtorch at another place."""
    shutil.copytree(root, target)
    return target


def fetched_torch(root: Path, cache: Path, version: str) -> Path:
    """The fake libtorch as another release, in a cache as ``fetch`` leaves it there; its headers say which series."""
    folder = cache / "libtorch" / version
    copy_torch(root, folder / "torch")
    (folder / "torch/__init__.py").unlink()
    write(folder / "torch/version.py", f"__version__ = '{version}'\ncuda = None\nhip = None\n")
    series = ".".join(version.split(".")[:2])
    write(folder / "torch/include/torch/script.h", f'{SCRIPT_H}#define SERIES "{series}"\n')
    for made in (cache, cache / "libtorch", folder):
        made.chmod(0o700)
    return folder


def write_project(
    folder: Path,
    settings: str = "",
    *,
    name: str = "demo",
    files: Optional[Mapping[str, str]] = None,
    setup: str = "from setuptools import setup\n\nsetup()\n",
    project: str = "",
) -> Path:
    """A small setuptools project with one package; ``settings`` are lines of pyproject.toml."""
    head = textwrap.dedent(
        f"""\
        [build-system]
        requires = ["setuptools", "torchscript-build"]
        build-backend = "setuptools.build_meta"

        [project]
        name = "{name}"
        version = "1.5"
        """
    )
    more = textwrap.dedent(project)
    tail = f'\n[tool.setuptools]\npackages = ["{name}"]\n\n'
    write(folder / "pyproject.toml", head + more + tail + textwrap.dedent(settings))
    write(folder / "setup.py", setup)
    write(folder / name / "__init__.py")
    for path, text in (files or {}).items():
        write(folder / path, text)
    return folder


ANSWER_APP = """\
[[tool.torchscript-build.app]]
name = "answer"
sources = ["answer.cpp"]
"""
NATIVE_TABLE = """\
[[tool.torchscript-build.cmake]]
name = "native"
source-dir = "native"
"""
"""A CMake project in the folder ``native``."""


def write_answer(folder: Path, settings: str = "") -> Path:
    """The smallest project that makes a program of its own source; ``settings`` come before its app."""
    return write_project(folder, settings + ANSWER_APP, files={"answer.cpp": ANSWER_CPP})


def clean_variables(**changes: str) -> dict[str, str]:
    """The real environment without anything that could steer a build."""
    steering = ("CXX", "CC", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "LIBTORCH", "MAX_JOBS", "CPU_COUNT")
    prefixes = ("CMAKE", "TORCH", "LIBTORCH", "CONDA", "PYTEST", "PIP_", "CUDA", "NINJA", "CCACHE", "SCCACHE", "DISTCC")
    variables = {
        k: v
        for k, v in os.environ.items()
        if k not in (*steering, "VIRTUAL_ENV", "PREFIX", "LD_LIBRARY_PATH", "DESTDIR") and not k.startswith(prefixes)
    }
    return {**variables, "TORCHSCRIPT_BUILD_LAUNCHER": "none", **changes}


def run_child(
    command: Union[str, Sequence[StrPath]],
    *,
    input: Union[str, bytes, None] = None,
    capture_output: bool = False,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """As ``subprocess.run``, but the child has a process group of its own, which is killed if we cannot wait for it.

    There is no time limit but the test's own: how long a compiler takes depends on what else the machine does.
    """
    if capture_output:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if input is not None:
        options.update(stdin=subprocess.PIPE)
    with started(command, **options) as child:
        output, errors = child.communicate(input)
    done = subprocess.CompletedProcess(command, child.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


@contextlib.contextmanager
def started(command: Union[str, Sequence[StrPath]], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """As ``subprocess.Popen``, in the same way; for what is not only waited for."""
    with subprocess.Popen(command, start_new_session=True, **options) as child:
        try:
            yield child
        except BaseException:  # the time limit, Ctrl-C or what the test found wrong
            kill_group(child)
            raise


def kill_group(child: subprocess.Popen[Any]) -> None:
    """Kill a child that has a process group of its own, with all that it started."""
    if os.name != "posix":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def run_python(*arguments: str, cwd: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The running interpreter as a child; standard output and error apart."""
    return run_child(
        [sys.executable, *arguments],
        cwd=cwd,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )


def read_project(folder: Path, **more: Any) -> ProjectSpec:
    """The spec of a written project."""
    from torchscript_build.settings.read import read_pyproject

    arguments: dict[str, Any] = {
        "root": folder,
        "pyproject": read_pyproject(folder / "pyproject.toml"),
        "keywords": {},
        "command": {},
        "variables": {},
        "packages": ["demo"],
        **more,
    }
    return collect_settings(**arguments)


# For what is pure: a machine that nobody has.

ROOT = Path("/home/user/project")

TOOLCHAIN = Toolchain(
    cmake=Program(Path("/usr/bin/cmake"), "3.25.1", "PATH"),
    generator=Generator("Ninja", Path("/usr/bin/ninja")),
    cxx=CxxCompiler(("/usr/bin/c++",), "GNU", "12.2.0", "PATH"),
)


def linux_torch(site: str = "/venv/lib/python3.11/site-packages", **changes: Any) -> LibTorch:
    """The CPU wheel on Linux."""
    root = Path(site, "torch")
    facts: dict[str, Any] = {
        "root": root,
        "version": "2.13.0",
        "local_version": "cpu",
        "cxx11_abi": True,
        "cxx_standard": 20,
        "backend": "cpu",
        "include_dirs": (root / "include", root / "include/torch/csrc/api/include"),
        "library_dirs": (root / "lib",),
        "libraries": tuple(root / "lib" / f"lib{n}.so" for n in ("torch", "torch_cpu", "c10")),
        "python_library": root / "lib/libtorch_python.so",
        "definitions": ("_GLIBCXX_USE_CXX11_ABI=1",),
        "found_by": "Python package torch",
    }
    return LibTorch(**{**facts, **changes})


def cuda_torch() -> LibTorch:
    """The default wheel on Linux."""
    lib = Path("/venv/lib/python3.11/site-packages/torch/lib")
    names = ("torch", "torch_cuda", "torch_cpu", "c10_cuda", "c10")
    return linux_torch(
        local_version=None,
        backend="cuda",
        cuda_version="13.0",
        cuda_architectures=("75", "80"),
        libraries=tuple(lib / f"lib{n}.so" for n in names),
    )


def mac_torch() -> LibTorch:
    """The wheel on macOS."""
    lib = Path("/venv/lib/python3.11/site-packages/torch/lib")
    return linux_torch(
        local_version=None,
        cxx11_abi=None,
        libraries=tuple(lib / f"lib{n}.dylib" for n in ("torch", "torch_cpu", "c10")),
        python_library=lib / "libtorch_python.dylib",
        definitions=(),
        platform="darwin",
        machine="arm64",
    )


def windows_torch() -> LibTorch:
    """The CUDA wheel on Windows, with a path as this system's pathlib can say it."""
    root = Path("C:/venv/Lib/site-packages/torch")
    names = ("torch", "torch_cuda", "torch_cpu", "c10_cuda", "c10")
    return linux_torch(
        root=root,
        local_version="cu130",
        cxx11_abi=None,
        backend="cuda",
        cuda_version="13.0",
        include_dirs=(root / "include",),
        library_dirs=(root / "lib",),
        libraries=tuple(root / "lib" / f"{n}.lib" for n in names),
        python_library=root / "lib/torch_python.lib",
        definitions=(),
        platform="win32",
        machine="AMD64",
    )


def make_plan(spec: ProjectSpec, **changes: Any) -> BuildPlan:
    """A plan on the machine that nobody has."""
    arguments: dict[str, Any] = {
        "project": "demo",
        "version": "1.5",
        "root": ROOT,
        "build_base": ROOT / "build",
        "libtorch": linux_torch(),
        "toolchain": TOOLCHAIN,
        "cmake_args": (),
        "flags": {},
        "python": PythonFacts("/venv/lib/python3.11/site-packages", "/usr/include/python3.11", ".cpython-311.so"),
        **changes,
    }
    return plan_build(spec, **arguments)


def made_up(tmp_path: Path, **variables: str) -> Environment:
    """A machine without any program or package, but for what the variables name."""
    python = PythonTarget(tmp_path / "python", scripts=tmp_path / "scripts")
    values = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin"), **variables}
    return Environment(values, tmp_path, "linux", "x86_64", python, cpu_count=4)


def stub(path: Path, *lines: str) -> Path:
    """A program that is a few lines of shell."""
    write(path, "\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return path


def words(problems: Sequence[str], *wanted: str) -> bool:
    """Does one of the problems have all the words?"""
    return any(all(word in problem for word in wanted) for problem in problems)


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
