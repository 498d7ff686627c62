"""Which libraries a wheel for torch must not bundle: auditwheel would copy them, or miss them and fail."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.system import elf

CUDA_PATTERNS = (
    "libcublas.so.*",
    "libcublasLt.so.*",
    "libcuda.so.*",
    "libcudart.so.*",
    "libcudnn.so.*",
    "libcudnn_*.so.*",
    "libcufft.so.*",
    "libcufile.so.*",
    "libcupti.so.*",
    "libcurand.so.*",
    "libcusolver.so.*",
    "libcusparse.so.*",
    "libcusparseLt.so.*",
    "libnccl.so.*",
    "libnvJitLink.so.*",
    "libnvToolsExt.so.*",
    "libnvrtc-builtins.so.*",
    "libnvrtc.so.*",
    "libnvshmem_host.so.*",
)
"""What the driver and the ``nvidia-*`` packages hold that torch's wheels for CUDA 11 to 13 require (their METADATA)."""

TORCH_NAMES = (
    "libc10.so",
    "libc10_cuda.so",
    "libtorch.so",
    "libtorch_cpu.so",
    "libtorch_cuda.so",
    "libtorch_cuda_cpp.so",
    "libtorch_cuda_cu.so",
    "libtorch_cuda_linalg.so",
    "libtorch_python.so",
)
"""What builds of torch have, also those that a wheel for several series was built for and that are not here."""


def excluded_libraries(libtorch: LibTorch) -> tuple[str, ...]:
    """Names and patterns of all libraries that come with an installed torch, sorted.

    A folder that belongs to libtorch alone counts as a whole: wheels bring libraries of hashed names along.
    """
    names = {p.name for p in (*libtorch.libraries, *filter(None, [libtorch.python_library]))}
    if libtorch.layout != "conda":
        names |= {p.name for folder in libtorch.library_dirs for p in folder.glob("*.so*") if elf.is_elf(p)}
    return tuple(sorted(names | set(CUDA_PATTERNS) | set(TORCH_NAMES)))


def needed_by_wheel(wheel: Path) -> frozenset[str]:
    """The names of the libraries that the binaries in a wheel ask for.

    :raises VerificationError: it is no wheel, or holds a broken binary.
    """
    needed: set[str] = set()
    if system.is_endless(wheel):
        raise VerificationError(f"{wheel} is a pipe or a device, and no wheel")
    try:
        with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    content = io.BytesIO(file.read(4))
                if content.getvalue() == b"\x7fELF":
                    needed.update(elf.read_elf(Path(archive.extract(entry, folder))).needed)
    except UNREADABLE as error:
        raise VerificationError(f"{wheel} cannot be read as a wheel: {error}") from error
    return frozenset(needed)


UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, LookupError, zipfile.BadZipFile, zlib.error, struct.error)
"""What zipfile raises for broken, encrypted and exotic archives."""


def auditwheel_arguments(excluded: Sequence[str], needed: Optional[Collection[str]] = None) -> list[str]:
    """``--exclude NAME …``, as auditwheel takes it from 5.4 on: all, or those of the needed names that are excluded."""
    names: Iterable[str] = excluded
    if needed is not None:
        names = sorted(n for n in needed if any(fnmatchcase(n, e) for e in excluded))
    return [word for name in names for word in ("--exclude", name)]
