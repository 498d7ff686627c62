"""Runs programs of a bundle in a root that holds the bundle, a C library, /proc and a few devices, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import ToolNotFoundError
from torchscript_build.packaging.bundle.closure import CXX_RUNTIME, GLIBC
from torchscript_build.system import Completed, Environment, elf

REFUSED = 125
SYSTEM = ("/usr/sbin", "/sbin")
"""Where chroot lies, which not everybody has on PATH."""
DEVICES = ("full", "null", "random", "urandom", "zero")
"""What every system has, and torch asks for random numbers."""
SCRIPT = f"""
mount --bind "$1" "$0/bundle" || exit {REFUSED}
mount -o remount,bind,ro "$0/bundle" 2>/dev/null || test "$2" = user || exit {REFUSED}
for device in {" ".join(DEVICES)}; do
  test ! -e "$0/dev/$device" || mount --bind "/dev/$device" "$0/dev/$device" || exit {REFUSED}
done
mount -t proc proc "$0/proc" 2>/dev/null || mount --rbind /proc "$0/proc" || exit {REFUSED}
root=$0 user=$2
shift 2
if test "$user" = user; then chroot "$root" "$@"
else chroot --groups= --userspec=+65534:+65534 "$root" "$@"; fi
exit $?
"""
"""``$ORIGIN`` in a RUNPATH is found through /proc/self/exe. Root becomes nobody; others are root of a namespace and
may be unable to mount read-only what the machine has mounted otherwise. The shell stays: the first process of a
namespace does not die of the signals that end others."""


def make_root(root: Path, programs: Iterable[Path], left_to_the_machine: Iterable[str]) -> None:
    """A root folder with this machine's C library where the loader looks for it, and places for devices.

    :param left_to_the_machine: names of libraries that the machine brings; libstdc++ is taken if it is among them.
    """
    for folder in ("bundle", "dev", "proc", "tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for device in DEVICES:
        (root / "dev" / device).touch()
    root.chmod(0o755)
    (root / "tmp").chmod(0o1777)
    for program in programs:
        interpreter = elf.read_elf(program).interpreter
        if interpreter:
            _copy(Path(interpreter), root)
    wanted = {name for name in left_to_the_machine if GLIBC.fullmatch(name) or name in CXX_RUNTIME}
    for path in filter(None, map(_on_this_machine, sorted(wanted))):
        _copy(path, root)


def run_in_root(root: Path, bundle: Path, command: Sequence[str], environment: Environment) -> Completed:
    """Run a program there as nobody, from ``/``, without any variable; the bundle is at ``/bundle``, to be read only.

    :param root: a folder that has ``bundle`` and ``proc``: of ``make_root``, or any other system's.
    :raises ToolNotFoundError: this machine lets nobody change the root.
    """
    missing = next((tool for tool in ("unshare", "chroot", "mount") if _which(tool, environment) is None), None)
    if missing is not None:
        raise ToolNotFoundError(f"--verify needs the program {missing}", cures=["apt install util-linux coreutils"])
    is_root = os.geteuid() == 0
    spaces = ["--mount", "--pid", "--fork", *([] if is_root else ["--user", "--map-root-user"])]
    words = [str(root), str(bundle), "nobody" if is_root else "user", *command]
    path = os.pathsep.join([environment.get("PATH") or "", *SYSTEM])
    done = system.run(["unshare", *spaces, "sh", "-c", SCRIPT, *words], variables={"PATH": path}, echo=False)
    if done.returncode == REFUSED or done.output.startswith("unshare: "):
        last = (done.output.strip().splitlines() or ["unshare failed"])[-1]
        raise ToolNotFoundError(
            f"--verify cannot change the root on this machine: {last}",
            cures=["run it as root", "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)"],
        )
    return done


def _which(tool: str, environment: Environment) -> Optional[Path]:
    found = environment.which(tool)
    return found or next((Path(f, tool) for f in SYSTEM if Path(f, tool).exists()), None)


def _on_this_machine(name: str) -> Optional[Path]:
    folders = [Path(f) for f in elf.DEFAULT_FOLDERS]
    return next((f / name for f in folders if (f / name).is_file()), None)


def _copy(path: Path, root: Path) -> None:
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copyfile(os.path.realpath(path), target)
        target.chmod(0o755)
