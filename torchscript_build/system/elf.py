"""Reading ELF files: what a library or program needs, exports and is made for. They are looked at, never run.

Thin functions on pyelftools, which is imported only when a file is read.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Optional

from torchscript_build.errors import VerificationError
from torchscript_build.records import dataclass
from torchscript_build.system.files import is_endless

DEFAULT_FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)
"""Where the dynamic loader looks at last, on the distributions that we know."""


class ElfError(VerificationError):
    """A file is no ELF file, or a broken one."""


@dataclass(frozen=True)
class ElfInfo:
    """The dynamic part of one ELF file; symbols are read when they are asked for."""

    path: Path
    machine: str
    """``"x86_64"``, ``"aarch64"``."""
    soname: Optional[str] = None
    needed: tuple[str, ...] = ()
    """DT_NEEDED, in the file's order."""
    rpath: tuple[str, ...] = ()
    """DT_RPATH's entries as written, ``$ORIGIN`` and all."""
    runpath: tuple[str, ...] = ()
    """DT_RUNPATH's entries as written; where there are any, the loader ignores DT_RPATH."""
    interpreter: Optional[str] = None
    """The dynamic loader that a program names."""
    needed_versions: tuple[str, ...] = ()
    """Versions of symbols that it wants from other libraries, sorted: ``GLIBC_2.17``, ``GLIBCXX_3.4.19``."""

    @cached_property
    def _symbols(self) -> tuple[frozenset[str], frozenset[str]]:
        exported: set[str] = set()
        undefined: set[str] = set()
        for name, is_defined in _named_in(self.path, ".dynsym"):
            (exported if is_defined else undefined).add(name)
        return frozenset(exported), frozenset(undefined)

    @property
    def exported_symbols(self) -> frozenset[str]:
        """Names of the symbols that other files can use."""
        return self._symbols[0]

    @property
    def undefined_symbols(self) -> frozenset[str]:
        """Names of the symbols that it wants from others."""
        return self._symbols[1]


def read_elf(path: Path) -> ElfInfo:
    """The dynamic part of an ELF file.

    :raises ElfError: it is none, or broken, or cannot be read.
    """
    with opened(path) as file:
        elf = parse(file, path)
        try:
            return _info(elf, path)
        except Exception as error:  # pyelftools raises whatever a broken table leads it to
            raise ElfError(f"{path} is a broken ELF file: {error}") from error


def is_elf(path: Path) -> bool:
    """Does the file begin like an ELF file?"""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def opened(path: Path) -> BinaryIO:
    """:raises ElfError: it cannot be read."""
    if is_endless(path):
        raise ElfError(f"{path} is a pipe or a device, wanted is a library or program")
    try:
        return open(path, "rb")
    except OSError as error:
        raise ElfError(f"{path} cannot be read: {error.strerror}") from error


def parse(file: BinaryIO, path: Path) -> Any:
    """pyelftools' ``ELFFile``, whose own annotations do not reach its subclasses' methods.

    :raises ElfError: it is no ELF file.
    """
    from elftools.elf.elffile import ELFFile

    magic = file.read(4)
    if magic != b"\x7fELF":
        raise ElfError(f"{path} is {'empty' if not magic else 'not an ELF file'}, wanted is a library or program")
    file.seek(0)
    try:
        return ELFFile(file)
    except Exception as error:  # as above
        raise ElfError(f"{path} is a broken ELF file: {error}") from error


def _info(elf: Any, path: Path) -> ElfInfo:
    soname, interpreter = None, None
    needed: list[str] = []
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    for segment in elf.iter_segments():
        kind = segment["p_type"]
        if kind == "PT_INTERP":
            interpreter = segment.get_interp_name()
        elif kind == "PT_DYNAMIC":
            for tag in segment.iter_tags():
                name = tag.entry.d_tag
                if name == "DT_NEEDED":
                    needed.append(tag.needed)
                elif name == "DT_SONAME":
                    soname = tag.soname
                elif name == "DT_RPATH":
                    rpath = _entries(tag.rpath)
                elif name == "DT_RUNPATH":
                    runpath = _entries(tag.runpath)
    return ElfInfo(
        path=path,
        machine=_machine(elf),
        soname=soname,
        needed=tuple(needed),
        rpath=rpath,
        runpath=runpath,
        interpreter=interpreter,
        needed_versions=tuple(sorted(_needed_versions(elf), key=_by_number)),
    )


