"""Calls a C library of models by ctypes: proves that it opens a model, and compares its outputs with Python's.

As a script it needs no torch: ``library.py REQUEST`` opens each model of the request and writes a JSON report.
"""

import ctypes
import json
import os
import sys
from typing import Any

if __package__:
    from . import process, reference, values

NONE, BOOL, INT, FLOAT, COMPLEX, STRING, DEVICE, TENSOR, LIST, TUPLE, DICT, ENUM, OBJECT = range(13)
GRAD = 1


class LibraryError(Exception):
    """A function of the library failed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class NotCarried(Exception):
    """A value that the comparison cannot pass to the library."""


class Options(ctypes.Structure):
    """``tsl_options``."""

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("threads", ctypes.c_int32),
        ("model", ctypes.c_char_p),
        ("device", ctypes.c_char_p),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class Library:
    """A C library, by the names that its functions begin with."""

    def __init__(self, file: str, prefix: str) -> None:
        self.library = ctypes.CDLL(file)
        self.prefix = prefix
        self.function("last_error").restype = ctypes.c_char_p

    def function(self, name: str) -> Any:
        return getattr(self.library, f"{self.prefix}_{name}")

    def __call__(self, name: str, *arguments: Any) -> None:
        """:raises LibraryError: the function did not return 0."""
        status = self.function(name)(*arguments)
        if status != 0:
            raise LibraryError(status, self.function("last_error")().decode("utf-8", "replace"))

    def give(self, name: str, *arguments: Any, kind: Any = ctypes.c_uint64) -> Any:
        """What a function gives by its last argument."""
        out = kind()
        self(name, *arguments, ctypes.byref(out))
        return out.value

    def open(self, model: str, grad: bool) -> "ctypes.c_uint64":
        options = Options(ctypes.sizeof(Options), 0, model.encode(), b"cpu", GRAD if grad else 0, 0)
        return ctypes.c_uint64(self.give("open", ctypes.byref(options)))

    def free(self, value: "ctypes.c_uint64") -> None:
        self("free", value)


def main(request_file: str) -> int:
    """Open models; each entry of the report is ``null``, or the error's status and text."""
    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    try:
        library = Library(request["library"], request["prefix"])
    except OSError as error:
        write(request["report"], {"unloaded": str(error)})
        return 0
    said: list[Any] = []
    for model in request["models"]:
        try:
            library("close", library.open(model, False))
            said.append(None)
        except LibraryError as error:
            said.append([error.status, str(error)])
    write(request["report"], {"said": said})
    return 0


def write(file: str, report: "dict[str, Any]") -> None:
    with open(file, "w", encoding="utf-8") as stream:
        json.dump(report, stream)


def call_library(torch: Any, job: "dict[str, Any]", progress: Any) -> "dict[str, Any]":
    """Call the library as Python called the exported model.

    :returns: one entry a call: the ``difference``, an ``error``, or why it was ``left`` out; or why nothing was called.
    """
    here, built_for = os.path.join(os.path.dirname(torch.__file__), "lib"), job["libtorch"]
    if os.path.realpath(here) != os.path.realpath(built_for):
        return {"apart": f"Python's torch is another one than the library's in {built_for}"}
    process.apply(torch, job)
    with progress(f"loading {job['library']}", f"Python cannot load {job['library']}"):
        library = Library(job["library"], job["prefix"])
    calls = []
    for call in job["cases"]:
        doing = f"calling {call['method']} of {job['model']} in {job['library']}"
        with progress(doing, f"{doing} failed"):
            calls.append(_called(torch, library, call, job))
    return {"calls": calls}


def _called(torch: Any, library: Library, call: "dict[str, Any]", job: "dict[str, Any]") -> "dict[str, Any]":
    try:
        model = library.open(job["model"], bool(call["grad"]))
        arguments = [to_library(torch, library, a) for a in reference.load(torch, call["arguments"])]
        process.seed(torch, job["seed"])
        array = (ctypes.c_uint64 * len(arguments))(*[a.value for a in arguments])
        count = ctypes.c_size_t(len(arguments))
        result = ctypes.c_uint64(library.give("call", model, call["method"].encode(), array, count))
        outputs = from_library(torch, library, result)
        for value in (*arguments, result):
            library.free(value)
        library("close", model)
    except LibraryError as error:
        return {"error": str(error)}
    except NotCarried as reason:
        return {"left": str(reason)}
    found = values.compare(torch, outputs, reference.load(torch, call["expected"]), job["rtol"], job["atol"])
    return {"difference": vars(found)}


def to_library(torch: Any, library: Library, value: Any) -> "ctypes.c_uint64":
    """A plain value (child/values.py) as the library's, which owns what it needs of it.

    :raises NotCarried: a tensor that DLPack cannot carry.
    """
    return ctypes.c_uint64(_to_library(torch, library, value))


