"""A pytest plugin: a test that fails, times out or is interrupted leaves no process behind.

``children.run_child`` ends the process group of what a test starts itself. This is for the rest: what is started in
this process by torchscript_build, and what left its group. On Linux, orphans come back to us, so that none gets away.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Optional

import pytest

PR_SET_CHILD_SUBREAPER = 36


def pytest_configure(config: pytest.Config) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.name == "posix" and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)  # by default, Python would end without any cleaning up
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs


_terminated = False


def _interrupt(number: int, frame: Optional[FrameType]) -> None:
    global _terminated
    _terminated = True
    raise KeyboardInterrupt


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    if outcome.get_result().failed:  # type: ignore[attr-defined]
        kill_descendants()
    if _terminated:  # torchscript_build makes an error of its own of the interrupt, which fails the test only
        item.session.shouldstop = "terminated"


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    kill_descendants()


def kill_descendants() -> None:
    """Kill what this process has started, directly or not, and wait until it is gone."""
    while descendants := find_descendants(os.getpid()):
        for process in descendants:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for process, parent in descendants.items():
            if parent == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process, 0)


def find_descendants(ancestor: int) -> dict[int, int]:
    """Processes below one, and the parent of each; none where there is no /proc."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, parent, *_ = status.read_text(errors="replace").rpartition(")")[2].split()
            parents[int(status.parent.name)] = int(parent)
    found: dict[int, int] = {}
    new = {ancestor}
    while new:
        new = {process for process, parent in parents.items() if parent in new}
        found.update((process, parents[process]) for process in new)
    return found
