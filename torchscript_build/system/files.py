"""Changes of files that are whole or did not happen."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat as stat_module
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Optional

LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}")
"""What temporary files are called here: a dot, the name of the file to be, and what ``tempfile`` adds."""


def write_atomically(path: Path, data: bytes, scratch: Optional[Path] = None) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    :param scratch: a folder for the temporary file, where it may not lie beside the file itself.
    """

    def fill(temporary: str) -> None:
        with open(temporary, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)

    _replace(path, fill, scratch)


def write_if_changed(path: Path, data: bytes, scratch: Optional[Path] = None) -> bool:
    """Write a file only if its content differs, so that build tools see no change where there is none."""
    try:
        if path.read_bytes() == data:
            return False
    except OSError:
        pass
    write_atomically(path, data, scratch)
    return True


def _replace(path: Path, fill: Callable[[str], None], scratch: Optional[Path]) -> None:
    """Make a file whole under another name, then give it its own."""
    for folder in (path.parent, scratch or path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, "a folder is in the way", str(path))
    handle, temporary = tempfile.mkstemp(dir=scratch or path.parent, prefix=f".{path.name[:200]}.")
    os.close(handle)
    try:
        fill(temporary)
        try:
            os.replace(temporary, path)
        except OSError as error:
            if error.errno != errno.EXDEV or scratch is None:
                raise
            # Another file system, without a place for parts: who stages keeps a record, and writes half a file again.
            path.unlink(missing_ok=True)
            fill(str(path))
            os.unlink(temporary)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # of a write, a full disk for one, the system tells no name
        raise


def remove_leftovers(folder: Path, names: Optional[Collection[str]] = None) -> None:
    """Remove the temporary files that killed processes have left in a folder.

    :param names: the files to be; ``None`` for all, where nobody else puts files.
    """
    try:
        with os.scandir(folder) as entries:
            found = [e.name for e in entries if LEFTOVER.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    except OSError:
        return
    for name in found:
        if names is None or name[1:-9] in names:
            with contextlib.suppress(OSError):
                os.unlink(folder / name)


def stamp(path: Path) -> Optional[list[int]]:
    """Size and time of a file, which change when it does; ``None`` if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def parse_json(text: str) -> Any:
    """What a JSON text says.

    :raises ValueError: it is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that we wrote; empty if it is missing or damaged."""
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object that nobody else reads, atomically; what is a folder there is no record, and goes."""
    _make_way(path)
    write_report(path, data)


def write_report(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object where somebody wants it, atomically.

    :raises IsADirectoryError: a folder is in the way.
    """
    write_atomically(path, json.dumps(data, indent=1).encode())


def copy_if_changed(source: Path, target: Path, scratch: Optional[Path] = None) -> bool:
    """Copy a file with its time, atomically, unless size, time and mode already agree.

    The copy can be read by everybody, and executed if the source can: no umask makes a difference to a package.

    :param scratch: a folder for the temporary file, where it may not lie beside the file itself.
    """
    new = source.stat()
    mode = _normal_mode(new.st_mode)
    try:
        old = target.lstat()
        if (old.st_size, old.st_mtime_ns, old.st_mode) == (new.st_size, new.st_mtime_ns, stat_module.S_IFREG | mode):
            return False
    except OSError:
        pass

    def fill(temporary: str) -> None:
        shutil.copyfile(source, temporary)
        os.chmod(temporary, mode)
        os.utime(temporary, ns=(new.st_atime_ns, new.st_mtime_ns))

    _replace(target, fill, scratch)
    return True


def link_if_changed(source: Path, target: Path, scratch: Optional[Path] = None) -> bool:
    """Give a file a second name, where that has the effect of ``copy_if_changed``, and else copy it.

    The two are one file from then on: it is for large files in folders that are made from others.
    """
    new = source.stat()
    if new.st_mode != stat_module.S_IFREG | _normal_mode(new.st_mode) or source.is_symlink():
        return copy_if_changed(source, target, scratch)
    with contextlib.suppress(OSError):
        if os.path.samestat(new, target.lstat()):
            return False
    folder = scratch or target.parent
    place = folder / f".{target.name[:200]}.{os.getpid():08}"
    try:
        for needed in (target.parent, folder):
            needed.mkdir(parents=True, exist_ok=True)
        os.link(source, place)
        os.replace(place, target)
    except OSError:  # another file system, or one without links
        with contextlib.suppress(OSError):
            place.unlink()
        return copy_if_changed(source, target, scratch)
    return True


def normalize_modes(folder: Path) -> None:
    """Let everybody read the files below a folder, and execute those that their owner can; no umask shows."""
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.is_file():
            path.chmod(_normal_mode(path.stat().st_mode))


def _normal_mode(mode: int) -> int:
    return 0o755 if mode & stat_module.S_IXUSR else 0o644


def materialize(files: Mapping[str, bytes], folder: Path) -> None:
    """Write a FileSet into a folder of ours: only what changed; what is not part of it is removed.

    A new file gets its own name at once: of a killed process a part may stay, which the next call writes again.
    """
    for name, content in sorted(files.items()):
        path = folder / name
        try:
            with open(path, "xb") as file:
                file.write(content)
            os.chmod(path, 0o644)
        except OSError:  # something is there, or nothing is
            _make_way(path)
            write_if_changed(path, content)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.as_posix() not in files and inside.parts[0] != "build":
            path.unlink()


def date_now(folder: Path) -> None:
    """Give the files below a folder that are dated in the future the time of now."""
    now = time.time()
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_mtime > now:
            os.utime(path, (now, now))


def is_endless(path: Path) -> bool:
    """A pipe, a socket or a device: who reads it may wait for ever, or never come to an end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat_module.S_ISREG(mode) or stat_module.S_ISDIR(mode))


def _make_way(path: Path) -> None:
    """Remove a folder that lies where a file of ours belongs."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)


def remove_tree(path: Path) -> None:
    """Remove a folder or file; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
