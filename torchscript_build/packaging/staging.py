"""Which files of ours go where in the package, in the source tree or in a prefix."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import log
from torchscript_build.generate import launcher
from torchscript_build.generate.loader import cuda_major
from torchscript_build.packaging.staged import APPS, LAUNCHERS, LIBRARIES, OPS, Place, StagedFile, project_owner, stage
from torchscript_build.plan.build_plan import BuildPlan, ExternalLibrary, PlannedApp, PlannedLibrary, PlannedTarget
from torchscript_build.plan.parts import series_folder
from torchscript_build.plan.prefix import model_path
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import ProjectSpec


def ops_files(plan: BuildPlan, binary: Callable[[PlannedTarget], Path]) -> list[StagedFile]:
    """The operator libraries.

    :param binary: a target → the file to take.
    """
    return [StagedFile(ops.path, binary(ops)) for ops in plan.ops if ops.install]


def loader_files(loaders: Mapping[str, bytes]) -> list[StagedFile]:
    """The modules that load operator libraries."""
    return [StagedFile(target, text) for target, text in loaders.items()]


def app_files(spec: ProjectSpec, plan: BuildPlan, binary: Callable[[PlannedTarget], Path]) -> list[StagedFile]:
    """The files of the apps: programs and models."""
    files = [StagedFile(app.path, binary(app)) for app in plan.apps if app.install]
    files += [StagedFile(target, Path(plan.model(name).file), is_model=True) for name, target in model_targets(spec)]
    return files + [
        StagedFile(_external_place(app, library), plan.carried_file(library))
        for app in plan.apps
        if app.install
        for library in app.external_ops
    ]


def library_files(plan: BuildPlan, binary: Callable[[PlannedTarget], Path]) -> list[StagedFile]:
    """The files of the C libraries: with their models, their headers, and what tells others how to link them."""
    files: dict[str, Path] = {}
    for library in (c for c in plan.libraries if c.install):
        files[library.path] = binary(library)
        files.update(
            {
                f"{library.root}/models/{plan.model(m.name).file_name}": Path(plan.model(m.name).file)
                for m in library.models
            }
        )
        files.update({_external_place(library, e): plan.carried_file(e) for e in library.external_ops})
    beside = _beside_libraries([c for c in plan.libraries if c.install], plan.version)
    return [*(StagedFile(target, content) for target, content in files.items()), *beside]


def launcher_files(
    spec: ProjectSpec, made: Sequence[tuple[BuildPlan, Collection[str]]], *, is_several: bool = False
) -> list[StagedFile]:
    """The modules that start the programs of apps and CMake projects.

    :param made: for each series of torch its plan, and the programs that need CUDA's part of libtorch.
    """
    programs = [
        launcher.StartedPrograms(
            plan.libtorch.series,
            series_folder(plan.libtorch.series) if is_several else "",
            cuda_major(plan.libtorch),
            accelerated,
        )
        for plan, accelerated in made
    ]
    return [StagedFile(target, text) for target, text in launcher.render_launchers(spec, programs).items()]


def prefix_files(
    plan: BuildPlan, targets: Iterable[PlannedTarget], binary: Callable[[PlannedTarget], Path]
) -> list[StagedFile]:
    """The files of an installation without Python (see ``prefix_layout``): the targets, and the models of apps."""
    targets = list(targets)
    models = sorted({m.name for t in targets if isinstance(t, PlannedApp) for m in t.models})
    return [
        *(StagedFile(target.path, binary(target)) for target in targets),
        *(
            StagedFile(model_path(plan.project, plan.model(name).file_name), Path(plan.model(name).file))
            for name in models
        ),
        *(
            StagedFile(_external_place(target, library), plan.carried_file(library))
            for target in targets
            if isinstance(target, PlannedApp)
            for library in target.external_ops
        ),
        *_beside_libraries([t for t in targets if isinstance(t, PlannedLibrary)], plan.version),
    ]


def _beside_libraries(libraries: Sequence[PlannedLibrary], version: str) -> list[StagedFile]:
    """Headers of C libraries, and what tells others how to link them."""
    if not libraries:
        return []
    from torchscript_build.generate.library import package_files  # most projects have none

    return [StagedFile(name, text) for c in libraries for name, text in package_files(c, version).items()]


def _external_place(loader: PlannedApp, library: ExternalLibrary) -> str:
    return posixpath.normpath(f"{loader.output_dir}/{library.relative}")


def model_targets(spec: ProjectSpec) -> list[tuple[str, str]]:
    """Pairs (model, path in the package tree); a model lies beside each package's programs that use it."""
    names = {model.name: model.file_name for model in spec.models}
    pairs = {
        (model, f"{(app.package or '').replace('.', '/')}/models/{names[model]}")
        for app in spec.packaged_apps
        for model in app.models
    }
    return sorted(pairs)


def install_into_prefix(
    destination: Destination,
    plan: BuildPlan,
    targets: Sequence[PlannedTarget],
    binary: Callable[[PlannedTarget], Path],
    owner: str,
) -> None:
    """With ``--prefix``: put programs, models and operator libraries there, and say where."""
    place = destination.prefix
    if place is not None:
        for _, path in stage(prefix_files(plan, targets, binary), place, owner):
            log.say(f"-- installed {path}")


@dataclass(frozen=True)
class Destination:
    """Where the results of a command go; ``None`` where they do not."""

    wheel: Optional[Place] = None
    """Files with relative RUNPATHs, for a wheel."""
    source: Optional[Place] = None
    """Files for the source tree, which find libtorch where it is on this machine."""
    prefix: Optional[Place] = None
    """A prefix to install into without Python; nothing else is staged then."""
    is_bundle: bool = False
    """Will the prefix hold all that its programs need, libtorch too?"""

    @property
    def places(self) -> tuple[Place, ...]:
        """Those that there are."""
        return tuple(place for place in (self.wheel, self.source, self.prefix) if place is not None)


def owners(spec: ProjectSpec, *, in_prefix: bool) -> frozenset[str]:
    """Whose files a package, or a prefix, has."""
    ops, apps, projects = (
        (spec.ops, spec.apps, spec.cmake) if in_prefix else (spec.packaged_ops, spec.packaged_apps, spec.packaged_cmake)
    )
    libraries = spec.libraries if in_prefix else spec.packaged_libraries
    started = not in_prefix and launcher.launcher_packages(spec)
    parts = [OPS] * bool(ops) + [APPS] * bool(apps) + [LAUNCHERS] * bool(started) + [LIBRARIES] * bool(libraries)
    return frozenset([*parts, *(project_owner(project.name) for project in projects)])
