"""What CMake found out about a compiler, kept in the user's cache: the next build tree is configured without trying it.

CMake spends nine tenths of a small project's configure step on trying out the compiler. What it learns is kept in
``CMakeFiles/<version>/*.cmake`` and ``CMakeCache.txt``, and not asked again in that tree; an entry is those answers.
CMake will execute them: one is taken only from a cache that is this user's alone, and only whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.build.runner_cache import compiler_stamps
from torchscript_build.generate import project
from torchscript_build.generate.quoting import cmake_quote
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment

STEERING = ("COMPILER_PATH", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "GCC_EXEC_PREFIX", "LIBRARY_PATH")
"""Variables that change where compilers look (GCC's manual, "Environment Variables")."""

BINUTILS = ("ar", "ranlib", "strip", "ld", "nm", "objcopy", "objdump", "readelf", "addr2line")
"""Programs that CMake looks for on PATH and never again in that tree."""
KIND = "compiler"
FILES = ("CMakeSystem.cmake", "CMakeCXXCompiler.cmake")
KEPT_ENTRIES = 64
MOST_BYTES = 1 << 20
"""An entry has about 8,000."""
_NAME = (
    r"CMAKE_(?:ADDR2LINE|AR|CXX_COMPILER_AR|CXX_COMPILER_RANLIB|DLLTOOL|EXECUTABLE_FORMAT|LINKER|NM|OBJCOPY|OBJDUMP"
    r"|RANLIB|READELF|STRIP|UNAME)"
)
_ANSWERS = re.compile(rf"^({_NAME}):(\w+)=(.*)$", re.MULTILINE)
"""What CMake puts into the cache when it looks at a compiler."""
_ANSWER = re.compile(rf"{_NAME}")


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
        "binutils": binutils(environment),
        "system": os.uname().release,
    }
    folder = system.locate_cache(environment, KIND)
    if folder is None:
        return plan
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    return dataclasses.replace(plan, known_compiler=str(folder / f"{digest}.json"))


def binutils(environment: Environment) -> dict[str, str]:
    """Where each of ``BINUTILS`` is now; ``"None"`` where it is not."""
    return {name: str(environment.which(name)) for name in BINUTILS}


def seed_tree(plan: BuildPlan) -> list[str]:
    """Put what is known of the compiler into a tree that was never configured.

    :returns: the arguments with which CMake takes it; none where nothing is known.
    """
    if plan.known_compiler is None or (plan.tree_dir / "CMakeCache.txt").exists():
        return []
    entry = read_entry(Path(plan.known_compiler))
    if entry is None:
        return []
    folder = plan.tree_dir / "CMakeFiles" / plan.toolchain.cmake.version
    for name, text in entry["files"].items():
        system.write_if_changed(folder / name, text.encode())
    lines = [f'set({name} {cmake_quote(value)} CACHE {kind} "")\n' for name, kind, value in entry["answers"]]
    initial = folder / "KnownCompiler.cmake"
    system.write_if_changed(initial, "".join(lines).encode())
    return ["-C", str(initial), "-DCMAKE_PLATFORM_INFO_INITIALIZED=1"]


def read_entry(file: Path) -> Optional[dict[str, Any]]:
    """What an entry says: ``files`` and ``answers``; ``None`` where there is none that can be used.

    One that is damaged, or that somebody else can have made, is removed, which is told.
    """
    try:
        reason = system.why_foreign(file) or system.why_foreign(file.parent)
        if reason is None:
            entry = system.parse_json(system.read_own(file, MOST_BYTES).decode("utf-8"))
            _check_entry(entry, file.stem)
            there = all(os.path.exists(value) for _, _, value in entry["answers"] if os.path.isabs(value))
            return dict(entry) if there else None
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warn_once(f"{file} in the cache cannot be read: {error.strerror}")
        return None
    except ValueError as error:
        reason = f"{file} is damaged ({error})"
    log.say(f"-- the cache's entry is made anew: {reason}")
    _remove(file)
    return None


def _check_entry(entry: Any, name: str) -> None:
    """:raises ValueError: it is not what ``keep_compiler`` writes under this name."""
    if not isinstance(entry, dict) or set(entry) != {"key", "files", "answers", "sha256"}:
        raise ValueError("it has other keys")
    files, answers = entry["files"], entry["answers"]
    if not isinstance(files, dict) or set(files) != set(FILES) or not all(isinstance(t, str) for t in files.values()):
        raise ValueError("it has other files")
    if not isinstance(answers, list) or not all(
        isinstance(a, list)
        and len(a) == 3
        and all(isinstance(word, str) for word in a)
        and _ANSWER.fullmatch(a[0])
        and re.fullmatch("[A-Z]+", a[1])
        and not set(a[2]) & {"\0", "\n", "\r"}
        for a in answers
    ):
        raise ValueError("it has other answers")
    if entry["key"] != name or entry["sha256"] != _digest(entry):
        raise ValueError("its digest is another")


def _digest(entry: dict[str, Any]) -> str:
    content = {name: entry[name] for name in ("key", "files", "answers")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def keep_compiler(plan: BuildPlan) -> None:
    """Keep what CMake found out in a tree that has just been configured."""
    folder = plan.tree_dir / "CMakeFiles" / plan.toolchain.cmake.version
    if plan.known_compiler is None or not all((folder / name).is_file() for name in FILES):
        return
    files = {name: (folder / name).read_text(encoding="utf-8", errors="replace") for name in FILES}
    cache = (plan.tree_dir / "CMakeCache.txt").read_text(encoding="utf-8", errors="replace")
    answers = [list(answer) for answer in _ANSWERS.findall(cache)]
    texts = [*files.values(), *(value for _, _, value in answers)]
    if any(str(plan.tree_dir) in text or "\ufffd" in text for text in texts):
        return
    file = Path(plan.known_compiler)
    entry = {"key": file.stem, "files": files, "answers": answers}
    try:
        system.make_private(file.parent, file.parent.parent)
        system.write_json(file, {**entry, "sha256": _digest(entry)})
        for old in sorted(file.parent.glob("*.json"), key=lambda p: -p.stat().st_mtime)[KEPT_ENTRIES:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warn_once(f"nothing can be kept in the cache {file.parent.parent}: {error.strerror or error}")


def forget_compiler(plan: BuildPlan) -> None:
    """Remove the plan's entry."""
    if plan.known_compiler is not None:
        _remove(Path(plan.known_compiler))


def _remove(file: Path) -> None:
    try:
        system.remove_tree(file)
    except OSError as error:
        log.warn_once(f"{file} in the cache cannot be removed: {error.strerror or error}")
