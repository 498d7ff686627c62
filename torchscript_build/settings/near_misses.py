"""Tables that nearly have our name: somebody meant us, and would get a package without the program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

TABLE = "tool.torchscript-build"

_KIND = r"(?:models?|apps?|programs?|ops?|operators?|cmake|librar(?:y|ies))"
HINT = re.compile(
    rf"^[^#\n]*torch[-_ ]?script[-_ ]?build[\"']?\s*[\]=.]|^\s*\[\[?[^\]#\n]*\.\s*{_KIND}\s*\]",
    re.MULTILINE | re.IGNORECASE,
)
"""What a text must hold to have one; nearly all others are told apart by it without being parsed."""

_OTHER_NAMES = ("torchscript", "tsbuild")
_CLOSE = 0.8


def find_near_misses(pyproject: Mapping[str, Any]) -> list[str]:
    """A problem for each table of a pyproject.toml that can only be meant as ours.

    Nobody else has such a name, or one close to it and in it what only we have: a list of apps, operators or models.
    """
    written = [key for key, value in pyproject.items() if _is_nearly_ours(key, value)]
    for key, value in pyproject.items():
        if key.lower() in ("tool", "tools") and isinstance(value, Mapping):
            written += [f"{key}.{inner}" for inner in _nearly_ours(value)]
    return [
        f"[{name}]: our table is called [{TABLE}]; write it so in pyproject.toml" for name in written if name != TABLE
    ]


def _nearly_ours(tools: Mapping[str, Any]) -> Iterator[str]:
    for key, table in tools.items():
        if _is_nearly_ours(key, table) or _has_our_name(key, table):
            yield key
        elif isinstance(table, Mapping):
            yield from (f"{key}.{inner}" for inner, more in table.items() if _is_nearly_ours(f"{key}-{inner}", more))


def _is_nearly_ours(key: str, value: object) -> bool:
    return isinstance(value, (Mapping, list)) and _plain(key) == "torchscriptbuild"


def _has_our_name(key: str, value: object) -> bool:
    """Is it a name like ours, with something like our entries?"""
    if not isinstance(value, Mapping) or not any(_is_entry(kind, entry) for kind, entry in value.items()):
        return False
    import difflib  # for mistakes only

    name = _plain(key)
    return name in _OTHER_NAMES or difflib.SequenceMatcher(None, name, "torchscriptbuild").ratio() >= _CLOSE


def _is_entry(kind: str, value: object) -> bool:
    tables = value if isinstance(value, list) else [value]
    return re.fullmatch(_KIND, kind.lower()) is not None and all(isinstance(t, Mapping) and "name" in t for t in tables)


def _plain(key: str) -> str:
    return re.sub(r"[-_ ]", "", key).lower()
