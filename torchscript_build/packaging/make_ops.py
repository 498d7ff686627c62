"""One run of ``build_ts_ops``: operator libraries are built, loaded for a check, and staged with their loader."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.build.pipeline import BuildResult, build_locks
from torchscript_build.build.stable import check_stable
from torchscript_build.build.whole_headers import build_with_lean_headers
from torchscript_build.errors import VerificationError
from torchscript_build.generate.loader import LoadedOps, render_loaders, with_rebuild
from torchscript_build.operators.loading import Schemas, broken_promises, load_libraries
from torchscript_build.operators.registrations import find_conflicts, operator_names, read_library_registrations
from torchscript_build.packaging.bundle.beside import say_beside
from torchscript_build.packaging.say import (
    Product,
    products_of,
    say_advice,
    say_header,
    say_series,
    warn_of_another_torch,
)
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.source_files import source_files
from torchscript_build.packaging.staged import OPS, stage
from torchscript_build.packaging.staging import install_into_prefix, loader_files, ops_files
from torchscript_build.plan.build_plan import BuildPlan, PlannedOps, PlannedTarget
from torchscript_build.records import dataclass


@dataclass(frozen=True)
class _MadeOps:
    """The operator libraries of one plan, built and checked."""

    plan: BuildPlan
    wanted: Sequence[PlannedOps]
    result: BuildResult
    schemas: Schemas
    seconds: float

    def built_file(self, target: PlannedTarget) -> Path:
        return self.result.built(target.name)

    @property
    def built(self) -> dict[str, Path]:
        return {o.name: self.result.built(o.name) for o in self.wanted}


def build_ops(session: Session) -> tuple[list[str], list[Product]]:
    """Build, check and stage the operator libraries. Nothing is staged before everything is built and checked.

    :returns: the package-tree paths of what was staged, and what is to be told.
    """
    spec, environment = session.spec, session.environment
    registrations = read_library_registrations(spec.ops, session.root)
    promised = {o.name: o.namespaces for o in spec.ops}
    conflicts = find_conflicts(registrations, promised)
    for problem in conflicts:
        log.say(f"-- by the text of the sources: {problem}")
    say_header(session.plan)
    warn_of_another_torch(session.plan, environment)
    say_advice(session.plan)
    with build_locks(session.plans):
        made = [_make(session, plan) for plan in session.plans]
        if any(one.plan is not plan for one, plan in zip(made, session.plans)):
            vars(session).pop("plans")  # made anew, they are these
        first = made[0]
        # Macros and conditions make a forecast of that text: where the libraries were loaded, that has settled it.
        for problem in conflicts if not set(first.built) <= set(first.schemas) else ():
            log.warn(problem)
        broken = broken_promises(promised, {n: r.namespaces for n, r in registrations.items()}, first.schemas)
        if broken:
            raise VerificationError("\n".join(broken))
        # What a torch of another series would register, nobody has asked; help() shows what this one said.
        operators = {o.name: operator_names(registrations[o.name], first.schemas.get(o.name)) for o in spec.ops}
        loaders = render_loaders(
            spec, [LoadedOps(one.plan, operators, first.schemas, one.result.accelerated) for one in made]
        )
        for target, text in loaders.items():  # for factories that import the package before it is staged
            system.write_if_changed(first.plan.out_dir / target, text)
        staged: list[tuple[str, Path]] = []
        install_into_prefix(session.destination, first.plan, first.wanted, first.result.installed, OPS)
        if not (spec.apps or spec.cmake):
            say_beside(first.plan, session.destination, map(first.result.installed, first.wanted), environment)
        if session.destination.wheel:
            files = [f for one in made for f in ops_files(one.plan, one.result.installed)]
            staged += stage([*files, *loader_files(loaders)], session.destination.wheel, OPS)
        if session.destination.source:
            if spec.options.editable_rebuild:
                sources = source_files(dataclasses.replace(spec, apps=(), cmake=(), models=()), session.root)
                several = bool(session.series)
                loaders = {t: with_rebuild(text, first.plan, sources, several) for t, text in loaders.items()}
            files = [f for one in made for f in ops_files(one.plan, one.built_file)]
            staged += stage([*files, *loader_files(loaders)], session.destination.source, OPS)
        for one in made if session.series else ():
            say_series(one.plan, "operator libraries", one.built.values(), one.seconds)
    products = [product for one in made for product in products_of(session, one.wanted, one.built)]
    return [target for target, _ in staged], products


def _make(session: Session, plan: BuildPlan) -> _MadeOps:
    """Build the libraries against the libtorch of one plan, and load them where Python's torch is for that."""
    began = time.monotonic()
    if plan is not session.plan:
        say_header(plan)
    wanted = [o for o in plan.ops if o.install or not session.packaged_only]
    jobs = session.jobs(plan)
    built, result = build_with_lean_headers(plan, session.environment, jobs=jobs, targets=wanted)
    check_stable(built, wanted, result)
    schemas: Schemas = {}
    if plan is session.plan:
        schemas = load_libraries(built, {o.name: result.built(o.name) for o in wanted}, session.environment)
    return _MadeOps(built, wanted, result, schemas, time.monotonic() - began)
