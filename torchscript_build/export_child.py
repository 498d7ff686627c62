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
    return tuple(parse_input(torch, spec, root) for spec in specs)


PREFIXES = ("ones", "zeros", "rand", "arange", "int", "float", "bool", "str", "ints", "floats", "file")


def is_function(spec: str) -> bool:
    module, colon, name = spec.partition(":")
    return (
        bool(colon) and module not in PREFIXES and all(p.isidentifier() for p in [*module.split("."), *name.split(".")])
    )


def parse_input(torch: Any, spec: str, root: str) -> Any:
    """One input spec → a tensor or plain value; the same grammar as the runner's."""
    kind, colon, rest = spec.partition(":")
    if colon and kind in ("ones", "zeros", "rand", "arange"):
        shape_text, _, dtype_name = rest.partition(":")
        dtype = getattr(torch, dtype_name or "float32")
        shape = [int(n) for n in shape_text.split("x")] if shape_text else []
        if kind == "arange":
            count = 1
            for n in shape:
                count *= n
            return torch.arange(count).reshape(shape).to(dtype)
        if kind == "rand":
            return torch.rand(shape).to(dtype)
        return getattr(torch, kind)(shape, dtype=dtype)
    if spec == "none":
        return None
    if spec in ("true", "false"):
        return spec == "true"
    if colon and kind == "bool":
        return {"true": True, "false": False, "1": True, "0": False}[rest]
    if colon and kind in ("int", "float", "str"):
        plain: Any = {"int": int, "float": float, "str": str}[kind]
        return plain(rest)
    if colon and kind in ("ints", "floats"):
        convert: Any = int if kind == "ints" else float
        return [convert(part) for part in rest.split(",")] if rest else []
    path = os.path.join(root, rest if colon and kind == "file" else spec)
    if path.endswith(".npy"):
        import numpy

        return torch.from_numpy(numpy.load(path))
    if path.endswith(".pt"):
        return torch.load(path, map_location="cpu", weights_only=True)
    for number in (int, float):
        try:
            return number(spec)
        except ValueError:
            continue
    raise ValueError(
        f"example input {spec!r} is neither a spec (ones:1x3, int:3, file.npy) nor package.module:function"
    )


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
