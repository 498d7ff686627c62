"""What the settings alone tell of a project's files: those that go into the package, and those that an sdist needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Union

from torchscript_build.generate.launcher import MODULE as LAUNCHER
from torchscript_build.generate.loader import MODULE as LOADER
from torchscript_build.plan.decide import app_path, external_name, ops_path
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, TorchScriptApp
from torchscript_build.system import Environment

HEADER_SUFFIXES = (".h", ".hpp", ".hh", ".hxx", ".cuh", ".inl", ".inc", ".ipp")


def ops_targets(spec: ProjectSpec, environment: Environment) -> list[str]:
    """Package-tree paths of the operator libraries and their loaders."""
    suffix = environment.python.ext_suffix
    libraries = [ops_path(o, environment.platform, suffix) for o in spec.packaged_ops]
    loaders = {f"{_folder(o.package)}/{LOADER}.py" for o in spec.packaged_ops if o.python_binding == "loader"}
    return sorted([*libraries, *loaders])


def app_targets(spec: ProjectSpec, environment: Environment) -> list[str]:
    """Package-tree paths of the programs, their models and launchers."""
    programs = [app_path(a, environment.platform) for a in spec.packaged_apps]
    models = {f"{_folder(a.package)}/models/{m}.pt" for a in spec.packaged_apps for m in a.models}
    launchers = {f"{_folder(a.package)}/{LAUNCHER}.py" for a in spec.packaged_apps if a.console_script}
    carried = {
        f"{_folder(a.package)}/lib/{external_name(namespace, environment.platform)}"
        for a in spec.packaged_apps
        if isinstance(a.external_ops, Mapping)
        for namespace in a.external_ops
    }
    return sorted([*programs, *models, *launchers, *carried])


def package_of(spec: ProjectSpec, target: str) -> str:
    """The package that a path in the package tree belongs to: ``my/package/bin/app`` → ``my.package``."""
    names = [
        *(a.package for a in spec.packaged_apps),
        *(o.package for o in spec.packaged_ops),
        *(c.package for c in spec.packaged_cmake),
    ]
    packages = {name or "" for name in names}
    return max((p for p in packages if target.startswith(_folder(p) + "/")), key=len)


def source_files(spec: ProjectSpec, root: Path) -> list[str]:
    """Files of the project that building needs and that no other command puts into an sdist, relative."""
    files: set[str] = set()
    compiled: list[Union[OpLibrary, TorchScriptApp]] = [*spec.ops, *spec.apps]
    for target in compiled:
        files.update(target.sources)
        for folder in (*target.include_dirs, *sorted({str(Path(s).parent) for s in target.sources})):
            files.update(_below(root, folder, HEADER_SUFFIXES))
        files.update(lib for lib in target.link_libraries if (root / lib).is_file())
    for model in spec.models:
        files.update(f for f in (model.file, *model.example_inputs) if f and (root / f).is_file())
    for project in spec.cmake:
        files.update(_below(root, project.source_dir))
    return sorted(files)


def _below(root: Path, folder: str, suffixes: Optional[tuple[str, ...]] = None) -> list[str]:
    """The files below a folder of the project; what is hidden, built or a virtual environment is left out."""
    found = []
    for where, folders, names in os.walk(root / folder):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in ("build", "__pycache__")]
        if Path(where) != root / folder and {"pyvenv.cfg", "CMakeCache.txt"} & set(names):
            folders.clear()
            continue
        paths = (Path(where, name) for name in names)
        found += [p.relative_to(root).as_posix() for p in paths if suffixes is None or p.suffix in suffixes]
    return sorted(found)


def _folder(package: Optional[str]) -> str:
    return (package or "").replace(".", "/")
