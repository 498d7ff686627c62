"""A wheel's files before they are packed: what tag they allow, and whether a user could start and load them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Optional

from torchscript_build import log
from torchscript_build.build.as_installed import (
    SITE,
    describe_missing,
    find_unstartable,
    is_python_module,
    site_with_torch,
)
from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.packaging.auditwheel import CUDA_PATTERNS
from torchscript_build.plan.parts import part_of
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.system import elf

_EXACT = re.compile(r"\.(cpython-\d+|cp\d+|pypy\d+|graalpy)[^./]*\.(so|pyd)\Z")
_AWAY = re.compile(r"torch/|[^/]*\.data/")
"""What does not lie beside torch: torch's own folder, and what goes elsewhere than into site-packages."""
_ABI3 = re.compile(r"\.abi3\.(so|dylib)\Z")


@dataclass(frozen=True)
class NativeFiles:
    """The native files of a folder that becomes a wheel; paths relative to it, with forward slashes."""

    exact: tuple[str, ...] = ()
    """Extension modules for one Python."""
    limited: tuple[str, ...] = ()
    """Extension modules for Python's limited API."""
    plain: tuple[str, ...] = ()
    """Programs and libraries."""

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.exact, *self.limited, *self.plain)


def find_native_files(root: Path) -> NativeFiles:
    """Sort the native files below a folder, by their names, and ELF files by what they export."""
    exact, limited, plain = [], [], []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = path.relative_to(root).as_posix()
        if _EXACT.search(name):
            exact.append(name)
        elif _ABI3.search(name):
            limited.append(name)
        elif name.endswith(".pyd") or (
            ".so" in name and elf.is_elf(path) and is_python_module(name, elf.read_elf(path))
        ):
            exact.append(name)
        elif elf.is_elf(path) or name.endswith((".dll", ".dylib", ".exe")):
            plain.append(name)
    return NativeFiles(tuple(exact), tuple(limited), tuple(plain))


def wheel_tag(
    files: NativeFiles, exact: tuple[str, str, str], *, promised: Iterable[str], building: str
) -> tuple[str, str, str]:
    """``py3-none`` without Python modules, abi3 where all of them keep to the limited API, else the exact tag.

    :param promised: the Pythons from which on modules for the limited API work, ``"3.9"``, as far as the project says;
        without, the one that builds.
    """
    if files.exact:
        return exact
    if files.limited:
        newest = max(tuple(map(int, v.split("."))) for v in (tuple(promised) or (building,)))
        return f"cp{newest[0]}{newest[1]}", "abi3", exact[2]
    return "py3", "none", exact[2]


def promised_pythons(
    spec: ProjectSpec, files: Sequence[str], own_modules: Collection[str], setuptools_own: Optional[str], building: str
) -> list[str]:
    """What is promised of modules for the limited API, each from where it comes.

    :param own_modules: package-tree paths of our operator libraries that are such modules.
    :param setuptools_own: bdist_wheel's ``py_limited_api``, ``"cp39"``, for everybody's.
    """
    promised = [o.limited_api for o in spec.packaged_ops if o.limited_api]
    if any(f not in own_modules for f in files):
        said = [p.limited_api for p in spec.packaged_cmake if p.limited_api]
        if setuptools_own:
            said.append(f"{setuptools_own[2]}.{setuptools_own[3:]}")
        promised += said or [building]
    return promised


def check_wheel_files(
    root: Path,
    libtorch: LibTorch,
    *,
    declared: Iterable[str],
    own: Collection[str],
    link_dirs: Iterable[Path] = (),
    own_libraries: Iterable[Path] = (),
    without: Collection[str] = (),
) -> None:
    """Check what is about to become a wheel.

    Files that others built are told of only: they may rely on what another package loads before.

    :param declared: package-tree paths that must be there.
    :param own: those that we built.
    :param link_dirs: folders of the machine, whose libraries are found by other means.
    :param without: folders of series that another libtorch is for; ``""``: what is in none of such folders.
    :param own_libraries: what the project links of its own folder, which is not there where the wheel is installed.
    :raises VerificationError: one is missing, or one of ours would not find a library.
    """
    lacking = [name for name in declared if not (root / name).is_file()]
    if lacking:
        raise VerificationError(
            "the wheel lacks what the settings declare:\n" + "\n".join(f"  - {name}" for name in lacking)
        )
    if libtorch.platform != "linux":
        return
    files = [n for n in find_native_files(root).all if elf.is_elf(root / n) and not _AWAY.match(n)]
    files = [n for n in files if part_of(n) not in without]
    linked = {p.name for p in own_libraries}
    elsewhere = [p.name for d in link_dirs for p in d.glob("*.so*")]
    infos = {f: elf.read_elf(root / f) for f in files}
    needed = {n for info in infos.values() for n in info.needed}
    provided = [*elsewhere, *(n for n in needed if any(fnmatchcase(n, p) for p in CUDA_PATTERNS))]
    place = site_with_torch(libtorch, {top.name: top for top in root.iterdir() if top.name != "torch"})
    missing = find_unstartable(files, place, SITE, provided=provided)
    torch_names = {p.name for d in libtorch.library_dirs for p in d.glob("*.so*")}
    sure = [m for m in missing if m.program in own]
    foreign = [m for m in missing if m.program not in own and m.name not in torch_names]
    for line in describe_missing(foreign):
        log.warn(line)
    problems = [*describe_missing(sure), *_unusable({f: info for f, info in infos.items() if f in own})]
    if problems:
        raise VerificationError(
            "the wheel holds what could not start where it is installed:\n" + "\n".join(f"  - {p}" for p in problems),
            cures=[_SHIP] if any(m.name in linked for m in sure) else [],
        )


_SHIP = (
    "put the library that is linked into the package, and lead there: package-data, and "
    'link-options = ["-Wl,-rpath,$ORIGIN/…"]'
)


def _unusable(infos: Mapping[str, elf.ElfInfo]) -> Iterator[str]:
    """What of ours nobody could start or import, whatever it needs."""
    for file, info in infos.items():
        if info.interpreter and not info.path.stat().st_mode & 0o111:
            yield f"{file} is a program that has no right to be started"
        if (_EXACT.search(file) or _ABI3.search(file)) and not is_python_module(file, info):
            found = sorted(s for s in info.exported_symbols if s.startswith("PyInit_"))
            name = PurePosixPath(file).name.partition(".")[0]
            yield f"{file} is no Python module: it has {', '.join(found) or 'no PyInit_…'}, wanted is PyInit_{name}"
