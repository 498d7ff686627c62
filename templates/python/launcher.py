"""Starts the native programs of this package. Written by torchscript-build when the package was built."""

import functools  # noqa: F401 - for the lines that are added at the end
import os
import re
import sys
from importlib.util import find_spec

BUILT_FOR_TORCH = "2.13"  # replaced when the package is built
BUILT_FOR_CUDA = None  # replaced: the series of CUDA that this torch was built with, "13"
NEED_CUDA = ()  # replaced: the programs that need that
FOLDERS_UP = 1  # replaced: from here to the folder that the package is installed in


def _torch_folder(name):
    """The installed torch, found without importing it, and fit for a program."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"error: this program needs torch {BUILT_FOR_TORCH}: pip install 'torch=={BUILT_FOR_TORCH}.*'")
    folder = next(iter(spec.submodule_search_locations))
    try:
        with open(os.path.join(folder, "version.py"), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return folder
    match = re.search(r"^__version__ = '(\d+\.\d+)", text, re.MULTILINE)
    if match and match.group(1) != BUILT_FOR_TORCH:
        raise SystemExit(
            f"error: this program was built for torch {BUILT_FOR_TORCH}, but torch {match.group(1)} is installed: "
            f"pip install 'torch=={BUILT_FOR_TORCH}.*', or reinstall this package"
        )
    cuda = re.search(r"^cuda\b[^=]*= (?:'(\d+)|None)", text, re.MULTILINE)
    if name in NEED_CUDA and cuda and cuda.group(1) != BUILT_FOR_CUDA:
        here = f"one with CUDA {cuda.group(1)}" if cuda.group(1) else "one without CUDA"
        raise SystemExit(
            f"error: this program needs a build of torch {BUILT_FOR_TORCH} with CUDA {BUILT_FOR_CUDA}, but {here} is "
            f"installed: install the CUDA {BUILT_FOR_CUDA} build of torch {BUILT_FOR_TORCH} in its place, or build "
            "this package again for this torch"
        )
    return folder


def _start(name):
    """Become the program; its exit code and signals are the caller's."""
    here = os.path.dirname(os.path.abspath(__file__))
    program = os.path.join(here, *name.split("/"))
    libraries = os.path.join(_torch_folder(name), "lib")
    if os.name == "nt":
        import subprocess

        search = os.pathsep.join([libraries, os.environ.get("PATH", "")])
        raise SystemExit(subprocess.call([program + ".exe", *sys.argv[1:]], env={**os.environ, "PATH": search}))
    environment = dict(os.environ)
    if not os.path.isdir(os.path.join(here, *[".."] * FOLDERS_UP, "torch", "lib")):
        # torch lies elsewhere than the program's RUNPATH says, as it does in some layered environments
        variable = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
        environment[variable] = os.pathsep.join(filter(None, [libraries, environment.get(variable)]))
    sys.stdout.flush()
    os.execve(program, [program, *sys.argv[1:]], environment)


# One for each program: start_<name> = functools.partial(_start, "bin/<name>")
