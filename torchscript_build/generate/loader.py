"""The Python module that loads a package's operator libraries."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.generate.templates import render_module
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import BuildPlan, PlannedOps
from torchscript_build.records import dataclass, field
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.toolchain.programs import parse_version

MODULE = "_torchscript_ops"


def loader_packages(spec: ProjectSpec) -> list[str]:
    """The packages that get a loader, sorted: those with a library that Python does not import by itself."""
    return sorted({o.package or "" for o in spec.packaged_ops if o.python_binding == "loader" and not o.python_module})


def loader_target(package: str) -> str:
    """The loader's path in the package tree."""
    return f"{package.replace('.', '/')}/{MODULE}.py"


Texts = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class LoadedOps:
    """The operator libraries of one plan, built."""

    plan: BuildPlan
    operators: Texts
    """Library name → the names of its operators, without overloads."""
    schemas: Texts = field(default_factory=dict)
    """Library name → the schemas of its operators, as far as they are known."""
    accelerated: Collection[str] = ()
    """The libraries that need CUDA's part of libtorch."""


def render_loaders(spec: ProjectSpec, made: Sequence[LoadedOps]) -> Mapping[str, bytes]:
    """Path in the package tree → the loader module, one for each package with operator libraries.

    :param made: the libraries for each series of torch.
    """
    made = sorted(made, key=lambda one: parse_version(one.plan.libtorch.series))
    return {loader_target(package): _render(package, spec, made) for package in loader_packages(spec)}


def with_rebuild(loader: bytes, plan: BuildPlan, sources: Sequence[str], is_one_of_several: bool = False) -> bytes:
    """A loader for the source tree that builds the libraries again where a source is newer (``editable-rebuild``).

    :param sources: relative to the project.
    """
    libtorch = () if is_one_of_several else ("--libtorch", str(plan.libtorch.root))
    values = {
        "PROJECT": plan.source_dir,
        "SOURCES": ("pyproject.toml", *sources),
        "OPTIONS": ("--inplace", *libtorch, "--build-type", plan.build_type),
        "REBUILT": str(Path(plan.build_dir, "rebuilt")),
    }
    start = b"\n_BUILT_FOR = _check_torch()\n"
    return loader.replace(start, b"\n" + render_module("rebuild.py", values) + start, 1)


def cuda_major(libtorch: LibTorch) -> Optional[str]:
    """The series of CUDA within which compiled code stays compatible."""
    return libtorch.cuda_version.split(".")[0] if libtorch.backend == "cuda" and libtorch.cuda_version else None


def _needed_cuda(accelerated: Sequence[PlannedOps], libtorch: LibTorch) -> Optional[str]:
    """The major of CUDA that libraries with CUDA code are bound to: ``any`` where each has a runtime of its own."""
    if not accelerated:
        return None
    own = all(o.torch_target is not None and o.static_cuda_runtime for o in accelerated)
    return "any" if own else cuda_major(libtorch)


def oldest_torch(libraries: Sequence[PlannedOps]) -> Optional[str]:
    """The oldest torch that all will do for through the stable ABI; ``None``: one of them is for one series alone."""
    targets = [o.torch_target for o in libraries]
    if not targets or None in targets:
        return None
    return max(filter(None, targets), key=parse_version)


def _members(package: str, spec: ProjectSpec, plan: BuildPlan) -> list[PlannedOps]:
    """The package's libraries in load order; Python modules are imported by the package itself."""
    names = {o.name for o in spec.packaged_ops if o.package == package and o.python_binding == "loader"}
    return [o for o in plan.ops if o.name in names and not o.python_module]


def _render(package: str, spec: ProjectSpec, made: Sequence[LoadedOps]) -> bytes:
    parts = dict.fromkeys(o.python_parts for o in spec.packaged_ops if o.package == package and o.python_parts)
    values = {
        "PACKAGE": package,
        "BUILDS": tuple(_build(package, spec, one) for one in made),
        "AT_LEAST": oldest_torch(_members(package, spec, made[0].plan)),
        "PARTS": tuple(filter(None, parts)),
    }
    return render_module("ops_loader.py", values)


def _build(package: str, spec: ProjectSpec, made: LoadedOps) -> Mapping[str, object]:
    """What a loader knows of the libraries for one series of torch."""
    here, libtorch = package.replace(".", "/"), made.plan.libtorch
    libraries = _members(package, spec, made.plan)
    return {
        "torch": libtorch.series,
        "cxx11_abi": libtorch.cxx11_abi,
        "cuda": _needed_cuda([o for o in libraries if o.name in made.accelerated], libtorch),
        "libraries": tuple((posixpath.relpath(o.path, here), tuple(made.operators[o.name])) for o in libraries),
        "operators": tuple(schema for o in libraries for schema in made.schemas.get(o.name, ())),
    }
