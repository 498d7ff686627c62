"""Projects in a folder, as small as they can be."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from support import write

from torchscript_build.settings.read import collect_settings, read_pyproject
from torchscript_build.settings.specs import ProjectSpec

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


def read_project(folder: Path, **more: Any) -> ProjectSpec:
    """The spec of a written project."""
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
