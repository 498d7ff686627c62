"""Checks what was built from the binaries themselves: ABI, NEEDED, RUNPATH, and no Python by accident."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.system import elf

_OTHER_ABI = {
    True: "cxx11-abi = false in the settings, and a torch up to 2.6 (its wheels for x86_64 have the old ABI)",
    False: "cxx11-abi = true in the settings, and torch 2.7 or newer, or an archive with cxx11-abi in its name",
}
TWO_RUNTIMES = "it carries a libstdc++ of its own, and libtorch uses the shared one: two of them crash in one process"
SHARED_RUNTIME = (
    "link without -static-libstdc++ (link-options, LDFLAGS, CXXFLAGS), with a compiler that has libstdc++.so: "
    "CXX=/usr/bin/g++"
)
PYTHON_LIBRARIES = ("libtorch_python.", "libpython3")
_ACCELERATOR = re.compile(r"lib((torch|c10)_(cuda|hip|xpu)|cudart|cudnn|cublas|cufft|curand|cusolver|cusparse|nvrtc)\b")


def verify_artifacts(
    files: Sequence[Path],
    libtorch: LibTorch,
    *,
    library_dirs: Sequence[Path] = (),
    link_dirs: Sequence[Path] = (),
    python_modules: Collection[Path] = (),
    runpath: Collection[Path] = (),
) -> tuple[str, ...]:
    """Verify installed programs and libraries, as they will lie in the package.

    Binaries of macOS and Windows are passed over: only ELF is read.

    :param library_dirs: where the project's own libraries lie that are shipped with it, and CUDA's.
    :param link_dirs: further folders in which the project links libraries, which the build does not ship with it.
    :param python_modules: those of the files that may need libtorch_python.
    :param runpath: folders of this machine that may stand in a RUNPATH.
    :returns: sentences about libraries that an installation must have by other means.
    :raises VerificationError: with every problem of every file.
    """
    shipped = [*libtorch.library_dirs, *library_dirs]
    problems, notes = [], []
    infos = {path: elf.read_elf(path) for path in filter(elf.is_elf, files)}
    for path, info in infos.items():
        found = _problems(info, libtorch, [*shipped, *link_dirs], runpath, is_module=path in python_modules)
        problems += [f"{path.name}: {problem}" for problem in found]
        notes += [
            f"{path.name} needs {name}, which it links and this build does not put into the package: where it is "
            "installed, the loader must find that library"
            for name, where in elf.resolve_needed(info, library_path=shipped).items()
            if where is None and any((folder / name).is_file() for folder in link_dirs)
        ]
    if problems:
        carries_runtime = any(map(brings_cxx_runtime, infos.values()))
        raise VerificationError(
            "what was built is not fit to be shipped:\n" + "\n".join(f"  - {p}" for p in problems),
            cures=[SHARED_RUNTIME] if carries_runtime else [],
        )
    return tuple(notes)


def needs_accelerator(path: Path) -> bool:
    """Does a binary need a library that torch's builds for the processor alone lack? Only ELF files tell."""
    return elf.is_elf(path) and any(map(_ACCELERATOR.match, elf.read_elf(path).needed))


def brings_cxx_runtime(info: elf.ElfInfo) -> bool:
    """Does a C++ file that uses torch carry a libstdc++ of its own, where torch's libraries use the shared one?

    Two of them in a process disagree about locales, streams and exceptions: libtorch dies of ``free(): invalid
    pointer`` while it reads a model. ``-static-libstdc++`` does that, and a compiler whose folder has libstdc++.a only.
    Files that talk to torch in C alone, as the stable ABI has it, may carry what they like.
    """
    if any(name.startswith(("libstdc++.", "libc++.")) for name in info.needed):
        return False
    of_torch = ("libtorch", "libc10")
    return any(name.startswith(of_torch) for name in info.needed) and any(
        name.startswith("_ZN") and ("__cxx11" in name or elf.speaks_old_abi(name)) for name in info.undefined_symbols
    )


def verify_linked(linked: Sequence[tuple[str, Path]], libtorch: LibTorch) -> None:
    """Check the libraries that targets link, before anything is compiled, for the other C++ ABI.

    Only shared ELF libraries are read; libtorch's own and those without std::string in their interface say nothing.

    :param linked: pairs (target, library file).
    :raises VerificationError: names each library, what it has, what libtorch has, and the ways out.
    """
    if libtorch.cxx11_abi is None:
        return
    own = {os.path.realpath(d) for d in libtorch.library_dirs}
    problems = []
    for target, path in linked:
        if os.path.realpath(path.parent) in own or not elf.is_elf(path):
            continue
        abi = elf.cxx11_abi_of(path)
        if abi is not None and abi != libtorch.cxx11_abi:
            problems.append(f"{target} links {path}, which was compiled with _GLIBCXX_USE_CXX11_ABI={int(abi)}")
    if problems:
        kind = "new" if libtorch.cxx11_abi else "old"
        raise VerificationError(
            f"libtorch {libtorch.full_version} has the {kind} C++ ABI (_GLIBCXX_USE_CXX11_ABI="
            f"{int(libtorch.cxx11_abi)}), and std::string cannot pass between the two:\n"
            + "\n".join(f"  - {p}" for p in problems),
            cures=[
                f"use a build of that library with -D_GLIBCXX_USE_CXX11_ABI={int(libtorch.cxx11_abi)}",
                f"use a libtorch with the other ABI: {_OTHER_ABI[libtorch.cxx11_abi]}",
            ],
        )


def _problems(
    info: elf.ElfInfo, libtorch: LibTorch, library_dirs: Sequence[Path], runpath: Collection[Path], *, is_module: bool
) -> list[str]:
    problems = []
    entries = (*info.rpath, *info.runpath)
    absolute = [e for e in entries if not e.startswith(("$ORIGIN", "${ORIGIN}")) and Path(e) not in runpath]
    if absolute:
        problems.append(f"its RUNPATH has folders of this machine: {os.pathsep.join(absolute)}")
    python = [name for name in info.needed if name.startswith(PYTHON_LIBRARIES)]
    if python and not is_module:
        problems.append(f"it needs {', '.join(python)}: it would run inside Python only")
    found = elf.resolve_needed(info, library_path=library_dirs)
    missing = [name for name, where in found.items() if where is None and name not in python]
    if missing:
        problems.append(
            f"it needs {', '.join(missing)}, which is neither libtorch's, nor the project's, nor the system's"
        )
    if brings_cxx_runtime(info):
        problems.append(TWO_RUNTIMES)
    if libtorch.cxx11_abi is not None:
        abi = elf.abi_of(info)
        if abi is not None and abi != libtorch.cxx11_abi:
            problems.append(
                f"it was compiled with _GLIBCXX_USE_CXX11_ABI={int(abi)}, libtorch with {int(libtorch.cxx11_abi)}"
            )
    return problems
