"""Starts the native programs of this package. Written by torchscript-build when the package was built."""

import functools  # noqa: F401 - for the lines that are added at the end
import os
import re
import sys
from importlib.util import find_spec

# Replaced when the package is built, one for each series of torch. folder: where its programs lie below their own;
# cuda: the series of CUDA that it was built with; need_cuda: the programs that need that.
BUILDS = ({"torch": "2.13", "folder": "", "cuda": None, "need_cuda": ()},)
FOLDERS_UP = 1  # replaced: from here to the folder that the package is installed in


def _find_torch():
    """The installed torch, found without importing it, and what its version.py says."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        newest = BUILDS[-1]["torch"]
        raise SystemExit(f"error: this program needs torch {_all_series('or')}: pip install 'torch=={newest}.*'")
    folder = next(iter(spec.submodule_search_locations))
    try:
        with open(os.path.join(folder, "version.py"), encoding="utf-8") as file:
            return folder, file.read()
    except OSError:
        return folder, ""


def _all_series(last="and"):
    return f" {last} ".join(filter(None, [", ".join(build["torch"] for build in BUILDS[:-1]), BUILDS[-1]["torch"]]))


def _choose_build(name, text):
    """The build for a torch, by its version.py, if it is fit for a program."""
    newest = BUILDS[-1]["torch"]
    match = re.search(r"^__version__ = '(\d+\.\d+)", text, re.MULTILINE)
    build = next((build for build in BUILDS if not match or build["torch"] == match.group(1)), None)
    if build is None:
        raise SystemExit(
            f"error: this program was built for torch {_all_series()}, but torch {match.group(1)} is installed: "
            f"pip install 'torch=={newest}.*', or reinstall this package"
        )
    series, cuda = build["torch"], re.search(r"^cuda\b[^=]*= (?:'(\d+)|None)", text, re.MULTILINE)
    if name in build["need_cuda"] and cuda and cuda.group(1) != build["cuda"]:
        here = f"one with CUDA {cuda.group(1)}" if cuda.group(1) else "one without CUDA"
        raise SystemExit(
            f"error: this program needs a build of torch {series} with CUDA {build['cuda']}, but {here} is "
            f"installed: install the CUDA {build['cuda']} build of torch {series} in its place, or build "
            "this package again for this torch"
        )
    return build


def _start(name):
    """Become the program; its exit code and signals are the caller's."""
    here = os.path.dirname(os.path.abspath(__file__))
    torch, text = _find_torch()
    *folders, file = name.split("/")
    program = os.path.join(here, *folders, _choose_build(name, text)["folder"], file)
    libraries = os.path.join(torch, "lib")
    if os.name == "nt":
        import subprocess

        search = os.pathsep.join([libraries, os.environ.get("PATH", "")])
        raise SystemExit(subprocess.call([program + ".exe", *sys.argv[1:]], env={**os.environ, "PATH": search}))
    environment = dict(os.environ)
    if not os.path.isdir(os.path.join(here, *[".."] * FOLDERS_UP, "torch", "lib")):
        # torch lies elsewhere than the program's RUNPATH says, as it does in some layered environments
        variable = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
        environment[variable] = os.pathsep.join(filter(None, [libraries, environment.get(variable)]))
    for file in re.split("[: ]+", environment.get("LD_PRELOAD", "")):
        folder, library = os.path.split(file)
        own = os.path.realpath(folder) == os.path.realpath(libraries)
        if folder and not own and library.startswith(("libc10", "libtorch")) and os.path.isfile(file):
            print(f"note: LD_PRELOAD puts {file}, of another libtorch, before that of {torch}", file=sys.stderr)
    sys.stdout.flush()
    os.execve(program, [program, *sys.argv[1:]], environment)


# One for each program: start_<name> = functools.partial(_start, "bin/<name>")
