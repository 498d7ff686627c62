"""Which files of ours go where in the package, and putting them there."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from torchscript_build import log, system
from torchscript_build.generate import launcher
from torchscript_build.models.external import carried_file
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp, PlannedTarget
from torchscript_build.plan.prefix import model_path
from torchscript_build.settings.specs import ProjectSpec

PackageFolder = Callable[[str], Path]
"""A path in the package tree → the file to write."""


@dataclass(frozen=True)
class StagedFile:
    """One file of the package."""

    target: str
    """Path in the package tree, with forward slashes: ``my_package/bin/app``."""
    content: Union[Path, bytes]


def ops_files(
    plan: BuildPlan, loaders: Mapping[str, bytes], binary: Callable[[PlannedTarget], Path]
) -> list[StagedFile]:
    """The files of the operator libraries.

    :param binary: a target → the file to take.
    """
    files = [StagedFile(ops.path, binary(ops)) for ops in plan.ops if ops.install]
    return [*files, *(StagedFile(target, text) for target, text in loaders.items())]


def app_files(spec: ProjectSpec, plan: BuildPlan, binary: Callable[[PlannedTarget], Path]) -> list[StagedFile]:
    """The files of the apps: programs, models, launchers."""
    files = [StagedFile(app.path, binary(app)) for app in plan.apps if app.install]
    files += [StagedFile(target, Path(plan.model(name).file)) for name, target in model_targets(spec)]
    files += [
        StagedFile(posixpath.normpath(f"{app.output_dir}/{library.relative}"), carried_file(plan, library))
        for app in plan.apps
        if app.install
        for library in app.external_ops
    ]
    launchers = launcher.render_launchers(spec, series=plan.libtorch.series)
    return [*files, *(StagedFile(target, text) for target, text in launchers.items())]


def prefix_files(
    plan: BuildPlan, targets: Iterable[PlannedTarget], binary: Callable[[PlannedTarget], Path]
) -> list[StagedFile]:
    """The files of an installation without Python (see ``prefix_layout``): the targets, and the models of apps."""
    targets = list(targets)
    models = sorted({m.name for t in targets if isinstance(t, PlannedApp) for m in t.models})
    return [
        *(StagedFile(target.path, binary(target)) for target in targets),
        *(StagedFile(model_path(plan.project, name), Path(plan.model(name).file)) for name in models),
        *(
            StagedFile(posixpath.normpath(f"{target.output_dir}/{library.relative}"), carried_file(plan, library))
            for target in targets
            if isinstance(target, PlannedApp)
            for library in target.external_ops
        ),
    ]


def model_targets(spec: ProjectSpec) -> list[tuple[str, str]]:
    """Pairs (model, path in the package tree); a model lies beside each package's programs that use it."""
    pairs = {
        (model, f"{(app.package or '').replace('.', '/')}/models/{model}.pt")
        for app in spec.packaged_apps
        for model in app.models
    }
    return sorted(pairs)


def stage(files: Iterable[StagedFile], folder: PackageFolder) -> Sequence[tuple[str, Path]]:
    """Put the files into place, each atomically and only if it changed.

    :returns: pairs (path in the package tree, file written).
    """
    written = []
    with log.step("stage", quiet=True):
        for file in files:
            target = folder(file.target)
            if isinstance(file.content, bytes):
                system.write_if_changed(target, file.content)
            else:
                system.copy_if_changed(file.content, target)
            written.append((file.target, target))
    return written


def install_into_prefix(
    prefix: Optional[Path], plan: BuildPlan, targets: Sequence[PlannedTarget], binary: Callable[[PlannedTarget], Path]
) -> None:
    """With ``--prefix``: put programs, models and operator libraries there, and say where."""
    if prefix is not None:
        for _, path in stage(prefix_files(plan, targets, binary), prefix.joinpath):
            log.say(f"-- installed {path}")


@dataclass(frozen=True)
class Destination:
    """Where the results of a command go; ``None`` where they do not."""

    wheel: Optional[PackageFolder] = None
    """Files with relative RUNPATHs, for a wheel."""
    source: Optional[PackageFolder] = None
    """Files for the source tree, which find libtorch where it is on this machine."""
    prefix: Optional[Path] = None
    """A prefix to install into without Python; nothing else is staged then."""
