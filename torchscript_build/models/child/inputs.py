"""Example inputs: one function that makes them, or the grammar of the runner's ``--input``."""

import difflib
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any


def locate(name: str) -> Any:
    """``package.module:attribute.path`` → the object."""
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        parent, _, last = module.rpartition(".")
        if error.name == module and not parent:
            inside = [f"; did you mean {package}.{name}?" for package in packages_with(module)][:1]
            raise ModuleNotFoundError(f"{error}{''.join(inside)}") from None
        if error.name != module:
            raise
        there = [m.name for m in pkgutil.iter_modules(importlib.import_module(parent).__path__)]
        raise ModuleNotFoundError(f"{error}{_meant(last, there, parent)}") from None
    place = module
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            there = [n for n, value in vars(found).items() if callable(value) and not n.startswith("_")]
            own = [n for n in there if getattr(vars(found)[n], "__module__", module) == module]
            raise AttributeError(f"{error}{_meant(attribute, own, place)}") from None
        place = f"{place}.{attribute}"
    return found


def packages_with(module: str) -> "Iterator[str]":
    """Packages of the project that have a module of this name in them."""
    installed = (os.path.dirname(os.__file__), f"{os.sep}site-packages", f"{os.sep}dist-packages")
    for folder in sys.path:
        if any(part in folder for part in installed) or not os.path.isdir(folder or os.curdir):
            continue
        names = sorted(os.listdir(folder or os.curdir))
        yield from (name for name in names if os.path.isfile(os.path.join(folder, name, f"{module}.py")))


def _meant(word: str, known: "list[str]", place: str) -> str:
    close = difflib.get_close_matches(word, known, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; {place} has {', '.join(sorted(known)[:8])}" if known else ""


def example_arguments(torch: Any, specs: "list[str]", root: str) -> "tuple[Any, ...]":
    """Example inputs as a tuple: either one function that makes it, or specs as the runner's --input takes them."""
    if len(specs) == 1 and is_function(specs[0]):
        made = locate(specs[0])()
        return on_cpu(torch, made if isinstance(made, tuple) else (made,))
    if len(specs) == 1 and specs[0].startswith("args:"):
        return tuple(torch.load(os.path.join(root, specs[0][5:]), map_location="cpu", weights_only=True))
    return tuple(parse_input(torch, spec, root) for spec in specs)


def on_cpu(torch: Any, args: "tuple[Any, ...]") -> "tuple[Any, ...]":
    """Arguments that a function made, where models are exported and compared."""
    from torch.utils import _pytree

    moved: tuple[Any, ...] = _pytree.tree_map(lambda a: a.cpu() if isinstance(a, torch.Tensor) else a, args)
    return moved


def input_sets(torch: Any, wanted: Any, root: str) -> "Iterator[tuple[Any, ...]]":
    """Several sets of inputs: lists of specs, or one function that yields them."""
    if isinstance(wanted, str):
        for made in locate(wanted)():
            yield on_cpu(torch, made if isinstance(made, tuple) else (made,))
    else:
        for specs in wanted:
            yield example_arguments(torch, specs, root)


FILLS = ("ones", "zeros", "rand", "randn", "arange")
SCALARS = ("int", "float", "bool", "str")
LISTS = ("ints", "floats", "bools", "strs")
PREFIXES = (*FILLS, "full", "randint", *SCALARS, *LISTS, "file", "args")


def is_function(spec: str) -> bool:
    module, colon, name = spec.partition(":")
    return (
        bool(colon) and module not in PREFIXES and all(p.isidentifier() for p in [*module.split("."), *name.split(".")])
    )


def parse_input(torch: Any, spec: str, root: str) -> Any:
    """One input spec → a tensor or plain value; the grammar of the runner's ``--input`` (its program/input_spec.cpp).

    :raises ValueError: it means nothing.
    """
    kind, colon, rest = spec.partition(":")
    if colon and kind in FILLS:
        return fill(torch, kind, None, rest)
    if colon and kind in ("full", "randint"):
        number, _, shape = rest.partition(":")
        return fill(torch, kind, float(number) if kind == "full" else int(number), shape)
    if colon and kind in SCALARS:
        return scalar(kind, rest)
    if colon and kind in LISTS:
        return [scalar(kind[:-1], part) for part in split(rest, ",")]
    if spec.startswith("[") and spec.endswith("]"):
        return [parse_input(torch, part, root) for part in split(spec[1:-1], ";")]
    if spec.startswith("(") and spec.endswith(")"):
        return tuple(parse_input(torch, part, root) for part in split(spec[1:-1], ";"))
    if spec in ("none", "None"):
        return None
    file = rest if colon and kind == "file" else spec
    path = os.path.join(root, file)
    if path.endswith((".npy", ".pt", ".pth")) and not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {file}; it is looked for from the project's folder on")
    if path.endswith(".npy"):
        import numpy

        return torch.from_numpy(numpy.load(path))
    if path.endswith((".pt", ".pth")) or (colon and kind == "file"):
        return torch.load(path, map_location="cpu", weights_only=True)
    for name in ("int", "bool", "float"):  # 1 is a number
        try:
            return scalar(name, spec)
        except ValueError:
            continue
    raise ValueError(
        f"example input {spec!r} is neither a spec (ones:1x3, int:3, file.npy) nor package.module:function"
    )


def fill(torch: Any, kind: str, number: Any, text: str) -> Any:
    """A tensor from ``SHAPE[:DTYPE]``, float32 by default, int64 for randint."""
    shape_text, _, name = text.partition(":")
    shape = [int(n) for n in split(shape_text, "x,")]
    dtype = getattr(torch, name or ("int64" if kind == "randint" else "float32"))
    if kind == "arange":
        count = 1
        for n in shape:
            count *= n
        return torch.arange(count).reshape(shape).to(dtype)
    if kind == "full":
        return torch.full(shape, number, dtype=dtype)
    if kind == "randint":
        return torch.randint(number, shape, dtype=dtype)
    return getattr(torch, kind)(shape, dtype=dtype)


def scalar(kind: str, text: str) -> Any:
    """A plain value of a kind in ``SCALARS``.

    :raises ValueError: it is none.
    """
    if kind == "str":
        return text
    if kind == "bool":
        if text not in ("true", "True", "1", "false", "False", "0"):
            raise ValueError(f"{text!r} is not true or false")
        return text in ("true", "True", "1")
    return int(text) if kind == "int" else float(text)


def split(text: str, separators: str) -> "list[str]":
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
