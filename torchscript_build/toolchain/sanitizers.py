"""The compilers' sanitizers: their options, and the runtime that a Python must preload to load what they made."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.system import Environment
from torchscript_build.toolchain.cxx import CxxCompiler

RUNTIMES: Mapping[str, tuple[str, str]] = {
    "address": ("libasan.so", "libclang_rt.asan-{machine}.so"),
    "leak": ("liblsan.so", ""),
    "thread": ("libtsan.so", "libclang_rt.tsan-{machine}.so"),
}
"""What must be the first library of a process, by GCC and by Clang; that of undefined need not be."""


def with_sanitizers(environment: Environment, names: Sequence[str]) -> Environment:
    """The environment in which compilers, linkers and what they make are started.

    The options go where CMake reads them for all projects, existing ones included. libtorch keeps much until the
    process ends, which is no finding: leaks are looked for only where the user's own ``ASAN_OPTIONS`` ask for it.
    """
    if not names:
        return environment
    sanitize = f"-fsanitize={','.join(names)}"
    compile_words, link_words = f"{sanitize} -fno-omit-frame-pointer -g", sanitize
    changes = {
        name: " ".join(filter(None, [environment.get(name), words]))
        for name, words in (("CFLAGS", compile_words), ("CXXFLAGS", compile_words), ("LDFLAGS", link_words))
    }
    return environment.with_variables(**changes, ASAN_OPTIONS=environment.get("ASAN_OPTIONS") or "detect_leaks=0")


def locate_runtimes(names: Sequence[str], cxx: CxxCompiler, environment: Environment) -> Optional[tuple[str, ...]]:
    """The libraries to preload, in order; ``None`` if the compiler does not tell where one is.

    libstdc++ is one of them: the sanitizers look for its exceptions when they start, and Python does not link it.
    """
    needed = [name for name in names if name in RUNTIMES]
    if not needed:
        return ()
    found = []
    for name in needed:
        file = RUNTIMES[name]["Clang" in cxx.id].format(machine=environment.machine)
        path = _locate(file, cxx, environment) if file else None
        if path is None:
            return None
        found.append(path)
    stdlib = _locate("libstdc++.so", cxx, environment)
    return (*found, *([stdlib] if stdlib else []))


def _locate(file: str, cxx: CxxCompiler, environment: Environment) -> Optional[str]:
    done = system.probe([*cxx.command, f"-print-file-name={file}"], variables=environment.variables)
    path = done.output.strip() if done and done.returncode == 0 else ""
    return os.path.realpath(path) if os.path.isabs(path) and Path(path).is_file() else None


def preload_variables(runtimes: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """Variables for a Python that loads what the sanitizers made."""
    if not runtimes:
        return {}
    before = variables.get("LD_PRELOAD")
    return {"LD_PRELOAD": " ".join([*runtimes, *([before] if before else [])])}


def preload_line(runtimes: Sequence[str]) -> str:
    """The same as one types it."""
    return f"LD_PRELOAD={shlex.quote(' '.join(runtimes))} ASAN_OPTIONS=detect_leaks=0 python …"
