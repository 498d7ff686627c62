"""What a build tells of itself: the facts at its head, advice, and where the results are."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.generate.loader import MODULE, loader_packages
from torchscript_build.libtorch.search import locate_beside
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.plan.headers import UMBRELLAS
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.system import Environment


def say_plan(plan: BuildPlan) -> None:
    """Print the plan as JSON."""
    log.write(json.dumps(plan.to_json(), indent=2, ensure_ascii=False) + "\n", sys.stdout)


def say_header(plan: BuildPlan) -> None:
    """The facts that a reader of the log needs first."""
    libtorch, tools = plan.libtorch, plan.toolchain
    abi = "" if libtorch.cxx11_abi is None else f", {'new' if libtorch.cxx11_abi else 'old'} C++ ABI"
    cuda = f" {libtorch.cuda_version}" if libtorch.cuda_version else ""
    where = f"{log.shown(libtorch.root)}, by {libtorch.found_by}"
    log.say(f"-- libtorch {libtorch.full_version} ({libtorch.backend}{cuda}{abi}) in {where}")
    compiler = " ".join([*tools.cxx.command[:1], tools.cxx.id, tools.cxx.version])
    generator = tools.generator.name or "CMake's default generator"
    launcher = tools.launcher
    through = f" through {launcher.kind or launcher.path} ({launcher.found_by})" if launcher else ""
    log.say(f"-- CMake {tools.cmake.version}, {generator}, {compiler}{through}, {plan.build_type}")
    log.say(f"-- build folder {log.shown(plan.build_dir)}")


def warn_of_another_torch(plan: BuildPlan, environment: Environment) -> None:
    """``torch`` in build-system.requires without a version takes the newest, whatever the user runs."""
    other = locate_beside(plan.libtorch, environment)
    if other is not None:
        here = f"{other.full_version} ({other.root})"
        log.warn(
            f"the isolated build has torch {plan.libtorch.full_version} by build-system.requires, but the environment "
            f"that it was started from has {here}: the wheel will fit the first only. Give torch a version in "
            f"build-system.requires (torch=={other.series}.*), or build without isolation"
        )


def say_advice(plan: BuildPlan) -> None:
    """What happens to sources with a header that costs much, or one line of advice for each."""
    for ops in plan.ops:
        headers = ops.headers
        if headers.lean:
            lean, python = len(headers.lean), len(headers.python)
            log.say(f"-- {ops.name}: lean torch headers for {lean} sources, {python} of them with Python")
        if headers.precompiled:
            log.say(f"-- {ops.name}: {headers.precompiled} is compiled once for all sources that begin with it")
        for source, header in headers.heavy:
            if source not in headers.lean:
                log.say(f"-- advice: {Path(source).name} includes {header}: {UMBRELLAS[header]}")


def say_built(built: Mapping[str, Path]) -> None:
    """Where the results are."""
    for name, path in built.items():
        log.say(f"-- built {name}: {log.shown(path)}")


def say_unignored(root: Path, files: Sequence[Path], environment: Environment) -> None:
    """Tell which files in the source tree git would take for the project's own; nothing outside of a git checkout."""
    git = environment.which("git") if (root / ".git").exists() else None
    if git is None or not files:
        return
    names = sorted(f.relative_to(root).as_posix() for f in files if root in f.parents)
    done = system.probe([git, "check-ignore", "--no-index", *names], variables=environment.variables, cwd=root)
    if done is None or done.returncode not in (0, 1):
        return
    left = [name for name in names if name not in done.output.splitlines()]
    if left:
        log.say(f"-- made in the source tree, and not in .gitignore: {', '.join(left)}")


def say_unloaded(spec: ProjectSpec, package_folders: Mapping[str, Path]) -> None:
    """Warn of packages whose ``__init__.py`` does not import the loader of their operator libraries."""
    for package in loader_packages(spec):
        file = package_folders[package] / "__init__.py"
        if not file.is_file():
            log.warn(
                f"{package} is a namespace package, which other distributions may have a part in: the module {MODULE} "
                "there would be overwritten by another's; put the library into a package of your own, with package = …"
            )
        elif MODULE not in file.read_text(encoding="utf-8", errors="replace"):
            line = f"from . import {MODULE}  # noqa: F401"
            log.warn(f"{package}/__init__.py does not load its operator libraries: add the line `{line}`")
