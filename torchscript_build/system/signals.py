"""Signals of a time limit, a batch system or ``docker stop``: the children end first, then this process."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

NAMES = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2")
"""Those that would end this process at once. Batch systems announce the end of a job with the last ones."""


class TerminatedError(BaseException):
    """Raised where a signal arrived; nobody takes it for a failure.

    :param number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def ending_by_signals() -> Iterator[None]:
    """While the body runs, signals (``NAMES``) end its children as Ctrl-C does, and then this process by that signal.

    A signal that somebody handles already, or ignores (``nohup``), stays theirs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in [*numbers, signal.SIGINT]}
    ours = {n: h for n, h in before.items() if h in (signal.SIG_DFL, signal.default_int_handler)}
    for number in ours:
        signal.signal(number, _raise)
    try:
        yield
    except TerminatedError as error:
        signal.signal(error.number, signal.SIG_DFL)
        os.kill(os.getpid(), error.number)
        raise SystemExit(128 + error.number) from None  # the first process of a container survives its own signal
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


_waiting: list[int] = []
"""Signals that came while a child was being started."""
_is_starting = False


@contextlib.contextmanager
def starting_a_child() -> Iterator[None]:
    """While the body runs, a signal waits for ``raise_waiting``: a child that nobody knows could not be ended."""
    global _is_starting
    _is_starting = True
    try:
        yield
    finally:
        _is_starting = False


def raise_waiting() -> None:
    """Raise for a signal that came in the meantime.

    :raises BaseException: ``TerminatedError`` or ``KeyboardInterrupt``, if one came.
    """
    if _waiting:
        raise _error(_waiting.pop())


def _error(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else TerminatedError(number)


def _raise(number: int, frame: Any) -> None:
    """The others than Ctrl-C once: the children are given time to end."""
    if number != signal.SIGINT:
        signal.signal(number, signal.SIG_IGN)
    if _is_starting:
        _waiting.append(number)
    else:
        raise _error(number)
