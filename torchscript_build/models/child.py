"""Runs in a child process with torch: makes a model from its factory, and reference outputs from a model.

Started as a script with the path of a JSON request; it imports nothing of torchscript-build, so it works in any
interpreter that has torch. What it found out goes into the file ``request["report"]`` as JSON. Exit code 3: the user's
code failed, and its traceback has been printed.
"""

import hashlib
import importlib
import importlib.machinery
import json
import os
import site
import sys
import traceback
import warnings
from typing import Any


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    sys.path[0:1] = request["python_path"]  # instead of this script's folder
    for folder in request["site_dirs"]:
        site.addsitedir(folder)
    if request["overlay"]:
        sys.meta_path.insert(0, Overlay(request["overlay"]))
    deprecations = collect_deprecations()
    try:
        import torch
    except ImportError as error:
        print(f"cannot import torch: {error}", file=sys.stderr)
        return 4
    loaded_before = set(sys.modules)
    try:
        report = make(torch, request)
    except (Exception, SystemExit):  # noqa: BLE001 - whatever the user's code raises is shown as Python would
        traceback.print_exc()
        return 3
    report["torch"] = str(torch.__version__)
    report["deprecations"] = deprecations
    report["sources"] = project_sources(loaded_before, request["python_path"])
    with open(request["report"], "w", encoding="utf-8") as file:
        json.dump(report, file)
    return 0


class Overlay:
    """Finds the modules that the build generates for the project's packages, before they are staged anywhere."""

    def __init__(self, root: str) -> None:
        self.root = root

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """A generated submodule; the packages themselves are the project's."""
        parent, _, module = name.rpartition(".")
        folder = os.path.join(self.root, *parent.split("."))
        if not parent or not os.path.isdir(folder) or os.path.isdir(os.path.join(folder, module)):
            return None
        return importlib.machinery.PathFinder.find_spec(name, [folder])


def collect_deprecations() -> "list[str]":
    """Keep torch.jit's deprecation warnings for the report; every other warning is shown as usual."""
    messages: list[str] = []
    show = warnings.showwarning

    def showwarning(message: Any, category: Any, *rest: Any, **more: Any) -> None:
        if issubclass(category, DeprecationWarning) and str(message).startswith("`torch.jit."):
            messages.append(str(message))
        else:
            show(message, category, *rest, **more)

    warnings.filterwarnings("always", message=r"`torch\.jit\.", category=DeprecationWarning)
    warnings.showwarning = showwarning
    return messages


def make(torch: Any, request: "dict[str, Any]") -> "dict[str, Any]":
    """Export if there is a factory, then run the model on the example inputs if outputs are wanted."""
    report: dict[str, Any] = {"kind": None}
    torch.manual_seed(request["seed"])
    args: Any = None
    if request["example_inputs"]:
        args = example_arguments(torch, request["example_inputs"], request["root"])
    if request["factory"]:
        module = locate(request["factory"])()
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"{request['factory']} returned {type(module).__name__}, not a torch.nn.Module")
        scripted = isinstance(module, torch.jit.ScriptModule)
        report["kind"] = "as it is" if scripted else request["method"]
        module.eval()
        if not scripted:
            with torch.no_grad():
                module = torch.jit.trace(module, args) if request["method"] == "trace" else torch.jit.script(module)
        torch.jit.save(module, request["output"])
        if request["show_code"]:
            print(module.code, flush=True)
    for call in request["calls"]:
        # Loaded from the file, as the app will: what was saved is what is compared, and each call starts afresh.
        module = torch.jit.load(request["output"], map_location="cpu").eval()
        torch.save(args, call["arguments"])
        with torch.inference_mode():
            expected = getattr(module, call["method"])(*args)
        torch.save(expected, call["expected"])
    return report


def locate(name: str) -> Any:
    """``package.module:attribute.path`` → the object."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found


def example_arguments(torch: Any, specs: "list[str]", root: str) -> "tuple[Any, ...]":
    """Example inputs as a tuple: either one function that makes it, or specs as the runner's --input takes them."""
    if len(specs) == 1 and is_function(specs[0]):
        made = locate(specs[0])()
        return made if isinstance(made, tuple) else (made,)
    if len(specs) == 1 and specs[0].startswith("args:"):
        return tuple(torch.load(os.path.join(root, specs[0][5:]), map_location="cpu", weights_only=True))
    return tuple(parse_input(torch, spec, root) for spec in specs)


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
    path = os.path.join(root, rest if colon and kind == "file" else spec)
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


def project_sources(before: "set[str]", folders: "list[str]") -> "dict[str, str]":
    """The project's own modules that were imported, with their digests: when one changes, the model is made again."""
    sources = {}
    roots = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
    for name in sorted(set(sys.modules) - before):
        path = getattr(sys.modules[name], "__file__", None)
        if path and os.path.realpath(path).startswith(roots) and "site-packages" not in path and os.path.isfile(path):
            with open(path, "rb") as file:
                sources[path] = hashlib.sha256(file.read()).hexdigest()
    return sources


if __name__ == "__main__":
    sys.exit(main())