def _to_library(torch: Any, library: Library, value: Any) -> int:
    if isinstance(value, torch.Tensor):
        capsule = _to_capsule(torch, value)
        pointer = _pythonapi("PyCapsule_GetPointer", ctypes.c_void_p)(capsule, b"dltensor")
        made = library.give("from_dlpack", ctypes.c_void_p(pointer))
        _pythonapi("PyCapsule_SetName", ctypes.c_int)(capsule, b"used_dltensor")
    elif value is None:
        made = library.give("none")
    elif isinstance(value, bool):
        made = library.give("bool", ctypes.c_int(value))
    elif isinstance(value, int):
        made = library.give("int", ctypes.c_int64(value))
    elif isinstance(value, float):
        made = library.give("float", ctypes.c_double(value))
    elif isinstance(value, complex):
        made = library.give("complex", ctypes.c_double(value.real), ctypes.c_double(value.imag))
    elif isinstance(value, str):
        text = value.encode()
        made = library.give("string", text, ctypes.c_size_t(len(text)))
    elif isinstance(value, dict):
        arrays = [_array(torch, library, items) for items in (value.keys(), value.values())]
        made = library.give("dict", *arrays, ctypes.c_size_t(len(value)))
        for item in (item for array in arrays for item in array):
            library.free(ctypes.c_uint64(item))
    else:
        array = _array(torch, library, value)
        kind = "tuple" if isinstance(value, tuple) else "list"
        made = library.give(kind, array, ctypes.c_size_t(len(value)))
        for item in array:
            library.free(ctypes.c_uint64(item))
    return int(made)


def _array(torch: Any, library: Library, items: Any) -> Any:
    made = [_to_library(torch, library, item) for item in items]
    return (ctypes.c_uint64 * len(made))(*made)


def from_library(torch: Any, library: Library, value: "ctypes.c_uint64") -> Any:
    """A value of the library as a plain one (child/values.py).

    :raises NotCarried: a tensor that DLPack cannot carry, or an object that only TorchScript knows.
    """
    kind = library.give("kind_of", value, kind=ctypes.c_int)
    if kind == TENSOR:
        return _tensor(torch, library, value)
    if kind == NONE:
        return None
    if kind == BOOL:
        return bool(library.give("get_bool", value, kind=ctypes.c_int))
    if kind == INT:
        return library.give("get_int", value, kind=ctypes.c_int64)
    if kind == FLOAT:
        return library.give("get_float", value, kind=ctypes.c_double)
    if kind == COMPLEX:
        parts = (ctypes.c_double * 2)()
        pointers = [ctypes.byref(parts, ctypes.sizeof(ctypes.c_double) * i) for i in (0, 1)]
        library("get_complex", value, *pointers)
        return complex(*parts)
    if kind in (STRING, DEVICE):
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        library("get_text", value, ctypes.byref(text), ctypes.byref(size))
        return ctypes.string_at(text.value or 0, size.value).decode() if size.value else ""
    if kind not in (LIST, TUPLE, DICT, ENUM, OBJECT):
        raise NotCarried("an object that only TorchScript knows")
    size = ctypes.c_size_t(library.give("size", value, kind=ctypes.c_size_t))
    items = [_part(torch, library, "item", value, i) for i in range(size.value)]
    if kind == DICT:
        return dict(zip([_part(torch, library, "key", value, i) for i in range(size.value)], items))
    if kind == OBJECT:
        names = [library.give("name", value, ctypes.c_size_t(i), kind=ctypes.c_char_p) for i in range(size.value)]
        return {name.decode(): item for name, item in zip(names, items)}
    if kind == ENUM:
        return items[0]
    return tuple(items) if kind == TUPLE else items


def _part(torch: Any, library: Library, how: str, value: "ctypes.c_uint64", index: int) -> Any:
    part = ctypes.c_uint64(library.give(how, value, ctypes.c_size_t(index)))
    try:
        return from_library(torch, library, part)
    finally:
        library.free(part)


def _tensor(torch: Any, library: Library, value: "ctypes.c_uint64") -> Any:
    try:
        pointer = library.give("to_dlpack", value, kind=ctypes.c_void_p)
    except LibraryError as error:
        raise NotCarried(str(error)) from error
    capsule = _pythonapi("PyCapsule_New", ctypes.py_object)(ctypes.c_void_p(pointer), b"dltensor", None)
    try:
        return torch.utils.dlpack.from_dlpack(capsule)
    except (RuntimeError, ValueError, TypeError) as error:  # a dtype that this torch's DLPack does not have
        raise NotCarried(str(error).splitlines()[0]) from error


def _to_capsule(torch: Any, tensor: Any) -> Any:
    try:
        return torch.utils.dlpack.to_dlpack(tensor.detach())
    except (RuntimeError, ValueError, TypeError, BufferError) as error:
        raise NotCarried(str(error).splitlines()[0]) from error


def _pythonapi(name: str, result: Any) -> Any:
    arguments = {
        "PyCapsule_GetPointer": [ctypes.py_object, ctypes.c_char_p],
        "PyCapsule_SetName": [ctypes.py_object, ctypes.c_char_p],
        "PyCapsule_New": [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
    }
    function = getattr(ctypes.pythonapi, name)
    function.restype, function.argtypes = result, arguments[name]
    return function


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
