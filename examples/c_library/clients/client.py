"""python client.py LIBRARY: the library by ctypes and numpy, without torch's Python."""

import ctypes
import sys

import numpy

library = ctypes.CDLL(sys.argv[1])
library.series_last_error.restype = ctypes.c_char_p


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("threads", ctypes.c_int32),
        ("model", ctypes.c_char_p),
        ("device", ctypes.c_char_p),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


def call(name, *arguments, gives=ctypes.c_uint64):
    """What a function gives by its last argument."""
    out = gives()
    status = getattr(library, f"series_{name}")(*arguments, ctypes.byref(out))
    if status != 0:
        raise RuntimeError(f"error {status}: {library.series_last_error().decode()}")
    return out


def free(*values):
    for value in values:
        assert library.series_free(value) == 0


def array(values):
    return (ctypes.c_uint64 * len(values))(*[v.value for v in values]), ctypes.c_size_t(len(values))


def from_numpy(tensor):
    shape = (ctypes.c_int64 * tensor.ndim)(*tensor.shape)
    data = tensor.ctypes.data_as(ctypes.c_void_p)
    return call("tensor_copy", data, str(tensor.dtype).encode(), shape, ctypes.c_size_t(tensor.ndim))


def to_numpy(value, shape):
    result = numpy.empty(shape, numpy.float32)
    data, size = result.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(result.nbytes)
    assert library.series_read(value, data, size) == 0
    return result


model = call("open", ctypes.byref(Options(ctypes.sizeof(Options), 1, None, b"cpu", 0, 0)))
for i in range(call("method_count", model, gives=ctypes.c_size_t).value):
    print(call("method_schema", model, ctypes.c_size_t(i), gives=ctypes.c_char_p).value.decode())

series = from_numpy(numpy.array([[1, 2, 3], [4, 2, 6]], numpy.float32))
scale = call("float", ctypes.c_double(0.5))
result = call("call", model, None, *array([series, scale]))
for name, shape in (("scaled", (2, 3)), ("mean", (2,))):
    tensor = call("find", result, name.encode())
    print(f"{name}:", *(f"{number:.6f}" for number in to_numpy(tensor, shape).flat))
    free(tensor)
free(result, scale)

texts = [call("string", name, ctypes.c_size_t(1)) for name in (b"a", b"b")]
names = call("list", *array(texts))
result = call("call", model, b"describe", *array([series, names]))
words, counts = (call("item", result, ctypes.c_size_t(i)) for i in (0, 1))
text, size = ctypes.c_char_p(), ctypes.c_size_t()
assert library.series_get_text(words, ctypes.byref(text), ctypes.byref(size)) == 0
print(ctypes.string_at(text, size.value).decode())
for i in range(call("size", counts, gives=ctypes.c_size_t).value):
    item = call("item", counts, ctypes.c_size_t(i))
    print("rises:", call("get_int", item, gives=ctypes.c_int64).value)
    free(item)

try:
    call("call", model, b"forward", *array([series]))
except RuntimeError as error:
    print(error)
free(words, counts, result, names, series, *texts)
assert library.series_close(model) == 0
