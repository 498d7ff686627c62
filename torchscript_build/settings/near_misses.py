"""Tables that nearly have our name: somebody meant us, and would get a package without the program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TABLE = "tool.torchscript-build"

HINT = re.compile(r"^[^#\n]*torch[-_ ]?script[-_ ]?build[\"']?\s*[\]=.]", re.MULTILINE | re.IGNORECASE)
"""What a text must hold to have one; nearly all others are told apart by it without being parsed."""


def find_near_misses(pyproject: Mapping[str, Any]) -> list[str]:
    """A problem for each table of a pyproject.toml that can only be meant as ours: nobody else has such a name."""
    written = [key for key, value in pyproject.items() if _is_nearly_ours(key, value)]
    for key, value in pyproject.items():
        if key.lower() in ("tool", "tools") and isinstance(value, Mapping):
            written += [f"{key}.{inner}" for inner, table in value.items() if _is_nearly_ours(inner, table)]
    return [
        f"[{name}]: our table is called [{TABLE}]; write it so in pyproject.toml" for name in written if name != TABLE
    ]


def _is_nearly_ours(key: str, value: object) -> bool:
    return isinstance(value, (Mapping, list)) and re.sub(r"[-_ ]", "", key).lower() == "torchscriptbuild"
