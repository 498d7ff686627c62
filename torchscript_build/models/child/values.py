"""Outputs of models: made plain for a file, and compared."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any, Optional


class NotCarried(TypeError):
    """A value that no file carries to C++ and back."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} cannot be carried to C++")


DTYPES = frozenset(
    (
        *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
        *("float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
        *("qint8", "quint8", "qint32"),
    )
)
"""What the runner's values/ knows."""
NUMBERS = {
    f"torch.{name}": number
    for first, names in (
        (0, ("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex32", "complex64")),
        (10, ("complex128", "bool", "qint8", "quint8", "qint32", "bfloat16")),
        (23, ("float8_e5m2", "float8_e4m3fn", "float8_e5m2fnuz", "float8_e4m3fnuz", "uint16", "uint32", "uint64")),
        (44, ("float8_e8m0fnu",)),
        (0, ("strided", "sparse_coo", "sparse_csr", "_mkldnn", "sparse_csc", "sparse_bsr", "sparse_bsc")),
        (0, ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")),
    )
    for number, name in enumerate(names, first)
}
"""TorchScript has dtypes, layouts and memory formats as whole numbers; as files/pickle_calls.cpp has them."""


def plain(torch: Any, value: Any) -> Any:
    """A value as what a file can carry and C++ has: tensors, numbers, texts, lists, tuples, dicts, None.

    Named tuples become tuples: torch.load takes no class with ``weights_only``. Mappings of every kind (a ModelOutput)
    become dicts; dataclasses and objects of scripted classes dicts; enums their values.

    :raises NotCarried: it is none of these.
    """
    if isinstance(value, torch.Tensor):
        return _plain_tensor(torch, value)
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, enum.Enum):
        return plain(torch, value.value)
    if isinstance(value, Mapping):
        return {plain(torch, k): plain(torch, v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(torch, v) for v in value)
    if isinstance(value, list):
        return [plain(torch, v) for v in value]
    attributes = attributes_of(torch, value)
    if attributes is not None:
        return {name: plain(torch, v) for name, v in attributes.items()}
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        if str(value) in NUMBERS:
            return NUMBERS[str(value)]
        raise NotCarried(str(value))
    if _is_future(value):
        return plain(torch, value.wait())
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of numpy's
        return value.item()
    raise NotCarried(f"a value of the type {type(value).__name__}")


def _plain_tensor(torch: Any, value: Any) -> Any:
    dtype = str(value.dtype).rpartition(".")[2]
    if getattr(value, "is_nested", False):  # from 1.13 on
        raise NotCarried("a nested tensor")
    if value.device.type == "meta":
        raise NotCarried("a tensor without data (on the device meta)")
    if dtype not in DTYPES:
        raise NotCarried(f"a tensor of dtype {dtype}")
    return (value.to_dense() if str(value.layout) == "torch._mkldnn" else value).detach()


def attributes_of(torch: Any, value: Any) -> "Optional[dict[str, Any]]":
    """The attributes of an object whose class TorchScript compiles; ``None`` of another object."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    scripted = getattr(torch.jit, "_state", None)
    if scripted is None or getattr(scripted, "_get_script_class", lambda _: None)(kind) is None:
        return None
    return dict(vars(value))


class StandIn:
    """Attributes, as Python reads them off an object that it passes to a saved model."""

    def __init__(self, attributes: "dict[str, Any]") -> None:
        self.__dict__.update(attributes)


def stand_in(torch: Any, value: Any) -> Any:
    """A value as Python passes it to a saved model: without the user's classes, but with the attributes that are read.

    So a process can call the model without importing the user's code.
    """
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format, torch.device)):
        return value
    if _is_future(value):
        return Promise(stand_in(torch, value.wait()))
    if isinstance(value, enum.Enum):
        return StandIn({"name": value.name, "value": value.value})
    if isinstance(value, Mapping):
        return {stand_in(torch, k): stand_in(torch, v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return (tuple if isinstance(value, tuple) else list)(stand_in(torch, v) for v in value)
    attributes = attributes_of(torch, value)
    if attributes is not None:
        return StandIn({name: stand_in(torch, v) for name, v in attributes.items()})
    return plain(torch, value)


@dataclasses.dataclass
class Promise:
    """A future, which no file carries."""

    value: Any


def revive(torch: Any, value: Any) -> Any:
    """What ``stand_in`` gave, after it was read from a file: promises are futures again."""
    if isinstance(value, Promise):
        future = torch.futures.Future()
        future.set_result(revive(torch, value.value))
        return future
    if type(value) in (tuple, list):
        return type(value)(revive(torch, v) for v in value)
    if type(value) is dict:
        return {key: revive(torch, v) for key, v in value.items()}
    return value


def _is_future(value: Any) -> bool:
    return hasattr(value, "wait") and type(value).__name__ == "Future"


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
    elif _is_number(left) and _is_number(right) and not (isinstance(left, int) and isinstance(right, int)):
        # TorchScript converts by the annotation where Python keeps what it was given: 2 for a float
        dtype = torch.complex128 if isinstance(left, complex) or isinstance(right, complex) else torch.float64
        one, other = torch.tensor(left, dtype=dtype), torch.tensor(right, dtype=dtype)
        _compare_tensors(torch, one, other, place, rtol, atol, found)
    elif _is_scalar(torch, left) and _is_number(right):
        _compare(torch, left.item(), right, place, rtol, atol, found)
    elif isinstance(left, bool) != isinstance(right, bool) and left == right:
        pass
    elif type(left) is not type(right) or left != right:
        _differ(found, place, f"{_short(left)} and {_short(right)}", "structure")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex))


def _is_scalar(torch: Any, value: Any) -> bool:
    """What TorchScript makes a number of where a number is declared."""
    return isinstance(value, torch.Tensor) and value.dim() == 0


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
    if isinstance(value, (tuple, list, dict)):
        return f"{type(value).__name__} of {len(value)}"
    text: Optional[str] = type(value).__name__ if hasattr(value, "shape") else repr(value)
    return str(text)[:80]
