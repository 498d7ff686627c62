"""What a known failure is, and finding those of a table in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from torchscript_build.records import dataclass


@dataclass(frozen=True)
class Failure:
    """One kind of failure. Its cause and cure may hold the pattern's named groups: ``{name}``."""

    name: str
    """A few words, also its identity."""
    pattern: str
    """What the tools print, as a regular expression."""
    cause: str
    cure: str
    source: str
    """Where it was reported, or who prints it."""
    backend: str = ""
    """Only with a libtorch of this kind (``cpu``, ``cuda``); a log alone does not tell, and has it named."""
    harmless: bool = False
    """A warning that stops nothing."""


@dataclass(frozen=True)
class Named:
    """A failure that a text has."""

    failure: Failure
    """With its cause and cure filled in."""
    line: int
    """Of the text, from 1."""
    text: str
    """That line."""


def name_failures(text: str, table: Iterable[Failure], *, backend: str = "") -> list[Named]:
    """The failures of a table that a text has, each once, in the order of their first lines.

    :param backend: of the libtorch that it is about, where that is known.
    """
    found = []
    for failure in table:
        match = re.search(failure.pattern, text, re.MULTILINE)
        if match is None or (backend and failure.backend not in ("", backend)):
            continue
        groups = {name: value or "" for name, value in match.groupdict().items()}
        filled = replace(failure, cause=failure.cause.format(**groups), cure=failure.cure.format(**groups))
        begin = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        words = text[begin : end if end >= 0 else len(text)].strip().splitlines()
        found.append(Named(filled, text.count("\n", 0, begin) + 1, words[0] if words else ""))
    return sorted(found, key=lambda named: named.line)
