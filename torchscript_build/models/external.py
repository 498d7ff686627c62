"""Operator libraries from elsewhere that travel with an app, and what lies beside a program in the build tree."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchscript_build import system
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.models.export import locate_package_file
from torchscript_build.plan.build_plan import BuildPlan, ExternalLibrary, PlannedApp
from torchscript_build.settings.rules import is_package_file
from torchscript_build.system import Environment


def external_files(apps: Sequence[PlannedApp], environment: Environment) -> Mapping[str, list[str]]:
    """App name → the files of its libraries from elsewhere, as they are installed; Python loads these.

    :raises ModelError: a package or file is not there.
    """
    return {
        app.name: [
            str(locate_package_file(library.file, environment)) if is_package_file(library.file) else library.file
            for library in app.external_ops
        ]
        for app in apps
    }


def place_beside(
    plan: BuildPlan,
    apps: Sequence[PlannedApp],
    built: Mapping[str, Path],
    external: Mapping[str, Sequence[str]],
) -> None:
    """Put models and libraries from elsewhere where the program in the build tree looks for them, so that it runs.

    :raises ModelError: a library cannot be loaded into a program.
    """
    for app in apps:
        folder = built[app.name].parent
        for library, source in zip(app.external_ops, external[app.name]):
            _keep_copy(Path(source), plan.carried_file(library), library, plan.libtorch)
            _link(plan.carried_file(library), folder / library.relative)
        for model in app.models:
            if not os.path.isabs(model.relative):
                _link(Path(plan.model(model.name).file), folder / model.relative)


def _link(file: Path, place: Path) -> None:
    """A link to a file, where the system can; else a copy."""
    place = Path(os.path.normpath(place))
    if place.is_symlink() and os.readlink(place) == str(file):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    try:
        if not place.exists():
            place.symlink_to(file)
            return
    except OSError:  # a file system or a Windows without links
        pass
    system.copy_if_changed(file, place)


def _keep_copy(source: Path, target: Path, library: ExternalLibrary, libtorch: LibTorch) -> None:
    """The copy that travels, made again when the library has changed."""
    stamp_file = target.with_name(target.name + ".json")
    stamp = {"source": str(source), "stamp": system.stamp(source)}
    if target.is_file() and system.read_json(stamp_file) == stamp:
        return
    from torchscript_build.models.carry import carry  # it reads ELF, which an unchanged build does not

    carry(source, target, library, libtorch)
    system.write_json(stamp_file, stamp)
