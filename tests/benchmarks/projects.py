"""The projects that are built, ours and the peers': they are copied from files that lie here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
DEMO = HERE.parents[1] / "examples/resnet18"
CHANGED = "cpp/losses.cpp"
"""The one source of eight that is changed."""

APP_HEAD = """\
[build-system]
requires = ["setuptools", "torchscript-build"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "1.0"

[tool.setuptools]
packages = ["{package}"]

[[tool.torchscript-build.model]]
name = "small"
file = "small.pt"
"""
APP = """
[[tool.torchscript-build.app]]
name = "{name}"
models = ["small"]
"""

LIBRARY = """
[[tool.torchscript-build.library]]
name = "bench"
models = ["small"]
"""


def write_app(folder: Path, name: str, model: Path, *, count: int = 1) -> Path:
    """A project of ours with ``count`` runner apps, ``<name>-1`` and so on, for an existing model."""
    package = name.replace("-", "_")
    apps = "".join(APP.format(name=f"{name}-{number}") for number in range(1, count + 1))
    write_if_changed(folder / "pyproject.toml", (APP_HEAD.format(name=name, package=package) + apps).encode())
    replace(folder / "small.pt", model)
    write_if_changed(folder / package / "__init__.py", b"")
    return copy_tree(HERE / "ours/app", folder)


def write_library(folder: Path, model: Path) -> Path:
    """A project of ours with a runner app ``bench-library-1`` and a C library ``bench`` of the same model."""
    head = APP_HEAD.format(name="bench-library", package="bench_library")
    text = head + APP.format(name="bench-library-1") + LIBRARY
    write_if_changed(folder / "pyproject.toml", text.encode())
    write_if_changed(folder / "small.pt", model.read_bytes())
    write_if_changed(folder / "bench_library" / "__init__.py", b"")
    return copy_tree(HERE / "ours/app", folder)


OWN_PROGRAM = """
[[tool.torchscript-build.app]]
name = "own"
sources = ["cpp/main.cpp"]
models = ["small"]
"""
MANY_OPS = """
[[tool.torchscript-build.ops]]
name = "many"
sources = ["cpp/*.cpp"]
"""
OPERATOR = """\
#include <torch/extension.h>

static at::Tensor scale(const at::Tensor& x) {{ return x * {number}; }}

TORCH_LIBRARY_FRAGMENT(many, m) {{ m.def("scale_{number}", &scale); }}
"""


def write_demo(folder: Path, *, verify: bool = False) -> Path:
    """The example resnet18.

    :param verify: compare in every build, as the example itself does; else it is asked for.
    """
    copy_tree(DEMO, folder, leave=("pyproject.toml", "README.md", "test_program.py"))
    text = (DEMO / "pyproject.toml").read_text(encoding="utf-8")
    write_if_changed(folder / "pyproject.toml", (text if verify else text.replace("verify = true\n", "")).encode())
    return folder


def write_mixed(folder: Path, model: Path) -> Path:
    """A project of ours with a runner app and a program of its own, both with a model."""
    write_app(folder, "bench-mixed", model)
    write_if_changed(folder / "cpp/main.cpp", (HERE / "peers/tutorial/main.cpp").read_bytes())
    append_line(folder / "pyproject.toml", OWN_PROGRAM)
    return folder


def write_many_ops(folder: Path, count: int) -> Path:
    """An operator library of ours with so many sources, each with ``torch/extension.h``."""
    package = "bench_many"
    head = APP_HEAD.format(name="bench-many", package=package).partition("[[tool.torchscript-build.model]]")[0]
    write_if_changed(folder / "pyproject.toml", (head + MANY_OPS).encode())
    for number in range(count):
        write_if_changed(folder / f"cpp/scale_{number}.cpp", OPERATOR.format(number=number).encode())
    write_if_changed(folder / package / "__init__.py", b"from . import _torchscript_ops\n")
    return copy_tree(HERE / "ours/app", folder)


def write_ops(folder: Path, settings: Sequence[str] = ()) -> Path:
    """The eight sources as an operator library of ours; ``settings`` are further lines of its table."""
    text = (HERE / "ours/ops/pyproject.toml").read_text(encoding="utf-8")
    write_if_changed(folder / "pyproject.toml", (text + "".join(f"{line}\n" for line in settings)).encode())
    copy_tree(HERE / "ours/ops", folder, leave=("pyproject.toml",))
    return copy_tree(HERE / "sources", folder / "cpp")


def write_extension(folder: Path) -> Path:
    """The eight sources with torch.utils.cpp_extension."""
    copy_tree(HERE / "peers/extension", folder)
    return copy_tree(HERE / "sources", folder / "cpp")


def write_scikit(folder: Path) -> Path:
    """The eight sources with scikit-build-core."""
    copy_tree(HERE / "peers/scikit", folder)
    return copy_tree(HERE / "sources", folder / "cpp")


def write_tutorial(folder: Path) -> Path:
    """The classic tutorial's program."""
    return copy_tree(HERE / "peers/tutorial", folder)


def write_empty(folder: Path) -> Path:
    """A CMake project with nothing in it but its language."""
    text = b"cmake_minimum_required(VERSION 3.18)\nproject(empty LANGUAGES CXX)\n"
    write_if_changed(folder / "CMakeLists.txt", text)
    return folder


def fresh(folder: Path) -> Path:
    """The folder, without what was in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def copy_tree(source: Path, target: Path, *, leave: Sequence[str] = ()) -> Path:
    """Copy files; one that is the same already keeps its time. Returns the folder that has the project's files."""
    for file in sorted(source.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and file.name not in leave:
            write_if_changed(target / file.relative_to(source), file.read_bytes())
    return target.parent if target.name == "cpp" else target


def write_if_changed(file: Path, content: bytes) -> None:
    """Write a file and the folders above it, unless it has this content."""
    if file.is_file() and file.read_bytes() == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def replace(file: Path, other: Path) -> None:
    """Let a file be another one; by a link, for it may be large."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    os.link(other, file)


def append_line(file: Path, text: str) -> None:
    """Write more at the end of a file."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)


def change_source(project: Path, number: int) -> None:
    """Edit one source so that its text is new."""
    file = project / CHANGED
    original = (HERE / "sources" / Path(CHANGED).name).read_text(encoding="utf-8")
    file.write_text(f"{original}// edit {number} of {file.stat().st_mtime_ns}\n", encoding="utf-8")
