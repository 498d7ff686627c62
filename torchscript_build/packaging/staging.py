"""Which files of ours go where in the package, and putting them there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from torchscript_build import system
from torchscript_build.packaging.launcher import MODULE, render_launchers
from torchscript_build.plan import BuildPlan
from torchscript_build.specs import ProjectSpec


@dataclass(frozen=True)
class StagedFile:
    """One file of the package."""

    target: str
    """Path in the package tree, with forward slashes: ``my_package/bin/app``."""
    content: Union[Path, bytes]


def staged_files(spec: ProjectSpec, plan: BuildPlan, binary: Callable[[str, str], Path]) -> tuple[StagedFile, ...]:
    """All files that the apps put into the package.

    :param binary: target name and its path in the package tree → the file to take.
    """
    files = []
    for name, target in app_targets(spec, plan.libtorch.platform):
        files.append(StagedFile(target, binary(name, target)))
    for name, target in model_targets(spec):
        files.append(StagedFile(target, Path(plan.model(name).file)))
    for target, text in render_launchers(spec, series=plan.libtorch.series).items():
        files.append(StagedFile(target, text))
    return tuple(sorted(files, key=lambda f: f.target))


def staged_targets(spec: ProjectSpec, platform: str) -> list[str]:
    """The paths of ``staged_files``, known before anything is built."""
    launchers = {f"{_folder(app.package)}/{MODULE}.py" for app in spec.packaged_apps if app.console_script}
    return sorted({t for _, t in (*app_targets(spec, platform), *model_targets(spec))} | launchers)


def app_targets(spec: ProjectSpec, platform: str) -> list[tuple[str, str]]:
    """Pairs (app, path in the package tree)."""
    suffix = ".exe" if platform == "win32" else ""
    return [(app.name, f"{_folder(app.package)}/bin/{app.name}{suffix}") for app in spec.packaged_apps]


def model_targets(spec: ProjectSpec) -> list[tuple[str, str]]:
    """Pairs (model, path in the package tree); a model lies beside each package's programs that use it."""
    pairs = {(model, f"{_folder(app.package)}/models/{model}.pt") for app in spec.packaged_apps for model in app.models}
    return sorted(pairs)


def stage(files: Iterable[StagedFile], folder: Callable[[str], Path]) -> Sequence[Path]:
    """Put the files into place, each atomically and only if it changed.

    :param folder: path in the package tree → the file to write.
    """
    written = []
    for file in files:
        target = folder(file.target)
        if isinstance(file.content, bytes):
            system.write_if_changed(target, file.content)
        else:
            system.copy_if_changed(file.content, target)
        written.append(target)
    return written


def _folder(package: Union[str, None]) -> str:
    return (package or "").replace(".", "/")
