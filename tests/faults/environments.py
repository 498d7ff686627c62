"""Hostile environments, as a table: each build is good, or ends with one sentence, and the next one is good."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from .figures import Figure
from .world import SECONDS, World, fresh_project

NOBODY = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")


@dataclass(frozen=True)
class Case:
    """One environment."""

    name: str
    variables: dict[str, str] = field(default_factory=dict)
    shell: str = "exec {python} setup.py build_ts_app --run"
    """How the build is started."""
    told: Optional[str] = None
    """Words of the one warning."""
    prepare: Callable[[Path], object] = lambda folder: None
    needs_root: bool = False
    as_nobody: bool = False
    """The folder must be open to a user without a name."""


def _open(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def _give_away(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 12345, 12345)


OWN = {"TORCHSCRIPT_BUILD_CACHE_DIR": "", "XDG_CACHE_HOME": ""}
CASES = (
    Case("no home", {**OWN, "HOME": ""}, told="this user has no home"),
    Case("a home that is not there", {**OWN, "HOME": "/nonexistent"}, told="there is no folder /nonexistent"),
    Case("a relative home", {**OWN, "HOME": "home"}, told="this user has no home"),
    Case("a cache that is a file", {"TORCHSCRIPT_BUILD_CACHE_DIR": "setup.py"}, told="is no folder"),
    Case("a cache that cannot be made", {"TORCHSCRIPT_BUILD_CACHE_DIR": "/proc/x/y"}, told="/proc/x/y"),
    Case("a cache that everybody can write", {"TORCHSCRIPT_BUILD_CACHE_DIR": "c"}, told="by others", prepare=_open),
    Case(
        "somebody else's cache",
        {"TORCHSCRIPT_BUILD_CACHE_DIR": "c"},
        told="belongs to user 12345",
        prepare=_give_away,
        needs_root=True,
    ),
    Case(
        "a user without a name or a home (docker run -u 12345)",
        {**OWN, "HOME": "/"},
        f"chown -R 12345 . && exec {' '.join(NOBODY)} {{python}} setup.py build_ts_app --run",
        told="/.cache",
        needs_root=True,
        as_nobody=True,
    ),
    Case("the C locale", {"LC_ALL": "C"}),
    Case("an ASCII terminal", {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}),
    Case("standard output is closed", shell="exec {python} setup.py build_ts_app --run >&-"),
    Case("standard error is closed", shell="exec {python} setup.py build_ts_app --run 2>&-"),
    Case("everything is closed", shell="exec {python} setup.py build_ts_app --run >&- 2>&- <&-"),
    Case("the log's reader has gone", shell="set -o pipefail; {python} setup.py build_ts_app --run | head -1"),
    Case("the log's disk is full", shell="exec {python} setup.py build_ts_app --run >/dev/full"),
    Case("umask 077", shell="umask 077; exec {python} setup.py build_ts_app --run"),
    Case("umask 0", shell="umask 0; exec {python} setup.py build_ts_app --run"),
    Case("no TMPDIR", {"TMPDIR": "/nonexistent"}),
    Case("nohup", shell="exec nohup {python} setup.py build_ts_app --run"),
)


def run_cases(world: World) -> Figure:
    """Build in each environment."""
    figure = Figure("hostile environments")
    for case in CASES:
        if case.needs_root and os.geteuid() != 0:
            continue
        folder = fresh_project(world)
        if case.as_nobody and subprocess.run([*NOBODY, "test", "-r", "setup.py"], cwd=folder).returncode:
            continue  # a folder above is closed to others
        case.prepare(folder / "c")
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", case.shell.format(python=sys.executable)],
            cwd=folder,
            env={**world.variables, **case.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
        figure.add(_judge(case, done, folder), time.monotonic() - began)
    return figure


def _judge(case: Case, done: subprocess.CompletedProcess[bytes], folder: Path) -> Optional[str]:
    text = done.stderr.decode(errors="replace")
    warnings = [line for line in text.splitlines() if line.startswith("warning: ")]
    programs = list(folder.glob("build/lib*/demo/bin/answer"))
    is_ours = "Traceback" in text and "--- Logging error ---" not in text  # the latter are setuptools' own lines
    if done.returncode or not programs or is_ours:
        return f"{case.name}: exit code {done.returncode}: {text[-400:]}"
    if case.told and (len(warnings) != 1 or case.told not in warnings[0]):
        return f"{case.name}: was told {warnings}, wanted {case.told!r}"
    if case.name.startswith(("a cache that everybody", "somebody")) and list((folder / "c").iterdir()):
        return f"{case.name}: something was put into it"
    return None


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[bool]:
    """A small file system in a folder; ``False`` where this machine mounts none."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_disks(world: World) -> Figure:
    """Builds whose build folder, or cache, is on a disk that fills up; then there is room, and all is well."""
    figure = Figure("disk full")
    command = [sys.executable, "setup.py", "build_ts_app", "--run"]
    for kilobytes in (40, 100, 200, 300, 600, 900):
        folder = fresh_project(world)
        with small_disk(folder / "build", kilobytes) as is_small:
            if not is_small:
                return figure
            began = time.monotonic()
            done = subprocess.run(command, cwd=folder, env=dict(world.variables), capture_output=True, timeout=SECONDS)
            failure = _full(done) if done.returncode else None
            subprocess.run(["mount", "-o", "remount,size=500m", str(folder / "build")], check=True)
            again = subprocess.run(command, cwd=folder, env=dict(world.variables), capture_output=True, timeout=SECONDS)
            if again.returncode:
                failure = failure or f"{kilobytes} kB, with room again: {again.stderr.decode()[-400:]}"
            figure.add(failure, time.monotonic() - began)
    for kilobytes in (4, 12):
        folder = fresh_project(world)
        with small_disk(world.folder / "small", kilobytes):
            (world.folder / "small").chmod(0o700)
            variables = {**world.variables, "TORCHSCRIPT_BUILD_CACHE_DIR": str(world.folder / "small")}
            began = time.monotonic()
            done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, timeout=SECONDS)
            text = done.stderr.decode(errors="replace")
            failure = f"a cache of {kilobytes} kB: {text[-400:]}" if done.returncode or "Traceback" in text else None
            figure.add(failure, time.monotonic() - began)
    return figure


def _full(done: subprocess.CompletedProcess[bytes]) -> Optional[str]:
    text = done.stderr.decode(errors="replace")
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    return None if "Traceback" not in text and len(errors) == 1 else f"disk full: {text[-600:]}"
