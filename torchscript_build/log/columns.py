"""Text for a terminal: without its colours, and folded to its width."""

from __future__ import annotations

import re

_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_QUOTED = re.compile(r"\s*\d*\s*\|")
"""A compiler's quotation of a source, or what it draws below: it means something by its columns."""
_COMMAND = re.compile(r"\s*(?:[-→] )?(?:apt|cmake|conda|cp|export|make|pip|python3?|torchscript-build|touch) ")
"""A line to be typed as it is."""


def plain(text: str) -> str:
    """Without colours, and what else a terminal would not show."""
    return _CODES.sub("", text)


def fold(line: str, width: int) -> list[str]:
    """A line in parts that fit; broken between words, further in from the second on.

    Quoted sources are cut instead; commands, and words that are too long alone, stay whole.
    """
    shown = plain(line)
    if len(shown) <= width or _COMMAND.match(shown):
        return [line]
    if _QUOTED.match(shown):
        return [cut(line, width)]
    item = re.match(r"\s*(?:- )?", shown)
    indent = " " * (len(item[0]) if item and "-" in item[0] else len(item[0]) + 2 if item else 2)
    parts, part = [], ""
    for word in re.findall(r"\s*\S+", line):
        if part.strip() and len(plain(part + word)) > width:
            parts.append(part)
            part = indent + word.lstrip()
        else:
            part += word
    return [*parts, part]


def cut(line: str, width: int) -> str:
    """A line's beginning, and all of its colours, so that they end."""
    left, parts = width - 1, []
    for text in re.split(f"({_CODES.pattern})", line):
        if _CODES.fullmatch(text):
            parts.append(text)
        elif left > 0:
            parts.append(text if len(text) <= left else text[:left] + "…")
            left -= len(text)
    return "".join(parts)
