"""Says which inputs in the settings mean nothing, by the grammar of the runner's ``--input``; torch is not needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from torchscript_build.settings.coerce import closest
from torchscript_build.settings.specs import InputSets, ScriptModel

_FILLS = ("ones", "zeros", "rand", "randn", "arange", "full", "randint")
_SCALARS = ("int", "float", "bool", "str")
_LISTS = ("ints", "floats", "bools", "strs")
_PREFIXES = (*_FILLS, *_SCALARS, *_LISTS, "file", "args")
_TRUTHS = ("true", "True", "1", "false", "False", "0")
_DTYPE = re.compile(r"(?:b?float|complex|u?int)\d\w*|c?(?:half|float|double)|bool|short|int|long")
_FUNCTION = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")
_DEEPEST = 100
"""Lists in lists, as the runner has it."""
_WANTED = "a spec (ones:1x3, int:3, data.npy) nor package.module:function"


def input_problems(model: ScriptModel, where: str) -> list[str]:
    """What is wrong with a model's ``example-inputs`` and ``check-inputs``."""
    found = [f"{where}: example-inputs: {words}" for words in _wrong_specs(model.example_inputs)]
    sets = model.check_inputs
    for wanted in sets.values() if isinstance(sets, Mapping) else (sets,):
        found += [f"{where}: check-inputs{words}" for words in _wrong_sets(wanted)]
    return found


def _wrong_sets(wanted: InputSets) -> Iterator[str]:
    if isinstance(wanted, str):
        if not _FUNCTION.match(wanted):
            yield f" must look like 'package.module:function', not {wanted!r}"
        return
    for specs in wanted:
        yield from (f": {words}" for words in _wrong_specs(specs))


def _wrong_specs(specs: Sequence[str]) -> Iterator[str]:
    for spec in specs:
        problem = wrong_spec(spec)
        if problem:
            yield problem


def wrong_spec(spec: str, depth: int = 0) -> Optional[str]:
    """Why a spec means nothing; ``None`` where it means something, as far as one can tell without torch."""
    kind, colon, rest = spec.partition(":")
    if depth > _DEEPEST:
        return f"an input is nested more than {_DEEPEST} deep"
    if spec[:1] + spec[-1:] in ("[]", "()"):
        return next(filter(None, (wrong_spec(part, depth + 1) for part in split(spec[1:-1], ";"))), None)
    if colon and kind in _FILLS:
        number, _, filled = rest.partition(":") if kind in ("full", "randint") else ("0", "", rest)
        reader = int if kind == "randint" else float
        return _wrong_number(spec, number, reader) or _wrong_fill(spec, filled)
    if colon and kind in (*_SCALARS, *_LISTS):
        return next(filter(None, (_wrong_scalar(spec, kind.rstrip("s"), part) for part in _parts(kind, rest))), None)
    if (colon and kind in ("file", "args")) or spec.endswith((".npy", ".pt", ".pth")):
        return None
    if spec in ("none", "None", *_TRUTHS) or _is_number(spec, float) or _FUNCTION.match(spec):
        return None
    meant = closest(kind, _PREFIXES) if colon else None
    return f"{spec!r} is neither {_WANTED}" + (f"; did you mean {meant}:{rest}?" if meant else "")


def _parts(kind: str, rest: str) -> list[str]:
    return split(rest, ",") if kind in _LISTS else [rest]


def _wrong_scalar(spec: str, kind: str, text: str) -> Optional[str]:
    if kind == "bool":
        return None if text in _TRUTHS else f"{spec!r}: {text!r} is not true or false"
    return None if kind == "str" else _wrong_number(spec, text, int if kind == "int" else float)


def _wrong_number(spec: str, text: str, reader: type) -> Optional[str]:
    what = "whole number" if reader is int else "number"
    return None if _is_number(text, reader) else f"{spec!r}: {text!r} is no {what}"


def _is_number(text: str, reader: type) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


def _wrong_fill(spec: str, text: str) -> Optional[str]:
    """``SHAPE[:DTYPE]``"""
    shape, colon, dtype = text.partition(":")
    if not all(_is_number(size, int) and int(size) >= 0 for size in split(shape, "x,")):
        return f"{spec!r}: {shape!r} is no shape; one is 1x3x224x224"
    if colon and not _DTYPE.fullmatch(dtype):
        meant = closest(dtype, ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"))
        return f"{spec!r}: {dtype!r} is no type of torch's" + (f"; did you mean {meant}?" if meant else "")
    return None


def split(text: str, separators: str) -> list[str]:
    """Split at separators outside of brackets; an empty text has no parts."""
    parts = [""] if text else []
    depth = 0
    for character in text:
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(character, 0)
        if depth == 0 and character in separators:
            parts.append("")
        else:
            parts[-1] += character
    return parts
