"""What ``python -X importtime`` printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)")
HEAVY = ("torch", "numpy", "jinja2", "elftools", "setuptools")
"""Packages whose import is felt."""


@dataclass(frozen=True)
class Imported:
    """One module."""

    name: str
    own: int
    """Microseconds without what it imports itself."""
    cumulative: int


def parse_import_times(text: str) -> list[Imported]:
    """The modules in the order in which their imports ended."""
    found = (LINE.match(line) for line in text.splitlines())
    return [Imported(m[3], int(m[1]), int(m[2])) for m in found if m]


def package_times(modules: Sequence[Imported]) -> dict[str, int]:
    """Top-level package → microseconds of its own modules."""
    times: dict[str, int] = {}
    for module in modules:
        top = module.name.split(".")[0]
        times[top] = times.get(top, 0) + module.own
    return times


def describe(what: str, modules: Sequence[Imported], count: int = 6) -> list[str]:
    """The total, the heavy packages, and our own most expensive modules, as lines."""
    times = package_times(modules)
    heavy = [f"{name} {times[name] / 1000:.1f} ms" for name in HEAVY if name in times]
    ours = sorted((m for m in modules if m.name.split(".")[0] == "torchscript_build"), key=lambda m: -m.own)
    head = (
        f"{what}: {sum(times.values()) / 1000:.1f} ms of imports, "
        f"{times.get('torchscript_build', 0) / 1000:.1f} ms of them our own {len(ours)} modules; "
        f"heavy: {', '.join(heavy) or 'none'}"
    )
    return [head, *(f"  {m.own / 1000:6.1f} ms  {m.name}" for m in ours[:count])]
