"""The audit of a library that promises to keep to torch's stable ABI, from its binary."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from torchscript_build.build.pipeline import BuildResult
from torchscript_build.errors import VerificationError
from torchscript_build.operators.stable_abi import Unstable, audit, describe_unstable
from torchscript_build.plan.build_plan import BuildPlan, PlannedOps
from torchscript_build.system.elf import ElfError, is_elf, read_elf, wanted_by_object
from torchscript_build.toolchain.programs import parse_version


def check_stable(plan: BuildPlan, libraries: Iterable[PlannedOps], result: BuildResult) -> None:
    """Audit the libraries whose ``abi`` is stable.

    :raises VerificationError: one wants what releases may change, or what its ``torch-target`` has not.
    """
    problems = []
    for ops in libraries:
        file = result.built(ops.name)
        if ops.torch_target is None or not is_elf(file):
            continue
        info = read_elf(file)
        verdict = audit(info.undefined_symbols, info.needed)
        if not verdict.is_stable:
            told = dataclasses.replace(verdict, unstable=_with_sources(verdict.unstable, plan, ops))
            problems.append(f"operator library {ops.name!r} does not keep to torch's stable ABI:")
            problems += describe_unstable(told)
        elif verdict.lowest and parse_version(verdict.lowest) > parse_version(ops.torch_target):
            names = ", ".join(verdict.because)
            problems.append(
                f"operator library {ops.name!r} needs torch {verdict.lowest}, for {names}, and torch-target says "
                f"{ops.torch_target}"
            )
    if problems:
        raise VerificationError("\n".join(problems))


def _with_sources(unstable: Sequence[Unstable], plan: BuildPlan, ops: PlannedOps) -> tuple[Unstable, ...]:
    """Who wants each, from the object files of the build tree."""
    wanted: dict[str, list[str]] = {}
    folder = plan.tree_dir / "CMakeFiles" / f"{ops.name}.dir"
    for file in sorted(folder.rglob("*.o")):
        try:
            symbols = wanted_by_object(file)
        except ElfError:
            continue
        for symbol in symbols:
            wanted.setdefault(symbol, []).append(_source_of(file, ops))
    return tuple(dataclasses.replace(one, sources=tuple(wanted.get(one.symbol, ()))) for one in unstable)


def _source_of(file: Path, ops: PlannedOps) -> str:
    """CMake calls the object of ``warp.cpp`` ``warp.cpp.o``."""
    return next((posixpath.basename(s) for s in ops.sources if posixpath.basename(s) == file.stem), file.stem)
