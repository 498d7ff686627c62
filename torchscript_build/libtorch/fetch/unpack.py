"""An archive that holds a libtorch → its C++ part in a folder; nothing is ever written outside that folder.

The archive comes from a network and is not trusted: names that lead out, links that lead out, devices, files under a
link, doubles, and sizes that no libtorch has are refused before anything is written.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Optional, cast

from torchscript_build.errors import LibTorchUnusableError

MOST_BYTES = 24 << 30
"""The largest archive of torch, unpacked with all CUDA libraries, is about 8 GB."""
MOST_RATIO = 100
"""Libraries and headers shrink to a third or a tenth; a bomb to a thousandth."""
RATIO_FLOOR = 64 << 20
"""So many bytes may always come out."""
MOST_MEMBERS = 300_000
MOST_DEPTH = 40
MOST_NAME = 1000
"""Bytes of a name; one of its parts has up to 255, as file systems have it."""
MOST_HEADER = 1 << 24
"""Bytes of a tar file's header, which is read at once."""
BLOCK = 1 << 20

C10 = re.compile(r"(?:^|(?P<root>.*)/)lib/(?:libc10\.so|libc10\.dylib|c10\.lib)")
KEPT_FOLDERS = ("lib", "include", "share", ".dylibs")
"""Of the root; ``.dylibs`` has what macOS wheels bring along."""
KEPT_FILES = ("version.py", "build-version", "build-hash", "LICENSE", "NOTICE")
"""``version.py`` and the ``build-…`` files tell the version; the package's other Python files are left away."""


class Member(NamedTuple):
    """One entry of an archive, of whichever kind."""

    name: str
    """With ``/``, relative; checked."""
    size: int
    executable: bool
    link: Optional[str]
    """The target of a symbolic link."""
    open: Callable[[], IO[bytes]]


class Unpacked(NamedTuple):
    """What was written."""

    root: Path
    """The libtorch."""
    size: int
    """Bytes, after unpacking."""
    files: int


def unpack_libtorch(archive: IO[bytes], label: str, target: Path) -> Unpacked:
    """Unpack a wheel, a ``libtorch-….zip`` or a ``.tar.gz`` into a folder: root ``torch`` or ``libtorch`` in it.

    Kept: libraries (libtorch_python with them: 25 to 40 MB of a gigabyte, and Python modules link it), headers, CMake
    files, licences, and what tells the version. Left away: Python code, tests, programs.

    :param archive: opened for reading, seekable.
    :param label: the archive's name, for messages.
    :raises LibTorchUnusableError: it is damaged, unsafe, or holds no libtorch.
    """
    with _members(archive, label) as members:
        prefix = _find_root(members, label)
        name = prefix.rpartition("/")[2]
        root = "torch" if name == "torch" else "libtorch"
        chosen = [(path, m) for m in members for path in [_placed(m.name, prefix, root)] if path]
        size = _write(chosen, target, label)
    return Unpacked(target / root, size, len(chosen))


CUDA_FOLDERS = ("nvidia/", "cusparselt/")
"""Where the ``nvidia-*`` wheels put their files; the second is of nvidia-cusparselt-cu12 0.6, for torch 2.6 and 2.7."""


def unpack_nvidia(archive: IO[bytes], label: str, target: Path) -> Unpacked:
    """Unpack one of the ``nvidia-*`` wheels: its libraries and headers, without Python code, and its metadata."""
    with _members(archive, label) as members:
        chosen = [
            (m.name, m)
            for m in members
            if (m.name.startswith(CUDA_FOLDERS) and not m.name.endswith((".py", ".pyc"))) or _is_metadata(m.name)
        ]
        size = _write(chosen, target, label)
    return Unpacked(target / "nvidia", size, len(chosen))


def _placed(name: str, prefix: str, root: str) -> Optional[str]:
    """Where a member goes; ``None`` where it is left away."""
    if _is_metadata(name):
        return name
    if not prefix or name.startswith(f"{prefix}/"):
        inner = name[len(prefix) + 1 :] if prefix else name
        first, _, rest = inner.partition("/")
        if rest and (first in KEPT_FOLDERS or (first == "bin" and rest.lower().endswith(".dll"))):
            return None if inner.endswith((".py", ".pyc")) else f"{root}/{inner}"
        return f"{root}/{inner}" if inner in KEPT_FILES else None
    # auditwheel's and delocate's folder beside the package, to which its RPATHs lead
    return name if name.startswith(f"{prefix}.libs/") else None


