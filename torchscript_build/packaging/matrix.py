"""Builds a project against several libtorches, each in a child process and a build folder of its own."""

from __future__ import annotations

import dataclasses
import re
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import system
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.libtorch import find_libtorch
from torchscript_build.records import dataclass
from torchscript_build.system import Environment

STEPS = ("configure", "build", "run")
"""The columns of the table; a build's own steps are sorted into them by ``column_of``."""


@dataclass(frozen=True)
class Row:
    """How one variant went."""

    variant: str
    libtorch: str
    """What was asked for: a folder or ``fetched:…``."""
    outcomes: tuple[tuple[str, str], ...]
    """Pairs (column of ``STEPS``, ``"ok"``, ``"FAILED"`` or ``"-"``)."""
    seconds: float
    error: Optional[str] = None
    """The error's text, as the build printed it."""

    @property
    def succeeded(self) -> bool:
        """Did the whole build succeed?"""
        return self.error is None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "variant": self.variant,
            "libtorch": self.libtorch,
            "succeeded": self.succeeded,
            **dict(self.outcomes),
            "seconds": round(self.seconds, 1),
            "error": self.error,
        }


def column_of(step: str) -> str:
    """The column that a step of a build belongs to: models, loading and comparing count as running."""
    first = step.split()[0]
    return first if first in ("configure", "build") else "run"


def run_matrix(
    libtorches: Sequence[str],
    root: Path,
    environment: Environment,
    *,
    run: bool,
    progress: Callable[[str], None],
) -> list[Row]:
    """Build the project in ``root`` against each libtorch, one after the other.

    :param libtorches: folders, or ``fetched:…``.
    :param run: run the apps, too.
    :param progress: called with a line before and after each variant.
    """
    rows = []
    for number, libtorch in enumerate(libtorches, 1):
        rows.append(
            _build_one(libtorch, root, environment, run=run, progress=progress, at=f"[{number}/{len(libtorches)}]")
        )
    return rows


def _build_one(
    libtorch: str, root: Path, environment: Environment, *, run: bool, progress: Callable[[str], None], at: str
) -> Row:
    start = time.monotonic()
    try:
        variant = find_libtorch(libtorch, environment=environment).variant
    except TorchScriptBuildError as error:
        progress(f"{at} {libtorch}: {error.problem}")
        return Row("?", libtorch, tuple((name, "-") for name in STEPS), time.monotonic() - start, str(error))
    progress(f"{at} {variant} …")
    folder = root / "build" / "torchscript" / "matrix"
    report_file, log_file = folder / f"{variant}.json", folder / f"{variant}.log"
    system.remove_tree(report_file)
    setup = ["setup.py"] if (root / "setup.py").is_file() else ["-c", "import setuptools; setuptools.setup()"]
    options = ["--libtorch", libtorch, "--report", str(report_file), *(["--run"] if run else [])]
    done = system.run(
        [environment.python.executable, *setup, "build_ts_app", *options],
        variables=environment.variables,
        cwd=root,
        echo=False,
    )
    system.write_atomically(log_file, done.output.encode())
    steps = system.read_json(report_file).get("steps", [])
    outcomes = dict.fromkeys(STEPS, "-")
    for step in steps:
        column = column_of(step["name"])
        outcomes[column] = "FAILED" if not step["succeeded"] or outcomes[column] == "FAILED" else "ok"
    if done.returncode == 0:  # a step that had nothing to do did not fail
        outcomes = {name: "ok" if name != "run" or run or value == "ok" else "-" for name, value in outcomes.items()}
    failure = None if done.returncode == 0 else _error(done.output)
    seconds = time.monotonic() - start
    progress(f"{at} {variant}: {'ok' if failure is None else 'FAILED'}, {seconds:.1f} s ({log_file})")
    return Row(variant, libtorch, tuple(outcomes.items()), seconds, failure)


def _error(output: str) -> str:
    """From setuptools' ``error:`` on; the last lines if there is none."""
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("error: ")), max(0, len(lines) - 10))
    return "\n".join(lines[start:])


def format_table(rows: Sequence[Row]) -> str:
    """The rows as a table for people, with the first line of each error below."""
    head = ("variant", *STEPS, "seconds")
    cells = [(r.variant, *(outcome for _, outcome in r.outcomes), f"{r.seconds:.1f}") for r in rows]
    widths = [max(len(row[i]) for row in (head, *cells)) for i in range(len(head))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in (head, *cells)]
    lines += [f"{r.variant} ({r.libtorch}): {r.error.splitlines()[0]}" for r in rows if r.error]
    return "\n".join(lines)


@dataclass(frozen=True)
class Job:
    """One job of a CI: the project against one libtorch."""

    name: str
    libtorch: str
    command: str
    """A line for any shell, to be typed in the project's folder; it fetches what has to be there."""

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {"name": self.name, "libtorch": self.libtorch, "command": self.command}


RELEASE = re.compile(r"fetched:(\d+(\.\d+)*(\+(cpu|cu\d+|rocm[\d.]+|xpu))?)")
"""What ``fetch`` gets from an index; what was made of an archive must be there already."""


def plan_jobs(libtorches: Sequence[str], environment: Environment, *, run: bool) -> list[Job]:
    """One job for each libtorch; nothing is built, and libtorches need not be here."""
    jobs = []
    for libtorch in dict.fromkeys(libtorches):
        try:
            name = find_libtorch(libtorch, environment=environment).variant
        except TorchScriptBuildError:  # not on this machine
            name = re.sub(r"[^\w.+-]+", "-", libtorch).strip("-")
        release = RELEASE.fullmatch(libtorch)
        build = ["torchscript-build", "matrix", *(["--run"] if run else []), libtorch]
        fetch = ["torchscript-build", "fetch", release[1]] if release else []
        jobs.append(Job(name, libtorch, " && ".join(shlex.join(c) for c in (fetch, build) if c)))
    return _with_names_of_their_own(jobs)


def _with_names_of_their_own(jobs: Sequence[Job]) -> list[Job]:
    """Two builds of one variant are told apart by a number."""
    seen: dict[str, int] = {}
    named = []
    for job in jobs:
        seen[job.name] = seen.get(job.name, 0) + 1
        number = seen[job.name]
        named.append(job if number == 1 else dataclasses.replace(job, name=f"{job.name}-{number}"))
    return named
