"""Which cache may be used: one where nobody but this user can have put anything."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Optional

from torchscript_build import log
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.system.environment import Environment

VARIABLE = "TORCHSCRIPT_BUILD_CACHE_DIR"
OTHERS_MAY_WRITE = 0o022


def locate_cache(environment: Environment, kind: str) -> Optional[Path]:
    """The folder of one kind of cache entries, made or not; ``None`` where it may not be used, which is told once."""
    try:
        return find_cache(environment, kind)
    except TorchScriptBuildError as error:
        log.warn_once(error.problem)
        return None


def find_cache(environment: Environment, kind: str) -> Path:
    """The same, for what cannot do without.

    The cache must belong to this user and be writable by nobody else; no folder above it may be another user's.

    :raises TorchScriptBuildError: it may not be used.
    """
    try:
        return _look(environment, kind)
    except _UnusableError as error:
        cures = [f"set {VARIABLE} to a folder of your own"]
        raise TorchScriptBuildError(f"the cache is not used: {error}", cures=cures) from error


def make_private(folder: Path, root: Path) -> None:
    """Make a folder of the cache and those above it, down from the cache's root; for this user alone.

    :raises OSError: it cannot be made, or somebody else has made it in the meantime.
    """
    above = [p for p in (*reversed(folder.parents), folder) if not p.is_dir()]
    for path in above:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    for path in (folder, *folder.parents):
        reason = why_foreign(path)
        if reason:
            raise PermissionError(0, reason)
        if path == root:
            break


def why_foreign(path: Path) -> Optional[str]:
    """Why a file or folder of the cache may hold what somebody else put there; ``None`` where it does not.

    :raises OSError: it is not there.
    """
    if os.name != "posix":
        return None
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"{path} is a link"
    if status.st_uid != os.geteuid():
        return f"{path} belongs to {_user(status.st_uid)}, not to {_user(os.geteuid())}"
    if status.st_mode & OTHERS_MAY_WRITE:
        return f"{path} can be written by others (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def read_own(path: Path, most: int) -> bytes:
    """The content of a file in the cache.

    :raises OSError: it cannot be read.
    :raises ValueError: it is no file (a pipe would be waited for), or has more than so many bytes.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path.name} is no file")
    if status.st_size > most:
        raise ValueError(f"{path.name} is too large")
    return path.read_bytes()


class _UnusableError(Exception):
    """With the reason, in a few words."""


def _look(environment: Environment, kind: str) -> Path:
    root = environment.cache_dir()
    if root is None:
        raise _UnusableError("this user has no home (HOME)")
    try:
        if environment.get(VARIABLE) is None and not root.parent.parent.is_dir():
            raise _UnusableError(f"there is no folder {root.parent.parent}")
        for path in dict.fromkeys([*root.parents, *Path(os.path.realpath(root)).parents]):
            _check_above(path)
        root = Path(os.path.realpath(root))
        for path in (root, root / kind):
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR(path.lstat().st_mode):
                    raise _UnusableError(f"{path} is no folder")
                reason = why_foreign(path)
                if reason:
                    raise _UnusableError(reason)
        if root.is_dir() and not os.access(root, os.R_OK | os.X_OK):
            raise _UnusableError(f"{root} cannot be read")
    except OSError as error:
        raise _UnusableError(f"{error.filename or root}: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in a variable
        raise _UnusableError(f"{root}: {error}") from error
    return root / kind


def _check_above(path: Path) -> None:
    """A folder above the cache: who could put another in its place?"""
    if os.name != "posix":
        return
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        if status.st_uid not in (0, os.geteuid()):
            raise _UnusableError(f"{path}, above it, belongs to {_user(status.st_uid)}")
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise _UnusableError(f"everybody can write {path}, above it")


def _user(number: int) -> str:
    """A user's name; the number where there is none."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