def _is_metadata(name: str) -> bool:
    """Metadata and licences of a wheel; not the list of files, most of which are left away."""
    return re.match(r"[A-Za-z0-9_.+-]+\.dist-info/", name) is not None and not name.endswith("/RECORD")


def _find_root(members: Sequence[Member], label: str) -> str:
    """The folder of the archive in which ``lib/libc10…`` lies: the highest one."""
    roots = sorted(
        {(m["root"] or "") for m in (C10.fullmatch(x.name) for x in members) if m}, key=lambda r: (len(r), r)
    )
    if not roots:
        raise LibTorchUnusableError(
            f"{label} holds no libtorch (no lib/libc10.so, lib/libc10.dylib or lib/c10.lib in it)",
            cures=["name a libtorch-….zip, a torch-….whl, or a .tar.gz of an unpacked libtorch"],
        )
    return roots[0]


@contextmanager
def _members(archive: IO[bytes], label: str) -> Iterator[list[Member]]:
    """The archive's files and links, checked; folders are made as needed."""
    archive.seek(0, os.SEEK_END)
    packed = archive.tell()
    archive.seek(0)
    magic = archive.read(4)
    archive.seek(0)
    try:
        if magic[:2] == b"PK":
            with zipfile.ZipFile(archive) as opened:
                yield _checked(list(_zip_members(opened, label)), packed, label)
        elif magic[:2] == b"\x1f\x8b":
            _bound_gzip(archive, packed, label)
            with gzip.open(archive, "rb") as stream:
                bounded = cast(IO[bytes], _Bounded(stream))
                with tarfile.open(fileobj=bounded, mode="r:") as opened_tar:
                    yield _checked(list(_tar_members(opened_tar, label)), packed, label)
        else:
            raise LibTorchUnusableError(
                f"{label} is neither a zip file, a wheel nor a .tar.gz",
                cures=["name a libtorch-….zip, a torch-….whl, or a .tar.gz of an unpacked libtorch"],
            )
    except DAMAGED as error:
        raise LibTorchUnusableError(f"{label} is damaged or cut off: {error}", cures=["download it anew"]) from error


DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, ArithmeticError, LookupError, struct.error),
)
"""What zipfile and tarfile raise for archives that nobody wrote in good faith."""


