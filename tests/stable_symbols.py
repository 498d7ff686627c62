"""Writes torchscript_build/operators/stable_symbols.py anew, from the headers in real wheels of torch.

Run ``python -m tests.stable_symbols WHEEL…`` with a wheel of each release, whatever its platform: the headers are the
same (``pip download --no-deps --only-binary=:all: --platform macosx_14_0_arm64 torch==2.15.0``, say, is small).
"""

from __future__ import annotations

import re
import sys
import textwrap
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TARGET = Path(__file__).parent.parent / "torchscript_build/operators/stable_symbols.py"
HEADERS = (
    "torch/include/torch/csrc/inductor/aoti_torch/c/shim.h",
    "torch/include/torch/csrc/inductor/aoti_torch/generated/c_shim_aten.h",
    "torch/include/torch/csrc/stable/c/shim.h",
)
"""What torch/csrc/stable includes; the other generated ones are for AOTInductor's own output."""
FIRST = (2, 9)
"""The first release with torch/csrc/stable/library.h; what is older counts as of then."""
HEAD = '''\
"""The functions of torch's stable C ABI, by the release that they came with; written by tests/stable_symbols.py."""

from __future__ import annotations

NEWEST = "{newest}"
"""The newest release whose headers were read."""

SYMBOLS = {{
'''


def declared(text: str, oldest: tuple[int, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each function that a header declares, with the release that its guard names; without one, ``oldest``."""
    guards: list[tuple[int, int]] = []
    whole = re.sub(r"(AOTI_TORCH_EXPORT[^;(]*)\n\s*", r"\1 ", re.sub(r"//[^\n]*", "", text))
    for line in whole.splitlines():
        guard = re.match(r"#\s*if TORCH_FEATURE_VERSION >= TORCH_VERSION_(\d+)_(\d+)_0", line)
        if guard:
            guards.append((int(guard[1]), int(guard[2])))
        elif re.match(r"#\s*if", line):
            guards.append(oldest)
        elif re.match(r"#\s*endif", line):
            guards.pop()
        for name in re.findall(r"AOTI_TORCH_EXPORT\b[^(]*?\b((?:aoti_)?torch_\w+)\s*\(", line):
            yield name, max([oldest, *guards])


def read_wheel(wheel: Path) -> Mapping[str, tuple[int, int]]:
    """Name → release, of everything that the headers in a wheel declare."""
    found: dict[str, tuple[int, int]] = {}
    with zipfile.ZipFile(wheel) as archive:
        for header in HEADERS:
            if header in archive.namelist():
                found.update(declared(archive.read(header).decode(), FIRST))
    return found


def merge(by_release: Mapping[tuple[int, int], Mapping[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    """Name → the release that it came with: what its guard says, but not before it was first seen.

    :raises ValueError: a release lacks a function that an older one had, so that it is not stable.
    """
    since: dict[str, tuple[int, int]] = {}
    for number, release in enumerate(sorted(by_release)):
        gone = set(since) - set(by_release[release])
        if gone:
            raise ValueError(f"torch {release[0]}.{release[1]} lacks {', '.join(sorted(gone))}")
        for name, guard in by_release[release].items():
            since.setdefault(name, max(guard, release if number else FIRST))
    return since


def render(since: Mapping[str, tuple[int, int]], newest: tuple[int, int]) -> str:
    """The module's text."""
    lines = [HEAD.format(newest=f"{newest[0]}.{newest[1]}")]
    for release in sorted(set(since.values())):
        names = " ".join(sorted(name for name, first in since.items() if first == release))
        wrapped = textwrap.fill(names, 112, initial_indent=" " * 8, subsequent_indent=" " * 8, break_on_hyphens=False)
        lines.append(f'    "{release[0]}.{release[1]}": """\n{wrapped}\n    """,\n')
    return "".join(lines) + "}\n"


def main(wheels: Sequence[str]) -> None:
    """Read the wheels and write the module."""
    by_release = {}
    for wheel in wheels:
        major, minor = Path(wheel).name.split("-")[1].split(".")[:2]
        by_release[(int(major), int(minor))] = read_wheel(Path(wheel))
    TARGET.write_text(render(merge(by_release), max(by_release)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
