"""What ninja did, from its log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Ran:
    """One output of one run."""

    output: str
    start: int
    """Milliseconds since ninja was started."""
    end: int
    mtime: int
    command: str
    """The command's hash."""


def parse_log(text: str) -> list[Ran]:
    """The entries of a ``.ninja_log``, versions 5 to 7: start, end, mtime, output and hash, apart by tabs."""
    entries = []
    for line in text.splitlines():
        fields = line.split("\t")
        if not line.startswith("#") and len(fields) == 5:
            start, end, mtime, output, command = fields
            entries.append(Ran(output, int(start), int(end), int(mtime), command))
    return entries


def new_outputs(before: str, after: str) -> list[str]:
    """The outputs that were made between two states of a log, sorted; ninja may have rewritten it meanwhile."""
    made = Counter(parse_log(after)) - Counter(parse_log(before))
    return sorted({entry.output for entry in made})


def count_kinds(outputs: list[str]) -> dict[str, int]:
    """How many of them are objects, linked files, and anything else."""
    counts = {"compiled": 0, "linked": 0, "other": 0}
    for output in outputs:
        suffixes = PurePath(output).suffixes
        if suffixes[-1:] == [".o"]:
            counts["compiled"] += 1
        elif ".so" in suffixes:
            counts["linked"] += 1
        else:
            counts["other"] += 1
    return counts