class _Bounded:
    """A stream of which nobody reads much at once: tarfile believes what a header says of its own size."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        if not 0 <= size <= MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._stream.tell()


def _zip_members(opened: zipfile.ZipFile, label: str) -> Iterator[Member]:
    for info in opened.infolist():
        if not info.filename:
            raise _unsafe(label, "", "is a file without a name")
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if info.is_dir():
            _check_name(info.filename, label)
            continue
        if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
            raise _unsafe(label, info.filename, "is a device or a pipe")
        if info.flag_bits & 1:
            raise LibTorchUnusableError(f"{label} is encrypted", cures=["name an archive without a password"])
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _unsafe(label, info.filename, f"is packed by a method that no wheel uses ({info.compress_type})")
        link = None
        if kind == stat.S_IFLNK:
            if info.file_size > 4096:
                raise _unsafe(label, info.filename, "is a link with an absurdly long target")
            try:
                link = opened.read(info).decode("utf-8", "surrogateescape")
            except OSError as error:
                raise zipfile.BadZipFile(str(error)) from error
        yield Member(
            _check_name(info.filename, label), info.file_size, bool(mode & 0o111), link, _zip_opener(opened, info)
        )


def _zip_opener(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: opened.open(info)


def _tar_members(opened: tarfile.TarFile, label: str) -> Iterator[Member]:
    for number, info in enumerate(opened):
        if number >= MOST_MEMBERS:
            raise LibTorchUnusableError(f"{label} has more than {MOST_MEMBERS} files: this is no libtorch")
        if info.size < 0:  # or tarfile would go back, and read it for ever
            raise _unsafe(label, info.name, "has a negative size")
        if info.issparse():
            raise _unsafe(label, info.name, "is a sparse file")
        name = _check_name(info.name, label) if info.name.strip("./") or not info.isdir() else ""
        if info.isdir():
            continue
        if info.islnk():
            raise _unsafe(label, info.name, "is a hard link")
        if not (info.isfile() or info.issym()):
            raise _unsafe(label, info.name, "is a device or a pipe")
        link = info.linkname if info.issym() else None
        yield Member(name, info.size, bool(info.mode & 0o111), link, _tar_opener(opened, info))


def _tar_opener(opened: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        file = opened.extractfile(info)
        assert file is not None  # it is a regular file
        return file

    return open_member


def _bound_gzip(archive: IO[bytes], packed: int, label: str) -> None:
    """Unpack the stream once into nothing: a tar file tells no sizes before it has been read."""
    total = 0
    with gzip.open(archive, "rb") as stream:
        while True:
            block = stream.read(BLOCK)
            if not block:
                break
            total += len(block)
            _bound(total, packed, label)
    archive.seek(0)


def _bound(total: int, packed: int, label: str) -> None:
    most = min(MOST_BYTES, max(RATIO_FLOOR, packed * MOST_RATIO))
    if total > most:
        raise LibTorchUnusableError(
            f"{label} ({packed} bytes) would unpack to more than {most} bytes: this is no libtorch",
            cures=["check where it comes from"],
        )


def _checked(members: list[Member], packed: int, label: str) -> list[Member]:
    """The same members; refused where together they do harm."""
    if len(members) > MOST_MEMBERS:
        raise LibTorchUnusableError(f"{label} has {len(members)} files: this is no libtorch")
    _bound(sum(m.size for m in members), packed, label)
    seen: set[str] = set()
    links = {m.name for m in members if m.link is not None}
    files = {m.name for m in members if m.link is None}
    for member in members:
        if member.name in seen:
            raise _unsafe(label, member.name, "is there twice")
        seen.add(member.name)
        above = {str(parent) for parent in PurePosixPath(member.name).parents}
        if above & links:
            raise _unsafe(label, member.name, "lies under a link")
        if above & files:
            raise _unsafe(label, member.name, "lies under a file")
    return members


def _check_name(name: str, label: str) -> str:
    """A name that cannot leave the folder it is joined to, on any system."""
    if len(name) > MOST_NAME:
        raise _unsafe(label, name[:40] + "…", f"has a name of {len(name)} characters")
    if any(c in "\\:" or c < " " or c == "\x7f" for c in name):
        raise _unsafe(label, name, "has a character that no file of libtorch has in its name")
    if name.startswith("/"):
        raise _unsafe(label, name, "is an absolute path")
    parts = [p for p in name.split("/") if p not in ("", ".")]
    if ".." in parts or not parts:
        raise _unsafe(label, name, "leads out of the archive")
    if len(parts) > MOST_DEPTH or any(len(os.fsencode(part)) > 255 for part in parts):
        raise _unsafe(label, name[:40] + "…", "has a name that no system takes")
    return "/".join(parts)


def _stays_inside(path: str, target: str) -> bool:
    """Does a link, put at a path, lead to something below the path's first folder? Only leading ``..`` are allowed:
    behind another link they would not lead where they seem to."""
    if not target or target.startswith("/") or any(c in target for c in "\\:\0"):
        return False
    parts = [p for p in target.split("/") if p not in ("", ".")]
    ups = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    return ups <= path.count("/") - 1 and ".." not in parts[ups:]


def _unsafe(label: str, name: str, why: str) -> LibTorchUnusableError:
    return LibTorchUnusableError(f"{label} is refused: {name!r} in it {why}", cures=["check where it comes from"])


def _blocks(member: Member, label: str) -> Iterator[bytes]:
    """A member's content; a place in the archive that is none, as it has one, is an OSError of seek."""
    try:
        with member.open() as source:
            yield from iter(lambda: source.read(BLOCK), b"")
    except OSError as error:
        problem = f"{label} is damaged or cut off: {member.name}: {error.strerror}"
        raise LibTorchUnusableError(problem, cures=["download it anew"]) from error


def _write(chosen: Sequence[tuple[str, Member]], target: Path, label: str) -> int:
    """Write files first, links last, so that no file is ever written through a link."""
    for path, member in chosen:
        if member.link is not None and not _stays_inside(path, member.link):
            raise _unsafe(label, member.name, f"is a link that leads out of the libtorch ({member.link})")
    total = 0
    for path, member in sorted((x for x in chosen if x[1].link is None), key=lambda x: x[0]):
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        # "x": a file that is there already, under another spelling on a case-insensitive disk, is not replaced.
        with open(file, "xb") as out:
            for block in _blocks(member, label):
                written += len(block)
                if written > member.size:
                    raise LibTorchUnusableError(f"{label} is damaged: {member.name} is longer than it says")
                out.write(block)
        if written != member.size:
            raise LibTorchUnusableError(f"{label} is damaged or cut off: {member.name} is shorter than it says")
        if member.executable and os.name == "posix":
            file.chmod(0o755)
        total += written
    for path, member in chosen:
        if member.link is not None:
            link = target / path
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(member.link, link)
    return total
