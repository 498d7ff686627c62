"""The table of releases."""

from __future__ import annotations

import pytest

from torchscript_build.libtorch.releases import OLDEST, RELEASES, is_tabled, release_row


def test_the_table_is_sorted_and_has_no_gaps() -> None:
    series = [row.series for row in RELEASES]
    assert series == [(1, minor) for minor in range(8, 14)] + [(2, minor) for minor in range(16)]


def test_the_old_end() -> None:
    assert OLDEST == (1, 8, 1)
    assert release_row(OLDEST) is RELEASES[0]


@pytest.mark.parametrize("version", [(2, 16), (2, 99, 1), (3, 0, 0)])
def test_the_new_end_is_open(version: tuple[int, ...]) -> None:
    assert release_row(version) is RELEASES[-1]
    assert not is_tabled(version)


@pytest.mark.parametrize("row", RELEASES, ids=lambda row: ".".join(map(str, row.series)))
def test_a_row_makes_sense(row: object) -> None:
    assert row in RELEASES
    row = RELEASES[RELEASES.index(row)]  # type: ignore[arg-type]
    assert release_row(row.series) is row
    assert row.cxx_standard in (14, 17, 20)
    assert row.cxx11_abi in (None, True)
    if row.cxx11_abi is not None:
        assert row.pypi_cxx11_abi_x86_64 is row.pypi_cxx11_abi_aarch64 is row.cxx11_abi
    assert is_tabled(row.series)


@pytest.mark.parametrize(
    "column",
    ["cxx_standard", "gcc", "clang", "archive_format", "pypi_cxx11_abi_x86_64", "pypi_cxx11_abi_aarch64"],
)
def test_requirements_only_grow(column: str) -> None:
    values = [getattr(row, column) for row in RELEASES]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("column", "value", "first"),
    [
        ("cxx_standard", 17, (2, 0)),
        ("cxx_standard", 20, (2, 12)),
        ("pypi_cxx11_abi_x86_64", True, (2, 7)),
        ("pypi_cxx11_abi_aarch64", True, (2, 6)),
        ("cxx11_abi", True, (2, 8)),
        ("gcc", (9,), (2, 2)),
        ("gcc", (11, 3), (2, 12)),
        ("archive_format", 10, (1, 12)),
    ],
)
def test_where_things_changed(column: str, value: object, first: tuple[int, int]) -> None:
    assert next(row.series for row in RELEASES if getattr(row, column) == value) == first
