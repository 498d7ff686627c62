"""Processes by their number, with all that they started; where there is no /proc, the one process alone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

GENTLE_SECONDS = 5.0
"""How long a process that was asked to end may take."""
FIRM_SECONDS = 2.0


class _Process(NamedTuple):
    number: int
    parent: int
    start: str
    """In clock ticks since the machine started: another process of the same number has another one."""
    state: str


def read_start(number: int) -> Optional[str]:
    """When a process began, in the system's own words; ``None`` where it has ended or that is not known."""
    found = _read(number)
    return found.start if found and found.state not in "ZX" else None


def end_tree(number: int, first: int = signal.SIGTERM) -> None:
    """Ask a process to end, wait, and then make it end, and all that it started and left running.

    Build tools end their compilers themselves when they are asked to; CMake and shells do not.
    """
    known = _with_descendants({p.number: p for p in [_read(number)] if p})
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(number, first)
    known = _wait(known, GENTLE_SECONDS, only=number)
    for firm in (getattr(signal, "SIGTERM", first), getattr(signal, "SIGKILL", signal.SIGTERM)):
        if not known:
            return
        for process in known.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.number, firm)
        known = _wait(known, FIRM_SECONDS)


def _wait(known: dict[int, _Process], seconds: float, only: Optional[int] = None) -> dict[int, _Process]:
    """Those of the processes, and of what they have started since, that are still running at the end."""
    until = time.monotonic() + seconds
    while True:
        known = {n: p for n, p in _with_descendants(known).items() if read_start(n) == p.start}
        if (only not in known if only is not None else not known) or time.monotonic() > until:
            return known
        time.sleep(0.02)


def _with_descendants(known: dict[int, _Process]) -> dict[int, _Process]:
    if not known:
        return known
    everybody = list(_all())
    found = dict(known)
    while True:
        new = {p.number: p for p in everybody if p.parent in found and p.number not in found}
        if not new:
            return found
        found.update(new)


def _all() -> Iterator[_Process]:
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return
    for number in numbers:
        process = _read(number)
        if process is not None:
            yield process


def _read(number: int) -> Optional[_Process]:
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        words = text[text.rindex(")") + 2 :].split()  # the program's name, before, may have spaces and brackets
        return _Process(number, int(words[1]), words[19], words[0])
    except (OSError, ValueError, IndexError):
        return None
