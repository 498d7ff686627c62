"""Files that are no model of torch's: what they are, by their first bytes or by what a zip holds, and what to do."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Optional

from torchscript_build.models.unpickle import TensorInfo

_EXPORT = "export the PyTorch module that it was made from: torch.jit.save, or a factory in the settings"
_HEADER_LIMIT = 100_000_000
"""Bytes of a header of safetensors, as its own reader has it."""
_SAFETENSORS: Mapping[str, tuple[str, int]] = {
    **{f"F{bits}": (f"float{bits}", bits // 8) for bits in (16, 32, 64)},
    **{f"I{bits}": (f"int{bits}", bits // 8) for bits in (8, 16, 32, 64)},
    **{f"U{bits}": (f"uint{bits}", bits // 8) for bits in (8, 16, 32, 64)},
    "BOOL": ("bool", 1),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
}


class Foreign(NamedTuple):
    """What a file is."""

    what: str
    """``is an ONNX model``"""
    cure: str


_BY_BYTES: tuple[tuple[int, bytes, Foreign], ...] = (
    (
        4,
        b"PTMF",
        Foreign(
            "is a mobile model in flatbuffers, which only the mobile libtorch reads", "save it without flatbuffers"
        ),
    ),
    (4, b"ET1", Foreign("is a program of ExecuTorch, which has a runtime of its own", _EXPORT)),
    (4, b"TFL3", Foreign("is a model of TensorFlow Lite", _EXPORT)),
    (0, b"\x89HDF\r\n", Foreign("is an HDF5 file, as Keras writes", _EXPORT)),
    (0, b"GGUF", Foreign("is a GGUF file, as llama.cpp reads", _EXPORT)),
    (0, b"\x93NUMPY", Foreign("is an array of NumPy: an input, not a model", "give it to a program: --input FILE")),
    (0, b"version https://git-lfs", Foreign("is a pointer of Git LFS: the model was not fetched", "git lfs pull")),
    (0, b"\x7fELF", Foreign("is a program or a shared library", "name the model's file")),
    (0, b"\x1f\x8b", Foreign("is packed by gzip", "unpack it, and name the model in it")),
    (0, b"<", Foreign("is a web page or XML: a download was answered by that", "download it again, and look at it")),
)


def recognize(path: Path, head: bytes) -> Optional[Foreign]:
    """What a file that is no zip is, by its first sixteen bytes or more; ``None`` for what has no mark."""
    for offset, mark, foreign in _BY_BYTES:
        if head[offset : offset + len(mark)] == mark:
            return foreign
    if head[:1] == b"\x08" and path.suffix == ".onnx":
        return Foreign("is an ONNX model, which onnxruntime runs", _EXPORT)
    return None


def recognize_zip(names: Iterable[str]) -> Optional[Foreign]:
    """The same of a zip that torch has not written."""
    names = list(names)
    if any(name.startswith("MAR-INF/") for name in names):
        return Foreign("is an archive of TorchServe", "unpack it as a zip, and name the model in it")
    if any(".dist-info/" in name for name in names):
        return Foreign("is a wheel", "torchscript-build check-wheel FILE looks at it")
    if "model.weights.h5" in names or "saved_model.pb" in {name.rpartition("/")[2] for name in names}:
        return Foreign("is a model of Keras or TensorFlow", _EXPORT)
    models = [name for name in names if name.endswith((".pt", ".pth", ".pt2", ".ptl"))]
    if models:
        return Foreign(f"is a zip with a model in it ({models[0]})", "unpack it, and name that file")
    return None


def read_safetensors(path: Path) -> Optional[dict[str, TensorInfo]]:
    """The tensors of a file of safetensors by name; ``None`` where it is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(9)
        length = struct.unpack("<Q", start[:8])[0] if len(start) == 9 and start[8:] == b"{" else 0
        if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
            return None
        text = b"{" + file.read(length - 1)
    try:
        header = json.loads(text)
        return {name: _tensor(name, entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _tensor(name: str, entry: Mapping[str, object]) -> TensorInfo:
    kind, shape = str(entry["dtype"]), entry["shape"]
    dtype, item_size = _SAFETENSORS.get(kind, (kind.lower(), 1))
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(name)
    return TensorInfo(dtype, tuple(shape), "cpu", name, item_size)
