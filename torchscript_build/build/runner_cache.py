"""The compiled runner, kept in the user's cache for every project with the same libtorch, compiler and flags.

Each entry is a folder named by the digest of all that the library is made from: ``libts_runner.a`` and ``key.json``,
which tells what that was, and the library's own digest. An entry appears whole or not at all; removing one costs a
compilation. It becomes part of the program, so a build links its own copy, made of what was compared with the digest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.generate import project
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.records import dataclass
from torchscript_build.system import Environment

KIND = "runner"
KEY = "key.json"
PART = ".part-"
"""What the names of entries begin with while they are made."""
LEFTOVER_SECONDS = 3600
MOST_BYTES = 64 << 20
"""A library has about a million."""
KEPT_ENTRIES = 32
"""How many are kept, the last used first; one takes about 1 MB."""


@dataclass(frozen=True)
class Entry:
    """One compiled runner."""

    folder: Path
    size: int
    """Bytes."""
    last_used: float
    """Seconds since the epoch."""
    inputs: Mapping[str, Any]


def is_cache_on(asked: bool, environment: Environment) -> bool:
    """Is the cache used? Not where ``TORCHSCRIPT_BUILD_CACHE=off`` says so, nor in a conda build, which is hermetic."""
    word = (environment.get("TORCHSCRIPT_BUILD_CACHE") or "on").lower()
    return asked and word not in ("off", "0", "no", "false") and environment.get("CONDA_BUILD") != "1"


def with_cached_runner(plan: BuildPlan, environment: Environment) -> BuildPlan:
    """The plan with the place of its runner in the cache, if something of it is made of the runner."""
    if not plan.with_runner:
        return plan
    folder = system.locate_cache(environment, KIND)
    if folder is None:
        return plan
    digest = digest_of(key_inputs(plan))
    name = "ts_runner.lib" if plan.libtorch.platform == "win32" else "libts_runner.a"
    return dataclasses.replace(
        plan,
        runner_library=str(Path(plan.build_dir, "runner", digest, name)),
        runner_entry=str(folder / digest),
    )


def key_inputs(plan: BuildPlan) -> dict[str, Any]:
    """Everything that the library is made from; how and where it was found makes no difference."""
    libtorch, tools = plan.libtorch, plan.toolchain
    core = next((p for p in libtorch.libraries if "c10." in p.name), libtorch.libraries[0])
    return {
        "runner": hashlib.sha256(b"\0".join(project.runner_sources().values())).hexdigest(),
        "libtorch": libtorch.full_version,
        "libtorch_core": hashlib.sha256(core.read_bytes()).hexdigest(),
        "definitions": list(libtorch.definitions),
        "cxx_standard": libtorch.cxx_standard,
        "platform": [libtorch.platform, libtorch.machine],
        "compiler": [*tools.cxx.command, tools.cxx.id, tools.cxx.version, *compiler_stamps(tools.cxx.command)],
        "build_type": plan.build_type,
        "flags": dict(plan.flags),
        "cmake_args": list(plan.cmake_args),
    }


def compiler_stamps(command: tuple[str, ...]) -> list[str]:
    """Size and time of the compiler itself, behind its links: a patched one of the same version is another one."""
    found = []
    for word in command:
        stamp = system.stamp(Path(os.path.realpath(word))) if os.path.isabs(word) else None
        found += [f"{stamp[0]}:{stamp[1]}"] if stamp else []
    return found


def digest_of(inputs: Mapping[str, Any]) -> str:
    """The name of an entry."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


@contextlib.contextmanager
def claim_runner(plan: BuildPlan) -> Iterator[None]:
    """Take the plan's runner from the cache; while it lacks that, one process compiles it and the others wait here."""
    if plan.runner_entry is None or _own_library(plan) or take_runner(plan):
        yield
        return
    entry = Path(plan.runner_entry)
    with _private_lock(entry.parent):
        take_runner(plan)
        yield


@contextlib.contextmanager
def _private_lock(folder: Path) -> Iterator[None]:
    try:
        system.make_private(folder, folder.parent)
    except OSError as error:
        _warn(folder, error)
        yield
        return
    with system.locked_if_possible(folder / ".lock", "the compiled runner"):
        yield


def take_runner(plan: BuildPlan) -> bool:
    """Copy the plan's runner from the cache into the build folder; ``False`` where it has none that can be used."""
    content = read_library(Path(plan.runner_entry or ""), Path(plan.runner_library or "").name)
    if content is None:
        return False
    library = Path(plan.runner_library or "")
    system.write_if_changed(library, content)
    for old in library.parent.parent.iterdir():
        if old != library.parent:
            system.remove_tree(old)
    return True


