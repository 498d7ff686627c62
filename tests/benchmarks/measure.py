"""Children of the harness, and what they cost."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import IO, Optional

from .figures import Sample

PROC = Path("/proc")
INTERVAL = 0.5
"""Least seconds between two looks at memory."""
IDLE = 50
"""How many times as long as a look took (the kernel walks through gigabytes of pages) the next one waits."""


class BenchmarkError(Exception):
    """A command of the benchmark failed; its numbers would be worth nothing."""


@dataclass(frozen=True)
class Finished:
    """A child that succeeded."""

    sample: Sample
    output: str
    errors: str
    peak: Optional[int] = None
    """Bytes; the largest sum over the child and its descendants, where memory was watched."""
    first_output: Optional[float] = None
    """Seconds from its start to its first byte on standard output, where that was watched."""
    read: int = 0
    """Bytes that it and its descendants read, from caches or not; what is mapped into memory does not count."""
    written: int = 0


def run(
    command: Sequence[object],
    *,
    cwd: Path,
    variables: Mapping[str, str],
    watch_memory: bool = False,
    watch_output: bool = False,
) -> Finished:
    """Run a command to its end.

    :raises BenchmarkError: it failed; with the end of what it printed.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        before = read_transfers()
        start = perf_counter()
        child = subprocess.Popen(
            words,
            cwd=cwd,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if watch_output else output,
            stderr=errors,
        )
        watch = MemoryWatch(child.pid) if watch_memory else None
        first_output = None
        if child.stdout:
            first = child.stdout.read(1)
            first_output = perf_counter() - start
            output.write(first + child.stdout.read())
            child.stdout.close()
        # wait4 and not wait: it alone tells what this child and those that it waited for have used.
        _, status, usage = os.wait4(child.pid, 0)
        wall = perf_counter() - start
        read, written = (now - then for now, then in zip(read_transfers(), before))
        child.returncode = os.waitstatus_to_exitcode(status)
        peak = watch.stop() if watch else None
        texts = (_content(output), _content(errors))
    if child.returncode != 0:
        tail = "\n".join("".join(texts).splitlines()[-40:])
        raise BenchmarkError(f"exit code {child.returncode} of {shlex.join(words)} in {cwd}\n{tail}")
    return Finished(
        Sample(wall, usage.ru_utime + usage.ru_stime), texts[0], texts[1], peak, first_output, read, written
    )


def read_transfers(proc: Path = PROC) -> tuple[int, int]:
    """Bytes read and written by this process and by those that it has waited for, with theirs."""
    lines = (line.split(": ") for line in (proc / "self/io").read_text(encoding="ascii").splitlines())
    counts = {name: int(number) for name, number in lines}
    return counts["rchar"], counts["wchar"]


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def alternate(rounds: int, *sides: Callable[[], Sample], label: str = "") -> tuple[list[Sample], ...]:
    """Measure several things in turns, each round beginning with another one; samples in the order of the sides."""
    samples: tuple[list[Sample], ...] = tuple([] for _ in sides)
    for number in range(rounds):
        say(f"  {label} round {number + 1} of {rounds}")
        for side in rotated(range(len(sides)), number):
            samples[side].append(sides[side]())
    return samples


def rotated(items: Sequence[int], by: int) -> list[int]:
    """The items from number ``by`` on, then those before it."""
    start = by % len(items)
    return [*items[start:], *items[:start]]


def say(line: str) -> None:
    """One line for somebody who waits."""
    print(line, file=sys.stderr, flush=True)


class MemoryWatch:
    """Looks at the memory of a process and its descendants until it is stopped.

    Proportional set sizes are summed, in which a page that several processes share counts once.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The largest sum that was seen, in bytes."""
        self._end.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._end.is_set():
            before = thread_time()
            self._peak = max(self._peak, sum(map(memory_of, descendants(self._pid, read_parents()))))
            self._end.wait(max(INTERVAL, IDLE * (thread_time() - before)))


def read_parents(proc: Path = PROC) -> dict[int, int]:
    """Every process's parent."""
    parents = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it has ended
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def descendants(root: int, parents: Mapping[int, int]) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, ())
    return found


def memory_of(pid: int, proc: Path = PROC) -> int:
    """Bytes of a process: its proportional set size, else its resident set size; 0 if it has ended."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            text = (proc / str(pid) / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return 0


def read_available(proc: Path = PROC) -> int:
    """Bytes of memory that new processes may use."""
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError("/proc/meminfo has no MemAvailable")
