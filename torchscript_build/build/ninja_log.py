"""Tells from ninja's own log what one run of ninja did, and when."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from torchscript_build.log import Edge
from torchscript_build.records import dataclass

_HEADER = re.compile(r"# ninja log v([0-9]{1,15})")
_OLDEST = 5
"""Since this version a line is start, end, time of the file, output and the command's hash, between tabs."""
_LINE = re.compile(r"([0-9]{1,15})\t([0-9]{1,15})\t(-?[0-9]{1,25})\t(.+)\t([0-9a-f]+)", re.ASCII)
_RUNNER = {"ts_runner": "the runner, once for this libtorch", "ts_runner_plain": "what of the runner needs no libtorch"}
"""What the targets of templates/cmake's ``ts_add_runner`` make, each of one source that CMake puts together."""
_MANIFEST = "build.ninja"

_OBJECT = re.compile(r"(?:^|/)CMakeFiles/(?P<target>[^/]+)\.dir/(?P<source>.+)\.(?:o|obj|gch|pch)$")
_UTILITY = re.compile(r"(?:^|/)CMakeFiles/[^/]+$")
_BINARY = re.compile(r"(\.(a|dll|dylib|exe|lib|pyd)|\.so(\.[\d.]+)?|/[^./]+)$")


@dataclass(frozen=True)
class Entry:
    """A line of the log: one output of one edge."""

    start: int
    """Milliseconds since that run of ninja began."""
    end: int
    mtime: int
    """The output's time, in units that differ between versions; some write 0."""
    output: str
    command: str
    """A hash."""


def parse_log(text: str) -> list[Entry]:
    """All entries, in the order in which edges ended; lines that ninja would not have written are passed over."""
    version = _HEADER.match(text)
    return _parse_lines(text) if version and int(version[1]) >= _OLDEST else []


def new_entries(before: str, after: str) -> list[Entry]:
    """What one run added to the log.

    Ninja appends to its log, and from time to time begins a run with writing it anew: in any order, without what a
    later line replaced and without outputs that are no more.
    """
    if _HEADER.match(before) and after.startswith(before):
        return _parse_lines(after[len(before) :]) if parse_log(before) or parse_log(after) else []
    known = Counter({entry.output: entry for entry in parse_log(before)}.values())
    added = []
    for entry in parse_log(after):
        if known[entry]:
            known[entry] -= 1
        else:
            added.append(entry)
    return added


def edges_of_run(before: str, after: str, *, began: float) -> list[Edge]:
    """The edges that one run of ninja finished.

    :param before: the log's text before the run, empty if there was none.
    :param began: when ninja was started, in seconds on the monotonic clock.
    """
    outputs: dict[tuple[int, int, str], list[str]] = {}
    for entry in new_entries(before, after):
        outputs.setdefault((entry.start, entry.end, entry.command), []).append(entry.output)
    edges = []
    for (start, end, _), names in outputs.items():
        kind, name = _describe(names)
        edges.append(Edge(name, kind, began + start / 1000, (end - start) / 1000, tuple(names)))
        if _MANIFEST in names:  # having run CMake, ninja begins again, its clock too
            began += end / 1000
    return edges


def _parse_lines(text: str) -> list[Entry]:
    entries = []
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        if match and int(match[1]) <= int(match[2]):
            entries.append(Entry(int(match[1]), int(match[2]), int(match[3]), match[4], match[5]))
    return entries


def _describe(outputs: Sequence[str]) -> tuple[str, str]:
    """The outputs of an edge → its kind, and a name for people."""
    output = outputs[0].replace("\\", "/")
    name = PurePosixPath(output).name
    if _MANIFEST in outputs:
        return "configure", "configure again"
    made = _OBJECT.search(output)
    if made and name.startswith("cmake_device_link."):
        return "link", f"link the device code of {made['target']}"
    if made and made["target"] in _RUNNER:
        return "compile", f"compile {_RUNNER[made['target']]}"
    if made:
        return "compile", f"compile {PurePosixPath(made['source']).name} for {made['target']}"
    if _BINARY.search("/" + output) and not _UTILITY.search(output):
        return "link", f"link {name}"
    return "make", f"make {name}"
