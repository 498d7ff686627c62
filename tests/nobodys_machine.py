"""For what is pure: libtorch, tools and plans of a machine that nobody has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import BuildPlan, PythonFacts, Toolchain
from torchscript_build.plan.decide import plan_build
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.system import Environment, PythonTarget
from torchscript_build.toolchain.cxx import CxxCompiler
from torchscript_build.toolchain.programs import Generator, Program

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
