"""The machine's description."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .bench import Bench
from .measure import run


def describe_machine(bench: Bench, root: Path) -> dict[str, str]:
    """Name → words, in the order in which they are printed."""
    ours = bench.ours.variables()

    def first_line(*command: str) -> str:
        lines = run(command, cwd=bench.work, variables=ours).output.splitlines()
        return lines[0] if lines else ""

    memory = int(read_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 1024**2
    return {
        "CPU": f"{read_field(Path('/proc/cpuinfo'), 'model name')}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory:.0f} GiB",
        "OS": f"{os_name(Path('/etc/os-release'))}, Linux {platform.release()}",
        "compiler": first_line("c++", "--version"),
        "CMake": first_line("cmake", "--version").rpartition(" ")[2],
        "Ninja": first_line("ninja", "--version"),
        "Python": bench.our_torch["python"],
        "torch": bench.our_torch["version"],
        "setuptools": installed_version(bench, "setuptools"),
        "scikit-build-core": installed_version(bench, "scikit-build-core"),
        "torchscript-build": revision(root),
        "load at the start": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def read_field(file: Path, name: str) -> str:
    """The value of a line ``name : value``."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"


def os_name(file: Path) -> str:
    """The system's name for people."""
    lines: Sequence[str] = file.read_text(encoding="utf-8").splitlines() if file.is_file() else ()
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else platform.system()


def installed_version(bench: Bench, distribution: str) -> str:
    """The version of a distribution in the peers' environment."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return bench.run_theirs([bench.peers.python, "-c", code], bench.work).output.strip()


def revision(root: Path) -> str:
    """The commit that is measured, and whether it was changed; empty without git."""
    try:
        done = [
            subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (
                ["rev-parse", "--short=10", "HEAD"],
                ["status", "--porcelain", "torchscript_build", "templates"],
            )
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"commit {done[0]}{', with changes' if done[1] else ''}"
