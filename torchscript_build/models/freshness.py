"""Is what was made still what would be made? Records of what was used, and the reason for making a model again."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import system
from torchscript_build.system import Environment

Used = dict[str, Any]
"""``{"files": {path: [stamp, digest]}, "folders": {path: [name, …]}, "distributions": ["torch-2.13.0.dist-info", …]}``;
stamp and digest of a file that was not there are ``None``."""


def record_used(reported: Mapping[str, Any]) -> Used:
    """What a job reported (child/used.py), with the stamps by which most changes are seen without reading."""
    files = reported.get("files", {})
    return {
        "files": {name: [_stamp(name), digest] for name, digest in files.items()},
        "folders": {name: _names_in(name) for name in reported.get("folders", ())},
        "distributions": list(reported.get("distributions", ())),
    }


def record_files(names: Iterable[str]) -> Used:
    """The same for files that are known by name."""
    return {"files": {name: [_stamp(name), _digest(name)] for name in sorted(names)}, "distributions": []}


def find_inputs(patterns: Sequence[str], root: Path) -> list[str]:
    """The files that a model's ``inputs`` match; ``**`` matches folders."""
    found = {name for pattern in patterns for name in glob.glob(os.path.join(root, pattern), recursive=True)}
    return sorted(name for name in found if os.path.isfile(name))


def why_stale(used: Used, root: Path, environment: Environment) -> Optional[str]:
    """What has changed of what was used, in words; ``None``: nothing.

    Stamps of files that were touched only are brought up to date in ``used``.
    """
    folders = dict.fromkeys((*environment.python.search_path, *environment.python.site_packages))
    for name in used["distributions"]:
        if not any((folder / name).exists() for folder in folders):
            project, _, rest = name.rpartition(".")[0].partition("-")
            return f"{project} is not {rest} any more"
    for folder, names in used.get("folders", {}).items():
        reason = why_other_files(
            (os.path.join(folder, name) for name in names),
            (os.path.join(folder, name) for name in _names_in(folder)),
            root,
        )
        if reason is not None:
            return reason
    for name, kept in used["files"].items():
        stamp, digest = kept
        now = _stamp(name)
        if now == stamp:
            continue
        if now is None or stamp is None:
            return f"{_short(name, root)} is {'gone' if now is None else 'new'}"
        if _digest(name) != digest:
            return f"{_short(name, root)} has changed"
        kept[0] = now
    return None


def why_other_files(before: Iterable[str], now: Iterable[str], root: Path) -> Optional[str]:
    """Which file is new or gone among those that ``inputs`` match."""
    old, new = set(before), set(now)
    for name in sorted(new - old):
        return f"{_short(name, root)} is new"
    for name in sorted(old - new):
        return f"{_short(name, root)} is gone"
    return None


def why_other_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Optional[str]:
    """Which setting, library or release is another."""
    changed = [name for name in now if before.get(name) != now[name]]
    if not changed:
        return None
    words = {"torch": f"libtorch is {now.get('torch')} now", "libraries": "an operator library has changed"}
    for name, text in words.items():
        if name in changed:
            return text
    plural = "have" if len(changed) > 1 else "has"
    return f"{', '.join(c.replace('_', '-') for c in changed)} {plural} changed in the settings"


def _short(name: str, root: Path) -> str:
    inside = os.path.relpath(name, root)
    return name if inside.startswith(os.pardir) else inside


def _names_in(folder: str) -> list[str]:
    """The files in a folder, but for hidden ones and bytecode."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.is_file()]
    except OSError:
        return []
    return sorted(name for name in found if not name.startswith(".") and not name.endswith(".pyc"))


def _stamp(name: str) -> Optional[list[int]]:
    """Size, time and inode."""
    try:
        status = os.stat(name)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _digest(name: str) -> Optional[str]:
    found = hashlib.sha256()
    try:
        with open(name, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                found.update(block)
    except OSError:
        return None
    return found.hexdigest()


def stamps_of(files: Iterable[Path]) -> dict[str, Optional[list[int]]]:
    """Path → size and time of files that we made."""
    return {str(file): system.stamp(file) for file in files}
