"""Puts files into place, remembers them, and takes away what earlier builds put there and nobody asks for any more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from torchscript_build import log, system
from torchscript_build.records import dataclass

OPS = "ops"
APPS = "apps"
LAUNCHERS = "launchers"
LIBRARIES = "libraries"
RECORD = "staged.json"
SCRATCH = "scratch"

Stamps = dict[str, Any]
"""File, relative to its place → its stamp as it was put there; ``None``: it was about to be."""


@dataclass(frozen=True)
class StagedFile:
    """One file of the package."""

    target: str
    """Path in the package tree, with forward slashes: ``my_package/bin/app``."""
    content: Union[Path, bytes]
    is_model: bool = False
    """Is it a model, which may be large?"""


@dataclass(frozen=True)
class Place:
    """Where files of the package tree go: a build_lib, the source tree, a prefix."""

    root: Path
    """The folder below which all of them lie."""
    locate: Callable[[str], Path]
    """A path in the package tree → the file to write."""
    records: Path
    """The folder for what is remembered, and for files that are not whole yet: no package is collected from it."""
    is_shared: bool = False
    """Other projects put files there, too."""
    links: bool = False
    """Is it made from other folders alone, so that a model in it may be the same file as there?"""

    def __call__(self, target: str) -> Path:
        """The file to write."""
        return self.locate(target)

    @property
    def key(self) -> str:
        """What the place is called in the record: a project that is copied takes its own along, not those of others."""
        if not self.is_shared:
            with contextlib.suppress(ValueError):  # another drive
                return os.path.relpath(self.root, self.records)
        return str(self.root.absolute())


def project_owner(name: str) -> str:
    """Whose files those of a CMake project are."""
    return f"cmake {name}"


def stage(files: Iterable[StagedFile], place: Place, owner: str) -> Sequence[tuple[str, Path]]:
    """Put the files of an owner into place, each atomically and only if it changed; take away what is his no more.

    A file that somebody has changed since is not ours any more, and stays.

    :param owner: ``OPS``, ``APPS``, or a CMake project's.
    :returns: pairs (path in the package tree, file written).
    """
    files = list(files)
    written = [(file.target, place(file.target)) for file in files]
    names = {os.path.relpath(path, place.root): path for _, path in written}
    with log.step("stage", quiet=True), _record(place) as record:
        before = dict(_stamps(record, place.key, owner))
        if not set(names) <= set(before):  # said before it is done: a killed build's files are known, too
            _set(record, place, owner, {**dict.fromkeys(names), **before})
        _remove_leftovers(names.values())
        scratch = place.records / SCRATCH
        for file, (_, target) in zip(files, written):
            if isinstance(file.content, bytes):
                system.write_if_changed(target, file.content, scratch)
            elif file.is_model and place.links:
                system.link_if_changed(file.content, target, scratch)
            else:
                system.copy_if_changed(file.content, target, scratch)
        _take_away(record, place, {name: before[name] for name in before if name not in names}, owner)
        # What is linked changes with its other name, and is ours all the same.
        linked = {target for file, (_, target) in zip(files, written) if file.is_model and place.links}
        stamps = {name: None if path in linked else system.stamp(path) for name, path in names.items()}
        if stamps != before:
            _set(record, place, owner, stamps)
    return written


def foreign_files(files: Iterable[StagedFile], place: Place) -> list[str]:
    """The targets that are somebody else's files with other content: no build of ours has put them there."""
    files = [f for f in files if os.path.lexists(place(f.target))]
    with _record(place) as record:
        known = {name for owner in _owners(record, place.key) for name in _stamps(record, place.key, owner)}
    return [
        f.target
        for f in files
        if os.path.relpath(place(f.target), place.root) not in known and not _is_same(place(f.target), f.content)
    ]


def _is_same(path: Path, content: Union[Path, bytes]) -> bool:
    try:
        return path.read_bytes() == (content if isinstance(content, bytes) else content.read_bytes())
    except OSError:
        return False


def take_away_others(place: Place, keep: Collection[str]) -> None:
    """Take away the files of owners that the settings do not name any more."""
    if not (place.records / RECORD).is_file():
        return
    with _record(place) as record:
        for owner in sorted(set(_owners(record, place.key)) - set(keep)):
            _take_away(record, place, _stamps(record, place.key, owner), owner)
            _set(record, place, owner, {})


@contextlib.contextmanager
def _record(place: Place) -> Iterator[dict[str, Any]]:
    """The record, for this process alone; without places that are gone."""
    with system.locked(place.records / ".staging.lock", f"what is put into {place.root}"):
        system.remove_tree(place.records / SCRATCH)
        known = system.read_json(place.records / RECORD)
        yield {
            key: owners
            for key, owners in known.items()
            if isinstance(owners, dict) and (key == place.key or os.path.isdir(place.records / key))
        }


def _owners(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = record.get(key, {})
    return found


def _stamps(record: Mapping[str, Any], key: str, owner: str) -> Stamps:
    """An owner's files; a record that was damaged has none, and nothing in it leads out of the place."""
    found = _owners(record, key).get(owner)
    if not isinstance(found, dict):
        return {}
    return {n: s for n, s in found.items() if not os.path.isabs(n) and ".." not in Path(n).parts and "\0" not in n}


def _set(record: dict[str, Any], place: Place, owner: str, stamps: Stamps) -> None:
    owners = {**_owners(record, place.key), owner: stamps}
    record[place.key] = {name: files for name, files in owners.items() if files}
    system.write_json(place.records / RECORD, record)


def _take_away(record: Mapping[str, Any], place: Place, stamps: Stamps, owner: str) -> None:
    others = {n for name in _owners(record, place.key) if name != owner for n in _stamps(record, place.key, name)}
    for name, stamp in sorted(stamps.items()):
        path = place.root / name
        now = system.stamp(path)
        if name in others or now is None:
            continue
        if stamp is not None and now != stamp:
            log.say(f"-- {path} was put there by an earlier build and has been changed since: it stays")
            continue
        system.remove_tree(path)
        log.say(f"-- removed {path}, which an earlier build put there")
        if not place.is_shared:
            _remove_empty(path.parent, place.root)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder, and those above it, as long as there is nothing in them."""
    with contextlib.suppress(OSError):
        while folder != root and root in folder.parents:
            folder.rmdir()
            folder = folder.parent


def _remove_leftovers(paths: Iterable[Path]) -> None:
    """Builds of earlier releases made temporary files beside the files to be; killed ones have left some."""
    folders: dict[Path, set[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(path.name)
    for folder, names in folders.items():
        system.remove_leftovers(folder, names)


def in_records(build_base: Path) -> Path:
    """The folder for records in a build_base."""
    return build_base / "torchscript"


def make_place(
    root: Path,
    build_base: Path,
    locate: Optional[Callable[[str], Path]] = None,
    *,
    is_shared: bool = False,
    links: bool = False,
) -> Place:
    """A place whose records lie in a build_base.

    :param locate: by default a file lies where the package tree has it.
    """
    return Place(root, locate or root.joinpath, in_records(build_base), is_shared, links)
