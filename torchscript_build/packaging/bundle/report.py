"""What is told of a finished bundle: where it is, what it needs, where its megabytes are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torchscript_build import log
from torchscript_build.packaging.bundle.closure import CXX_RUNTIME
from torchscript_build.packaging.bundle.distributions import in_words
from torchscript_build.packaging.bundle.make import Bundle
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import BundleOptions

OF_CUDA = re.compile(r"lib(cu|nv|nccl|torch_cuda|c10_cuda|caffe2_nvrtc|torch_nvshmem)\w*[-.].*")


def say_bundle(bundle: Bundle, output: Path, plan: BuildPlan, options: BundleOptions) -> None:
    """Where a bundle is, what it needs, and where its megabytes are."""
    needs = bundle.needs
    also = f", libstdc++ of GCC {needs.gcc} or newer" if needs.gcc else ""
    log.say(f"-- bundle {output}: {needs.cpu}, {in_words(needs.glibc)}{also}")
    for line in size_table(bundle.tree):
        log.say(line)
    for way in ways_to_save(bundle.tree, plan, options):
        log.say(f"-- smaller with {way}")
    if output.is_file():
        log.say(f"-- {output.name} itself: {output.stat().st_size / 1e6:.1f} MB")


def size_table(tree: Path, most: int = 6) -> list[str]:
    """Where the megabytes are, the largest files first."""
    sizes: Mapping[Path, int] = {p: p.stat().st_size for p in tree.rglob("*") if p.is_file()}
    total = sum(sizes.values())
    largest = sorted(sizes, key=lambda p: (-sizes[p], p.name))[:most]
    rows = [(p.relative_to(tree).as_posix(), sizes[p]) for p in largest]
    rows.append(("the rest", total - sum(size for _, size in rows)))
    return [f"{size / 1e6:8.1f} MB  {name}" for name, size in [*rows, ("all", total)]]


def ways_to_save(tree: Path, plan: BuildPlan, options: BundleOptions) -> list[str]:
    """What would make the bundle smaller, and by how much where that is known."""
    ways = []
    if plan.libtorch.backend == "cuda":
        of_cuda = sum(p.stat().st_size for p in (tree / "lib").iterdir() if OF_CUDA.fullmatch(p.name))
        ways.append(
            f"a CPU build of torch, where no GPU is used: {of_cuda / 1e6:.0f} MB are CUDA's "
            "(cuda = false in the settings, or pip install torch --index-url …/whl/cpu)"
        )
    if not options.strip:
        ways.append("--strip, or strip = true in [tool.torchscript-build.bundle]: symbols that only debuggers read")
    if options.cxx_runtime:
        ways.append(f"cxx-runtime = false, where the machine has {', '.join(CXX_RUNTIME)}")
    return ways
