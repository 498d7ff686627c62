"""A plan laid out for an installation without Python: programs, models and operator libraries below one prefix."""

from __future__ import annotations

import dataclasses
import os
import posixpath
from pathlib import Path, PurePath
from typing import Optional, TypeVar

from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp, PlannedLibrary, PlannedOps, PlannedProject
from torchscript_build.records import dataclass

PATH_LIMITS = {"linux": 4095, "darwin": 1023, "win32": 259}
"""Bytes of a path that the system's loader can open: PATH_MAX and MAX_PATH without the null at the end."""
RPATH_ENTRY = "-DCMAKE_INSTALL_RPATH="

_Loader = TypeVar("_Loader", PlannedApp, PlannedLibrary)


def model_path(project: str, file_name: str) -> str:
    """Where a model lies below the prefix."""
    return f"share/{project}/models/{file_name}"


def in_prefix(plan: BuildPlan, prefix: Path, *, self_contained: bool = False) -> BuildPlan:
    """The plan with everything in ``bin``, ``lib`` and ``share/<project>/models``, whatever ``install`` says of wheels.

    RUNPATHs begin with the prefix's own ``lib`` (``$ORIGIN/../lib``). Where libtorch lies in the prefix, too, they are
    relative; else they name libtorch's folder, unless the prefix shall be self-contained.

    :raises SettingsError: something has no place in a prefix, or the prefix is too long for the loader.
    """
    problems = [
        f"operator library {o.name!r} is a Python module, which has no place in --prefix: use pip install for it"
        for o in plan.ops
        if o.python_module
    ]
    if any("\ud800" <= c <= "\udfff" for c in str(prefix)):
        problems.append(f"--prefix: {str(prefix)!r} is not UTF-8, which CMake's answers cannot hold")
    place = _Place(prefix, plan.libtorch, self_contained)
    ops = tuple(_ops_in_prefix(o, plan, place) for o in plan.ops)
    apps = tuple(_loader_in_prefix(a, plan, place, "bin") for a in plan.apps)
    libraries = tuple(_loader_in_prefix(c, plan, place, "lib") for c in plan.libraries)
    longest = max((len(os.fsencode(prefix / t.path)) for t in (*ops, *apps, *libraries)), default=0)
    limit = PATH_LIMITS.get(plan.libtorch.platform, 4095)
    if longest > limit:
        problems.append(
            f"--prefix is too long: a program or library in it would have a path of {longest} bytes, and the system's "
            f"loader can open {limit}; name a shorter folder"
        )
    if problems:
        raise SettingsError(problems)
    projects = tuple(_project_in_prefix(p, plan, place) for p in plan.cmake)
    return dataclasses.replace(plan, ops=ops, apps=apps, cmake=projects, libraries=libraries)


def _ops_in_prefix(ops: PlannedOps, plan: BuildPlan, place: _Place) -> PlannedOps:
    folder = "bin" if plan.libtorch.platform == "win32" else "lib"
    return dataclasses.replace(
        ops,
        output_dir=folder,
        install=True,
        install_rpath=place.rpath(folder),
    )


def _loader_in_prefix(loader: _Loader, plan: BuildPlan, place: _Place, folder: str) -> _Loader:
    files = {m.name: plan.model(m.name).file_name for m in loader.models}
    models = tuple(
        dataclasses.replace(m, relative=f"../{model_path(plan.project, files[m.name])}") for m in loader.models
    )
    return dataclasses.replace(
        loader,
        output_dir=folder,
        install=True,
        install_rpath=place.rpath(folder),
        models=models,
    )


def _project_in_prefix(project: PlannedProject, plan: BuildPlan, place: _Place) -> PlannedProject:
    """What an existing CMake project installs goes into the prefix as it is."""
    rpath = RPATH_ENTRY + ";".join(dict.fromkeys([*place.rpath("lib"), *place.rpath("bin")]))
    arguments = tuple(rpath if a.startswith(RPATH_ENTRY) else a for a in project.arguments)
    folders = (_below(d, place.prefix) or d.as_posix() for d in plan.libtorch.library_dirs[:1])
    return dataclasses.replace(
        project,
        arguments=(f"-DCMAKE_INSTALL_PREFIX={place.prefix.as_posix()}", *arguments),
        package_dir="",
        install=True,
        libtorch_dirs=tuple(folders),
    )


@dataclass(frozen=True)
class _Place:
    """A prefix, and where libtorch lies as seen from it."""

    prefix: Path
    libtorch: LibTorch
    self_contained: bool

    def rpath(self, folder: str) -> tuple[str, ...]:
        """From ``bin`` or ``lib`` to the prefix's ``lib``, and to libtorch."""
        origin = "@loader_path" if self.libtorch.platform == "darwin" else "$ORIGIN"
        entries = [_relative("lib", folder, origin)]
        for library_dir in self.libtorch.library_dirs[:1] if not self.self_contained else ():
            inside = _below(library_dir, self.prefix)
            entries.append(library_dir.as_posix() if inside is None else _relative(inside, folder, origin))
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