def read_library(entry: Path, name: str) -> Optional[bytes]:
    """An entry's library, compared with its digest; ``None`` where there is none that can be used.

    One that is damaged, or that somebody else can have made, is removed, which is told.
    """
    try:
        reason = next(filter(None, map(system.why_foreign, (entry, entry / KEY, entry / name))), None)
        if reason is None:
            key = read_key(entry)
            if digest_of(key["inputs"]) != entry.name:
                raise ValueError(f"{KEY} is another's")
            content = system.read_own(entry / name, MOST_BYTES)
            if hashlib.sha256(content).hexdigest() != key["sha256"]:
                raise ValueError(f"the digest of {name} is another")
            return content
    except FileNotFoundError:
        if not entry.is_dir():
            return None
        reason = f"{entry} is not whole"
    except OSError as error:
        _warn(entry, error)
        return None
    except ValueError as error:
        reason = f"{entry} is damaged ({error})"
    log.say(f"-- the cache's runner is made anew: {reason}")
    _remove(entry)
    return None


def read_key(entry: Path) -> Mapping[str, Any]:
    """What an entry says of itself: ``inputs`` and ``sha256``.

    :raises OSError: it cannot be read.
    :raises ValueError: it is damaged.
    """
    key = system.parse_json(system.read_own(entry / KEY, MOST_BYTES).decode("utf-8"))
    if not isinstance(key, dict) or not isinstance(key.get("inputs"), dict) or not isinstance(key.get("sha256"), str):
        raise ValueError(f"{KEY} has another shape")
    return key


def keep_runner(plan: BuildPlan, made: Optional[Path]) -> None:
    """Put the runner that this build links into the cache, unless it is there; note that it was used.

    :param made: what the build tree has compiled; ``None`` where it links the copy.
    """
    if plan.runner_entry is None or plan.runner_library is None:
        return
    entry, name = Path(plan.runner_entry), Path(plan.runner_library).name
    source = made or Path(plan.runner_library)
    try:
        if not entry.exists() and source.is_file():
            _put(entry, name, source.read_bytes(), key_inputs(plan))
            prune(entry.parent)
        os.utime(entry / KEY)  # used just now
    except OSError as error:
        _warn(entry, error)


def _put(entry: Path, name: str, content: bytes, inputs: Mapping[str, Any]) -> None:
    """Make an entry, whole or not at all; where another process was faster, its stays."""
    system.make_private(entry.parent, entry.parent.parent)
    part = Path(tempfile.mkdtemp(dir=entry.parent, prefix=PART))
    try:
        system.write_atomically(part / name, content)
        system.write_json(part / KEY, {"inputs": inputs, "sha256": hashlib.sha256(content).hexdigest()})
        with contextlib.suppress(OSError):
            os.rename(part, entry)
    finally:
        _remove(part)


def _own_library(plan: BuildPlan) -> bool:
    """Has the build folder a runner that fits: the copy, or one that its tree has compiled?"""
    library = Path(plan.runner_library or "")
    return library.is_file() or (plan.tree_dir / library.name).is_file()


def _remove(path: Path) -> None:
    try:
        system.remove_tree(path)
    except OSError as error:
        log.warn_once(f"{path} in the cache cannot be removed: {error.strerror or error}")


def _warn(entry: Path, error: OSError) -> None:
    log.warn_once(f"the cache {entry.parent.parent} cannot be used: {error.strerror or error}")


def list_entries(folder: Path) -> list[Entry]:
    """All entries, the last used first; a damaged one has no inputs."""
    entries = []
    for key in folder.glob(f"*/{KEY}"):
        if key.parent.name.startswith(PART):
            continue
        try:
            size = sum(p.lstat().st_size for p in key.parent.iterdir())
            used = key.lstat().st_mtime
        except OSError:
            continue
        try:
            inputs: Mapping[str, Any] = read_key(key.parent)["inputs"]
        except (OSError, ValueError):
            inputs = {}
        entries.append(Entry(key.parent, size, used, inputs))
    return sorted(entries, key=lambda e: (-e.last_used, e.folder.name))


def prune(folder: Path, keep: int = KEPT_ENTRIES) -> list[Entry]:
    """Remove all but the last used, and what killed processes left half made; returns the entries removed."""
    removed = list_entries(folder)[keep:]
    for entry in removed:
        system.remove_tree(entry.folder)
    old = time.time() - LEFTOVER_SECONDS
    for part in folder.glob(f"{PART}*"):
        with contextlib.suppress(OSError):
            if part.lstat().st_mtime < old:
                system.remove_tree(part)
    return removed


def describe(entry: Entry) -> str:
    """An entry in a few words."""
    compiler = entry.inputs.get("compiler", ["?"])
    return f"libtorch {entry.inputs.get('libtorch', '?')}, {compiler[0]}, {entry.inputs.get('build_type', '?')}"
