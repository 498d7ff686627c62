"""Which shared libraries programs need on a machine that has a C library only, found by looking into them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torchscript_build.errors import VerificationError
from torchscript_build.records import dataclass
from torchscript_build.system import elf

GLIBC = re.compile(
    r"(ld-linux.*|lib(c|m|mvec|dl|pthread|rt|util|resolv|anl|nsl|BrokenLocale|thread_db|nss_\w+)\.so(\.\d+)*)"
)
"""The C library's own files (glibc's manual, and Debian's package libc6): every machine has its own, of one piece."""
DRIVER = re.compile(r"lib(cuda|cudadebugger|nvidia-[\w-]+|nvcuvid|nvoptix)\.so(\.\d+)*")
"""What belongs to the driver, and must be that of the machine's kernel module."""
CXX_RUNTIME = ("libgcc_s.so.1", "libstdc++.so.6")
PYTHONS = re.compile(r"libtorch_python\.so|libpython\d.*\.so.*")
"""Python itself, and torch's part for it: no bundle has them."""
DEFAULT = tuple(map(Path, elf.DEFAULT_FOLDERS))
LOWEST_GLIBC = "2.17"
"""That of the oldest libtorch that we know; nothing older is told apart."""

LOADED_BY_NAME: Mapping[str, tuple[str, ...]] = {
    "libcudnn.so.*": ("libcudnn_*.so.*",),
    "libmkl_core.so.*": ("libmkl_avx*.so.*", "libmkl_def.so.*", "libmkl_mc*.so.*", "libmkl_vml_*.so.*"),
    "libmkl_rt.so.*": ("libmkl_core.so.*", "libmkl_intel_lp64.so.*", "libmkl_*_thread.so.*"),
    "libnvrtc.so.*": ("libnvrtc-builtins.so.*",),
    "libtorch_cuda.so": ("libcaffe2_nvrtc.so", "libtorch_cuda_linalg.so"),
}
"""What these load with dlopen from their own folder (``strings`` of each; cuDNN's, NVRTC's and MKL's release notes).
Left out is what only serves profilers (``libnvperf_*``), RDMA and several machines (``nvshmem_*``)."""


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
    files: Sequence[Path],
    *,
    library_path: Sequence[Path],
    cxx_runtime: bool,
    further: Sequence[Path] = (),
    system: Sequence[Path] = DEFAULT,
) -> Closure:
    """Everything that the files need, directly, through others, or by name.

    A library that some file finds by its own RUNPATH is taken from there for all, as one that is loaded already serves
    those that could not find it: an extension of torch names CUDA's runtime, and only torch knows where it lies.

    :param files: programs, and libraries that are in the bundle already.
    :param library_path: folders looked in beside those that the files themselves name.
    :param system: folders of the system, for what nobody else knows.
    :param further: libraries that somebody asked for.
    :raises VerificationError: names each library that is not there or must not be in a bundle, and who needs it.
    """
    _check_further(further)
    libraries: dict[str, Path] = {path.name: path for path in further}
    own = {path.name for path in files}
    left_out: set[str] = set()
    later: dict[str, tuple[Path, tuple[Path, ...]]] = {}
    missing: dict[str, Path] = {}
    of_python: dict[str, Path] = {}
    by_path: dict[str, Path] = {}
    todo: list[tuple[Path, tuple[Path, ...]]] = [(path, ()) for path in (*files, *further)]
    while todo or later:
        if not todo:
            for name, (path, inherited) in {n: v for n, v in later.items() if n not in libraries}.items():
                where = elf.find_library(name, system, elf.read_elf(path).machine)
                if where is None:
                    missing.setdefault(name, path)
                else:
                    libraries[name] = where
                    todo.append((where, inherited))
            later.clear()
            continue
        path, inherited = todo.pop(0)
        info = elf.read_elf(path)
        rpath = () if info.runpath else (*elf.expand_origin(info.rpath, path.parent), *inherited)
        # what is installed has lost the folders that it was linked in
        first, last = (library_path, ()) if path in files else ((), library_path)
        found = elf.resolve_needed(info, inherited_rpath=inherited, library_path=first, default_folders=last)
        for name, where in (*found.items(), *_by_name(path)):
            if name in libraries or name in own:
                continue
            if "/" in name:
                by_path.setdefault(name, path)
                continue
            if is_left_out(name, cxx_runtime=cxx_runtime):
                left_out.add(name)
            elif PYTHONS.fullmatch(name):
                of_python.setdefault(name, path)
            elif where is None:
                later.setdefault(name, (path, tuple(dict.fromkeys(rpath))))
            else:
                libraries[name] = where
                todo.append((where, tuple(dict.fromkeys(rpath))))
    if of_python:
        raise VerificationError(
            "a bundle has no Python, and this needs it:\n" + _listed(of_python),
            cures=["build that library without its Python bindings", "use a wheel, which is for Python"],
        )
    if by_path:
        raise VerificationError(
            "libraries are needed by their paths on this machine, for they have no soname:\n" + _listed(by_path),
            cures=["link them with -Wl,-soname,NAME, and then this project again"],
        )
    missing = {name: path for name, path in missing.items() if name not in libraries}
    if missing:
        raise VerificationError(
            "libraries are needed and not there:\n" + _listed(missing),
            cures=[
                *(f"apt install {package}" for package in sorted({DEBIAN[n] for n in missing if n in DEBIAN})),
                "install what brings them: apt-file search NAME, dnf provides '*/NAME', conda search",
                "where they are here already, name their folder in LD_LIBRARY_PATH for this build",
            ],
        )
    return Closure(dict(sorted(libraries.items())), tuple(sorted(left_out)))


