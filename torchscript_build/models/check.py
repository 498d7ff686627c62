"""Can libtorch read every model, and does each find its operators: in libtorch, or in what its app links?"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path

from torchscript_build.errors import ModelError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.releases import release_row
from torchscript_build.libtorch.versions import release_of
from torchscript_build.models.archive import ModelArchive, read_archive
from torchscript_build.operators.registrations import Registrations, read_registrations
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp
from torchscript_build.settings.specs import TorchScriptApp

TORCH_NAMESPACES = (
    *("aten", "prim", "prims", "quantized", "_quantized", "sparse", "cuda", "profiler", "inductor", "static_runtime"),
    *("mkl", "mkldnn", "mkldnn_prepacked", "onednn", "xnnpack", "prepacked", "tensorexpr"),
    *("c10d", "_c10d_functional", "metal", "metal_prepacked", "vulkan", "vulkan_prepacked"),
)
"""Namespaces of libtorch's own operators; others are looked for in its binary."""


def check_models(
    apps: Mapping[str, TorchScriptApp],
    plan: BuildPlan,
    registrations: Mapping[str, Registrations],
    schemas: Mapping[str, object],
) -> None:
    """Check the models of each app.

    :param apps: the apps to check, by name.
    :param registrations: what the sources of each operator library register.
    :param schemas: what each library registered when it was loaded, as far as that is known.
    :raises ModelError: names every model that is too new, or else every operator that nobody provides.
    """
    names = sorted({model for app in apps.values() for model in app.models})
    archives = {name: read_archive(Path(plan.model(name).file), checksums=False) for name in names}
    _check_formats(archives, plan)
    problems = []
    for app in (a for a in plan.apps if a.name in apps):
        provided = set(TORCH_NAMESPACES) | set(apps[app.name].external_ops) | _linked(app, plan, registrations, schemas)
        provided |= read_registrations(map(Path, app.sources)).namespaces
        for bundled in app.models:
            archive = archives[bundled.name]
            for name in (*archive.operators, *archive.classes):
                if name.split("::")[0] not in provided and not _in_libtorch(name, plan.libtorch):
                    problems.append(f"app {app.name!r}: model {bundled.name!r} needs {name}")
    if problems:
        raise ModelError(
            "these operators are neither libtorch's nor in what the app links:\n"
            + "\n".join(f"  - {p}" for p in problems),
            cures=[
                "name the operator library that has it in the app's ops",
                "name its namespace in the app's external-ops, if it is loaded at run time (--ops FILE)",
            ],
        )


def _check_formats(archives: Mapping[str, ModelArchive], plan: BuildPlan) -> None:
    """Compare the archives' file format with what this libtorch reads (``kMaxSupportedFileFormatVersion``)."""
    highest = release_row(release_of(plan.libtorch.version)).archive_format
    reads = f"libtorch {plan.libtorch.version} reads up to {highest}"
    problems = [
        f"model {name!r} has file format {archive.format_version}; {reads}"
        for name, archive in archives.items()
        if highest is not None and archive.format_version > highest
    ]
    if problems:
        raise ModelError(
            "\n".join(problems),
            cures=["save the model with an older torch", "use a newer libtorch (--libtorch, libtorch-version)"],
        )


def _linked(
    app: PlannedApp,
    plan: BuildPlan,
    registrations: Mapping[str, Registrations],
    schemas: Mapping[str, object],
) -> set[str]:
    """The namespaces of the operator libraries that an app links, also through others."""
    depends = {o.name: o.ops for o in plan.ops}
    todo, linked = list(app.ops), set()
    while todo:
        name = todo.pop()
        if name not in linked:
            linked.add(name)
            todo += depends[name]
    found: set[str] = set()
    for name in linked:
        found |= registrations[name].namespaces
        known = schemas.get(name, ())
        found |= {str(s).split("::")[0] for s in known} if isinstance(known, (list, tuple)) else set()
    return found


def _in_libtorch(name: str, libtorch: LibTorch) -> bool:
    """Does a library of libtorch hold the operator's name? For namespaces that a newer release may have added."""
    for path in libtorch.libraries:
        if path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content.find(name.encode()) >= 0:
                    return True
    return False
