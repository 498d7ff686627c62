"""Selectors say the same as the markers and ranges that they were made of, on every platform and Python."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from torchscript_build.conda.selectors import MINORS, PLATFORMS, excluded_pythons, parse_marker

MARKERS = {
    "sys_platform == 'win32'": "win",
    "sys_platform != 'win32'": "unix",
    "platform_system == 'Linux'": "linux",
    "os_name == 'nt' or sys_platform == 'darwin'": "not linux",
    "python_version < '3.11'": "py<311",
    "python_version == '3.11'": "py==311",
    "python_version != '3.11'": "py<311 or py>=312",
    "python_version in '3.10 3.12'": "py==310 or py==312",
    "python_full_version < '3.11.4'": "py<312",
    "sys_platform != 'win32' and python_version >= '3.10'": "unix and py>=310",
    "sys_platform == 'linux' and python_version != '3.11'": "linux and (py<311 or py>=312)",
    "sys_platform == 'win32' or python_version < '3.10'": "(unix and py<310) or win",
    "platform_machine == 'arm64'": "arm64",
    "platform_machine == 'aarch64'": "aarch64",
    "platform_machine == 'x86_64'": "(linux and x86_64) or (osx and x86_64)",
    "platform_machine in 'arm64 aarch64'": "not x86_64",
    "sys_platform == 'linux' and platform_machine != 'aarch64'": "linux and x86_64",
    "python_version >= '3'": "",
    "implementation_name == 'cpython'": "",
}


def names_on(platform: str, minor: int) -> dict[str, Any]:
    """What selectors know on a platform."""
    words = platform.split(" and ")
    machine = "x86_64" if platform == "win" else words[1]
    names: dict[str, Any] = {word: word in (words[0], machine) for word in ("linux", "osx", "win")}
    names.update({word: word == machine for word in ("x86_64", "aarch64", "arm64")})
    return {**names, "unix": platform != "win", "py": int(f"3{minor}")}


@pytest.mark.parametrize("marker", MARKERS)
def test_markers_become_the_shortest_words(marker: str) -> None:
    selector = parse_marker(Marker(marker))
    assert selector is not None
    assert selector.v0 == MARKERS[marker]


@pytest.mark.parametrize("marker", MARKERS)
def test_selectors_hold_where_the_markers_do(marker: str) -> None:
    selector = parse_marker(Marker(marker))
    assert selector is not None
    for platform, (sys_platform, system, os_name, machine) in PLATFORMS.items():
        for minor in range(7, 21):
            wanted = Marker(marker).evaluate(
                {
                    "sys_platform": sys_platform,
                    "platform_system": system,
                    "os_name": os_name,
                    "platform_machine": machine,
                    "python_version": f"3.{minor}",
                    "python_full_version": f"3.{minor}.0",
                    "implementation_name": "cpython",
                }
            )
            assert eval(selector.v0 or "True", {}, names_on(platform, minor)) is wanted, (platform, minor)


@pytest.mark.parametrize("marker", ["extra == 'docs'", "implementation_name == 'pypy'", "python_version < '3'"])
def test_markers_that_never_hold(marker: str) -> None:
    assert parse_marker(Marker(marker)) is None


def test_match_is_rattler_builds_word_for_python() -> None:
    selector = parse_marker(Marker("sys_platform == 'linux' and python_version != '3.11'"))
    assert selector is not None
    assert selector.v1 == 'linux and (match(python, "<3.11") or match(python, ">=3.12"))'


@pytest.mark.parametrize(
    "wanted", [">=3.9", ">=3.9,<3.13", "~=3.9", "!=3.11.*,>=3.8", ">=3.10.4", "==3.11.*", "<4", "", ">=3.9,!=3.10.2"]
)
def test_pythons_that_are_skipped_are_those_without_a_wanted_release(wanted: str) -> None:
    skipped = excluded_pythons(SpecifierSet(wanted))
    for minor in MINORS:
        has_one = any(SpecifierSet(wanted).contains(f"3.{minor}.{patch}") for patch in range(100))
        assert any(eval(s.v0, {}, {"py": int(f"3{minor}")}) for s in skipped) is not has_one
