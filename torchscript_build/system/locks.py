"""Locks between processes: who waits is told for what and for whom; what a killed process left running is ended."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from torchscript_build import log
from torchscript_build.system import processes

PATIENCE = 1.0
"""Seconds that one waits without a word."""
WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems answer that have no locks: some network file systems, some of virtual machines."""

_held: list[IO[bytes]] = []
"""The locks that this process holds, the last taken last."""
_children: list[int] = []
"""The children that run for this process now."""


@contextlib.contextmanager
def locked(path: Path, what: str = "") -> Iterator[None]:
    """Hold an exclusive lock on a file while the body runs; others wait, and say so after a second.

    The file tells who holds the lock and which child works for it. Where the file system has no locks, one line says so
    and the body runs without.

    :param what: what the lock guards, for the line.
    :raises OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0) as file:
        try:
            _acquire(file, what or str(path))
        except OSError as error:
            if error.errno not in WITHOUT:
                raise OSError(error.errno, error.strerror, str(path)) from error
            log.warn_once(f"{path.parent} cannot be locked ({error.strerror}): do not build there twice at once")
            yield
            return
        _end_orphan(file)
        _write(file, _signature())
        _held.append(file)
        try:
            yield
        finally:
            _held.remove(file)


@contextlib.contextmanager
def locked_if_possible(path: Path, what: str) -> Iterator[None]:
    """The same for a cache: one that cannot be written is told of once, and the body runs all the same."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path, what))
        except OSError as error:
            log.warn_once(f"the cache in {path.parent} cannot be locked: {error.strerror or error}")
        yield


@contextlib.contextmanager
def noted_child(number: int) -> Iterator[None]:
    """While the body runs, the locks that this process holds tell of a child that has just been started."""
    _children.append(number)
    try:
        starts = [(child, processes.read_start(child)) for child in _children]
        lines = [f"child {child} {start}\n" for child, start in starts if start]
        for file in _held:
            _write(file, _signature() + "".join(lines))
        yield
    finally:
        _children.remove(number)


def _acquire(file: IO[bytes], what: str) -> None:
    if os.name != "posix":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    import fcntl

    began, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                raise
        if not told and time.monotonic() - began >= PATIENCE:
            log.progress(f"-- waiting for {what}: {_holder(file)} holds it")
            told = True
        time.sleep(0.1)


def _holder(file: IO[bytes]) -> str:
    """Who holds the lock, as the file says."""
    lines = ["".join(c if c.isprintable() else "?" for c in line) for line in _read(file).splitlines()]
    return lines[0] if lines and lines[0].startswith("process ") else "another process"


def _end_orphan(file: IO[bytes]) -> None:
    """End the child of a holder that was killed: it would go on writing in the folder that is ours now."""
    lines = _read(file).splitlines()
    for words in (line.split() for line in lines[1:]):
        if len(words) == 3 and words[0] == "child" and words[1].isdecimal() and lines[0].endswith(_host()):
            number = int(words[1])
            if processes.read_start(number) == words[2]:
                log.say(f"-- a killed build left process {number} running: ending it")
                processes.end_tree(number)


def _signature() -> str:
    words = " ".join(word for word in [os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]])
    return f"process {os.getpid()} ({' '.join(words[:100].split())}){_host()}\n"


def _host() -> str:
    return f" on {platform.node()}"


def _write(file: IO[bytes], text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk
        content = text.encode("utf-8", "replace")
        file.seek(0)
        file.write(content)
        file.truncate(len(content))  # last: who waits and reads meanwhile finds the first line


def _read(file: IO[bytes]) -> str:
    try:
        file.seek(0)
        return file.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""
