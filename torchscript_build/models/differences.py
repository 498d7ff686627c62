"""What differs between two model files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from torchscript_build.models.contents import Contents
from torchscript_build.models.describe import describe_tensor
from torchscript_build.models.risks import lowest_libtorch, risks_of
from torchscript_build.models.unpickle import TensorInfo

SHOWN = 40
"""Lines of each kind; a whole diff of the code is what ``--code`` and diff are for."""


def differences(one: Contents, other: Contents) -> list[str]:
    """Lines, each with ``-`` (only in the first), ``+`` (only in the second) or ``~`` (changed); empty: they agree."""
    lines: list[str] = []
    for what, left, right in (
        ("kind", one.kind, other.kind),
        ("file format", one.format_version, other.format_version),
        ("lowest libtorch", lowest_libtorch(one), lowest_libtorch(other)),
    ):
        if left != right:
            lines.append(f"~ {what}: {left} → {right}")
    lines += _sets("method", one.methods, other.methods)
    lines += _sets("operator", one.operators, other.operators)
    lines += _sets("custom class", one.classes, other.classes)
    lines += _sets("extra file", one.extra, other.extra)
    lines += _capped(_tensors(one, other), "tensors")
    lines += _sets("worth knowing", risks_of(one), risks_of(other))
    lines += _capped(_code(one.code, other.code), "lines of code")
    return lines


def _sets(what: str, one: Iterable[str], other: Iterable[str]) -> Iterator[str]:
    left, right = dict.fromkeys(one), dict.fromkeys(other)
    yield from (f"- {what} {name}" for name in left if name not in right)
    yield from (f"+ {what} {name}" for name in right if name not in left)


def _tensors(one: Contents, other: Contents) -> Iterator[str]:
    left, right = one.tensors, other.tensors
    yield from (f"- tensor {name}: {describe_tensor(t)}" for name, t in left.items() if name not in right)
    yield from (f"+ tensor {name}: {describe_tensor(t)}" for name, t in right.items() if name not in left)
    for name in (n for n in left if n in right):
        before, after = describe_tensor(left[name]), describe_tensor(right[name])
        if before != after:
            yield f"~ tensor {name}: {before} → {after}"
        elif _checksum(one, left[name]) != _checksum(other, right[name]):
            yield f"~ tensor {name}: other numbers"


def _checksum(contents: Contents, tensor: TensorInfo) -> object:
    return contents.checksums.get(tensor.key)


def _code(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*one, *other)):
        left, right = one.get(name, "").splitlines(), other.get(name, "").splitlines()
        yield from difflib.unified_diff(left, right, f"first/{name}", f"second/{name}", lineterm="", n=1)


def _capped(lines: Iterator[str], what: str) -> list[str]:
    shown = list(islice(lines, SHOWN))
    more = sum(1 for _ in lines)
    return [*shown, f"… {more} more {what}"] if more else shown
