"""What is told of a finished bundle: where it is, what it needs, where its megabytes are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torchscript_build import log
from torchscript_build.packaging.bundle.closure import CXX_RUNTIME
from torchscript_build.packaging.bundle.make import Bundle
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import BundleOptions


def say_bundle(bundle: Bundle, plan: BuildPlan, options: BundleOptions) -> None:
    """Where a bundle is, what it needs, and where its megabytes are."""
    log.say(f"-- bundle {bundle.output}: {plan.libtorch.machine}, glibc {bundle.glibc} or newer")
    for line in size_table(bundle.tree):
        log.say(line)
    for way in ways_to_save(plan, options):
        log.say(f"-- smaller with {way}")


def size_table(tree: Path, most: int = 6) -> list[str]:
    """Where the megabytes are, the largest files first."""
    sizes: Mapping[Path, int] = {p: p.stat().st_size for p in tree.rglob("*") if p.is_file()}
    total = sum(sizes.values())
    largest = sorted(sizes, key=lambda p: (-sizes[p], p.name))[:most]
    rows = [(p.relative_to(tree).as_posix(), sizes[p]) for p in largest]
    rows.append(("the rest", total - sum(size for _, size in rows)))
    return [f"{size / 1e6:8.1f} MB  {name}" for name, size in [*rows, ("all", total)]]


def ways_to_save(plan: BuildPlan, options: BundleOptions) -> list[str]:
    """What would make the bundle smaller."""
    ways = []
    if plan.libtorch.backend == "cuda":
        ways.append("a CPU build of torch, where no GPU is used: cuda = false in the settings")
    if not options.strip:
        ways.append("strip = true in [tool.torchscript-build.bundle]")
    if options.cxx_runtime:
        ways.append(f"cxx-runtime = false, where the machine has {', '.join(CXX_RUNTIME)}")
    return ways
