"""Loads the operator libraries of this package, once. Written by torchscript-build when the package was built."""

import contextlib
import importlib
import os
import re

import torch

PACKAGE = "my_ops"  # replaced when the package is built, like the next three
# One for each series of torch. cuda: only where a library needs it, or "any"; libraries: pairs (path from here, names
# of the operators that it registers); operators: their schemas.
BUILDS = ({"torch": "2.13", "cxx11_abi": True, "cuda": None, "libraries": (), "operators": ()},)
AT_LEAST = None  # the oldest torch, where all libraries keep to its stable ABI
PARTS = ()  # modules that complete the operators from Python


def _words(series, cxx11_abi, cuda):
    abi = "" if cxx11_abi is None else ", new C++ ABI" if cxx11_abi else ", old C++ ABI"
    return f"torch {series} ({'CUDA ' + cuda if cuda else 'no CUDA'}{abi})"


def _check_torch():
    """The build for the torch that is here: with another one it would end in undefined symbols."""
    series = re.match(r"\d+\.\d+", torch.__version__).group()
    built_for = next((build for build in BUILDS if build["torch"] == series), BUILDS[-1])
    cuda = torch.version.cuda.split(".")[0] if torch.version.cuda else None
    abi = torch.compiled_with_cxx11_abi() if built_for["cxx11_abi"] is not None else None
    # What was built without CUDA runs with a CUDA build of the same torch; not the other way round.
    same_cuda = built_for["cuda"] in (None, cuda) or (built_for["cuda"] == "any" and cuda is not None)
    if AT_LEAST is not None:
        _check_at_least(series, cuda, same_cuda, built_for["cuda"])
        return built_for
    if series == built_for["torch"] and abi == built_for["cxx11_abi"] and same_cuda:
        return built_for
    wanted = _words(built_for["torch"], built_for["cxx11_abi"], built_for["cuda"])
    cure = f"pip install 'torch=={built_for['torch']}.*'"
    if series == built_for["torch"]:  # pip is content with the build that is here
        build = f"the CUDA {built_for['cuda']} build" if not same_cuda else "a build with the other C++ ABI"
        cure = f"install {build} of torch {built_for['torch']} in its place"
    elif len(BUILDS) > 1:
        wanted = f"torch {', '.join(build['torch'] for build in BUILDS[:-1])} and {wanted[len('torch ') :]}"
    raise ImportError(
        f"{PACKAGE} was built for {wanted}, but {_words(torch.__version__, abi, cuda)} is installed: "
        f"{cure}, or build {PACKAGE} again for this torch"
    )


def _check_at_least(series, cuda, same_cuda, wanted):
    """The same for libraries that any torch from some release on will do for."""
    if [int(n) for n in series.split(".")] < [int(n) for n in AT_LEAST.split(".")]:
        raise ImportError(
            f"{PACKAGE} needs torch {AT_LEAST} or newer, but torch {torch.__version__} is installed: "
            f"pip install 'torch>={AT_LEAST}'"
        )
    if not same_cuda:
        which = "a build of torch with CUDA" + ("" if wanted == "any" else f" {wanted}")
        here = f"with CUDA {cuda}" if cuda else "without CUDA"
        raise ImportError(
            f"{PACKAGE} needs {which}, but torch {torch.__version__} here is {here}: install such a build"
        )


def _mapped_files():
    """The files that are mapped into this process, where the system tells."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            return {line.split(None, 5)[5].strip() for line in file if line.count("/")}
    except (OSError, IndexError):
        return set()


def _is_registered(name):
    namespace, _, operator = name.partition("::")
    try:
        getattr(getattr(torch.ops, namespace), operator)
    except (AttributeError, RuntimeError):  # the second by releases before 1.12
        return False
    return True


def _load(path, operators):
    if path in torch.ops.loaded_libraries or path in _mapped_files():
        return
    present = [name for name in operators if _is_registered(name)]
    if present:
        name = os.path.basename(path)
        others = sorted(f for f in {*_mapped_files(), *torch.ops.loaded_libraries} if os.path.basename(f) == name)
        raise ImportError(
            f"{PACKAGE}: the operator {present[0]} is registered already"
            + (f", by {others[0]}" if others else "")
            + f"; it cannot be loaded a second time from {path}: keep one of the two copies"
        )
    if not os.path.isfile(path):
        raise ImportError(f"{PACKAGE}: {path} is missing; install {PACKAGE} again")
    torch.ops.load_library(path)


def _document(schema):
    """Give an operator its schema as docstring, for help(torch.ops.my_ops.foo) and editors."""
    namespace, _, operator = schema.split("(")[0].split(".")[0].partition("::")
    with contextlib.suppress(
        AttributeError, RuntimeError, TypeError
    ):  # no such one in this series; before 1.12 functions
        packet = getattr(getattr(torch.ops, namespace), operator)
        packet.__doc__ = "\n".join(filter(None, [packet.__doc__, schema]))


_BUILT_FOR = _check_torch()
for _path, _operators in _BUILT_FOR["libraries"]:
    _load(os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), _path)), _operators)
for _schema in _BUILT_FOR["operators"]:
    _document(_schema)
for _part in PARTS:
    importlib.import_module(_part)
