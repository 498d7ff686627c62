"""What CMake found out about a compiler, kept in the user's cache: the next build tree is configured without trying it.

CMake spends nine tenths of a small project's configure step on trying out the compiler. What it learns is kept in
``CMakeFiles/<version>/*.cmake`` and ``CMakeCache.txt``, and not asked again in that tree; an entry is those answers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from torchscript_build import system
from torchscript_build.build.runner_cache import compiler_stamps
from torchscript_build.generate import project
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment

STEERING = ("COMPILER_PATH", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "GCC_EXEC_PREFIX", "LIBRARY_PATH")
"""Variables that change where compilers look (GCC's manual, "Environment Variables")."""

FILES = ("CMakeSystem.cmake", "CMakeCXXCompiler.cmake")
KEPT_ENTRIES = 64
_ANSWERS = re.compile(
    r"^(CMAKE_(?:ADDR2LINE|AR|CXX_COMPILER_AR|CXX_COMPILER_RANLIB|DLLTOOL|EXECUTABLE_FORMAT|LINKER|NM|OBJCOPY|OBJDUMP"
    r"|RANLIB|READELF|STRIP|UNAME)):(\w+)=(.*)$",
    re.MULTILINE,
)
"""What CMake puts into the cache when it looks at a compiler."""


def with_known_compiler(plan: BuildPlan, environment: Environment) -> BuildPlan:
    """The plan with the place of what is known of its compiler; for C++ alone, on Linux, without a toolchain file."""
    tools = plan.toolchain
    words = [*plan.cmake_args, *(name for name in ("CMAKE_TOOLCHAIN_FILE",) if environment.get(name))]
    if (
        not plan.libtorch.platform.startswith("linux")
        or tools.generator.name != "Ninja"
        or not tools.cxx.command
        or project.languages(plan) != ["CXX"]
        or any("TOOLCHAIN" in word for word in words)
    ):
        return plan
    key = {
        "cmake": tools.cmake.version,
        "compiler": [*tools.cxx.command, tools.cxx.id, tools.cxx.version, *compiler_stamps(tools.cxx.command)],
        "build_type": plan.build_type,
        "flags": dict(plan.flags),
        "cmake_args": list(plan.cmake_args),
        "variables": {name: environment.get(name) for name in STEERING},
        "system": os.uname().release,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    return dataclasses.replace(plan, known_compiler=str(compilers_dir(environment) / f"{digest}.json"))


def seed_tree(plan: BuildPlan) -> list[str]:
    """Put what is known of the compiler into a tree that was never configured.

    :returns: the arguments with which CMake takes it; none where nothing is known.
    """
    if plan.known_compiler is None or (plan.tree_dir / "CMakeCache.txt").exists():
        return []
    entry: dict[str, Any] = system.read_json(Path(plan.known_compiler))
    if not entry or not all(Path(path).exists() for path in entry["programs"]):
        return []
    folder = plan.tree_dir / "CMakeFiles" / plan.toolchain.cmake.version
    for name, text in entry["files"].items():
        system.write_if_changed(folder / name, text.encode())
    initial = folder / "KnownCompiler.cmake"
    system.write_if_changed(initial, entry["initial"].encode())
    return ["-C", str(initial), "-DCMAKE_PLATFORM_INFO_INITIALIZED=1"]


def keep_compiler(plan: BuildPlan) -> None:
    """Keep what CMake found out in a tree that has just been configured."""
    folder = plan.tree_dir / "CMakeFiles" / plan.toolchain.cmake.version
    if plan.known_compiler is None or not all((folder / name).is_file() for name in FILES):
        return
    files = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    found = _ANSWERS.findall((plan.tree_dir / "CMakeCache.txt").read_text(encoding="utf-8"))
    if any(str(plan.tree_dir) in text for text in files.values()):
        return
    initial = "".join(f'set({name} "{value}" CACHE {kind} "")\n' for name, kind, value in found)
    programs = [value for _, _, value in found if os.path.isabs(value)]
    entry = Path(plan.known_compiler)
    system.write_json(entry, {"files": files, "initial": initial, "programs": programs})
    for old in sorted(entry.parent.glob("*.json"), key=lambda p: -p.stat().st_mtime)[KEPT_ENTRIES:]:
        old.unlink(missing_ok=True)


def forget_compiler(plan: BuildPlan) -> None:
    """Remove the plan's entry."""
    if plan.known_compiler is not None:
        Path(plan.known_compiler).unlink(missing_ok=True)


def compilers_dir(environment: Environment) -> Path:
    """The folder of all entries."""
    return environment.cache_dir() / "compiler"
