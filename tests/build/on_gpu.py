"""python on_gpu.py LIBRARY: examples/c_library on a GPU, with torch's own tensors by DLPack."""

import ctypes
import sys
from typing import Any

import torch
from torch.utils.dlpack import from_dlpack, to_dlpack

library = ctypes.CDLL(sys.argv[1])
library.series_last_error.restype = ctypes.c_char_p
pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
rename = ctypes.pythonapi.PyCapsule_SetName
rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
NAME, USED = b"dltensor", b"used_dltensor"


class Options(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("threads", ctypes.c_int32),
        ("model", ctypes.c_char_p),
        ("device", ctypes.c_char_p),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


def call(name: str, *arguments: Any, gives: Any = ctypes.c_uint64) -> Any:
    out = gives()
    status = getattr(library, f"series_{name}")(*arguments, ctypes.byref(out))
    if status != 0:
        raise RuntimeError(f"{status}: {library.series_last_error().decode()}")
    return out


def open_on(device: bytes) -> Any:
    return call("open", ctypes.byref(Options(ctypes.sizeof(Options), 1, None, device, 0, 0)))


def given(tensor: torch.Tensor) -> Any:
    torch.cuda.synchronize()
    capsule = to_dlpack(tensor)
    value = call("from_dlpack", ctypes.c_void_p(pointer_of(capsule, NAME)))
    rename(capsule, USED)
    return value


def taken(value: Any) -> torch.Tensor:
    tensor: torch.Tensor = from_dlpack(new_capsule(call("to_dlpack", value, gives=ctypes.c_void_p).value, NAME, None))
    return tensor


def scaled(model: Any, series: torch.Tensor) -> torch.Tensor:
    values = [given(series), call("float", ctypes.c_double(0.5))]
    result = call("call", model, None, (ctypes.c_uint64 * 2)(*[v.value for v in values]), ctypes.c_size_t(2))
    found = call("find", result, b"scaled")
    tensor = taken(found)
    for value in (*values, result, found):
        assert library.series_free(value) == 0
    return tensor


on_gpu, on_cpu = open_on(b"cuda"), open_on(b"cpu")
series = torch.tensor([[1.0, 2.0, 3.0], [4.0, 2.0, 6.0]])
for model, device in ((on_gpu, "cuda:0"), (on_cpu, "cpu")):
    for here in (series, series.cuda()):
        result = scaled(model, here)
        assert str(result.device) == device
        assert torch.equal(result.cpu(), series * 0.5)

kept = torch.rand(1000, 1000, device="cuda")
scaled(on_gpu, kept)
before = torch.cuda.memory_allocated()
for _ in range(1000):
    scaled(on_gpu, kept)
assert torch.cuda.memory_allocated() == before

count = torch.cuda.device_count()
try:
    open_on(f"cuda:{count}".encode())
except RuntimeError as error:
    print(error)
