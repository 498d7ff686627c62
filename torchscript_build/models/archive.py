"""Looks into TorchScript archives, and ``.pt2`` packages of AOTInductor, without torch.

An archive is a zip whose entries lie under one folder: ``<folder>/version`` (from file format 6 on
``<folder>/.data/version``), ``constants.pkl``, ``data.pkl`` and the TorchScript code as text in ``code/**.py``. Source:
``caffe2/serialize/inline_container.cc`` and real files.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import ModelError
from torchscript_build.models.code import NamedDevice, parse_code
from torchscript_build.models.foreign import recognize, recognize_zip
from torchscript_build.models.package import Package, is_package, read_package
from torchscript_build.records import dataclass

_VERSION = re.compile(r"[^/]+/(\.data/)?version")


@dataclass(frozen=True)
class ModelArchive:
    """What an archive says of itself."""

    path: Path
    format_version: int
    """The archive's file format, compared with libtorch's ``kMaxSupportedFileFormatVersion``."""
    operators: tuple[str, ...]
    """Operators outside of aten and prim that its code calls: ``"my_ops::warp"``, sorted."""
    classes: tuple[str, ...]
    """Custom classes that its code names: ``"my_ops::Stack"``, sorted."""
    devices: tuple[tuple[str, NamedDevice], ...] = ()
    """Devices that stand in its code, with the file of each: ``"code/__torch__/net.py"``."""
    uses_autograd: bool = False
    """Does its code call ``torch.autograd.grad`` or ``backward``?"""
    package: Optional[Package] = None
    """What it says of itself, where it is a package."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of its operators and custom classes, sorted."""
        return tuple(sorted({name.split("::")[0] for name in (*self.operators, *self.classes)}))


def read_archive(path: Path, *, checksums: bool = True) -> ModelArchive:
    """Read a TorchScript archive or a package of AOTInductor.

    :param checksums: verify every entry's, which reads the whole file.
    :raises ModelError: it is missing, truncated, corrupt, or another kind of file.
    """
    if system.is_endless(path):
        raise ModelError(f"{path} is a pipe or a device, and no model's file")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, path)
            broken = archive.testzip() if checksums else None
            if broken is not None:
                raise ModelError(f"{path} is corrupt: the checksum of {broken} is wrong", cures=[_EXPORT_AGAIN])
            return _read(archive, path)
    except FileNotFoundError as error:
        raise ModelError(f"there is no model {path}") from error
    except UNREADABLE as error:
        foreign = recognize(path, _head(path) or b"")
        problem = f"{path} is not a TorchScript archive: it {foreign.what}" if foreign else _not_a_zip(path, error)
        raise ModelError(problem, cures=[foreign.cure if foreign else _EXPORT_AGAIN]) from error


def _read(archive: zipfile.ZipFile, path: Path) -> ModelArchive:
    names = archive.namelist()
    if is_package(names):
        package = read_package(archive)
        return ModelArchive(path, 0, package.operators, (), package=package)
    version = next((n for n in names if _VERSION.fullmatch(n)), None)
    folder = version.partition("/")[0] if version else ""
    if version is None or f"{folder}/constants.pkl" not in names:
        foreign = recognize_zip(names)
        if foreign:
            raise ModelError(f"{path} is not a TorchScript archive: it {foreign.what}", cures=[foreign.cure])
        raise ModelError(_another_kind(path, names), cures=[_EXPORT_AGAIN])
    operators: set[str] = set()
    classes: set[str] = set()
    devices: list[tuple[str, NamedDevice]] = []
    uses_autograd = False
    for name in sorted(names):
        if name.startswith(f"{folder}/code/") and name.endswith(".py"):
            found = parse_code(archive.read(name).decode("utf-8", errors="replace"))
            operators |= found.operators
            classes |= found.classes
            devices += [(name.partition("/")[2], device) for device in found.devices]
            uses_autograd = uses_autograd or found.uses_autograd
    number = archive.read(version)[:20].strip()
    if not number.isdigit():
        raise ModelError(f"{path} is corrupt: its version is {number!r}", cures=[_EXPORT_AGAIN])
    return ModelArchive(
        path, int(number), tuple(sorted(operators)), tuple(sorted(classes)), tuple(devices), uses_autograd
    )


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse, before anything is unpacked, what unpacks to far more than torch ever packs: it stores all but code.

    :raises ModelError: a member's method or size is none that torch writes.
    """
    packed = path.stat().st_size
    if is_package(archive.namelist()):
        return  # only some texts of it are read, each with a limit
    most = max(LEAST_LIMIT, MOST_RATIO * packed)
    for member in archive.infolist():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            method = f"packed by a method that torch does not use ({member.compress_type})"
            raise ModelError(f"{path} is not a TorchScript archive: {member.filename[:200]!r} is {method}")
        if member.file_size > (MOST_CODE if "/code/" in member.filename else most):
            size = f"{member.filename[:200]!r} would unpack to {member.file_size} bytes"
            raise ModelError(f"{path} ({packed} bytes) is refused: {size}", cures=[_EXPORT_AGAIN])
    if sum(member.file_size for member in archive.infolist()) > most:
        raise ModelError(f"{path} ({packed} bytes) is refused: it would unpack to more than {most} bytes")


LEAST_LIMIT = 64 << 20
MOST_RATIO = 100
MOST_CODE = 64 << 20
"""Bytes of a source file; those of the largest models have a few million."""
UNREADABLE = (
    *(OSError, EOFError, NotImplementedError, RuntimeError, ValueError, ArithmeticError, LookupError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What zipfile raises for broken, encrypted and exotic archives."""
_EXPORT_AGAIN = "save it again with torch.jit.save(module, file), or give the model a factory"


def _not_a_zip(path: Path, error: Exception) -> str:
    head = _head(path)
    if head is not None and head[:4] == b"PK\x03\x04":
        return (
            f"{path} is truncated or corrupt: it begins like a TorchScript archive, but has no readable end ({error})"
        )
    return f"{path} is not a TorchScript archive: it is no zip file ({error})"


def _another_kind(path: Path, names: list[str]) -> str:
    if any(n.endswith("/model.json") and n.count("/") == 1 for n in names):
        return (
            f"{path} is a TorchScript archive of torch 1.0 to 1.3 (model.json), which libtorch does not read any more"
        )
    if any("/aotinductor/" in n or n.endswith(("archive_format", "/models/model.json")) for n in names):
        return f"{path} is not a TorchScript archive: it is a .pt2 package of torch.export"
    if {"data.pkl", "constants.pkl"} <= set(names):
        return (
            f"{path} cannot be loaded by libtorch: its records lie in no folder, so that somebody has packed it again"
        )
    roots = [n.rpartition("/constants.pkl")[0] for n in names if n.endswith("/constants.pkl")]
    if any("/" in root and f"{root}/data.pkl" in names for root in roots):
        return f"{path} cannot be loaded by libtorch: its records lie too deep, so that somebody has packed it again"
    if any(n.startswith(f"{root}/code/") for root in roots for n in names):
        return f"{path} is corrupt: it lacks the record version, without which libtorch does not load it"
    if any(n.endswith("/data.pkl") and n.count("/") == 1 for n in names):
        return f"{path} is not a TorchScript archive: a pickled object without code, as torch.save writes weights"
    return f"{path} is not a TorchScript archive: the zip has neither version nor constants.pkl"


def _head(path: Path) -> Optional[bytes]:
    try:
        with path.open("rb") as file:
            return file.read(32)
    except OSError:
        return None
