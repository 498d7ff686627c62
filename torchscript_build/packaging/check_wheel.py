"""Looks at a finished wheel, whichever back end made it: what it lacks to work beside an installed torch."""

from __future__ import annotations

import posixpath
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Optional

from torchscript_build import system
from torchscript_build.build.verify import SHARED_RUNTIME, TWO_RUNTIMES, brings_cxx_runtime
from torchscript_build.errors import ModelError, VerificationError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.models.archive import UNREADABLE, read_archive
from torchscript_build.models.package import Package
from torchscript_build.plan.parts import part_of, series_folder
from torchscript_build.records import dataclass
from torchscript_build.system import elf
from torchscript_build.system.elf import ElfInfo

OF_TORCH = re.compile(r"lib(torch|c10)(_\w+)?(-[0-9a-f]{8})?\.so")
"""Also as auditwheel calls the copy that it puts into a wheel."""
PYTHON = re.compile(r"libtorch_python\.|libpython3")
CXX_INTERFACE = re.compile(r"_ZN?K?(2at|3c10|5torch)\d")
"""Symbols of torch's C++ interface, which stays the same within a minor release only."""
SCRIPTS = re.compile(r"[^/]+\.data/(scripts|data)/")
PACKAGES = re.compile(r"[^/]+\.data/(platlib|purelib)/")


@dataclass(frozen=True)
class Advice:
    """One thing that a wheel lacks."""

    what: str
    cures: tuple[str, ...] = ()
    """What to type, for one back end each."""
    is_problem: bool = True
    """Will it fail for somebody? Otherwise it works, but not as widely as it could."""


@dataclass(frozen=True)
class _Binary:
    name: str
    """Its path in the site-packages, or in the wheel where it is installed elsewhere."""
    info: ElfInfo

    @property
    def part(self) -> str:
        """The folder of the series of torch that it is for, in a wheel for several."""
        return part_of(self.name)

    @property
    def is_program(self) -> bool:
        return self.info.interpreter is not None

    @property
    def is_module(self) -> bool:
        return any(symbol.startswith("PyInit_") for symbol in self.info.exported_symbols)

    @property
    def needs_torch(self) -> bool:
        return any(OF_TORCH.match(name) for name in self.info.needed)

    @property
    def is_bound(self) -> bool:
        """Does it use torch's C++ interface, and not only the stable one?"""
        return any(CXX_INTERFACE.match(symbol) for symbol in self.info.undefined_symbols)


def check_wheel(wheel: Path, libtorch: LibTorch) -> tuple[Advice, ...]:
    """Everything that is missing; empty for a wheel that is fit to be shipped.

    :param libtorch: the one that it was built for.
    :raises VerificationError: it is no wheel, or holds a broken binary.
    """
    if system.is_endless(wheel):
        raise VerificationError(f"{wheel} is a pipe or a device, and no wheel")
    try:
        with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
            names = archive.namelist()
            metadata = _read(archive, names, "METADATA")
            tags = HeaderParser().parsestr(_read(archive, names, "WHEEL")).get_all("Tag") or []
            every = list(_binaries(archive, Path(folder)))
            parts = {b.part for b in every} - {""}
            binaries = [b for b in every if b.part in ("", series_folder(libtorch.series))]
            packages = list(_packages(archive, Path(folder)))
            return (
                *_check_tag(tags, every),
                *_check_parts(parts, libtorch),
                *_check_requirement(
                    HeaderParser().parsestr(metadata).get_all("Requires-Dist") or [], binaries, libtorch, parts
                ),
                *(advice for binary in binaries for advice in _check_binary(binary, binaries, libtorch)),
                *(advice for name, package in packages for advice in check_package(name, package, tags, libtorch)),
            )
    except UNREADABLE as error:
        raise VerificationError(f"{wheel} cannot be read as a wheel: {error}") from error


def _read(archive: zipfile.ZipFile, names: Sequence[str], file: str) -> str:
    found = [n for n in names if re.fullmatch(rf"[^/]+\.dist-info/{file}", n)]
    if not found:
        raise VerificationError(f"{archive.filename} is no wheel: it has no .dist-info/{file}")
    return archive.read(found[0]).decode("utf-8", errors="replace")


def _binaries(archive: zipfile.ZipFile, folder: Path) -> Iterator[_Binary]:
    for entry in archive.infolist():
        with archive.open(entry) as file:
            is_elf = file.read(4) == b"\x7fELF"
        if is_elf:
            info = elf.read_elf(Path(archive.extract(entry, folder)))
            yield _Binary(PACKAGES.sub("", entry.filename), info)


