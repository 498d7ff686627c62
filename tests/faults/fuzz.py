"""The command: ``python -m tests.faults.fuzz --seed N --inputs N [--runner PROGRAM --model FILE]``.

Every reader gets malformed files, and a runner malformed models and inputs. A reader may refuse with an error of ours;
a runner with a documented exit code. Everything else is a failure: another exception, a signal, 20 seconds, a gigabyte.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from torchscript_build.errors import TorchScriptBuildError

from .figures import Figure, render
from .inputs import malformed_input
from .mutate import mutated
from .readers import READERS

LONGEST = 20
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
            began = time.monotonic()
            signal.alarm(LONGEST)
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
            worst = max(worst, time.monotonic() - began)
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
    variables = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:detect_odr_violation=0"}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as top:
        for number in range(inputs):
            arguments = malformed_input(chance, model, Path(top))
            began = time.monotonic()
            failure: Optional[str] = None
            try:
                done = subprocess.run(
                    [program, *arguments], cwd=top, env=variables, capture_output=True, timeout=LONGEST
                )
                text = done.stderr.decode(errors="replace")
                if done.returncode not in EXIT_CODES or "runtime error" in text or "AddressSanitizer" in text:
                    failure = f"input {number} {str(arguments)[:300]}: exit code {done.returncode}: {text[-600:]}"
            except subprocess.TimeoutExpired:
                failure = f"input {number} {str(arguments)[:300]}: takes more than {LONGEST} s"
            figure.add(failure, time.monotonic() - began, _megabytes(resource.RUSAGE_CHILDREN))
            if failure:
                print(f"{name}: {failure}", file=sys.stderr, flush=True)
    return figure


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
