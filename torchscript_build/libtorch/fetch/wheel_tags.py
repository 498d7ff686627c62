"""Which wheel on an index holds the libtorch that somebody wants: the tries to make with pip, best first; pure.

The Python that a wheel is for matters to libtorch_python only: any release can be had, whatever Python runs here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.accelerator import parse_cuda_tag
from torchscript_build.libtorch.releases import OLDEST, Version, release_row
from torchscript_build.libtorch.versions import release_of

PythonVersion = tuple[int, int]


class Series(NamedTuple):
    """What PyPI has of the releases from one series on, up to the next row."""

    series: Version
    oldest_python: PythonVersion
    newest_python: PythonVersion
    cuda: str
    """The CUDA tag of the Linux x86_64 wheel, which bears no local version in its file name."""


SERIES: tuple[Series, ...] = (
    # series   Pythons with a wheel  CUDA on PyPI; both read in the wheels' names and in their version.py
    Series((1, 8), (3, 6), (3, 9), "cu102"),
    Series((1, 10), (3, 6), (3, 9), "cu102"),
    Series((1, 11), (3, 7), (3, 10), "cu102"),
    Series((1, 13), (3, 7), (3, 11), "cu117"),
    Series((2, 0), (3, 8), (3, 11), "cu117"),
    Series((2, 1), (3, 8), (3, 11), "cu121"),
    Series((2, 2), (3, 8), (3, 12), "cu121"),
    Series((2, 5), (3, 9), (3, 12), "cu124"),
    Series((2, 6), (3, 9), (3, 13), "cu124"),
    Series((2, 7), (3, 9), (3, 13), "cu126"),
    Series((2, 8), (3, 9), (3, 13), "cu128"),
    Series((2, 9), (3, 10), (3, 14), "cu128"),
    Series((2, 11), (3, 10), (3, 14), "cu130"),
    Series((2, 15), (3, 11), (3, 15), "cu132"),
)

AFTER_THE_TABLE = 3
"""How many Pythons newer than the last row's are tried for a release newer than the table."""

GLIBC_MINORS = {"x86_64": range(39, 4, -1), "aarch64": range(39, 16, -1)}
"""PyPI's wheels are manylinux1 (glibc 2.5; x86_64) and 2014 (2.17; aarch64) up to 2.6, 2_28 since; NVIDIA's 2_27 and
others. pip adds no older ones to a tag that it is given."""
LEGACY_MANYLINUX = {"x86_64": ("2014", "2010", "1")}

NEWEST_MACOS = 26
"""pip adds all older ones itself."""

OLD_ABI_SUFFIX = "cxx11.abi"
"""torch's index has CPU wheels with the new ABI up to 2.7 as ``2.6.0+cpu.cxx11.abi``."""


class Wanted(NamedTuple):
    """What was asked for, checked."""

    version: str
    """With three numbers, without a local part: ``"2.6.0"``."""
    local: Optional[str] = None
    """``"cu124"``, ``"cpu"``; ``None``: the index's default build."""
    new_abi: Optional[bool] = None
    python: Optional[PythonVersion] = None

    @property
    def release(self) -> Version:
        return release_of(self.version)

    @property
    def name(self) -> str:
        return f"{self.version}+{self.local}" if self.local else self.version


class Try(NamedTuple):
    """One question to pip."""

    requirement: str
    """``torch===2.6.0``. Three signs compare texts, so that a build with a local part (``2.6.0+cpu``) is not taken."""
    python: PythonVersion


def parse_wanted(
    version: str,
    *,
    cuda: Optional[str] = None,
    cpu: bool = False,
    abi: Optional[str] = None,
    python: Optional[str] = None,
) -> Wanted:
    """A checked wish.

    :param version: ``"2.6.0"`` or ``"2.6.0+cu124"``.
    :param cuda: a tag, ``"cu124"``, or a release, ``"12.4"``.
    :param abi: ``"old"`` or ``"new"``.
    :param python: ``"3.11"``.
    :raises SettingsError: with every problem.
    """
    problems = []
    match = re.fullmatch(r"v?(\d+\.\d+\.\d+(?:a|b|rc|\.post|\.dev)?\d*)(?:\+([a-z0-9]+(?:[._-][a-z0-9]+)*))?", version)
    if not match:
        problems.append(f"version: {version!r} is no release of torch; write the whole version, 2.6.0 or 2.6.0+cu124")
    elif release_of(match[1]) < OLDEST:
        problems.append(f"version: {version} is older than 1.8.1, the oldest that torchscript-build supports")
    tag = None
    if cuda is not None:
        tag = cuda if parse_cuda_tag(cuda) else f"cu{cuda.replace('.', '')}"
        if parse_cuda_tag(tag) is None or not re.fullmatch(r"cu\d+", tag):
            problems.append(f"cuda: {cuda!r} is no CUDA release; write cu124 or 12.4")
    locals_ = [x for x in (match[2] if match else None, tag, "cpu" if cpu else None) if x]
    if len(set(locals_)) > 1:
        problems.append(f"{' and '.join(dict.fromkeys(locals_))} are different builds: ask for one")
    if abi not in (None, "old", "new"):
        problems.append(f"abi: {abi!r} is neither old nor new")
    target = re.fullmatch(r"(?:cp)?3\.?(\d{1,2})", python) if python is not None else None
    if python is not None and target is None:
        problems.append(f"python: {python!r} is no Python version; write 3.11")
    if problems or match is None:
        raise SettingsError(problems)
    return Wanted(
        match[1],
        locals_[0] if locals_ else None,
        None if abi is None else abi == "new",
        (3, int(target[1])) if target else None,
    )


