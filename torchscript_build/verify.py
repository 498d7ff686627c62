"""Checks what was built from the binaries themselves: ABI, NEEDED, RUNPATH, and no Python by accident."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from torchscript_build import elf
from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.facts import LibTorch

PYTHON_LIBRARIES = ("libtorch_python.", "libpython3")


def verify_artifacts(files: Sequence[Path], libtorch: LibTorch, *, library_dirs: Sequence[Path] = ()) -> None:
    """Verify installed programs and libraries, as they will lie in the package.

    Binaries of macOS and Windows are passed over: only ELF is read.

    :param library_dirs: the project's own link directories, where NEEDED libraries may lie.
    :raises VerificationError: with every problem of every file.
    """
    problems = [
        f"{path.name}: {problem}"
        for path in files
        if elf.is_elf(path)
        for problem in _problems(path, libtorch, [*library_dirs, *{f.parent: None for f in files}])
    ]
    if problems:
        raise VerificationError("what was built is not fit to be shipped:\n" + "\n".join(f"  - {p}" for p in problems))


def _problems(path: Path, libtorch: LibTorch, library_dirs: Sequence[Path]) -> list[str]:
    info = elf.read_elf(path)
    problems = []
    absolute = [entry for entry in (*info.rpath, *info.runpath) if not entry.startswith(("$ORIGIN", "${ORIGIN}"))]
    if absolute:
        problems.append(f"its RUNPATH has folders of this machine: {os.pathsep.join(absolute)}")
    python = [name for name in info.needed if name.startswith(PYTHON_LIBRARIES)]
    if python:
        problems.append(f"it needs {', '.join(python)}: it would run inside Python only")
    found = elf.resolve_needed(info, library_path=[*libtorch.library_dirs, *library_dirs])
    missing = [name for name, where in found.items() if where is None and name not in python]
    if missing:
        problems.append(
            f"it needs {', '.join(missing)}, which is neither libtorch's, nor the project's, nor the system's"
        )
    if libtorch.cxx11_abi is not None:
        abi = elf.cxx11_abi_of(path)
        if abi is not None and abi != libtorch.cxx11_abi:
            problems.append(
                f"it was compiled with _GLIBCXX_USE_CXX11_ABI={int(abi)}, libtorch with {int(libtorch.cxx11_abi)}"
            )
    return problems
