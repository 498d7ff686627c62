"""A plan laid out for an installation without Python: programs, models and operator libraries below one prefix."""

from __future__ import annotations

import dataclasses
import posixpath
from pathlib import Path, PurePath
from typing import Optional

from torchscript_build.errors import SettingsError
from torchscript_build.plan.build_plan import BuildPlan, BundledModel, PlannedApp, PlannedOps, PlannedProject

PATH_LIMITS = {"linux": 4095, "darwin": 1023, "win32": 259}
"""Bytes of a path that the system's loader can open: PATH_MAX and MAX_PATH without the null at the end."""
RPATH_ENTRY = "-DCMAKE_INSTALL_RPATH="


def model_path(project: str, model: str) -> str:
    """Where a model lies below the prefix."""
    return f"share/{project}/models/{model}.pt"


def in_prefix(plan: BuildPlan, prefix: Path) -> BuildPlan:
    """The plan with everything in ``bin``, ``lib`` and ``share/<project>/models``, whatever ``install`` says of wheels.

    RUNPATHs are relative (``$ORIGIN/../lib``) where libtorch lies in the prefix, too; else they name libtorch's folder.

    :raises SettingsError: something has no place in a prefix, or the prefix is too long for the loader.
    """
    problems = [
        f"operator library {o.name!r} is a Python module, which has no place in --prefix: use pip install for it"
        for o in plan.ops
        if o.python_module
    ]
    ops = tuple(_ops_in_prefix(o, plan, prefix) for o in plan.ops)
    apps = tuple(_app_in_prefix(a, plan, prefix) for a in plan.apps)
    longest = max((len(str(prefix / t.path).encode()) for t in (*ops, *apps)), default=0)
    limit = PATH_LIMITS.get(plan.libtorch.platform, 4095)
    if longest > limit:
        problems.append(
            f"--prefix is too long: a program or library in it would have a path of {longest} bytes, and the system's "
            f"loader can open {limit}; name a shorter folder"
        )
    if problems:
        raise SettingsError(problems)
    projects = tuple(_project_in_prefix(p, plan, prefix) for p in plan.cmake)
    return dataclasses.replace(plan, ops=ops, apps=apps, cmake=projects)


def _ops_in_prefix(ops: PlannedOps, plan: BuildPlan, prefix: Path) -> PlannedOps:
    folder = "bin" if plan.libtorch.platform == "win32" else "lib"
    return dataclasses.replace(
        ops,
        output_dir=folder,
        install=True,
        install_rpath=_rpath(plan, prefix, folder, links_ops=bool(ops.ops)),
    )


def _app_in_prefix(app: PlannedApp, plan: BuildPlan, prefix: Path) -> PlannedApp:
    models = tuple(BundledModel(m.name, f"../{model_path(plan.project, m.name)}") for m in app.models)
    return dataclasses.replace(
        app,
        output_dir="bin",
        install=True,
        install_rpath=_rpath(plan, prefix, "bin", links_ops=bool(app.ops)),
        models=models,
    )


def _project_in_prefix(project: PlannedProject, plan: BuildPlan, prefix: Path) -> PlannedProject:
    """What an existing CMake project installs goes into the prefix as it is."""
    rpath = RPATH_ENTRY + ";".join([*_rpath(plan, prefix, "lib", links_ops=True), f"{_origin(plan)}/../lib"])
    arguments = tuple(rpath if a.startswith(RPATH_ENTRY) else a for a in project.arguments)
    folders = (_below(d, prefix) or d.as_posix() for d in plan.libtorch.library_dirs[:1])
    return dataclasses.replace(
        project,
        arguments=(f"-DCMAKE_INSTALL_PREFIX={prefix.as_posix()}", *arguments),
        package_dir="",
        install=True,
        libtorch_dirs=tuple(folders),
    )


def _origin(plan: BuildPlan) -> str:
    return "@loader_path" if plan.libtorch.platform == "darwin" else "$ORIGIN"


def _rpath(plan: BuildPlan, prefix: Path, folder: str, *, links_ops: bool) -> tuple[str, ...]:
    """From ``bin`` or ``lib`` to the operator libraries and to libtorch."""
    entries = [_relative("lib", folder, _origin(plan))] if links_ops else []
    for library_dir in plan.libtorch.library_dirs[:1]:
        inside = _below(library_dir, prefix)
        entries.append(library_dir.as_posix() if inside is None else _relative(inside, folder, _origin(plan)))
    return tuple(dict.fromkeys(entries))


def _below(path: PurePath, prefix: PurePath) -> Optional[str]:
    """The path relative to the prefix; ``None`` where it lies elsewhere."""
    try:
        return path.relative_to(prefix).as_posix()
    except ValueError:
        return None


def _relative(target: str, folder: str, origin: str) -> str:
    between = posixpath.relpath(target, folder)
    return origin if between == "." else f"{origin}/{between}"
