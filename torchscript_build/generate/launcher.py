"""The Python module that a package gets for its programs, and their console scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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


def render_launchers(spec: ProjectSpec, *, series: str) -> Mapping[str, bytes]:
    """Path in the package tree → the launcher module, one for each package with apps."""
    packages: dict[str, list[TorchScriptApp]] = {}
    for app in spec.packaged_apps:
        if app.console_script:
            packages.setdefault(app.package or "", []).append(app)
    return {f"{package.replace('.', '/')}/{MODULE}.py": _render(apps, series) for package, apps in packages.items()}


def function_name(app: TorchScriptApp) -> str:
    """An identifier for the app's function, different for different apps and from everything else in the module."""
    return "start_" + re.sub(r"[^A-Za-z0-9]", lambda m: f"_{ord(m.group()):x}_", app.name)


def _render(apps: Sequence[TorchScriptApp], series: str) -> bytes:
    values = {"BUILT_FOR_TORCH": series, "FOLDERS_UP": len((apps[0].package or "").split("."))}
    functions = [f"{function_name(app)} = functools.partial(_start, {app.name!r})" for app in apps]
    return render_module("launcher.py", values, functions)