def series_row(release: Version) -> Series:
    """The row of a release; the last one for a newer release."""
    return next((row for row in reversed(SERIES) if row.series <= tuple(release[:2])), SERIES[0])


def plan_tries(wanted: Wanted, *, platform: str, machine: str, running: PythonVersion) -> tuple[Try, ...]:
    """The questions to pip, best first: each build that will do, for each Python that may have it.

    :param platform: ``sys.platform`` of the machine that the libtorch is for.
    :param running: the version of the Python here, whose libtorch_python is the most useful.
    """
    pythons = (wanted.python,) if wanted.python else tuple(_pythons(wanted.release, running))
    requirements = dict.fromkeys(_requirements(wanted, platform, machine))
    return tuple(Try(requirement, python) for requirement in requirements for python in pythons)


def _pythons(release: Version, running: PythonVersion) -> Iterator[PythonVersion]:
    """The running one where it has a wheel, then at most three others, from the newest down."""
    row = series_row(release)
    beyond = AFTER_THE_TABLE if tuple(release[:2]) > SERIES[-1].series else 0
    every = [(3, minor) for minor in range(row.newest_python[1] + beyond, row.oldest_python[1] - 1, -1)]
    if running in every:
        yield running
    yield from [p for p in every if p != running][: 3 + beyond]


def default_tag(release: Version, platform: str, machine: str) -> Optional[str]:
    """The build that PyPI's wheel without a local part is; ``None`` where the table does not know."""
    series = tuple(release[:2])
    if platform == "darwin" or platform == "win32":
        return "cpu"
    if machine == "x86_64":
        return series_row(release).cuda if series <= SERIES[-1].series else None
    return "cpu" if series <= (2, 10) else None


def _requirements(wanted: Wanted, platform: str, machine: str) -> Iterator[str]:
    version, local = wanted.version, wanted.local
    default = default_tag(wanted.release, platform, machine)
    if local is None:
        yield f"torch==={version}"
        yield f"torch=={version}"  # an index of one variant has only builds with a local part
        return
    row = release_row(wanted.release)
    if local == "cpu" and platform == "linux" and wanted.new_abi and row.cxx11_abi is None:
        yield f"torch==={version}+cpu.{OLD_ABI_SUFFIX}"
    yield f"torch==={version}+{local}"
    if default is None or default == local:
        yield f"torch==={version}"


def conflicting_abi(wanted: Wanted, *, platform: str, machine: str) -> Optional[bool]:
    """The ABI of the only build that would be found, where it is known not to be the one asked for."""
    if platform != "linux" or wanted.new_abi is None:
        return None
    row = release_row(wanted.release)
    if row.cxx11_abi is not None:
        return row.cxx11_abi if row.cxx11_abi != wanted.new_abi else None
    on_pypi = row.pypi_cxx11_abi_aarch64 if machine == "aarch64" else row.pypi_cxx11_abi_x86_64
    if wanted.local is None and on_pypi != wanted.new_abi:
        return on_pypi
    return None


def tag_options(python: PythonVersion, *, platform: str, machine: str) -> tuple[str, ...]:
    """pip's options that choose a wheel for a CPython and a machine, other than the running one."""
    name = f"cp{python[0]}{python[1]}"
    options = ["--python-version", f"{python[0]}.{python[1]}", "--implementation", "cp"]
    # macOS wheels up to 2.x are tagged cp39-none-…; pythons before 3.8 have an m in their ABI's name.
    for abi in (name + ("m" if python < (3, 8) else ""), "abi3", "none"):
        options += ["--abi", abi]
    for tag in _platform_tags(platform, machine):
        options += ["--platform", tag]
    return tuple(options)


def _platform_tags(platform: str, machine: str) -> Iterator[str]:
    if platform == "linux":
        for minor in GLIBC_MINORS.get(machine, GLIBC_MINORS["aarch64"]):
            yield f"manylinux_2_{minor}_{machine}"
        for name in LEGACY_MANYLINUX.get(machine, ("2014",)):
            yield f"manylinux{name}_{machine}"
        yield f"linux_{machine}"
    elif platform == "darwin":
        yield f"macosx_{NEWEST_MACOS}_0_{'arm64' if machine == 'arm64' else 'x86_64'}"
        yield f"macosx_{NEWEST_MACOS}_0_universal2"
    else:
        yield "win_arm64" if machine.upper() == "ARM64" else "win_amd64"
