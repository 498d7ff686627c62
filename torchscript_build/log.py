"""What a build prints: for a log first, one line per step with its time; steps are also kept for a report."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional, TextIO


@dataclass(frozen=True)
class Step:
    """One step of this process's build."""

    name: str
    start: float
    """Seconds on the monotonic clock."""
    seconds: float
    succeeded: bool
    quiet: bool = False
    """It has no line of its own; then it is not in a report either."""


@dataclass(frozen=True)
class Edge:
    """What the build tool ran within a step: a compiler, a linker."""

    name: str
    kind: str
    """``compile``, ``link``, ``configure`` or ``make``."""
    start: float
    """Seconds on the monotonic clock."""
    seconds: float
    outputs: tuple[str, ...]
    """Relative to the build tree, where they lie in it."""


steps: list[Step] = []
"""Every step so far, in the order in which they ended."""
edges: list[Edge] = []
"""Every edge so far, as far as the build tool keeps a log of them."""


_told: set[str] = set()
"""What ``warn_once`` has said."""


def write(text: str, stream: Optional[TextIO]) -> None:
    """Text to a stream, at once; a build does not fail because nobody can read what it prints.

    What the stream's encoding lacks is escaped. A stream that is closed, or whose reader has gone, gets nothing.
    """
    if stream is None:  # Python was started without it
        return
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):  # else Python fails when it exits (signal, "Note on SIGPIPE")
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        pass


def say(line: str) -> None:
    """One line of status, at once."""
    write(line + "\n", sys.stdout)


def say_command(command: Sequence[object]) -> None:
    """A child that is about to run, as one could type it."""
    say("+ " + " ".join(shlex.quote(str(word)) for word in command))


def warn(line: str) -> None:
    """One line on standard error."""
    progress(f"warning: {line}")


def warn_once(line: str) -> None:
    """The same, unless this process has said it."""
    if line not in _told:
        _told.add(line)
        warn(line)


def progress(line: str) -> None:
    """One line on standard error for somebody who waits; standard output stays what was asked for."""
    write("", sys.stdout)
    write(line + "\n", sys.stderr)


@contextmanager
def step(name: str, *, quiet: bool = False) -> Iterator[None]:
    """Print a step's name and seconds when it has succeeded, and keep it in any case.

    :param quiet: only keep it; for what is seldom worth a line.
    """
    start = time.monotonic()
    succeeded = False
    try:
        yield
        succeeded = True
    finally:
        seconds = time.monotonic() - start
        steps.append(Step(name, start, seconds, succeeded, quiet))
    if not quiet:
        say(f"-- {name}: {seconds:.1f} s")
