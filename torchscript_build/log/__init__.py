"""What a build prints: a line that moves on a terminal, plain lines in a log; steps are also kept for a report."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Optional, TextIO, Union

from torchscript_build.log import at_work, columns
from torchscript_build.records import dataclass


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
QUIET, NORMAL, VERBOSE = range(3)
"""How much is told: warnings, errors and programs' own output only; steps; also commands and all paths."""
level: int = NORMAL
colours: bool = False
"""May what compilers print keep its colours?"""
_running: list[tuple[str, float]] = []
"""The steps that run now, the outermost first, and when each began."""
_edge: str = ""
"""What the build tool does within the innermost of them, as far as it is known."""
_live: Optional[Live] = None


def configure(verbosity: int, variables: Mapping[str, str]) -> None:
    """Decide how much is told, and whether a terminal gets a line that moves.

    :param verbosity: setuptools': 0 after ``-q``, 1, or more after ``-v``.
    :param variables: ``TORCHSCRIPT_BUILD_VERBOSE`` (1, or 0 for quiet) wins; with ``CI``, ``NO_COLOR`` or
        ``TERM=dumb`` lines are plain.
    """
    global level, colours, _live
    said = {"0": QUIET, "1": VERBOSE}.get(variables.get("TORCHSCRIPT_BUILD_VERBOSE", ""))
    level = said if said is not None else max(QUIET, min(verbosity, VERBOSE))
    plain = any(variables.get(name) for name in ("CI", "NO_COLOR")) or variables.get("TERM") == "dumb"
    _live = Live(sys.stdout) if level == NORMAL and not plain and _is_terminal(sys.stdout) else None
    colours = not plain and _is_terminal(sys.stdout) and _is_terminal(sys.stderr)


def _is_terminal(stream: Optional[TextIO]) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def is_live() -> bool:
    """Is there a line that moves?"""
    return _live is not None


class Live:
    """The last line of a terminal, which tells what runs now and for how long; a thread draws it again and again."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._lock = threading.RLock()
        self._text = ""
        self._began = 0.0
        self._thread: Optional[threading.Thread] = None

    def show(self, text: str, began: float) -> None:
        """Let the line say this, with the time since then; an empty text takes it away."""
        with self._lock:
            self._text, self._began = text, began
            self._draw()
            if text and self._thread is None:
                self._thread = threading.Thread(target=self._tick, daemon=True)
                self._thread.start()

    def write(self, text: str) -> None:
        """Print whole lines above it."""
        with self._lock:
            _print("\r\x1b[K" + text, self.stream)
            if self._text:
                self._draw()

    def clear(self) -> None:
        """Take it away until it is drawn the next time."""
        with self._lock:
            _print("\r\x1b[K", self.stream)

    def _draw(self) -> None:
        line = f"{self._text} … {time.monotonic() - self._began:.0f} s" if self._text else ""
        _print("\r\x1b[K" + line[: terminal_width() - 1], self.stream)

    def _tick(self) -> None:
        while True:
            time.sleep(0.2)
            with self._lock:
                if not self._text:
                    self._thread = None
                    return
                self._draw()


def write(text: str, stream: Optional[TextIO]) -> None:
    """Text to a stream, at once; a build does not fail because nobody can read what it prints.

    What the stream's encoding lacks is escaped. A stream that is closed, or whose reader has gone, gets nothing.
    """
    if _live is not None and stream is _live.stream:
        _live.write(text)
    else:
        _print(text, stream)


def _print(text: str, stream: Optional[TextIO]) -> None:
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
    if level > QUIET:
        parts = columns.fold(line, terminal_width()) if _live is not None else [line]
        write("\n".join(parts) + "\n", sys.stdout)


def say_fitting(*lines: str) -> None:
    """The first of these lines that fits a terminal's width, the last where none does; in a log the first."""
    fits = [line for line in lines if _live is None or len(line) <= terminal_width()]
    say([*fits, lines[-1]][0])


def terminal_width() -> int:
    """How many columns there are."""
    return shutil.get_terminal_size().columns


def folded(text: str, *, after: str = "") -> str:
    """What standard error is to show: on a terminal with no line wider than that, as far as words allow.

    :param after: what will stand before the first line.
    """
    if not _is_terminal(sys.stderr):
        return text
    parts = [part for line in (after + text).split("\n") for part in columns.fold(line, terminal_width())]
    return "\n".join(parts)[len(after) :]


def shown(path: Union[str, os.PathLike[str]]) -> str:
    """A path as it is told: relative to the current folder where it lies below, whole with ``-v``."""
    text = os.fspath(path)
    below = os.path.relpath(text) if level < VERBOSE and os.path.isabs(text) else text
    return text if below.startswith(os.pardir) else below


