"""Takes the folders of this machine out of a saved model, so that it is the same wherever it is built.

torch.jit.save writes, beside each file of code, where in the Python sources each line comes from
(``*.debug_pkl``, torch/csrc/jit/serialization/source_range_serialization.cpp), with the whole path: of the project, and
of the environment, which pip makes anew for each build.
"""

import hashlib
import os
import pickletools
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from typing import IO, Optional

ALIGNMENT = 64
"""Where torch lets the contents of records begin, for those who map them (caffe2/serialize/inline_container.h)."""
MOST_KEPT = 64 << 20
"""Bytes of constants and code that are kept in memory."""
SERIALIZATION_ID = "/.data/serialization_id"
"""Forty digits that torch makes of all contents, those of the paths included."""


def forget(file: str, folders: "Iterable[str]") -> None:
    """Shorten what a model says of places in source files: those in the folders begin below them.

    Of a trace that is a Python traceback, which the record counts the letters of: such a record is left out.
    """
    prefixes = known_prefixes(folders)
    with zipfile.ZipFile(file) as archive, tempfile.SpooledTemporaryFile(MOST_KEPT) as kept:
        changed: dict[str, Optional[bytes]] = {}
        for name in archive.namelist():
            if name.endswith(".debug_pkl"):
                before = archive.read(name)
                after = _without_folders(before, prefixes)
                if after != before:
                    changed[name] = after
        if not changed:
            return
        members = archive.infolist()
        first = min(index for index, member in enumerate(members) if member.filename in changed)
        for member in members[first:]:
            if member.filename not in changed and not member.filename.endswith(SERIALIZATION_ID):
                with archive.open(member) as source:
                    shutil.copyfileobj(source, kept, 1 << 20)
        kept.seek(0)
        _write_again(file, members, first, changed, kept)


def _without_folders(pickled: bytes, prefixes: "list[str]") -> Optional[bytes]:
    """A record of places; ``None`` for one whose texts would be others."""
    tracebacks = []

    def change(text: str) -> str:
        short = shorten(text, prefixes)
        if short != text and text.endswith("\n"):
            tracebacks.append(text)
        return short

    changed = replace_strings(pickled, change)
    return None if tracebacks else changed


def known_prefixes(folders: "Iterable[str]") -> "list[str]":
    """The folders, and what they are links to, the innermost first."""
    found = {os.path.abspath(f) for f in folders if f}
    found |= {os.path.realpath(f) for f in found}
    return sorted((f + os.sep for f in found if os.path.dirname(f) != f), key=lambda f: (-len(f), f))


def shorten(text: str, prefixes: "list[str]") -> str:
    """A path, or lines of a traceback that begin with one; what lies elsewhere keeps its name alone."""
    lines = []
    for line in text.splitlines(keepends=True):
        prefix = next((p for p in prefixes if line.startswith(p)), "")
        lines.append(re.sub(r"^/[^\n(]*/(?=[^/\n]+\.py)", "", line[len(prefix) :]))
    return "".join(lines)


def replace_strings(pickled: bytes, change: "Callable[[str], str]") -> bytes:
    """A pickle with other strings; everything else in it stays as it is."""
    out, done = bytearray(), 0
    for opcode, argument, at in pickletools.genops(pickled):
        if opcode.name == "BINUNICODE" and at is not None:
            text = change(str(argument))
            if text != argument:
                encoded = text.encode("utf-8", "surrogatepass")
                out += pickled[done : at + 1] + len(encoded).to_bytes(4, "little") + encoded
                done = at + 5 + int.from_bytes(pickled[at + 1 : at + 5], "little")
    return bytes(out + pickled[done:])


def _write_again(
    file: str, members: "list[zipfile.ZipInfo]", first: int, changed: "dict[str, Optional[bytes]]", kept: "IO[bytes]"
) -> None:
    """Write an archive from one member on; the weights lie before all code, and stay where they are.

    :param kept: the contents of the other members behind that one.
    """
    digest = hashlib.sha256()
    with zipfile.ZipFile(file, "a") as archive:
        archive.start_dir = members[first].header_offset  # where it goes on
        assert archive.fp is not None  # for the type checker: it is open
        archive.fp.truncate(archive.start_dir)
        for member in members[first:]:
            archive.filelist.remove(archive.NameToInfo.pop(member.filename))
        for index, member in enumerate(members):
            if index < first:
                pass
            elif member.filename in changed:
                content = changed[member.filename]
                if content is None:
                    continue
                archive.writestr(_record(archive, member, len(content)), content)
            elif member.filename.endswith(SERIALIZATION_ID):  # the last one
                number = str(int.from_bytes(digest.digest(), "big")).zfill(40)[:40]
                archive.writestr(_record(archive, member, len(number)), number)
            else:
                with archive.open(_record(archive, member, member.file_size), "w") as target:
                    _copy(kept, target, member.file_size)
            written = archive.getinfo(member.filename)
            digest.update(f"{written.filename} {written.file_size} {written.CRC}\n".encode())


def _copy(source: "IO[bytes]", target: "IO[bytes]", size: int) -> None:
    while size > 0:
        size -= target.write(source.read(min(size, 1 << 20)))


def _record(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> zipfile.ZipInfo:
    """The entry of a record at the end of an archive, with as much padding as aligns what it will hold."""
    record = zipfile.ZipInfo(member.filename)
    record.compress_type, record.file_size = member.compress_type, size
    fixed = 30 + len(member.filename.encode()) + 4 + (20 if size * 1.05 > zipfile.ZIP64_LIMIT else 0)
    padding = -(archive.start_dir + fixed) % ALIGNMENT
    record.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    return record
