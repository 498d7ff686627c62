"""The Python module that a package gets for its programs, and their console scripts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Optional

from torchscript_build.generate.templates import render_module
from torchscript_build.settings.specs import ProjectSpec, TorchScriptApp

MODULE = "_torchscript_apps"


def console_scripts(spec: ProjectSpec) -> tuple[str, ...]:
    """Entry points ``name = package._torchscript_apps:function`` of all apps that want one."""
    scripts = []
    for app in spec.packaged_apps:
        if app.console_script:
            name = app.name if app.console_script is True else app.console_script
            scripts.append(f"{name} = {app.package}.{MODULE}:{function_name(app)}")
    return tuple(scripts)


def render_launchers(
    spec: ProjectSpec, *, series: str, cuda: Optional[str] = None, accelerated: Collection[str] = ()
) -> Mapping[str, bytes]:
    """Path in the package tree → the launcher module, one for each package with apps.

    :param cuda: the series of CUDA that libtorch was built with.
    :param accelerated: the apps that need CUDA's part of libtorch.
    """
    packages: dict[str, list[TorchScriptApp]] = {}
    for app in spec.packaged_apps:
        if app.console_script:
            packages.setdefault(app.package or "", []).append(app)
    return {
        f"{package.replace('.', '/')}/{MODULE}.py": _render(apps, series, cuda, accelerated)
        for package, apps in packages.items()
    }


def function_name(app: TorchScriptApp) -> str:
    """An identifier for the app's function, different for different apps and from everything else in the module."""
    return "start_" + re.sub(r"[^A-Za-z0-9]", lambda m: f"_{ord(m.group()):x}_", app.name)


def _render(apps: Sequence[TorchScriptApp], series: str, cuda: Optional[str], accelerated: Collection[str]) -> bytes:
    values = {
        "BUILT_FOR_TORCH": series,
        "BUILT_FOR_CUDA": cuda,
        "NEED_CUDA": tuple(app.name for app in apps if cuda and app.name in accelerated),
        "FOLDERS_UP": len((apps[0].package or "").split(".")),
    }
    functions = [f"{function_name(app)} = functools.partial(_start, {app.name!r})" for app in apps]
    return render_module("launcher.py", values, functions)
