"""Does lists of jobs, each job in a fresh process, with torch imported once.

Started as a script; each line of its standard input is the path of a JSON request, and ``END_OF_ANSWER`` is printed
when that is done. Where the system can fork, each job begins as a copy of this process, which has torch and nothing
else; elsewhere this script starts itself again, with a request's path and a job's number. So nothing that a factory
does to its process (default dtype, quantized engine, threads) reaches the next job. ``request["outcome"]`` becomes a
JSON file: the exit code of each job that was begun (0; 3: it failed, and what it printed is above; negative for a
signal), or why there is no usable torch, which also ends this script, with exit code 4.
"""

import contextlib
import gc
import importlib
import importlib.util
import io
import json
import os
import site
import subprocess
import sys
import traceback
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "_ts_build_child"
"""The name under which this folder is imported; the user's modules may be called as they like."""


END_OF_ANSWER = "\0end of answer"
"""As system.children has it."""


def main() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that is no UTF-8 may be printed
    if len(sys.argv) > 1:
        request = read_request(sys.argv[1])
        prepare_path(request)
        return run_job(import_torch(), request["jobs"][int(sys.argv[2])])
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    with open(os.devnull, encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 0)  # a factory that asks a question gets no answer, and no request
    torch = None
    for file in iter(requests.readline, ""):
        file = file.rstrip("\n")
        request = read_request(file)
        if torch is None:
            prepare_path(request)
            try:
                torch = import_torch()
            except (ImportError, OSError) as error:  # OSError: a library that torch needs
                missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
                write_outcome(request, {"no_torch": None if missing else f"{type(error).__name__}: {error}"})
                return 4
            prepare_copies(request)
        write_outcome(request, {"codes": run_jobs(torch, file, request["jobs"])})
        print(END_OF_ANSWER, flush=True)
    return 0


def read_request(file: str) -> "dict[str, Any]":
    with open(file, encoding="utf-8") as stream:
        found: dict[str, Any] = json.load(stream)
        return found


def prepare_path(request: "dict[str, Any]") -> None:
    sys.path.pop(0)  # this script's folder
    for folder in request["site_dirs"]:
        site.addsitedir(folder)


def import_torch() -> Any:
    """Import it so that its threads sleep while they wait, and leave the variables as they were.

    OpenMP's threads wait by spinning. While the compiler has the cores, that takes twenty times as long as the work.
    """
    name = "OMP_WAIT_POLICY"
    is_set = name in os.environ
    os.environ.setdefault(name, "passive")
    is_collecting = gc.isenabled()
    gc.disable()  # nothing of it is garbage
    try:
        return importlib.import_module("torch")
    finally:
        if is_collecting:
            gc.enable()
        if not is_set:
            del os.environ[name]


def prepare_copies(request: "dict[str, Any]") -> None:
    """Do what every job would before the user's code is imported, once for all copies of this process."""
    import_jobs().used.prepare(request["site_dirs"])
    for parent, name in (("numpy", "numpy.random"), ("torch", "torch.utils.serialization.config")):
        if parent in sys.modules:
            with contextlib.suppress(ImportError):  # older torches have none
                importlib.import_module(name)  # for what is seeded, saved and loaded
    gc.freeze()  # a collection would touch, and so copy, all that they share


def run_jobs(torch: Any, file: str, jobs: "list[dict[str, Any]]") -> "list[int]":
    """The exit codes of the jobs up to the first that fails."""
    codes: list[int] = []
    for index, job in enumerate(jobs):
        codes.append(run_apart(torch, job, file, index))
        if codes[-1] != 0 or not is_done(job):
            break
    return codes


def run_apart(torch: Any, job: "dict[str, Any]", file: str, index: int) -> int:
    """A job in a process of its own; its exit code, negative for the signal that killed it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if not sys.platform.startswith("linux"):
        return subprocess.call([sys.executable, os.path.join(HERE, "__main__.py"), file, str(index)])
    child = os.fork()
    if child == 0:
        code = 3
        try:
            code = run_job(torch, job)
        except Exception:  # noqa: BLE001 - one that nobody foresaw is told as it is
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def run_job(torch: Any, job: "dict[str, Any]") -> int:
    return int(import_jobs().run(torch, job))


def import_jobs() -> Any:
    if PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            PACKAGE, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
        )
        assert spec is not None
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{PACKAGE}.job")


def is_done(job: "dict[str, Any]") -> bool:
    """Did a job reach its end? One that called ``os._exit(0)`` did not."""
    try:
        with open(job["report"], encoding="utf-8") as file:
            return "doing" not in json.load(file)
    except OSError:
        return False


def write_outcome(request: "dict[str, Any]", outcome: "dict[str, Any]") -> None:
    with open(request["outcome"], "w", encoding="utf-8") as file:
        json.dump(outcome, file)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking torch apart takes a fifth of a second