def _machine(elf: Any) -> str:
    names = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}
    machine = str(elf["e_machine"])
    return names.get(machine, machine.replace("EM_", "").lower())


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry for entry in text.split(":") if entry)


def _needed_versions(elf: Any) -> set[str]:
    """The names in ``.gnu.version_r``; unpacked here, since pyelftools follows the counts of a broken file for ages."""
    section = elf.get_section_by_name(".gnu.version_r")
    if section is None:
        return set()
    data = section.data()
    strings = elf.get_section(section["sh_link"]).data()
    order = "<" if elf.little_endian else ">"
    names = set()
    need = 0
    while need + 16 <= len(data):
        _, count, _, first, following = struct.unpack_from(order + "HHIII", data, need)
        at = need + first
        for _ in range(count):
            if at + 16 > len(data):
                break
            name, step = struct.unpack_from(order + "8xII", data, at)
            names.add(strings[name : strings.find(b"\0", name)].decode("utf-8", errors="replace"))
            if not step:
                break
            at += step
        if not following:
            break
        need += following
    return names


def _by_number(version: str) -> tuple[str, list[int]]:
    """``GLIBC_2.4`` before ``GLIBC_2.17``."""
    family, _, number = version.rpartition("_")
    return family, [int(n) for n in re.findall(r"\d+", number)]


def wanted_by_object(path: Path) -> frozenset[str]:
    """The names of the symbols that an object file (``.o``) wants from others.

    :raises ElfError: it is none, or broken.
    """
    return frozenset(name for name, is_defined in _named_in(path, ".symtab") if not is_defined)


def _named_in(path: Path, table_name: str) -> Iterator[tuple[str, bool]]:
    """Name and whether it is defined, for each symbol of a table that takes part in linking.

    The table is unpacked here rather than by pyelftools: big libraries have hundreds of thousands of them.
    """
    with opened(path) as file:
        elf = parse(file, path)
        try:
            section = elf.get_section_by_name(table_name)
            if section is None:
                return
            table = section.data()
            strings = elf.get_section(section["sh_link"]).data()
            order = "<" if elf.little_endian else ">"
            wide = elf.elfclass == 64
        except Exception as error:  # as above
            raise ElfError(f"{path} is a broken ELF file: {error}") from error
    layout = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))
    usable = memoryview(table)[: len(table) - len(table) % layout.size]
    for entry in layout.iter_unpack(usable):
        name, info, other, index = (entry[i] for i in ((0, 1, 2, 3) if wide else (0, 3, 4, 5)))
        binding, visibility = info >> 4, other & 3
        if binding == 0 or not name or visibility in (1, 2):  # local; internal, hidden
            continue
        end = strings.find(b"\0", name)
        yield strings[name:end].decode("utf-8", errors="replace"), index != 0


# libstdc++'s ABI.

_NOT_OURS = re.compile(r"_Z(?:T[VTIS]|GV|GR|Z)?N?[KVRO]*(?:S[tabsiod]|9__gnu_cxx|10__cxxabiv1)")
"""Mangled names of libstdc++'s own entities: both ABIs' libraries carry some of both kinds."""
_SKIP = re.compile(r"L[a-z]n?\d+E|S[0-9A-Z]*_|T[0-9]*_|A\d+_|_\d|__\d+_")
"""Parts of a mangled name with digits that count no characters: literals, substitutions, parameters, arrays."""


def cxx11_abi_of(path: Path) -> Optional[bool]:
    """As ``abi_of``, of a file.

    :raises ElfError: it is no ELF file.
    """
    return abi_of(read_elf(path))


def abi_of(info: ElfInfo) -> Optional[bool]:
    """Which ABI of libstdc++ a C++ library or program speaks: new, old, or ``None`` where its symbols do not tell.

    Decided by the symbols, exported and wanted, that pass ``std::string`` or ``std::list`` through functions which
    are not libstdc++'s own. Those of libstdc++ prove little: a library of the old ABI exports hundreds of ``__cxx11``
    names that its templates left there. They are asked only where nothing else is there, and only the wanted ones.

    :raises ElfError: the file is broken.
    """
    decided = _vote(n for n in info.exported_symbols | info.undefined_symbols if not _NOT_OURS.match(n))
    if decided is not None:
        return decided
    return _vote(n for n in info.undefined_symbols if _NOT_OURS.match(n))


