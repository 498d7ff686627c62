"""What ``torchscript-build new`` writes: a small project that builds and passes its tests as it is."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import ScaffoldError
from torchscript_build.generate.templates import FileSet, render

_COMMON = {"setup.py": "common/setup.py", ".gitignore": "common/gitignore"}
_OPS = {
    "cpp/ops.cpp": "common/ops.cpp",
    "src/{name}/__init__.py": "common/ops_init.py",
    "tests/test_ops.py": "common/test_ops.py",
}
_APP = {"tests/test_app.py": "common/test_app.py"}

KINDS: Mapping[str, Mapping[str, str]] = {
    "ops": {
        **_COMMON,
        **_OPS,
        "pyproject.toml": "ops/pyproject.toml",
        "README.md": "ops/README.md",
    },
    "app": {
        **_COMMON,
        **_APP,
        "pyproject.toml": "app/pyproject.toml",
        "README.md": "app/README.md",
        "src/{name}/__init__.py": "app/init.py",
        "src/{name}/model.py": "app/model.py",
    },
    "project": {
        **_COMMON,
        **_OPS,
        **_APP,
        "pyproject.toml": "project/pyproject.toml",
        "README.md": "project/README.md",
        "src/{name}/model.py": "project/model.py",
    },
}
"""Kind of project → its files, each with the template in ``templates/scaffold`` that it is made from."""

CI = {".github/workflows/wheels.yml": "common/wheels.yml"}
"""What a hosted CI gets, on request."""

_CXX_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        alignas alignof and_eq asm auto bitand bitor bool case catch char char8_t char16_t char32_t co_await co_return
    co_yield compl concept const const_cast consteval constexpr constinit decltype default delete do double dynamic_cast
    enum explicit export extern float friend goto inline int long mutable namespace new noexcept not_eq nullptr operator
    or_eq private protected public register reinterpret_cast requires short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true false try typedef typeid typename union unsigned
    using virtual void volatile wchar_t xor xor_eq""",
    )
)
_TAKEN = frozenset(
    re.findall(
        r"\w+",
        """all aten build c10 clean cuda help install numpy package prim prims pytest quantized setup sparse test tests
    torch torch_cpu torch_cuda torch_library torch_python torchgen torchscript_build torchvision""",
    )
)
"""Packages, operator namespaces and build targets that exist."""


STABLE = {"cpp/ops.cpp": "stable/ops.cpp", "src/{name}/parts.py": "stable/parts.py"}
"""What an operator library has in its place, or besides, that keeps to torch's stable ABI."""
STABLE_TARGET = "2.10"


def render_scaffold(
    kind: str, name: str, *, license_: Optional[str] = None, with_ci: bool = False, stable: bool = False
) -> FileSet:
    """The files of a new project.

    :param kind: a key of ``KINDS``.
    :param stable: its operators keep to torch's stable ABI; for ``ops`` only.
    :param license_: an SPDX expression; see ``checked_license``.
    :param with_ci: a workflow for GitHub, too.
    :raises ScaffoldError: the name cannot be that of a package and of an operator namespace.
    """
    check_name(name, kind)
    values = {
        "name": name,
        "distribution": name.replace("_", "-"),
        "app": f"run-{name.replace('_', '-')}",
        "license": license_ or "",
        "target": STABLE_TARGET if stable else "",
    }
    if stable and kind != "ops":
        raise ScaffoldError(
            "--stable is for operators: an app is bound to its libtorch", cures=[f"new ops {name} --stable"]
        )
    templates = {**KINDS[kind], **(CI if with_ci else {}), **(STABLE if stable else {})}
    return {
        target.format(name=name): render(f"scaffold/{template}.in", **values)
        for target, template in sorted(templates.items())
    }


def checked_license(text: str) -> str:
    """An SPDX expression as it is written properly.

    :raises ScaffoldError: it is none.
    """
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ImportError:  # before packaging 24.2: the build will tell
        if re.fullmatch(r"[A-Za-z0-9.+() -]+", text):
            return text
        raise ScaffoldError(f"{text!r} is no licence by SPDX", cures=["--license MIT"]) from None
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        raise ScaffoldError(
            f"{text!r} is no licence by SPDX", cures=["--license MIT", "--license BSD-3-Clause", "--license Apache-2.0"]
        ) from error


def write_scaffold(files: FileSet, folder: Path) -> None:
    """Write the files into a folder that is empty or not there yet.

    :raises ScaffoldError: the folder has something in it; nothing was written.
    """
    if folder.exists() and not folder.is_dir():
        raise ScaffoldError(f"{folder} is a file; wanted is a folder for the new project")
    present = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if present:
        shown = ", ".join(present[:5]) + (f" and {len(present) - 5} more" if len(present) > 5 else "")
        raise ScaffoldError(
            f"{folder} is not empty, and nothing is overwritten: it has {shown}",
            cures=["name another folder: --directory FOLDER", "remove what is there"],
        )
    for target, content in files.items():
        system.write_if_changed(folder / target, content)


def check_name(name: str, kind: str = "ops") -> None:
    """A name serves as Python package, as operator namespace in C++, and as build target.

    :raises ScaffoldError: it cannot; with one that can.
    """
    problem = _problem(name)
    if problem:
        other = _suggestion(name)
        cures = [f"torchscript-build new {kind} {other}"] if other else []
        raise ScaffoldError(f"{name!r} cannot name a package and an operator namespace: {problem}", cures=cures)


def _problem(name: str) -> Optional[str]:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return "it needs letters, digits and underscores, and no digit at its beginning"
    if "__" in name or name.startswith("_") or name.endswith("_"):
        return "underscores belong between words, one at a time"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of Python's"
    if name in _CXX_KEYWORDS:
        return "it is a word of C++"
    if name.lower() in _TAKEN or name in getattr(sys, "stdlib_module_names", ()):
        return "something else is called so"
    return None


def _suggestion(name: str) -> Optional[str]:
    words = re.findall(r"[A-Za-z0-9]+", name)
    plain = "_".join(words)
    for candidate in (plain, plain.lower(), f"my_{plain}", f"{plain}_ops"):
        if words and _problem(candidate) is None:
            return candidate
    return None
