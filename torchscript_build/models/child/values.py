"""Outputs of models: made plain for a file, and compared."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any, Optional


def plain(torch: Any, value: Any, keep: bool = False) -> Any:
    """A value as what a file can carry and C++ has: tensors, numbers, texts, lists, tuples, dicts, None.

    Named tuples become tuples; mappings of every kind (a ModelOutput) dicts; dataclasses dicts; enums their values.

    :raises TypeError: it is none of these.
    """
    if isinstance(value, torch.Tensor):
        return value.detach()
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, enum.Enum):
        return plain(torch, value.value)
    if isinstance(value, Mapping):
        return {plain(torch, k): plain(torch, v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(torch, v) for v in value)
    if isinstance(value, (list, frozenset, set)):
        return [plain(torch, v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(torch, getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (torch.device, torch.dtype)):
        return str(value)
    if hasattr(value, "wait") and type(value).__name__ == "Future":
        return plain(torch, value.wait())
    if hasattr(value, "item") and hasattr(value, "dtype"):  # a number of numpy's
        return value.item()
    raise TypeError(f"a value of the type {type(value).__name__} cannot be carried to C++")


@dataclasses.dataclass
class Difference:
    """How two outputs differ."""

    largest: float = 0.0
    """The largest absolute difference of two values."""
    place: str = ""
    """Where they differ beyond the tolerance first: ``output["logits"]``; empty where they agree."""
    words: str = ""
    kind: str = ""
    """``values``, where widening the tolerance can help, or ``structure``."""


def compare(torch: Any, left: Any, right: Any, rtol: float, atol: float) -> Difference:
    """Compare two plain outputs; the first place that differs is told, the largest difference of all is kept."""
    found = Difference()
    _compare(torch, left, right, "output", rtol, atol, found)
    return found


def _compare(torch: Any, left: Any, right: Any, place: str, rtol: float, atol: float, found: Difference) -> None:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        _compare_tensors(torch, left, right, place, rtol, atol, found)
    elif isinstance(left, Mapping) and isinstance(right, Mapping):
        if list(map(str, left)) != list(map(str, right)):
            _differ(found, place, f"keys {list(left)} and {list(right)}", "structure")
            return
        for key in left:
            _compare(torch, left[key], right[key], f"{place}[{key!r}]", rtol, atol, found)
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        if len(left) != len(right):
            _differ(found, place, f"{len(left)} and {len(right)} elements", "structure")
            return
        for index, (one, other) in enumerate(zip(left, right)):
            _compare(torch, one, other, f"{place}[{index}]", rtol, atol, found)
    elif _is_number(left) and _is_number(right) and type(left) is type(right):
        dtype = torch.complex128 if isinstance(left, complex) else torch.float64
        one, other = torch.tensor(left, dtype=dtype), torch.tensor(right, dtype=dtype)
        _compare_tensors(torch, one, other, place, rtol, atol, found)
    elif type(left) is not type(right) or left != right:
        _differ(found, place, f"{_short(left)} and {_short(right)}", "structure")


def _is_number(value: Any) -> bool:
    return isinstance(value, (float, complex))


def _compare_tensors(
    torch: Any, left: Any, right: Any, place: str, rtol: float, atol: float, found: Difference
) -> None:
    for what in ("dtype", "shape", "layout"):
        one, other = getattr(left, what), getattr(right, what)
        if one != other:
            pair = [str(tuple(v)) if what == "shape" else str(v) for v in (one, other)]
            _differ(found, place, f"{what} {pair[0]} and {pair[1]}", "structure")
            return
    one, other = (_comparable(torch, value) for value in (left, right))
    if one.numel() == 0:
        return
    same = (one == other) | (torch.isnan(one) & torch.isnan(other)) if one.is_floating_point() else one == other
    distance = torch.where(same, torch.zeros_like(same, dtype=torch.float64), (one - other).abs().to(torch.float64))
    distance = torch.where(torch.isnan(distance), torch.full_like(distance, math.inf), distance)
    found.largest = max(found.largest, float(distance.max()))
    bad = ~same & ~(distance <= atol + rtol * other.abs().to(torch.float64))
    count = int(bad.sum())
    if count:
        index = int(bad.flatten().to(torch.uint8).argmax())
        first = f"{one.flatten()[index].item():g} and {other.flatten()[index].item():g}"
        words = f"{count} of {one.numel()} values differ, the first is number {index}: {first}"
        _differ(found, place, words, "values")


def _comparable(torch: Any, value: Any) -> Any:
    """A tensor's numbers in a dtype that can be subtracted, dense."""
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.is_quantized:
        value = value.dequantize()
    return value.to(torch.complex128) if value.is_complex() else value.to(torch.float64)


def _differ(found: Difference, place: str, words: str, kind: str) -> None:
    if not found.place:
        found.place, found.words, found.kind = place, words, kind
    if kind == "structure":
        found.kind = kind


def _short(value: Any) -> str:
    text: Optional[str] = type(value).__name__ if hasattr(value, "shape") else repr(value)
    return str(text)[:80]