def _packages(archive: zipfile.ZipFile, folder: Path) -> Iterator[tuple[str, Package]]:
    """The ``.pt2`` packages in a wheel, by their paths in the site-packages."""
    for entry in archive.infolist():
        if entry.filename.endswith(".pt2"):
            try:
                package = read_archive(Path(archive.extract(entry, folder)), checksums=False).package
            except ModelError:
                continue  # a package of somebody's data; what an app carries was loaded when it was built
            if package is not None:
                yield PACKAGES.sub("", entry.filename), package


def check_package(name: str, package: Package, tags: Sequence[str], libtorch: LibTorch) -> Iterator[Advice]:
    """What a package needs that the wheel's tag and requirement do not promise."""
    if package.machine and tags and not any(tag.endswith(package.machine) for tag in tags):
        yield Advice(f"{name}: compiled for {package.machine}, which the tag {', '.join(tags)} does not say")
    series = ".".join(package.torch.split(".")[:2])
    if series and series != libtorch.series:
        cure = f"compile it again with torch {libtorch.series}"
        yield Advice(f"{name}: compiled by torch {package.torch}, and the wheel is for {libtorch.series}", (cure,))
    if package.machine == "x86_64" and package.level != "x86-64":
        portable = package.level in ("x86-64-v2", "x86-64-v3")
        yield Advice(
            f"{name}: needs {package.words()}; elsewhere the program says so and ends",
            () if portable else ('in the model\'s settings: cpu = "x86-64-v3"',),
            is_problem=False,
        )


def _check_tag(tags: Sequence[str], binaries: Sequence[_Binary]) -> Iterator[Advice]:
    shown = ", ".join(tags)
    if not binaries:
        yield Advice("it has no binary: nothing was built, or nothing was installed into the package")
    elif any(tag.endswith("-any") for tag in tags):
        yield Advice(
            f"its tag is {shown}, and it holds binaries: it would be installed on other platforms, too",
            (
                "scikit-build-core: wheel.platlib = true",
                "Meson: install the libraries with py.get_install_dir(pure: false)",
                "setuptools: list the packages under [tool.torchscript-build]",
            ),
        )
    elif not any(_needs_python(b) for b in binaries) and not any(tag.startswith("py") for tag in tags):
        yield Advice(
            f"its tag is {shown}, but nothing in it depends on Python's version: one wheel would do for all",
            (
                'scikit-build-core: wheel.py-api = "py3"',
                'py-build-cmake: [tool.py-build-cmake.wheel] python_tag = ["py3"]',
            ),
            is_problem=False,
        )


def _check_parts(parts: AbstractSet[str], libtorch: LibTorch) -> Iterator[Advice]:
    """A wheel for several series is looked at for one of them at a time."""
    others = sorted(parts - {series_folder(libtorch.series)})
    if others and len(others) == len(parts):
        yield Advice(
            f"it is for other series of torch ({', '.join(others)}), none of which is {libtorch.series}",
            ("name a libtorch that it was built for: --libtorch FOLDER",),
        )
    elif others:
        yield Advice(
            f"{', '.join(others)}: not looked at with libtorch {libtorch.full_version}",
            ("once more for each: --libtorch fetched:VERSION",),
            is_problem=False,
        )


def _needs_python(binary: _Binary) -> bool:
    return binary.is_module or any(PYTHON.match(name) for name in binary.info.needed)


def _check_requirement(
    requirements: Sequence[str], binaries: Sequence[_Binary], libtorch: LibTorch, parts: AbstractSet[str]
) -> Iterator[Advice]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if not any(b.needs_torch for b in binaries):
        return
    wanted = f'dependencies = ["torch=={libtorch.series}.*"]'
    found = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) == "torch" and "extra" not in str(requirement.marker or ""):
            found.append(requirement)
    if not found:
        yield Advice("it does not require torch, which its binaries need", (f"in [project]: {wanted}",))
        return
    specifier = found[0].specifier
    if not specifier.contains(libtorch.version, prereleases=True):
        yield Advice(
            f"it requires {found[0]}, and was built for {libtorch.full_version} as far as can be told here",
            (f"in [project]: {wanted}", "name the libtorch that it was built for: --libtorch FOLDER"),
        )
    elif any(b.is_bound for b in binaries):
        major, minor = map(int, libtorch.series.split("."))
        others = [f"{major}.{minor + 1}.0", *([f"{major}.{minor - 1}.0"] if minor else [])]
        there = {f"{series_folder('')}{o.rpartition('.')[0]}": o for o in others}
        allowed = [other for part, other in there.items() if specifier.contains(other) and part not in parts]
        if allowed:
            yield Advice(
                f"it requires {found[0]}, which allows torch {allowed[0]}: its binaries use torch's C++ interface, "
                f"which stays the same within {libtorch.series} only",
                (f"in [project]: {wanted}",),
            )


