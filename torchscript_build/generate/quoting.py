"""Values as CMake's and C++'s languages write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def cmake_quote(value: str) -> str:
    """A CMake quoted argument that stands for exactly this text."""
    escaped = re.sub(r'([\\"$])', r"\\\1", value).replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{escaped}"'


def quoted(values: Iterable[str]) -> list[str]:
    """Each value as a CMake quoted argument."""
    return [cmake_quote(v) for v in values]


def cmake_list(values: Iterable[object]) -> str:
    """Values as the elements of a ``set(variable …)``; paths with forward slashes."""
    texts = [v.as_posix() if isinstance(v, Path) else str(v) for v in values]
    return " ".join(quoted(texts)) if texts else '""'


def literal(value: str) -> str:
    """A definition or option that survives CMake's lists and generator expressions unharmed."""
    return re.sub(r"\$(?=<)|;", lambda m: "$<SEMICOLON>" if m.group() == ";" else "$<1:$>", value)


def cxx_quote(value: str) -> str:
    """A C++ string literal of the text's UTF-8 bytes."""
    out = []
    for byte in value.encode():
        char = chr(byte)
        out.append(char if char.isascii() and char.isprintable() and char not in '"\\?' else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'
