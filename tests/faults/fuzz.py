"""The command: ``python -m tests.faults.fuzz --seed N --inputs N [--runner PROGRAM --model FILE]``.

Every reader gets malformed files, and a runner malformed models and inputs. A reader may refuse with an error of ours;
a runner with a documented exit code. Everything else is a failure: another exception, a signal, 20 seconds of processor
time, a gigabyte.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build.errors import TorchScriptBuildError

from .figures import Figure, render
from .inputs import malformed_input
from .mutate import mutated
from .readers import READERS

LONGEST = 20
"""Seconds of processor time: the machine may do other things, too."""
WAITED = 600
"""Seconds after which one that does not end is said to hang."""
MOST_MEGABYTES = 1024.0
EXIT_CODES = range(8)
"""A runner's; see its ``--help``."""


class HangError(BaseException):
    """A reader took too long."""


def fuzz_reader(name: str, *, seed: int, inputs: int, seconds: float = 600) -> Figure:
    """Give one reader so many malformed files, in a child, so that nothing that it does can end the whole."""
    command = [
        sys.executable,
        "-m",
        "tests.faults.fuzz",
        "--seed",
        str(seed),
        "--inputs",
        str(inputs),
        "--seconds",
        str(seconds),
        "--reader",
        name,
    ]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8")
    figure = Figure(name)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
        figure.rounds, figure.failures = answer["rounds"], answer["failures"]
        figure.worst_seconds, figure.worst_megabytes = answer["seconds"], answer["megabytes"]
    except (IndexError, ValueError):
        figure.add(f"seed {seed}: exit code {done.returncode}: {done.stderr[-600:]}", 0)
    return figure


def _read_many(name: str, *, seed: int, inputs: int, seconds: float) -> dict[str, Any]:
    reader, chance = READERS[name], random.Random(f"{seed} {name}")
    seeds = list(reader.seeds())
    failures: list[str] = []
    until = time.monotonic() + seconds
    worst, before = 0.0, _megabytes(resource.RUSAGE_SELF)
    signal.signal(signal.SIGALRM, _hang)
    signal.signal(signal.SIGPROF, _hang)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as top:
        for number in range(inputs):
            if time.monotonic() > until:
                inputs = number
                break
            if reader.odd and chance.random() < 0.4:
                data = reader.odd(chance)
            else:
                data = mutated(chance.choice(seeds), chance, seeds)
            folder = Path(top, "x")
            folder.mkdir()
            (folder / "input").write_bytes(data)
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, LONGEST)
            signal.alarm(WAITED)
            try:
                with _silence():
                    reader.read(folder / "input")
            except TorchScriptBuildError:
                pass
            except HangError:
                failures.append(f"input {number}: takes more than {LONGEST} s")
            except BaseException:  # noqa: BLE001 - that is what is looked for
                failures.append(f"input {number}: {traceback.format_exc()[-700:]}")
            finally:
                signal.alarm(0)
                signal.setitimer(signal.ITIMER_PROF, 0)
            worst = max(worst, time.process_time() - began)
            shutil.rmtree(folder)
    used = max(0.0, _megabytes(resource.RUSAGE_SELF) - before)
    if used > MOST_MEGABYTES:
        failures.append(f"{used:.0f} MB")
    return {"rounds": inputs, "failures": failures[:5], "seconds": worst, "megabytes": used}


def _hang(number: int, frame: object) -> None:
    raise HangError


def _megabytes(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        yield


def fuzz_runner(program: Path, model: Path, *, seed: int, inputs: int, name: str) -> Figure:
    """Give a runner malformed models, tensors and ``--input`` texts."""
    figure, chance = Figure(name), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as top, Forks(program, Path(top)) as forks:
        for number in range(inputs):
            arguments = malformed_input(chance, model, Path(top))
            shown = f"input {number} {str(arguments)[:300]}: "
            try:
                code, seconds, megabytes = forks.run(arguments)
            except TimeoutError:
                figure.add(f"{shown}hangs", WAITED)
                break
            text = (Path(top) / "err").read_text(errors="replace")
            failure: Optional[str] = None
            if code == -signal.SIGXCPU:
                failure = f"{shown}takes more than {LONGEST} s"
            elif code not in EXIT_CODES or "runtime error: " in text or "ERROR: AddressSanitizer" in text:
                failure = f"{shown}exit code {code}: {text[:1500]}"
            elif megabytes > MOST_MEGABYTES:
                failure = f"{shown}takes {megabytes:.0f} MB"
            figure.add(failure, seconds, megabytes)
            if failure:
                print(f"{name}: {failure}", file=sys.stderr, flush=True)
    return figure


class Forks:
    """Starts a program many times, as forks of one process that has loaded its libraries (forks.c)."""

    def __init__(self, program: Path, folder: Path) -> None:
        library = folder / "forks.so"
        source = Path(__file__).with_name("forks.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        options = "detect_leaks=0:allocator_may_return_null=1:detect_odr_violation=0:verify_asan_link_order=0"
        self._process = subprocess.Popen(
            [program],
            cwd=folder,
            env={**os.environ, "LD_PRELOAD": str(library), "ASAN_OPTIONS": options, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *error: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(self, arguments: Sequence[str]) -> tuple[int, float, float]:
        """Exit code, or minus the signal; seconds of processor time; megabytes.

        :raises TimeoutError: it does not end.
        """
        text = b"".join(os.fsencode(word) + b"\0" for word in arguments)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{len(text)}\n".encode() + text)
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], WAITED)[0]:
            raise TimeoutError
        status, seconds, kilobytes = self._process.stdout.readline().split()
        return os.waitstatus_to_exitcode(int(status)), float(seconds), int(kilobytes) / 1024


def main() -> int:
    """Parse the options, run, print the table; exit code 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=10_000, help="for each reader; a fifth of it for the runner")
    parser.add_argument("--seconds", type=float, default=600, help="at most, for each reader")
    parser.add_argument("--reader", choices=list(READERS), help="this one alone, its figures as JSON")
    parser.add_argument("--runner", type=Path, action="append", default=[], help="a runner; may be given again")
    parser.add_argument("--runners-alone", action="store_true", help="leave the readers out")
    parser.add_argument("--model", type=Path, help="a good model for the runners")
    options = parser.parse_args()
    if options.reader:
        print(json.dumps(_read_many(options.reader, seed=options.seed, inputs=options.inputs, seconds=options.seconds)))
        return 0
    names = [] if options.runners_alone else list(READERS)
    figures = [fuzz_reader(name, seed=options.seed, inputs=options.inputs, seconds=options.seconds) for name in names]
    for program in options.runner:
        few, name = max(1, options.inputs // 5), f"runner {program}"
        figures.append(
            fuzz_runner(program.resolve(), options.model.resolve(), seed=options.seed, inputs=few, name=name)
        )
    print(render(figures))
    return 1 if any(figure.failures for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
