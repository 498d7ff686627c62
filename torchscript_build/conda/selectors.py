"""On which platforms and Pythons a line of a recipe holds: markers and ``requires-python`` in conda's words.

A marker is not translated but tried: its truth on every platform and Python is a table, and that is put into words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Optional

from torchscript_build.records import dataclass

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet


@dataclass(frozen=True)
class Selector:
    """A condition in the two formats: ``# [py<311]`` in meta.yaml, ``if: match(python, "<3.11")`` in recipe.yaml."""

    v0: str
    v1: str


CUDA = Selector('cuda_compiler_version != "None"', 'cuda != "None"')
CPU = Selector('cuda_compiler_version == "None"', 'cuda == "None"')
CROSS = Selector("build_platform != target_platform", "build_platform != target_platform")
UNIX = Selector("unix", "unix")
LINUX = Selector("linux", "linux")
NOT_LINUX = Selector("not linux", "not linux")

PLATFORMS: Mapping[str, tuple[str, str, str, str]] = {
    "linux and x86_64": ("linux", "Linux", "posix", "x86_64"),
    "linux and aarch64": ("linux", "Linux", "posix", "aarch64"),
    "osx and x86_64": ("darwin", "Darwin", "posix", "x86_64"),
    "osx and arm64": ("darwin", "Darwin", "posix", "arm64"),
    "win": ("win32", "Windows", "nt", "AMD64"),
}
"""conda's platforms: how a selector names each → ``sys_platform``, ``platform_system``, ``os_name``, machine."""

GROUPS: Mapping[str, frozenset[str]] = {
    **{word: frozenset(p for p in PLATFORMS if p.startswith(word)) for word in ("linux", "osx", "win")},
    "unix": frozenset(p for p in PLATFORMS if p != "win"),
    "x86_64": frozenset(p for p in PLATFORMS if p == "win" or p.endswith("x86_64")),
    "aarch64": frozenset({"linux and aarch64"}),
    "arm64": frozenset({"osx and arm64"}),
}

MINORS = range(6, 31)
"""Pythons 3.x that are tried: from before all that conda-forge still has to far after."""


def parse_marker(marker: Optional[Marker]) -> Optional[Selector]:
    """The selector that says the same as an environment marker; empty if it holds everywhere, None if nowhere."""
    if marker is None:
        return Selector("", "")
    table = {p: frozenset(m for m in MINORS if _holds(marker, p, m)) for p in PLATFORMS}
    if not any(table.values()):
        return None
    v0, v1 = [], []
    for pythons in sorted(set(table.values()) - {frozenset()}, key=sorted):
        place = platform_words([p for p in PLATFORMS if table[p] == pythons])
        version = python_words(pythons)
        v0.append(_both(place, version.v0))
        v1.append(_both(place, version.v1))
    return Selector(_any(v0), _any(v1))


def _holds(marker: Marker, platform: str, minor: int) -> bool:
    """For some patch release, at least: a requirement too much is better than one too few."""
    sys_platform, system, os_name, machine = PLATFORMS[platform]
    return any(
        marker.evaluate(
            {
                "sys_platform": sys_platform,
                "platform_system": system,
                "os_name": os_name,
                "platform_machine": machine,
                "python_version": f"3.{minor}",
                "python_full_version": f"3.{minor}.{patch}",
                "implementation_name": "cpython",
                "implementation_version": f"3.{minor}.{patch}",
                "platform_python_implementation": "CPython",
                "extra": "",
            }
        )
        for patch in (0, 99)
    )


def excluded_pythons(specifiers: SpecifierSet) -> list[Selector]:
    """The selectors under which ``requires-python`` wants no package, one for each stretch of Pythons.

    A series counts as wanted if any of its releases is.
    """
    unwanted = [m for m in MINORS if not any(specifiers.contains(f"3.{m}.{p}") for p in range(100))]
    return [_stretch_words(first, last) for first, last in _stretches(unwanted)]


def platform_words(platforms: Collection[str]) -> str:
    """A selector for some of the platforms, the shortest there is; empty for all."""
    wanted = frozenset(platforms)
    if wanted == frozenset(PLATFORMS):
        return ""
    for word, members in GROUPS.items():
        if wanted == members:
            return word
    for word, members in GROUPS.items():
        if wanted == frozenset(PLATFORMS) - members:
            return f"not {word}"
    return _any([p for p in PLATFORMS if p in wanted])


def python_words(minors: Collection[int]) -> Selector:
    """A selector for some of the Pythons; empty for all."""
    stretches = [_stretch_words(first, last) for first, last in _stretches(sorted(minors))]
    return Selector(_any([s.v0 for s in stretches]), _any([s.v1 for s in stretches]))


def _stretches(minors: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of numbers that follow one another."""
    starts = [m for m in minors if m - 1 not in minors]
    ends = [m for m in minors if m + 1 not in minors]
    yield from zip(starts, ends)


def _stretch_words(first: int, last: int) -> Selector:
    lower, upper = first > MINORS[0], last < MINORS[-1]
    if lower and first == last:
        return Selector(f"py==3{first}", f'match(python, "3.{first}.*")')
    v0 = [*([f"py>=3{first}"] if lower else []), *([f"py<3{last + 1}"] if upper else [])]
    v1 = [*([f">=3.{first}"] if lower else []), *([f"<3.{last + 1}"] if upper else [])]
    return Selector(" and ".join(v0), f'match(python, "{",".join(v1)}")' if v1 else "")


def _both(first: str, second: str) -> str:
    """Two conditions, each of which may be empty or consist of several."""
    if not first or not second:
        return first or second
    return " and ".join(f"({c})" if " or " in c else c for c in (first, second))


def _any(conditions: Sequence[str]) -> str:
    """One of the conditions; an empty one holds always."""
    if not all(conditions):
        return ""
    if len(conditions) == 1:
        return conditions[0]
    return " or ".join(f"({c})" if " and " in c else c for c in conditions)
