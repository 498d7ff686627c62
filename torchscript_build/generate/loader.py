"""The Python module that loads a package's operator libraries."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.generate.templates import render_module
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import BuildPlan, PlannedOps
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


def render_loaders(
    spec: ProjectSpec, plan: BuildPlan, operators: Texts, schemas: Texts, accelerated: Collection[str] = ()
) -> Mapping[str, bytes]:
    """Path in the package tree → the loader module, one for each package with operator libraries.

    :param operators: library name → the names of its operators, without overloads.
    :param schemas: library name → the schemas of its operators, as far as they are known.
    :param accelerated: the libraries that need CUDA's part of libtorch.
    """
    texts = {}
    for package in loader_packages(spec):
        members = _members(package, spec, plan)
        cuda = _needed_cuda([o for o in members if o.name in accelerated], plan.libtorch)
        parts = dict.fromkeys(o.python_parts for o in spec.packaged_ops if o.package == package and o.python_parts)
        texts[loader_target(package)] = _render(
            package, members, plan.libtorch, operators, schemas, cuda, tuple(filter(None, parts))
        )
    return texts


def with_rebuild(loader: bytes, plan: BuildPlan, sources: Sequence[str]) -> bytes:
    """A loader for the source tree that builds the libraries again where a source is newer (``editable-rebuild``).

    :param sources: relative to the project.
    """
    values = {
        "PROJECT": plan.source_dir,
        "SOURCES": ("pyproject.toml", *sources),
        "OPTIONS": ("--inplace", "--libtorch", str(plan.libtorch.root), "--build-type", plan.build_type),
        "REBUILT": str(Path(plan.build_dir, "rebuilt")),
    }
    start = b"\n_check_torch()\n"
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


def _render(
    package: str,
    libraries: list[PlannedOps],
    libtorch: LibTorch,
    operators: Texts,
    schemas: Texts,
    cuda: Optional[str],
    parts: tuple[str, ...],
) -> bytes:
    here = package.replace(".", "/")
    values = {
        "PACKAGE": package,
        "BUILT_FOR": {"torch": libtorch.series, "cxx11_abi": libtorch.cxx11_abi, "cuda": cuda},
        "AT_LEAST": oldest_torch(libraries),
        "PARTS": parts,
        "LIBRARIES": tuple((posixpath.relpath(o.path, here), tuple(operators[o.name])) for o in libraries),
        "OPERATORS": tuple(schema for o in libraries for schema in schemas.get(o.name, ())),
    }
    return render_module("ops_loader.py", values)
