"""How many compilers run at once: what the user says, else what cores and memory allow."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from torchscript_build.system import Environment

BYTES_PER_JOB = 1_500_000_000
"""Peak memory of one compiler on torch's headers: 1 GB seen with GCC 12 at -O2, 2 GB with ``torch/extension.h``."""

USER_VARIABLES = ("MAX_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "CPU_COUNT")
"""Honoured in this order: torch's own, CMake's, conda-build's."""


def plan_jobs(asked: Optional[int], environment: Environment, *, available_bytes: Optional[int]) -> int:
    """The number of parallel jobs, at least 1.

    :param asked: the setting; wins over everything.
    :param available_bytes: memory that can be used now; ``None`` where unknown.
    """
    if asked is not None:
        return asked
    for name in USER_VARIABLES:
        text = environment.get(name)
        if text and text.isdigit() and int(text) > 0:
            return int(text)
    by_memory = max(1, available_bytes // BYTES_PER_JOB) if available_bytes is not None else environment.cpu_count
    return max(1, min(environment.cpu_count, by_memory))


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
