"""What a build prints: for a log first, one line per step with its time."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def say(line: str) -> None:
    """One line of status, at once."""
    print(line, flush=True)


def say_command(command: Sequence[object]) -> None:
    """A child that is about to run, as one could type it."""
    say("+ " + " ".join(shlex.quote(str(word)) for word in command))


def warn(line: str) -> None:
    """One line on standard error."""
    sys.stdout.flush()
    print(f"warning: {line}", file=sys.stderr, flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print a step's name and seconds when it has succeeded."""
    start = time.monotonic()
    yield
    say(f"-- {name}: {time.monotonic() - start:.1f} s")
