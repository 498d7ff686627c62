"""Which sources get how much of torch's heavy headers, as building them in this folder has taught."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.build.pipeline import BuildResult, build_targets
from torchscript_build.errors import BuildError
from torchscript_build.operators.includes import read_header_use
from torchscript_build.plan.build_plan import BuildPlan, PlannedOps, PlannedTarget
from torchscript_build.plan.headers import FILES_PER_PROCESSOR, LEAN_RELEASES, plan_headers, with_whole_headers
from torchscript_build.settings.specs import OpLibrary
from torchscript_build.system import Environment
from torchscript_build.toolchain.programs import parse_version

WHOLE = "whole_headers.json"
"""The sources, in a build folder, that turned out to need torch's whole headers."""
PART = "torch/autograd.h"
"""A header that the lean forms are made of."""


def with_headers(plan: BuildPlan, specs: Iterable[OpLibrary], *, processors: int) -> BuildPlan:
    """The plan with what each operator library's sources get in the place of torch's heavy headers."""
    asked = {spec.name: spec for spec in specs}
    whole = _read_known(Path(plan.build_dir, WHOLE))
    release = parse_version(plan.libtorch.version)
    folders = [f for f in plan.libtorch.include_dirs if f.is_dir()]
    lacks_parts = bool(folders) and not any((f / PART).is_file() for f in folders)
    can_be_lean = LEAN_RELEASES[0] <= release < LEAN_RELEASES[1] and not lacks_parts
    launcher = plan.toolchain.launcher
    can_precompile = launcher is None or launcher.precompiles

    def decide(ops: PlannedOps) -> PlannedOps:
        spec = asked[ops.name]
        cxx = [s for s in ops.sources if not s.endswith((".cu", ".c"))]
        uses = {s: read_header_use(Path(s), ops.include_dirs, ops.definitions, folders) for s in cxx}
        lean = spec.lean_headers and can_be_lean and not _hides_includes(ops, plan.flags)
        uses = {s: dataclasses.replace(u, lean=u.lean and lean and s not in whole) for s, u in uses.items()}
        if spec.precompiled_header == "auto":
            at_least = FILES_PER_PROCESSOR * processors if can_precompile else None
        else:
            at_least = 0 if spec.precompiled_header else None
        headers = plan_headers(uses, ops.sources, precompile=at_least, is_module=ops.python_module)
        return dataclasses.replace(ops, headers=headers)

    return dataclasses.replace(plan, ops=tuple(map(decide, plan.ops)))


def _hides_includes(ops: PlannedOps, flags: Mapping[str, str]) -> bool:
    """Do the options bring headers or macros that no source names?"""
    if any(re.search(r"-(include|imacros)\b|-D.*::", value) for value in flags.values()):
        return True
    return any(re.match(r"(-include|-imacros|-D|-I|-isystem|/FI)", o) for o in (*ops.compile_options, *ops.cxx_options))


def remember_whole_headers(lean: BuildPlan, built: BuildPlan) -> None:
    """Note which sources needed more than the lean headers, for the next build in the folder."""
    before = {s for o in lean.ops for s in o.headers.lean}
    after = {s for o in built.ops for s in o.headers.lean}
    file = Path(lean.build_dir, WHOLE)
    known = _read_known(file)
    system.write_json(file, {"sources": sorted(known | (before - after))})


def _read_known(file: Path) -> set[str]:
    """The sources that a file names; none where it is damaged."""
    sources = system.read_json(file).get("sources")
    return {s for s in sources if isinstance(s, str)} if isinstance(sources, list) else set()


def build_with_lean_headers(
    plan: BuildPlan, environment: Environment, *, jobs: int, targets: Sequence[PlannedTarget]
) -> tuple[BuildPlan, BuildResult]:
    """Build; sources that fail for want of a name are compiled again with torch's whole headers.

    :returns: the plan that was built, which the next ``with_headers`` in this folder makes, too, and its result.
    """
    built = plan
    while True:
        try:
            result = build_targets(built, environment, jobs=jobs, targets=targets)
        except BuildError as error:
            whole = with_whole_headers(built, error.output)
            if whole is None:
                raise
            log.say("-- the lean form of torch's headers may lack something: compiling again with the whole")
            built = whole
        else:
            if built is not plan:
                remember_whole_headers(plan, built)
            return built, result