DEBIAN = {
    "libgomp.so.1": "libgomp1",
    "libomp.so.5": "libomp5",
    "libiomp5.so": "libomp5",
    "libz.so.1": "zlib1g",
    "libnuma.so.1": "libnuma1",
    "libgfortran.so.5": "libgfortran5",
    "libquadmath.so.0": "libquadmath0",
    "libopenblas.so.0": "libopenblas0",
}
"""Who has what torch and its kin need, on Debian and Ubuntu."""


def _listed(libraries: Mapping[str, Path]) -> str:
    return "\n".join(f"  - {name}, which {path.name} needs" for name, path in sorted(libraries.items()))


def _check_further(further: Sequence[Path]) -> None:
    """:raises VerificationError: somebody asked for what no bundle may have, or what is not there."""
    problems = []
    for path in further:
        names = {path.name, os.path.basename(os.path.realpath(path))}
        if not path.is_file():
            problems.append(f"{path}: there is no such file")
        elif not elf.is_elf(path):
            problems.append(f"{path} is not a shared library")
        elif any(map(DRIVER.fullmatch, names)):
            problems.append(f"{path} belongs to the GPU's driver, which must be that of the machine's kernel module")
        elif any(map(GLIBC.fullmatch, names)):
            problems.append(f"{path} is a part of the C library, which must be the machine's own, of one piece")
        elif any(map(PYTHONS.fullmatch, names)):
            problems.append(f"{path} is for Python, and a bundle has none")
    if problems:
        raise VerificationError(
            "libraries in [tool.torchscript-build.bundle]:\n" + "\n".join(f"  - {p}" for p in problems),
            cures=["take them out of the settings; the machine brings a driver and a C library of its own"],
        )


def _by_name(path: Path) -> Iterable[tuple[str, Path]]:
    """What a library loads with dlopen, where it lies beside it."""
    for pattern, loaded in LOADED_BY_NAME.items():
        if loaded and fnmatch.fnmatchcase(path.name, pattern):
            for name in sorted(os.listdir(path.parent)):
                if any(fnmatch.fnmatchcase(name, wanted) for wanted in loaded):
                    yield name, path.parent / name


GLIBCXX: Mapping[int, str] = dict(
    (
        *((19, "4.8"), (20, "4.9"), (21, "5"), (22, "6"), (23, "7"), (24, "7.2"), (25, "8"), (26, "9"), (27, "9.2")),
        *((28, "9.3"), (29, "11"), (30, "12"), (31, "13.1"), (32, "13.2"), (33, "14"), (34, "15")),
    )
)
"""``GLIBCXX_3.4.N`` → the first GCC with it (libstdc++'s manual, "ABI Policy and Guidelines")."""


def cxx_runtime_floor(files: Iterable[Path]) -> str:
    """The GCC whose libstdc++ is the first with all that the files want, as ``"12"``."""
    wanted = [v for file in files for v in elf.read_elf(file).needed_versions]
    found = [int(m[1]) for m in (re.fullmatch(r"GLIBCXX_3\.4\.(\d+)", v) for v in wanted) if m]
    highest = max(found, default=min(GLIBCXX))
    return next((gcc for number, gcc in GLIBCXX.items() if number >= highest), max(GLIBCXX.values(), key=float))


def glibc_floor(files: Iterable[Path]) -> str:
    """The lowest glibc that has all versions of symbols which the files want, as ``"2.28"``."""
    versions = [v[len("GLIBC_") :] for file in files for v in elf.read_elf(file).needed_versions if v[:6] == "GLIBC_"]
    numbers = [tuple(map(int, v.split("."))) for v in versions if re.fullmatch(r"\d+(\.\d+)+", v)]
    return ".".join(map(str, max([*numbers, tuple(map(int, LOWEST_GLIBC.split(".")))])))
