"""Resolves native files as the loader will where a package is installed: in a site-packages with torch beside it."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.records import dataclass
from torchscript_build.system import elf
from torchscript_build.system.elf import ElfInfo

SITE = "/site-packages"
"""What the folder is called here; nothing of the real file system lies below it."""

PROVIDED = re.compile(r"(ld-linux|libcuda\.so|libpython3)")
"""The loader itself, the driver's library, and what an interpreter brings along."""


@dataclass(frozen=True)
class Place:
    """Where files will lie: folders that are not there yet, and what each of them is on this machine."""

    folders: Mapping[str, Path]

    def locate(self, path: str) -> Optional[Path]:
        """The file of a path; ``None`` where there is none."""
        for folder in sorted(self.folders, key=len, reverse=True):
            if path == folder or path.startswith(folder.rstrip("/") + "/"):
                real = self.folders[folder] / path[len(folder) :].lstrip("/")
                return real if real.is_file() else None
        return Path(path) if os.path.isfile(path) else None


@dataclass(frozen=True)
class Missing:
    """A library that the loader will not find."""

    name: str
    needed_by: str
    """Path below the root."""
    program: str
    """What then does not start or load; path below the root."""


def site_with_torch(libtorch: LibTorch, package_tree: Mapping[str, Path]) -> Place:
    """A site-packages with a package tree, this torch, and what lies beside it here.

    :param package_tree: folder below the site-packages, ``""`` for itself → the folder on this machine.
    """
    beside = libtorch.root.parent
    folders = {SITE: beside} if libtorch.layout == "wheel" else {}
    folders[f"{SITE}/torch/lib"] = libtorch.library_dirs[0]
    if libtorch.layout == "wheel":
        folders[f"{SITE}/nvidia"] = beside / "nvidia"
    return Place({**folders, **{posixpath.join(SITE, f).rstrip("/"): p for f, p in package_tree.items()}})


def find_unstartable(
    files: Sequence[str],
    place: Place,
    root: str,
    *,
    provided: Sequence[str] = (),
    loaded_with_torch: bool = False,
) -> tuple[Missing, ...]:
    """What programs, Python modules and libraries need, directly or through others that are shipped, and will miss.

    :param files: the shipped ELF files, below ``root``.
    :param root: the folder of the place that they lie below.
    :param provided: further names that are there.
    :param loaded_with_torch: libraries and modules may rely on libtorch's being loaded before.
    """
    walk = _Walk(place, root, frozenset(files), provided)
    libtorch_lib = place.folders.get(f"{SITE}/torch/lib")
    torch_names = {p.name for p in libtorch_lib.glob("*.so*")} if libtorch_lib else set()
    missing: dict[tuple[str, str], Missing] = {}
    reached: set[str] = set()
    programs = [f for f in files if walk.info(f).interpreter]
    for program in programs:
        loader = walk.info(program).interpreter
        if loader and posixpath.isabs(loader) and place.locate(loader) is None:
            missing[loader, program] = Missing(loader, program, program)
        for found in walk.missing(program, reached):
            missing.setdefault((found.name, found.needed_by), found)
    for library in (f for f in files if f not in programs and f not in reached):
        for found in walk.missing(library, set()):
            if not (loaded_with_torch and found.name in torch_names):
                missing.setdefault((found.name, found.needed_by), found)
    return tuple(missing.values())


class _Walk:
    """The loader's rules, over a place."""

    def __init__(self, place: Place, root: str, files: frozenset[str], provided: Sequence[str]) -> None:
        self.place, self.root, self.files, self.provided = place, root, files, provided
        self._infos: dict[str, ElfInfo] = {}

    def info(self, file: str) -> ElfInfo:
        if file not in self._infos:
            real = self.place.locate(posixpath.join(self.root, file))
            assert real is not None
            self._infos[file] = elf.read_elf(real)
        return self._infos[file]

    def missing(self, start: str, reached: set[str]) -> Iterator[Missing]:
        """In the loader's order, breadth first; a library that is loaded already serves all who need its name."""
        names = {posixpath.basename(start), self.info(start).soname}
        lacking: dict[str, Missing] = {}
        todo: list[tuple[str, tuple[str, ...]]] = [(start, ())]
        while todo:
            file, inherited = todo.pop(0)
            reached.add(file)
            info = self.info(file)
            own = () if info.runpath else (*self._folders(info.rpath, file), *inherited)
            searched = (*self._folders(info.runpath, file), *own, *elf.DEFAULT_FOLDERS)
            for name in info.needed:
                if name in names or name in self.provided or PROVIDED.match(name):
                    continue
                found = next((p for p in self._candidates(name, searched) if self._fits(p, info)), None)
                if found is None:
                    lacking.setdefault(name, Missing(name, file, start))
                    continue
                names.add(name)
                inside = posixpath.relpath(found, self.root)
                if inside in self.files:
                    todo.append((inside, own))
        yield from (m for m in lacking.values() if m.name not in names)

    def _folders(self, entries: Sequence[str], file: str) -> list[str]:
        origin = posixpath.dirname(posixpath.join(self.root, file))
        expanded = (e.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for e in entries)
        return [posixpath.normpath(e) for e in expanded]

    @staticmethod
    def _candidates(name: str, folders: Sequence[str]) -> list[str]:
        return [name] if "/" in name else [posixpath.join(f, name) for f in folders]

    def _fits(self, path: str, info: ElfInfo) -> bool:
        real = self.place.locate(path)
        return real is not None and elf.header_machine(real) in (info.machine, None)


def describe_missing(missing: Sequence[Missing]) -> list[str]:
    """One line for each program, module or library that would not start."""
    lines = []
    for program in dict.fromkeys(m.program for m in missing):
        words = [
            m.name if m.needed_by == program else f"{m.name} (for {posixpath.basename(m.needed_by)})"
            for m in missing
            if m.program == program
        ]
        lines.append(f"{program} would not find {', '.join(words)} beside the torch that it is installed with")
    return lines


def is_python_module(file: str, info: ElfInfo) -> bool:
    """Is a shared library an extension module, by the function that Python looks for in it?"""
    stem = posixpath.basename(file).split(".")[0]
    return f"PyInit_{stem}" in info.exported_symbols
