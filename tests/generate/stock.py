"""Reads what the stock packages Torch and Caffe2 define, from the CMake files of a wheel.

``python -m tests.generate.stock 2.6.0=FOLDER …`` writes ``stock_names.txt`` anew, where each folder is a wheel's
``torch/share/cmake``; what the table says of other releases stays.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

TABLE = Path(__file__).with_name("stock_names.txt")

FILES = ("Torch/TorchConfig.cmake", "Caffe2/Caffe2Config.cmake", "Caffe2/Caffe2Targets.cmake", "Caffe2/public/*.cmake")
NOT_OURS = re.compile(r"LoadHIP|FindSYCLToolkit|ComputeLibrary")
"""Files that look for something else."""
DEFINITIONS = {
    "target": r"\badd_library\s*\(\s*([\w:]+)",
    "function": r"\b(?:function|macro)\s*\(\s*(\w+)",
    "variable": r"\b(?:set|option|find_library|find_path)\s*\(\s*([A-Za-z]\w*)(?!\w*\$)",
}
APPENDED = re.compile(r"^\s*append_(?:torchlib|wholearchive_lib)_if_found\s*\(([\w\s-]+)\)", re.MULTILINE)
"""TorchConfig's own macros, which find a library by ``<name>_LIBRARY``."""
PRIVATE = re.compile(r"_.*|CMAKE_.*|old_CMAKE_.*|[a-z]+(_[a-z]+)*|OUT|OUTPUT|EXCLUDES")
"""Variables of a file's or a function's own."""


def read_names(folder: Path) -> set[tuple[str, str]]:
    """Pairs (kind, name), from a ``share/cmake``."""
    return set(_names(folder))


def _names(folder: Path) -> Iterator[tuple[str, str]]:
    for pattern in FILES:
        for file in sorted(folder.glob(pattern)):
            if NOT_OURS.search(file.name):
                continue
            text = re.sub(r"#[^\n]*", "", file.read_text(encoding="utf-8"))
            for kind, expression in DEFINITIONS.items():
                names = re.findall(expression, text, re.IGNORECASE)
                yield from ((kind, n) for n in names if kind != "variable" or not PRIVATE.fullmatch(n))
            yield from (("variable", f"{name}_LIBRARY") for words in APPENDED.findall(text) for name in words.split())


def read_table(text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Pairs (kind, name) → the releases that have it."""
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {(kind, name): tuple(releases) for kind, name, *releases in rows}


def render_table(table: Mapping[tuple[str, str], tuple[str, ...]]) -> str:
    head = "# Kind, name and the releases whose stock packages Torch and Caffe2 define it; made by stock.py.\n"
    return head + "".join(f"{kind} {name} {' '.join(releases)}\n" for (kind, name), releases in sorted(table.items()))


def _version(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def main() -> None:
    table = read_table(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else {}
    for argument in sys.argv[1:]:
        release, _, folder = argument.partition("=")
        found = read_names(Path(folder))
        for key in {*found, *table}:
            others = {r for r in table.get(key, ()) if r != release}
            releases = sorted({*others, release} if key in found else others, key=_version)
            table[key] = tuple(releases)
    TABLE.write_text(render_table({key: releases for key, releases in table.items() if releases}), encoding="utf-8")


if __name__ == "__main__":
    main()
