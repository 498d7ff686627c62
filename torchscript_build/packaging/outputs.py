"""What the settings alone tell of the files that go into a package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional, Union

from torchscript_build.generate.launcher import launcher_packages, launcher_target
from torchscript_build.generate.loader import loader_packages, loader_target
from torchscript_build.libtorch.series import asked_series, series_of
from torchscript_build.plan.decide import app_path, external_name, library_path, ops_path
from torchscript_build.plan.parts import series_folder
from torchscript_build.settings.specs import CLibrary, ProjectSpec, TorchScriptApp
from torchscript_build.system import Environment


def ops_targets(spec: ProjectSpec, environment: Environment) -> list[str]:
    """Package-tree paths of the operator libraries and their loaders."""
    suffix = environment.python.ext_suffix
    parts = series_parts(spec, environment)
    libraries = [ops_path(o, environment.platform, suffix, part) for o in spec.packaged_ops for part in parts]
    loaders = map(loader_target, loader_packages(spec))
    return sorted([*libraries, *loaders])


def series_parts(spec: ProjectSpec, environment: Environment) -> Sequence[str]:
    """The folders of the series of torch that the package is built for, oldest first; one empty name for one torch."""
    entries = asked_series(spec.options, environment)
    return [series_folder(series_of(entry)) for entry in entries] or [""]


def app_targets(spec: ProjectSpec, environment: Environment) -> list[str]:
    """Package-tree paths of the programs, their models and launchers."""
    parts = series_parts(spec, environment)
    programs = [app_path(a, environment.platform, part) for a in spec.packaged_apps for part in parts]
    names = {model.name: model.file_name for model in spec.models}
    models = {f"{_folder(a.package)}/models/{names[m]}" for a in spec.packaged_apps for m in a.models}
    launchers = map(launcher_target, launcher_packages(spec))
    libraries = [f for c in spec.packaged_libraries for f in library_targets(c, environment, names)]
    return sorted({*programs, *models, *launchers, *libraries, *external_targets(spec, environment)})


def library_targets(library: CLibrary, environment: Environment, names: Mapping[str, str]) -> list[str]:
    """Package-tree paths of a C library, its models, and what others need to link it.

    :param names: model → the name of its file.
    """
    root, name = _folder(library.package), library.name
    beside = (f"{name}Config.cmake", f"{name}ConfigVersion.cmake")
    return [
        library_path(library, environment.platform),
        f"{root}/include/{name}.h",
        f"{root}/lib/pkgconfig/{name}.pc",
        *(f"{root}/lib/cmake/{name}/{file}" for file in beside),
        *(f"{root}/models/{names[m]}" for m in library.models),
    ]


def external_targets(spec: ProjectSpec, environment: Environment) -> list[str]:
    """Package-tree paths of the libraries from elsewhere that travel with apps, which load them beside libtorch."""
    carriers: list[Union[TorchScriptApp, CLibrary]] = [*spec.packaged_apps, *spec.packaged_libraries]
    return sorted(
        {
            f"{_folder(a.package)}/lib/{external_name(namespace, environment.platform)}"
            for a in carriers
            if isinstance(a.external_ops, Mapping)
            for namespace in a.external_ops
        }
    )


def package_of(spec: ProjectSpec, target: str) -> str:
    """The package that a path in the package tree belongs to, or is: ``my/package/bin/app`` → ``my.package``."""
    names = [
        *(a.package for a in spec.packaged_apps),
        *(o.package for o in spec.packaged_ops),
        *(c.package for c in spec.packaged_cmake),
        *(c.package for c in spec.packaged_libraries),
    ]
    packages = {name or "" for name in names}
    return max((p for p in packages if not p or f"{target}/".startswith(_folder(p) + "/")), key=len)


def _folder(package: Optional[str]) -> str:
    return (package or "").replace(".", "/")
