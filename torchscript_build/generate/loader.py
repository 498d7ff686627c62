"""The Python module that loads a package's operator libraries."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from torchscript_build.generate.project import render_module
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.operators.loading import Schemas
from torchscript_build.operators.registrations import Registrations
from torchscript_build.plan.build_plan import BuildPlan, PlannedOps
from torchscript_build.settings.specs import ProjectSpec

MODULE = "_torchscript_ops"


def loader_packages(spec: ProjectSpec) -> list[str]:
    """The packages that get a loader, sorted."""
    return sorted({o.package or "" for o in spec.packaged_ops if o.python_binding == "loader"})


def loader_target(package: str) -> str:
    """The loader's path in the package tree."""
    return f"{package.replace('.', '/')}/{MODULE}.py"


def render_loaders(
    spec: ProjectSpec, plan: BuildPlan, registrations: Mapping[str, Registrations], schemas: Schemas
) -> Mapping[str, bytes]:
    """Path in the package tree → the loader module, one for each package with operator libraries."""
    return {
        loader_target(package): _render(package, _members(package, spec, plan), plan.libtorch, registrations, schemas)
        for package in loader_packages(spec)
    }


def _members(package: str, spec: ProjectSpec, plan: BuildPlan) -> list[PlannedOps]:
    """The package's libraries in load order; Python modules are imported by the package itself."""
    names = {o.name for o in spec.packaged_ops if o.package == package and o.python_binding == "loader"}
    return [o for o in plan.ops if o.name in names and not o.python_module]


def _render(
    package: str,
    libraries: list[PlannedOps],
    libtorch: LibTorch,
    registrations: Mapping[str, Registrations],
    schemas: Schemas,
) -> bytes:
    cuda = libtorch.cuda_version.split(".")[0] if libtorch.backend == "cuda" and libtorch.cuda_version else None
    here = package.replace(".", "/")
    values = {
        "PACKAGE": package,
        "BUILT_FOR": {"torch": libtorch.series, "cxx11_abi": libtorch.cxx11_abi, "cuda": cuda},
        "LIBRARIES": tuple(
            (posixpath.relpath(o.path, here), _operators(o.name, registrations, schemas)) for o in libraries
        ),
        "OPERATORS": tuple(schema for o in libraries for schema in schemas.get(o.name, ())),
    }
    return render_module("ops_loader.py", values)


def _operators(name: str, registrations: Mapping[str, Registrations], schemas: Schemas) -> tuple[str, ...]:
    """Names without overloads, as they were registered when the library was loaded, else as its sources say."""
    if name in schemas:
        return tuple(dict.fromkeys(s.split("(")[0].split(".")[0] for s in schemas[name]))
    return tuple(dict.fromkeys(o.split(".")[0] for o in registrations[name].operators))
