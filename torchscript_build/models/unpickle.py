"""Reads pickles of torch without torch: nothing is imported, nothing is executed, whatever the pickle asks for.

Every class and function that a pickle names becomes a stand-in that only keeps what it is given. Sources:
``torch/csrc/jit/serialization/pickler.cpp``, ``torch/_utils.py``, ``torch/serialization.py``.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from torchscript_build.errors import ModelError
from torchscript_build.records import dataclass

LIMIT = 256 * 2**20
"""Bytes of one pickle; that of a large model has some megabytes, since tensors lie beside it."""
MOST_NAMES = 100_000
"""Different classes that one pickle may name."""

SIZES: Mapping[str, tuple[str, int]] = {
    "FloatStorage": ("float32", 4),
    "DoubleStorage": ("float64", 8),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
    "QInt8Storage": ("qint8", 1),
    "QUInt8Storage": ("quint8", 1),
    "QInt32Storage": ("qint32", 4),
    "UntypedStorage": ("bytes", 1),
}
"""torch's storages: dtype and bytes of one element."""


@dataclass(frozen=True)
class Storage:
    """The numbers of one or several tensors: a record beside the pickle."""

    dtype: str
    item_size: int
    key: str
    """The record's name in its folder."""
    device: str


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as far as a pickle tells of it."""

    dtype: str
    shape: tuple[int, ...]
    device: str
    key: str
    """Its storage's record."""
    item_size: int
    quantized: bool = False

    @property
    def count(self) -> int:
        """Its elements."""
        result = 1
        for size in self.shape:
            result *= size
        return result

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.count * self.item_size


class Opaque:
    """Stands in for an object of any class; keeps what the pickle gives it."""

    qualified = ""
    """Module and name of the class, as the pickle says."""

    def __init__(self, *arguments: Any, **_keywords: Any) -> None:
        self.arguments = arguments
        self.state: Any = None
        self.entries: list[Any] = []

    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Opaque:
        made = super().__new__(cls)
        made.arguments, made.state, made.entries = (), None, []
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries.append((key, value))

    def append(self, value: Any) -> None:
        self.entries.append(value)

    def extend(self, values: Any) -> None:
        self.entries.extend(values)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes by name, where it has such."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):  # with slots
            state = {**(state[0] if isinstance(state[0], dict) else {}), **state[1]}
        return {str(name): value for name, value in state.items()} if isinstance(state, dict) else {}


def read_pickle(data: bytes, where: str) -> Any:
    """What a pickle holds; tensors are ``TensorInfo``, objects of all other classes ``Opaque``.

    :param where: its name, for messages.
    :raises ModelError: it is no whole pickle, or beyond the limits.
    """
    if len(data) > LIMIT:
        raise ModelError(f"{where} is a pickle of {len(data) / 1e6:.0f} MB, which no model needs; it is not read")
    try:
        _check(data)
        return _Reader(io.BytesIO(data)).load()
    except ModelError:
        raise
    except (
        *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError),
        *(UnicodeDecodeError, OverflowError, RecursionError, MemoryError, ImportError, AssertionError),
    ) as error:
        raise ModelError(f"{where} is no pickle that can be read: {error or type(error).__name__}") from error


def _check(data: bytes) -> None:
    """Look at every instruction first: the reader reserves memory for as many things as one claims to have.

    :raises ValueError: an argument is cut short, or numbers more things than there are bytes.
    """
    for opcode, argument, _ in pickletools.genops(data):
        if "PUT" in opcode.name and isinstance(argument, int) and argument > len(data):
            raise ValueError(f"{opcode.name} {argument}")


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self._names: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in; never the class or function itself."""
        qualified = f"{module}.{name}"
        if qualified not in self._names:
            if len(self._names) >= MOST_NAMES:
                raise ModelError(f"a pickle names more than {MOST_NAMES} classes; it is not read")
            known = _KNOWN.get(qualified) or (_first if module == "torch.jit._pickle" else None)
            self._names[qualified] = known or type("Opaque", (Opaque,), {"qualified": qualified})
        return self._names[qualified]

    def persistent_load(self, pid: Any) -> Storage:
        """``("storage", class, key, device, count)``."""
        kind, cls, key, device, *_ = pid if isinstance(pid, tuple) and len(pid) >= 5 else ("", None, "", "", 0)
        name = getattr(cls, "qualified", "").rpartition(".")[2]
        dtype, size = SIZES.get(name, (name.replace("Storage", "").lower() or "unknown", 1))
        return Storage(dtype, size, str(key), str(device)) if kind == "storage" else Storage("unknown", 1, "", "")


def _first(*arguments: Any) -> Any:
    """TorchScript's lists and tagged values: ``build_intlist([1, 2])``, ``restore_type_tag(value, type)``."""
    return arguments[0] if arguments else None


def _tensor(*arguments: Any) -> Any:
    """``_rebuild_tensor_v2(storage, offset, shape, strides, …)`` and its kin."""
    return _make_tensor(arguments, quantized=False)


def _quantized_tensor(*arguments: Any) -> Any:
    return _make_tensor(arguments, quantized=True)


def _make_tensor(arguments: tuple[Any, ...], *, quantized: bool) -> Any:
    if len(arguments) < 3 or not isinstance(arguments[0], Storage) or not isinstance(arguments[2], (tuple, list)):
        return Opaque(*arguments)
    storage, shape = arguments[0], tuple(n for n in arguments[2] if isinstance(n, int))
    return TensorInfo(storage.dtype, shape, storage.device, storage.key, storage.item_size, quantized)


class _Mapping(dict[Any, Any]):
    """An OrderedDict; that of a state dict has an attribute ``_metadata``, which nobody asks for."""

    def __setstate__(self, state: Any) -> None:
        pass


def _mapping(*arguments: Any) -> Any:
    return _Mapping(arguments[0] if arguments and isinstance(arguments[0], (list, dict)) else ())


_KNOWN: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_qtensor": _quantized_tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "collections.OrderedDict": _mapping,
}
