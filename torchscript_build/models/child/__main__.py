"""Does a list of jobs, each in a fresh process, with torch imported once.

Started as a script with the path of a JSON request. Where the system can fork, each job begins as a copy of this
process, which has torch and nothing else; elsewhere this script starts itself again. So nothing that a factory does to
its process (default dtype, quantized engine, threads) reaches the next job. Exit codes: 0; 3: a job failed, and what it
printed is above; 4: there is no usable torch. ``request["outcome"]`` becomes a JSON file: the exit code of each job
that was begun, negative for a signal, or why there is no torch.
"""

import importlib
import importlib.util
import json
import os
import site
import subprocess
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "_ts_build_child"
"""The name under which this folder is imported; the user's modules may be called as they like."""


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    sys.path.pop(0)  # this script's folder
    for folder in request["site_dirs"]:
        site.addsitedir(folder)
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a library that torch needs
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        return finish(request, {"no_torch": None if missing else f"{type(error).__name__}: {error}"}, 4)
    if len(sys.argv) > 2:
        return run_job(torch, request["jobs"][int(sys.argv[2])])
    codes: list[int] = []
    for index, job in enumerate(request["jobs"]):
        codes.append(run_apart(torch, job, index))
        if codes[-1] != 0 or not is_done(job):
            return finish(request, {"codes": codes}, 3)
    return finish(request, {"codes": codes}, 0)


def run_apart(torch: Any, job: "dict[str, Any]", index: int) -> int:
    """A job in a process of its own; its exit code, negative for the signal that killed it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if not sys.platform.startswith("linux"):
        return subprocess.call([sys.executable, os.path.join(HERE, "__main__.py"), sys.argv[1], str(index)])
    child = os.fork()
    if child == 0:
        code = 3
        try:
            code = run_job(torch, job)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def run_job(torch: Any, job: "dict[str, Any]") -> int:
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
    )
    assert spec is not None
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return int(importlib.import_module(f"{PACKAGE}.job").run(torch, job))


def is_done(job: "dict[str, Any]") -> bool:
    """Did a job reach its end? One that called ``os._exit(0)`` did not."""
    try:
        with open(job["report"], encoding="utf-8") as file:
            return "doing" not in json.load(file)
    except OSError:
        return False


def finish(request: "dict[str, Any]", outcome: "dict[str, Any]", code: int) -> int:
    with open(request["outcome"], "w", encoding="utf-8") as file:
        json.dump(outcome, file)
    return code


if __name__ == "__main__":
    sys.exit(main())
