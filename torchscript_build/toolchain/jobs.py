"""How many compilers run at once: what the user says, else what other machines, or cores and memory allow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

from torchscript_build import log
from torchscript_build.system import Environment
from torchscript_build.toolchain.launchers import Launcher, count_remote_jobs

BYTES_PER_JOB = 2_000_000_000
"""Peak memory of one compiler on torch's headers, seen with GCC 12 at -O3: 0.6 to 1.2 GB with the lean ones, 2 GB with
all of ``torch/extension.h``; 2.5 GB to precompile that, beside which nothing else of the library is compiled."""

BYTES_PER_REMOTE_JOB = 200_000_000
"""Peak memory here of one that runs elsewhere: the preprocessor and its output, with ``torch/extension.h``."""

USER_VARIABLES = ("MAX_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "CPU_COUNT")
"""Honoured in this order: torch's own, CMake's, conda-build's."""


def asked_jobs(asked: Optional[int], environment: Environment) -> Optional[int]:
    """The number that the user wants: the setting, else the first of ``USER_VARIABLES``."""
    if asked is not None:
        return asked
    for name in USER_VARIABLES:
        text = environment.get(name)
        if text and re.fullmatch("[0-9]{1,9}", text) and int(text) > 0:
            return int(text)
        if text:
            log.warn_once(f"{name}={text[:40]!r} is no number of jobs; it is passed over")
    return None


def choose_jobs(
    asked: Optional[int], environment: Environment, launcher: Optional[Launcher], *, beside: bool = False
) -> int:
    """How many compilers run at once, on this machine as it is now.

    :param asked: the setting.
    :param launcher: what they are started through; it may know of other machines.
    :param beside: as in ``plan_jobs``.
    """
    wanted = asked_jobs(asked, environment)
    remote = None if wanted else count_remote_jobs(launcher, environment)
    return plan_jobs(wanted, environment, available_bytes=read_available_memory(), remote=remote, beside=beside)


def plan_jobs(
    asked: Optional[int],
    environment: Environment,
    *,
    available_bytes: Optional[int],
    remote: Optional[int] = None,
    beside: bool = False,
) -> int:
    """The number of parallel jobs, at least 1; beside another process of the build it may be none.

    :param asked: the setting; wins over everything.
    :param available_bytes: memory that can be used now; ``None`` where unknown.
    :param remote: how many other machines can take, in place of this one's cores. This one only preprocesses then; what
        comes back because a machine failed, distcc itself compiles few at a time.
    :param beside: another process works for the build. It is one of those that the user asked for, and takes the memory
        of a compiler, but no core of its own: when it has ended, all cores are busy.
    """
    wanted = asked_jobs(asked, environment)
    if wanted is not None:
        return wanted - beside
    bytes_per_job = BYTES_PER_JOB if remote is None else BYTES_PER_REMOTE_JOB
    jobs = environment.cpu_count if remote is None else remote
    by_memory = available_bytes // bytes_per_job if available_bytes is not None else jobs + 1
    if beside:
        return max(0, min(jobs, by_memory - 1)) if jobs > 1 else 0
    return max(1, min(jobs, by_memory))


def read_available_memory(root: Path = Path("/")) -> Optional[int]:
    """Bytes that new processes may use: MemAvailable, or what is left in the control group; ``None`` where unknown."""
    limits = []
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            limits.append(int(line.split()[1]) * 1024)
    top = _read(root / "sys/fs/cgroup/memory.max").strip()
    used = _read(root / "sys/fs/cgroup/memory.current").strip()
    if top.isdigit() and used.isdigit():
        limits.append(max(0, int(top) - int(used)))
    return min(limits) if limits else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
