"""Operator libraries from elsewhere that travel with an app, and what lies beside a program in the build tree."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchscript_build import elf, log, system
from torchscript_build.errors import ModelError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.models.export import locate_package_file
from torchscript_build.plan.build_plan import BuildPlan, ExternalLibrary, PlannedApp
from torchscript_build.settings.rules import is_package_file
from torchscript_build.system import Environment

PYTHON_LIBRARY = "libtorch_python.so"


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
            _carry(Path(source), plan.carried_file(library), library, plan.libtorch)
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


def _carry(source: Path, target: Path, library: ExternalLibrary, libtorch: LibTorch) -> None:
    """Copy a library, less its need for Python where it has none."""
    stamp_file = target.with_name(target.name + ".json")
    stamp = {"source": str(source), "stamp": system.stamp(source)}
    if target.is_file() and system.read_json(stamp_file) == stamp:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if not elf.is_elf(source):
        shutil.copy2(source, target)
    else:
        info = elf.read_elf(source)
        _check_needs(source, info, library, libtorch)
        data = source.read_bytes()
        if PYTHON_LIBRARY in info.needed:
            data = without_needed(source, data, PYTHON_LIBRARY)
            log.say(f"-- {source.name} of {library.namespace}: linked with {PYTHON_LIBRARY}, of which it uses nothing")
        system.write_atomically(target, data)
    system.write_json(stamp_file, stamp)


def _check_needs(source: Path, info: elf.ElfInfo, library: ExternalLibrary, libtorch: LibTorch) -> None:
    python = sorted(s for s in info.undefined_symbols if s.startswith(("Py", "_Py")))
    if python:
        raise ModelError(
            f"{source} (external-ops: {library.namespace}) needs Python itself ({python[0]}): no program can load it",
            cures=[
                "use a build of its operators without Python bindings",
                "build its sources as [[ops]] of this project",
            ],
        )
    own = {path.name for folder in libtorch.library_dirs for path in folder.glob("*.so*")}
    torchs = [n for n in info.needed if n.startswith(("libtorch", "libc10")) and n != PYTHON_LIBRARY]
    missing = [name for name in torchs if name not in own]
    if missing:
        raise ModelError(
            f"{source} (external-ops: {library.namespace}) needs {', '.join(missing)}, which libtorch "
            f"{libtorch.full_version} ({libtorch.backend}) does not have: it was built for another variant of torch",
            cures=["install the variant of that package for this torch", "use the libtorch that it was built for"],
        )


def without_needed(path: Path, data: bytes, name: str) -> bytes:
    """An ELF file without one DT_NEEDED entry: those behind it move up, and the table ends one sooner.

    :param data: the file's content.
    """
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        image = ELFFile(file)
        section: Any = next(s for s in image.iter_segments() if s["p_type"] == "PT_DYNAMIC")
        tags = list(section.iter_tags())
        size = 16 if image.elfclass == 64 else 8
        offset = int(section["p_offset"])
        index = next(i for i, tag in enumerate(tags) if tag.entry.d_tag == "DT_NEEDED" and str(tag.needed) == name)
    end = offset + size * len(tags)
    begin = offset + size * index
    null = bytes(size)  # DT_NULL
    return data[:begin] + data[begin + size : end] + null + data[end:]
