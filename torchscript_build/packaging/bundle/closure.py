"""Which shared libraries programs need on a machine that has a C library only, found by looking into them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchscript_build import elf
from torchscript_build.errors import VerificationError

GLIBC = re.compile(
    r"(ld-linux.*|lib(c|m|mvec|dl|pthread|rt|util|resolv|anl|nsl|BrokenLocale|thread_db|nss_\w+)\.so(\.\d+)*)"
)
"""The C library's own files (glibc's manual, and Debian's package libc6): every machine has its own, of one piece."""
DRIVER = re.compile(r"lib(cuda|cudadebugger|nvidia-[\w-]+|nvcuvid|nvoptix)\.so(\.\d+)*")
"""What belongs to the driver, and must be that of the machine's kernel module."""
CXX_RUNTIME = ("libgcc_s.so.1", "libstdc++.so.6")

LOADED_BY_NAME: Mapping[str, tuple[str, ...]] = {
    "libcudnn.so.*": ("libcudnn_*.so.*",),
    "libnvrtc.so.*": ("libnvrtc-builtins.so.*",),
    "libtorch_cuda.so": ("libcaffe2_nvrtc.so",),
}
"""What these load with dlopen from their own folder (``strings``, and cuDNN's and NVRTC's release notes)."""


@dataclass(frozen=True)
class Closure:
    """What a bundle's ``lib`` holds."""

    libraries: Mapping[str, Path]
    """The name under which each is needed → the file on this machine, sorted by name."""
    left_to_the_machine: tuple[str, ...]
    """Names of needed libraries that every machine brings itself: the C library, drivers."""


def is_left_out(name: str, *, cxx_runtime: bool) -> bool:
    """Is this a library that the machine must bring?

    :param cxx_runtime: is libstdc++ bundled?
    """
    return bool(GLIBC.fullmatch(name) or DRIVER.fullmatch(name)) or (name in CXX_RUNTIME and not cxx_runtime)


def find_closure(
    files: Sequence[Path], *, library_path: Sequence[Path], cxx_runtime: bool, further: Sequence[Path] = ()
) -> Closure:
    """Everything that the files need, directly, through others, or by name.

    :param files: programs, and libraries that are in the bundle already.
    :param library_path: folders looked in beside those that the files themselves name.
    :param further: libraries that somebody asked for.
    :raises VerificationError: names each library that is not there, and who needs it.
    """
    libraries: dict[str, Path] = {path.name: path for path in further}
    own = {path.name for path in files}
    left_out: set[str] = set()
    missing: dict[str, Path] = {}
    todo: list[tuple[Path, tuple[Path, ...]]] = [(path, ()) for path in (*files, *further)]
    while todo:
        path, inherited = todo.pop(0)
        info = elf.read_elf(path)
        rpath = () if info.runpath else (*elf.expand_origin(info.rpath, path.parent), *inherited)
        found = elf.resolve_needed(info, inherited_rpath=inherited, library_path=library_path)
        for name, where in (*found.items(), *_by_name(path)):
            if name in libraries or name in own:
                continue
            if is_left_out(name, cxx_runtime=cxx_runtime):
                left_out.add(name)
            elif where is None:
                missing.setdefault(name, path)
            else:
                libraries[name] = where
                todo.append((where, tuple(dict.fromkeys(rpath))))
    if missing:
        raise VerificationError(
            "libraries are needed and not there:\n"
            + "\n".join(f"  - {name}, which {path.name} needs" for name, path in sorted(missing.items())),
            cures=["install them on this machine", "let the linker find them (link-dirs in the settings)"],
        )
    return Closure(dict(sorted(libraries.items())), tuple(sorted(left_out)))


def _by_name(path: Path) -> Iterable[tuple[str, Path]]:
    """What a library loads with dlopen, where it lies beside it."""
    for pattern, loaded in LOADED_BY_NAME.items():
        if loaded and fnmatch.fnmatchcase(path.name, pattern):
            for name in sorted(os.listdir(path.parent)):
                if any(fnmatch.fnmatchcase(name, wanted) for wanted in loaded):
                    yield name, path.parent / name


def glibc_floor(files: Iterable[Path]) -> str:
    """The lowest glibc that has all versions of symbols which the files want, as ``"2.28"``."""
    versions = [v[len("GLIBC_") :] for file in files for v in elf.read_elf(file).needed_versions if v[:6] == "GLIBC_"]
    numbers = [tuple(map(int, v.split("."))) for v in versions if re.fullmatch(r"\d+(\.\d+)+", v)]
    return ".".join(map(str, max(numbers, default=(2, 17))))