def relative(text: str) -> str:
    """What tools say, with paths relative to the current folder where they lie below; as it is with ``-v``."""
    if level >= VERBOSE:
        return text
    here = re.escape(os.getcwd().rstrip(os.sep) + os.sep)
    return re.sub(rf"(\x1b\[[\d;]*[mK]|(?<![\w./~-])){here}(?=[^\s/])", r"\1", text)


def say_command(command: Sequence[object]) -> None:
    """With ``-v``: a child that is about to run, as one could type it."""
    if level >= VERBOSE:
        say("+ " + " ".join(shlex.quote(str(word)) for word in command))


_FINISHED = re.compile(r"\[(\d+)/(\d+)\] (.*\S)\s*$")
"""A line of Ninja's, when an edge has ended: how many of them have, and what it was."""
_STARTED = re.compile(r"\[ *(\d+%)\] (.*\S)\s*$")
"""A line of Make's, when one begins."""


class ToolLines:
    """Shows a build tool's lines: progress moves the last line of a terminal, everything else is printed.

    :param ahead: on a terminal, what Ninja says that it will do, in the order in which it begins.
    :param jobs: how many edges it runs at once.
    """

    def __init__(self, ahead: Sequence[str] = (), jobs: int = 1) -> None:
        self._ahead = list(ahead)
        self._jobs = jobs
        self._began: dict[str, float] = {}
        self._is_known = bool(ahead)
        self._has_failed = False
        self._show(1, len(self._ahead))

    def __call__(self, line: str) -> None:
        """Show one line."""
        said = columns.plain(line)
        finished, started = _FINISHED.match(said), _STARTED.match(said)
        if said.startswith("FAILED: "):
            self._has_failed = True  # a command line follows, and what the error will say
        elif finished or started or said.startswith("ninja: "):
            self._has_failed = False
        if _live is not None and _running and finished:
            if finished[3] in self._ahead:
                self._ahead.remove(finished[3])
            self._show(int(finished[1]) + 1, int(finished[2]))
        elif _live is not None and _running and started:
            _show_edge(at_work.doing([started[2]], started[1], terminal_width()), time.monotonic())
        elif level >= VERBOSE or (level > QUIET and not (_is_routine(said) or (is_live() and self._has_failed))):
            line = line.rstrip("\n")
            for part in columns.fold(relative(line), terminal_width()) if is_live() else [line]:
                write((part if colours else columns.plain(part)) + "\n", sys.stdout)

    def _show(self, number: int, count: int) -> None:
        """What runs now, where that is known, since the oldest of it began."""
        of, now = f"{min(number, count)}/{count}", time.monotonic()
        if self._ahead and _running:
            now_running = at_work.running(self._ahead, self._jobs)
            self._began = {edge: self._began.get(edge, now) for edge in now_running}
            _show_edge(at_work.doing(now_running, of, terminal_width()), min(self._began.values()))
        elif not self._is_known and count and _running:
            _show_edge(f"{_present(_running[-1][0])} [{of}]", now)


def tool_line(line: str) -> None:
    """A single line of a build tool's."""
    ToolLines()(line)


def _show_edge(text: str, began: float) -> None:
    global _edge
    _edge = text
    if _live is not None:
        _live.show(text, began)


_USUAL = ("-- ", "loading initial cache file ", "ninja: no work", "ninja: build stopped")


def _is_routine(line: str) -> bool:
    """Does a build tool say what only ``-v`` wants, or on a terminal what it always says?"""
    if line.startswith("ninja: Entering directory"):
        return True
    usual = not line.strip() or line.startswith(_USUAL)
    return _live is not None and usual and "advice" not in line


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
    if _live is not None:
        _live.clear()
    else:
        write("", sys.stdout)
    write(line + "\n", sys.stderr)


def doing() -> str:
    """What runs now, in the user's words and the present tense; empty between steps."""
    return _edge or (_present(_running[-1][0]) if _running else "")


def _present(step: str) -> str:
    """``export model net`` → ``exporting model net``."""
    verb, space, rest = step.partition(" ")
    return {"run": "running"}.get(verb, f"{verb[:-1] if verb.endswith('e') else verb}ing") + space + rest


@contextmanager
def step(name: str, *, quiet: bool = False) -> Iterator[None]:
    """Tell of a step while it runs and, with its seconds, when it has succeeded; and keep it in any case.

    :param quiet: it has no line of its own in a log; for what is seldom worth one.
    """
    global _edge
    start = time.monotonic()
    succeeded = False
    _running.append((name, start))
    if _live is not None:
        _live.show(_present(name), start)
    elif not quiet:
        say(f"-- {name} …")
    try:
        yield
        succeeded = True
    finally:
        _running.pop()
        _edge = ""
        seconds = time.monotonic() - start
        steps.append(Step(name, start, seconds, succeeded, quiet))
        if _live is not None:
            outer, began = _running[-1] if _running else ("", 0.0)
            _live.show(_present(outer) if outer else "", began)
    if not quiet:
        say(f"-- {name}: {seconds:.1f} s")
