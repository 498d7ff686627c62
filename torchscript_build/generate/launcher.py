"""The Python module that a package gets for its programs, and their console scripts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Optional

from torchscript_build.generate.templates import render_module
from torchscript_build.plan.decide import program_scripts
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.toolchain.programs import parse_version

MODULE = "_torchscript_apps"


def console_scripts(spec: ProjectSpec) -> tuple[str, ...]:
    """Entry points ``name = package._torchscript_apps:function`` of all programs that want one."""
    started = [(p, package) for package, programs in _programs(spec).items() for p in programs]
    return tuple(f"{p.command} = {package}.{MODULE}:{function_name(p.name)}" for p, package in started)


@dataclass(frozen=True)
class _Program:
    command: str
    name: str
    """An app's name, or a CMake project's program with its path."""
    path: str
    """From the package."""


def _programs(spec: ProjectSpec) -> Mapping[str, Sequence[_Program]]:
    """Package → its programs that have a console script."""
    programs: dict[str, list[_Program]] = {}
    for app in spec.packaged_apps:
        if app.console_script:
            command = app.name if app.console_script is True else app.console_script
            programs.setdefault(app.package or "", []).append(_Program(command, app.name, f"bin/{app.name}"))
    for project in spec.packaged_cmake:
        for command, path in program_scripts(project).items():
            programs.setdefault(project.package or "", []).append(_Program(command, path, path))
    return programs


def launcher_packages(spec: ProjectSpec) -> list[str]:
    """The packages that get a launcher, sorted."""
    return sorted(_programs(spec))


def launcher_target(package: str) -> str:
    """The launcher's path in the package tree."""
    return posixpath.join(package.replace(".", "/"), f"{MODULE}.py")


@dataclass(frozen=True)
class StartedPrograms:
    """The programs that were built for one series of torch."""

    series: str
    folder: str = ""
    """Where they lie below the folder in which a wheel for one series has them."""
    cuda: Optional[str] = None
    """The series of CUDA that libtorch was built with."""
    accelerated: Collection[str] = ()
    """The apps, and programs of CMake projects by their path, that need CUDA's part of libtorch."""


def render_launchers(spec: ProjectSpec, made: Sequence[StartedPrograms]) -> Mapping[str, bytes]:
    """Path in the package tree → the launcher module, one for each package with programs.

    :param made: the programs for each series of torch.
    """
    made = sorted(made, key=lambda one: parse_version(one.series))
    return {launcher_target(package): _render(package, programs, made) for package, programs in _programs(spec).items()}


def function_name(name: str) -> str:
    """An identifier for a program's function, different for different ones and from everything else in the module."""
    return "start_" + re.sub(r"[^A-Za-z0-9]", lambda m: f"_{ord(m.group()):x}_", name)


def _render(package: str, programs: Sequence[_Program], made: Sequence[StartedPrograms]) -> bytes:
    builds = [
        {
            "torch": one.series,
            "folder": one.folder,
            "cuda": one.cuda,
            "need_cuda": tuple(p.path for p in programs if one.cuda and p.name in one.accelerated),
        }
        for one in made
    ]
    functions = [f"{function_name(p.name)} = functools.partial(_start, {p.path!r})" for p in programs]
    values = {"BUILDS": tuple(builds), "FOLDERS_UP": len(package.split("."))}
    return render_module("launcher.py", values, functions)