def _check_binary(binary: _Binary, binaries: Sequence[_Binary], libtorch: LibTorch) -> Iterator[Advice]:
    info, name = binary.info, binary.name
    if OF_TORCH.match(PurePosixPath(name).name):
        yield Advice(
            f"{name}: a copy of torch's own library, which crashes a process that imports torch",
            ("auditwheel repair $(torchscript-build auditwheel-args --wheel FILE) FILE",),
        )
        return
    if libtorch.cxx11_abi is not None:
        abi = elf.abi_of(info)
        if abi is not None and abi != libtorch.cxx11_abi:
            yield Advice(
                f"{name}: compiled with _GLIBCXX_USE_CXX11_ABI={int(abi)}, libtorch {libtorch.full_version} with "
                f"{int(libtorch.cxx11_abi)}",
                (
                    "link the target torch, which has the definition",
                    "name the libtorch that it was built for: --libtorch FOLDER",
                ),
            )
    if brings_cxx_runtime(info):
        yield Advice(f"{name}: {TWO_RUNTIMES}", (SHARED_RUNTIME,))
    entries = info.runpath or info.rpath
    absolute = [e for e in entries if not e.startswith(("$ORIGIN", "${ORIGIN}"))]
    if absolute:
        yield Advice(
            f"{name}: its RUNPATH has folders of the build machine: {':'.join(absolute)}", (_runpath_cure(name),)
        )
    python = [n for n in info.needed if PYTHON.match(n)]
    if python and binary.is_program:
        yield Advice(f"{name}: a program that needs {', '.join(python)}", ("link torch, not torch_python",))
    missing = [n for n in _unresolved(binary, binaries, libtorch) if n not in python]
    if missing:
        yield Advice(
            f"{name}: needs {', '.join(missing)}, which is neither in the wheel, nor torch's, nor the system's",
            ("auditwheel repair $(torchscript-build auditwheel-args --wheel FILE) FILE",),
        )
    if binary.needs_torch and not SCRIPTS.match(name) and not _leads_to_torch(name, entries):
        when = "does not start" if binary.is_program else "is loaded only after import torch"
        yield Advice(
            f"{name}: no entry of its RUNPATH leads to torch/lib beside it: it {when}",
            (_runpath_cure(name), f"Meson: install_rpath: '{_way(name)}'"),
            is_problem=binary.is_program,
        )


def _unresolved(binary: _Binary, binaries: Sequence[_Binary], libtorch: LibTorch) -> list[str]:
    own = sorted({b.info.path.parent for b in binaries})
    found = elf.resolve_needed(binary.info, library_path=[*libtorch.library_dirs, *own])
    return [name for name, where in found.items() if where is None and not re.match(r"lib(cu|nv|nccl)", name)]


def _leads_to_torch(name: str, entries: Sequence[str]) -> bool:
    folder = posixpath.dirname(name) or "."
    ways = (re.sub(r"^\$\{?ORIGIN\}?", lambda _: folder, e) for e in entries)
    return any(posixpath.normpath(way) == "torch/lib" for way in ways)


def _way(name: str) -> str:
    return f"$ORIGIN/{posixpath.relpath('torch/lib', posixpath.dirname(name) or '.')}"


def _runpath_cure(name: str) -> str:
    stem = PurePosixPath(name).name.partition(".")[0].removeprefix("lib")
    return f"CMake, after find_package(Torch): ts_install_rpath({stem})"


def format_advice(advice: Sequence[Advice]) -> Optional[str]:
    """Each as a line with what to type below it; ``None`` where there is none."""
    lines = []
    for one in advice:
        lines.append(f"{'problem' if one.is_problem else 'note'}: {one.what}")
        lines += [f"    - {cure}" for cure in one.cures]
    return "\n".join(lines) or None
