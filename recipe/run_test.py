"""The installed package: entry points, templates, and a program built against a libtorch of three tiny libraries."""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

C10 = """
#include <string>
namespace c10 {
struct SourceLocation { const char* function; const char* file; unsigned line; };
class Error { public: Error(SourceLocation, std::string); };
Error::Error(SourceLocation, std::string) {}
const char* origin() { return "stand-in"; }
}
"""
TORCH_CPU = """
namespace c10 { const char* origin(); }
namespace torch { int answer() { return c10::origin()[0] == 's' ? 42 : 0; } }
"""
MAIN = """
#include <torch/script.h>
#include <cstdio>
int main() { std::printf("answer %d\\n", torch::answer()); }
"""
PYPROJECT = """
[project]
name = "demo"
version = "1.0"

[tool.setuptools]
packages = ["demo"]

[[tool.torchscript-build.app]]
name = "answer"
sources = ["answer.cpp"]
"""


def write(path: Path, text: str = "") -> Path:
    """A small file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def check_entry_points() -> None:
    """What setuptools and the shell look for."""
    found = {(e.group, e.name) for e in distribution("torchscript-build").entry_points}
    for wanted in (
        ("console_scripts", "torchscript-build"),
        ("distutils.commands", "build_ts_app"),
        ("distutils.commands", "build_ts_ops"),
        ("distutils.setup_keywords", "ts_apps"),
        ("setuptools.finalize_distribution_options", "torchscript_build"),
    ):
        assert wanted in found, f"the entry point {wanted} is missing"
    for entry in distribution("torchscript-build").entry_points:
        entry.load()


def check_templates() -> None:
    """Files of the package that are not modules."""
    templates = files("torchscript_build.templates")
    for name in ("cmake/TorchConfig.cmake", "project/CMakeLists.txt", "apps/runner/CMakeLists.txt", "conda/meta.yaml"):
        assert templates.joinpath(*name.split("/")).is_file(), f"the template {name} is missing"


def make_libtorch(root: Path) -> Path:
    """Three libraries and a header, laid out as a libtorch."""
    write(root / "version.py", "__version__ = '2.13.0+cpu'\ncuda = None\nhip = None\n")
    for header in ("torch/library.h", "ATen/ATen.h", "c10/c10.h"):
        write(root / "include" / header, "#pragma once\n")
    write(root / "include/torch/script.h", "#pragma once\nnamespace torch { int answer(); }\n")
    compiler = os.environ.get("CXX", "c++")
    lib = root / "lib"
    for name, text, needs in (
        ("c10", C10, ()),
        ("torch_cpu", TORCH_CPU, ("-lc10",)),
        ("torch", "", ("-Wl,--no-as-needed", "-ltorch_cpu")),
    ):
        write(lib / f"{name}.cpp", text)
        command = [compiler, "-shared", "-fPIC", "-o", f"lib{name}.so", f"{name}.cpp", f"-Wl,-soname,lib{name}.so"]
        subprocess.run([*command, "-L.", "-Wl,-rpath,$ORIGIN", *needs], cwd=lib, check=True)
    return root


def check_build(folder: Path) -> None:
    """A project is built with `python setup.py build_ts_app`, and its program runs."""
    libtorch = make_libtorch(folder / "libtorch")
    project = folder / "demo"
    write(project / "pyproject.toml", PYPROJECT)
    write(project / "setup.py", "from setuptools import setup\n\nsetup()\n")
    write(project / "demo/__init__.py")
    write(project / "answer.cpp", MAIN)
    command = [sys.executable, "setup.py", "build_ts_app", "--libtorch", str(libtorch), "--run"]
    output = subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    print(output)
    assert "answer 42" in output


if __name__ == "__main__":
    check_entry_points()
    check_templates()
    with tempfile.TemporaryDirectory() as temporary:
        check_build(Path(temporary).resolve())
