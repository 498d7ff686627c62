"""Paths that CMake, its generators and the linker cannot have."""

from __future__ import annotations

import re

from torchscript_build.errors import SettingsError
from torchscript_build.plan.build_plan import BuildPlan


def check_paths(plan: BuildPlan) -> None:
    """CMake's lists are joined with semicolons, so a path with one cannot be an element; Make cannot bear quotes."""
    paths = [
        ("project folder", plan.source_dir),
        ("build folder", plan.build_dir),
        ("libtorch", str(plan.libtorch.root)),
        *((repr(t.name), path) for t in plan.targets for path in (*t.sources, *t.include_dirs, *t.link_dirs)),
    ]
    # On Windows a colon follows the drive, and a backslash separates.
    windows = plan.libtorch.platform == "win32"
    forbidden = _FORBIDDEN if windows else _FORBIDDEN + r"|\\"
    if plan.toolchain.generator.name == "Unix Makefiles":
        forbidden += _FORBIDDEN_IN_MAKE
    in_libtorch = _FORBIDDEN_IN_LIBTORCH.replace(":", "") if windows else _FORBIDDEN_IN_LIBTORCH
    problems = []
    named: list[str] = []
    for what, path in paths:
        bad = re.search(forbidden, path) or (re.search(in_libtorch, path) if what == "libtorch" else None)
        if bad and not any(path.startswith(folder + "/") for folder in named):
            named.append(path)
            problems.append(
                f"{what}: {path!r} has {bad.group()!r}, which the build tools cannot have there; use another folder"
            )
    if problems:
        raise SettingsError(problems)


_FORBIDDEN = r'[;"|\[\]\n\r\0\ud800-\udfff]|\$[<{]|\$ENV\{'
"""Tried with CMake 3.25, Ninja and Make: each of these breaks a list, a rule or an expression somewhere.
The range is what Python makes of bytes that are no UTF-8, which CMake's answers cannot hold."""
_FORBIDDEN_IN_MAKE = r"|:|#.*['()&]|['()&].*#"
"""A colon ends a target's name, and CMake 3.25 escapes a ``#`` wrongly where it also has to quote."""
_FORBIDDEN_IN_LIBTORCH = r"[,:$]"
"""These break ``-Wl,-rpath``, a RUNPATH, and linker arguments that Ninja does not quote."""
