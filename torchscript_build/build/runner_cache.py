"""The compiled runner, kept in the user's cache for every project with the same libtorch, compiler and flags.

Each entry is a folder named by the digest of all that the library is made from: ``libts_runner.a`` and ``key.json``,
which tells what that was. An entry appears whole or not at all; removing one costs a compilation.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from torchscript_build import system
from torchscript_build.generate import project
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment

KEY = "key.json"
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
    """The plan with the place of its runner in the cache, if one of its apps is a runner."""
    if not any(app.template == "runner" for app in plan.apps):
        return plan
    suffix = "ts_runner.lib" if plan.libtorch.platform == "win32" else "libts_runner.a"
    folder = runners_dir(environment) / digest_of(key_inputs(plan))
    return dataclasses.replace(plan, runner_library=str(folder / suffix))


def runners_dir(environment: Environment) -> Path:
    """The folder of all entries."""
    return environment.cache_dir() / "runner"


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
    """While the cache lacks the plan's runner, only one process compiles it; the others wait here, and find it."""
    if plan.runner_library is None or Path(plan.runner_library).is_file():
        yield
        return
    with system.locked(Path(plan.runner_library).parent.parent / ".lock"):
        yield


def keep_runner(plan: BuildPlan, made: Optional[Path]) -> None:
    """Put the runner that the build tree has made into the cache, unless it is there; note that it was used.

    :param made: ``None`` where the tree took it from the cache.
    """
    if plan.runner_library is None:
        return
    library = Path(plan.runner_library)
    if made is not None and not library.is_file():
        system.write_json(library.parent / KEY, key_inputs(plan))
        system.copy_if_changed(made, library)  # last and atomically: an entry with a library is whole
        prune(library.parent.parent)
    with contextlib.suppress(OSError):
        os.utime(library.parent / KEY)  # used just now


def list_entries(folder: Path) -> list[Entry]:
    """All entries, the last used first."""
    entries = []
    for key in folder.glob(f"*/{KEY}"):
        size = sum(p.stat().st_size for p in key.parent.iterdir() if p.is_file())
        entries.append(Entry(key.parent, size, key.stat().st_mtime, system.read_json(key)))
    return sorted(entries, key=lambda e: (-e.last_used, e.folder.name))


def prune(folder: Path, keep: int = KEPT_ENTRIES) -> list[Entry]:
    """Remove all but the last used; returns what was removed."""
    removed = list_entries(folder)[keep:]
    for entry in removed:
        system.remove_tree(entry.folder)
    return removed


def describe(entry: Entry) -> str:
    """An entry in a few words."""
    compiler = entry.inputs.get("compiler", ["?"])
    return f"libtorch {entry.inputs.get('libtorch', '?')}, {compiler[0]}, {entry.inputs.get('build_type', '?')}"