def _vote(names: Iterable[str]) -> Optional[bool]:
    """All for one ABI, or undecided."""
    old = new = 0
    for name in names:
        if "__cxx11" in name:
            new += 1
        elif ("Ss" in name or "St4list" in name) and speaks_old_abi(name):
            old += 1
    # A few stray names of the other kind are forgiven: extern templates, a bundled library.
    if new and new > 20 * old:
        return True
    if old and old > 20 * new:
        return False
    return None


def speaks_old_abi(mangled: str) -> bool:
    """Does a mangled name hold ``std::string`` or ``std::list`` of the old ABI, outside of its identifiers?"""
    if not mangled.startswith("_Z") or "__cxx11" in mangled:
        return False
    at = 4 if mangled.startswith(("_ZTS", "_ZTI", "_ZTV", "_ZTT")) else 2
    while at < len(mangled):
        if mangled.startswith(("Ss", "St4list"), at):
            return True
        skip = _SKIP.match(mangled, at)
        if skip:
            at = skip.end()
            continue
        digits = re.compile(r"\d+").match(mangled, at)
        at = digits.end() + int(digits[0]) if digits else at + 1
    return False


# Where the loader would find what a file needs.


def expand_origin(entries: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """The folders of an RPATH; ``$ORIGIN`` is the folder of the file that has it."""
    origin = os.fspath(folder)
    return tuple(
        Path(os.path.normpath(entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))) for entry in entries
    )


def resolve_needed(
    info: ElfInfo,
    *,
    inherited_rpath: Sequence[Path] = (),
    library_path: Sequence[Path] = (),
    default_folders: Sequence[Path] = tuple(map(Path, DEFAULT_FOLDERS)),
) -> Mapping[str, Optional[Path]]:
    """Each DT_NEEDED of a file → the file that the loader would take, or ``None``.

    The loader's rules: DT_RPATH of the file and of what loaded it (``inherited_rpath``), unless the file has a
    DT_RUNPATH; then LD_LIBRARY_PATH (``library_path``); then the file's DT_RUNPATH, which children do not inherit;
    then the default folders. Files for another processor are passed over.
    """
    folder = info.path.parent
    if info.runpath:
        folders = [*library_path, *expand_origin(info.runpath, folder)]
    else:
        folders = [*expand_origin(info.rpath, folder), *inherited_rpath, *library_path]
    folders += default_folders
    return {name: find_library(name, folders, info.machine) for name in info.needed}


def find_library(name: str, folders: Iterable[Path], machine: str) -> Optional[Path]:
    """A needed library for a processor in the first folder that has it; a name with a slash is a path."""
    if "/" in name:
        return Path(name) if os.path.exists(name) else None
    for folder in folders:
        path = folder / name
        if os.path.isfile(path) and header_machine(path) in (machine, None):
            return path
    return None


def header_machine(path: Path) -> Optional[str]:
    """The processor in an ELF header, without reading more; ``None`` where it is none that we have a name for."""
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return None
    (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return {62: "x86_64", 183: "aarch64"}.get(machine)


@dataclass(frozen=True)
class MissingLibrary:
    """A library that the loader would not find."""

    name: str
    needed_by: Path


def find_missing(
    paths: Sequence[Path],
    *,
    provided: Iterable[str] = (),
    library_path: Sequence[Path] = (),
    default_folders: Sequence[Path] = tuple(map(Path, DEFAULT_FOLDERS)),
) -> tuple[MissingLibrary, ...]:
    """What files need, directly or through others, and the loader would not find; in the order of a walk.

    :param provided: names that are there wherever the files run (the C library, a driver); not looked for.
    """
    known = set(provided)
    missing: dict[str, Path] = {}
    seen: set[str] = set()
    todo: list[tuple[Path, tuple[Path, ...]]] = [(path, ()) for path in paths]
    # A library that is loaded already satisfies a later DT_NEEDED of the same name.
    loaded = {path.name for path in paths}
    while todo:
        path, inherited = todo.pop(0)
        key = os.path.realpath(path)
        if key in seen:
            continue
        seen.add(key)
        info = read_elf(path)
        own = () if info.runpath else (*expand_origin(info.rpath, path.parent), *inherited)
        found = resolve_needed(
            info, inherited_rpath=inherited, library_path=library_path, default_folders=default_folders
        )
        for name, where in found.items():
            if name in known or name in loaded:
                continue
            if where is None:
                missing.setdefault(name, path)
            else:
                loaded.add(name)
                todo.append((where, tuple(dict.fromkeys(own))))
    return tuple(MissingLibrary(name, path) for name, path in missing.items() if name not in loaded)
