"""What a build tells of itself: the facts at its head, advice, and where the results are."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

from torchscript_build import log, system
from torchscript_build.generate.loader import MODULE, loader_packages
from torchscript_build.libtorch.search import locate_beside
from torchscript_build.packaging.session import Session
from torchscript_build.plan.build_plan import BuildPlan, PlannedLibrary, PlannedOps, PlannedProject, PlannedTarget
from torchscript_build.plan.headers import UMBRELLAS
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.system import Environment

LONG = 10.0
"""Seconds; a build that takes longer tells what took most of it."""


@dataclass(frozen=True)
class Product:
    """A result, as it is told."""

    kind: str
    name: str
    place: Union[Path, str]
    """A file or folder of this machine, or a path in the package."""


@contextmanager
def recorded(command: Any) -> Iterator[None]:
    """Write the files of ``--report`` and ``--trace``, also after a failure; at the end tell what was made, and where.

    :param command: ``build_ts_app`` or ``build_ts_ops``.
    """
    if not command.is_part:
        log.configure(command.distribution.verbose, Environment.current().variables)
    began, earlier = time.monotonic(), (len(log.steps), len(log.edges))
    try:
        yield
    finally:
        if command.report:
            told = [s for s in log.steps if not s.quiet]
            steps = [{"name": s.name, "seconds": s.seconds, "succeeded": s.succeeded} for s in told]
            system.write_report(Path(command.report), {"steps": steps})
        if command.trace:
            from torchscript_build.build.timeline import render_trace

            system.write_report(Path(command.trace), render_trace(log.steps, log.edges))
    if command.is_part or command.dry_run:
        return
    seconds = time.monotonic() - began
    if seconds > LONG:
        from torchscript_build.build.timeline import describe_expensive

        for line in describe_expensive(log.steps[earlier[0] :], log.edges[earlier[1] :], seconds):
            log.say(line)
    say_products(command.products, seconds)


def say_products(products: Sequence[Product], seconds: float) -> None:
    """The end: what there is now, where, and how long it took. A path has a line of its own, to be copied."""
    done = f"-- done in {seconds:.1f} s"
    named = ", ".join(f"{m.kind} {m.name}" for m in products)
    log.say_fitting(f"{done}: {named}" if named else done, f"{done}: {len(products)} results")
    for one in products:
        log.say(f"     {log.shown(one.place) if isinstance(one.place, Path) else one.place}")


def say_plans(plans: Sequence[BuildPlan]) -> None:
    """Print the plan as JSON; of several a list."""
    data = [plan.to_json() for plan in plans]
    log.write(json.dumps(data if len(data) > 1 else data[0], indent=2, ensure_ascii=False) + "\n", sys.stdout)


def say_header(plan: BuildPlan) -> None:
    """The facts that a reader of the log needs first."""
    libtorch, tools = plan.libtorch, plan.toolchain
    abi = "" if libtorch.cxx11_abi is None else f", {'new' if libtorch.cxx11_abi else 'old'} C++ ABI"
    cuda = f" {libtorch.cuda_version}" if libtorch.cuda_version else ""
    line = f"-- libtorch {libtorch.full_version} ({libtorch.backend}{cuda}{abi})"
    log.say_fitting(f"{line} in {log.shown(libtorch.root)}, by {libtorch.found_by}", f"{line} by {libtorch.found_by}")
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


def products_of(session: Session, targets: Sequence[PlannedTarget], built: Mapping[str, Path]) -> list[Product]:
    """What of some targets a user is to know: in the package where one is made, else a file that runs here."""
    destination = session.destination

    def place(target: PlannedTarget) -> Union[Path, str]:
        if session.packaged_only and destination.wheel:
            return f"in the package: {target.path}"
        other = destination.prefix or (destination.source if target.install else None)
        return other(target.path) if other else built[target.name]

    def kind(target: PlannedTarget) -> str:
        if isinstance(target, PlannedLibrary):
            return "C library"
        return "operator library" if isinstance(target, PlannedOps) else "program"

    kinds = map(kind, targets)
    return [Product(kind, t.name, place(t)) for kind, t in zip(kinds, targets)]


def product_of_project(session: Session, plan: BuildPlan, project: PlannedProject) -> Product:
    """A CMake project: where it was installed, else its build tree."""
    destination = session.destination
    if not project.install:
        return Product("CMake project", project.name, Path(plan.build_dir, "cmake", project.name, "tree"))
    if session.packaged_only and destination.wheel:
        return Product("CMake project", project.name, f"in the package: {project.package_dir or '.'}/")
    place = destination.prefix or destination.source or destination.wheel
    assert place is not None  # for the type checker: there is always one
    return Product("CMake project", project.name, place(project.package_dir) if project.package_dir else place.root)


def say_series(plan: BuildPlan, what: str, files: Iterable[Path], seconds: float) -> None:
    """What a series of torch adds to a wheel for several."""
    size = sum(file.stat().st_size for file in files) / 1e6
    log.say(f"-- {what} for torch {plan.libtorch.series}: {size:.1f} MB, {seconds:.1f} s")


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
