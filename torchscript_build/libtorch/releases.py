"""The table of libtorch's releases, as data: what follows from the version alone.

Read in the wheels of every series; where a libtorch's own files say something, they are believed first.
A release newer than the table is treated like the last row; 1.8.1 is the oldest that is supported.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

Version = tuple[int, ...]

OLDEST: Version = (1, 8, 1)


class Release(NamedTuple):
    """One series, such as 2.13."""

    series: Version
    """Major and minor."""
    cxx_standard: int
    """The C++ standard in TorchConfig.cmake, which the headers want."""
    gcc: Version
    """The oldest GCC: what ``c10/util/C++17.h`` refuses, else what the C++ standard or torch's README asks for."""
    clang: Version
    """The oldest Clang, by the same sources."""
    cxx11_abi: Optional[bool]
    """libstdc++'s ABI of every build of this series for Linux; ``None`` where builds of both kinds exist."""
    pypi_cxx11_abi_x86_64: bool
    """The same of the wheel on PyPI for x86_64."""
    pypi_cxx11_abi_aarch64: bool
    """The same of the wheel on PyPI for aarch64."""
    archive_format: int
    """The highest TorchScript archive file format that it reads (``caffe2/serialize/versions.h``)."""


_OLD, _NEW, _BOTH = False, True, None

RELEASES: tuple[Release, ...] = (
    # series  std  gcc      clang  abi    x86_64 aarch64 format
    Release((1, 8), 14, (5,), (4,), _BOTH, _OLD, _OLD, 5),
    Release((1, 9), 14, (5,), (4,), _BOTH, _OLD, _OLD, 6),
    Release((1, 10), 14, (5,), (4,), _BOTH, _OLD, _OLD, 6),
    Release((1, 11), 14, (5,), (4,), _BOTH, _OLD, _OLD, 9),
    Release((1, 12), 14, (5,), (4,), _BOTH, _OLD, _OLD, 10),
    Release((1, 13), 14, (5,), (4,), _BOTH, _OLD, _OLD, 10),
    Release((2, 0), 17, (7,), (5,), _BOTH, _OLD, _OLD, 10),
    Release((2, 1), 17, (7,), (5,), _BOTH, _OLD, _OLD, 10),
    Release((2, 2), 17, (9,), (9,), _BOTH, _OLD, _OLD, 10),
    Release((2, 3), 17, (9,), (9,), _BOTH, _OLD, _OLD, 10),
    Release((2, 4), 17, (9,), (9,), _BOTH, _OLD, _OLD, 10),
    Release((2, 5), 17, (9,), (9,), _BOTH, _OLD, _OLD, 10),
    Release((2, 6), 17, (9,), (9,), _BOTH, _OLD, _NEW, 10),
    Release((2, 7), 17, (9,), (9,), _BOTH, _NEW, _NEW, 10),
    Release((2, 8), 17, (9,), (9,), _NEW, _NEW, _NEW, 10),
    Release((2, 9), 17, (9,), (9,), _NEW, _NEW, _NEW, 10),
    Release((2, 10), 17, (9,), (9,), _NEW, _NEW, _NEW, 10),
    Release((2, 11), 17, (9,), (9,), _NEW, _NEW, _NEW, 10),
    Release((2, 12), 20, (11, 3), (10,), _NEW, _NEW, _NEW, 10),
    Release((2, 13), 20, (11, 3), (10,), _NEW, _NEW, _NEW, 10),
    Release((2, 14), 20, (11, 3), (10,), _NEW, _NEW, _NEW, 10),
    Release((2, 15), 20, (11, 3), (10,), _NEW, _NEW, _NEW, 10),
)


def release_row(version: Version) -> Release:
    """The row of a release; the last one for a release that is newer than the table.

    :param version: at least major and minor, not older than 1.8.
    """
    series = tuple(version[:2])
    return next((row for row in reversed(RELEASES) if row.series <= series), RELEASES[0])


def is_tabled(version: Version) -> bool:
    """Is there a row for this very series?"""
    return RELEASES[0].series <= tuple(version[:2]) <= RELEASES[-1].series
