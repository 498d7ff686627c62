"""One run of ``build_ts_ops``: operator libraries are built, loaded for a check, and staged with their loader."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.build.pipeline import build_lock
from torchscript_build.build.stable import check_stable
from torchscript_build.build.whole_headers import build_with_lean_headers
from torchscript_build.errors import VerificationError
from torchscript_build.generate.loader import render_loaders, with_rebuild
from torchscript_build.operators.loading import broken_promises, load_libraries
from torchscript_build.operators.registrations import find_conflicts, operator_names, read_library_registrations
from torchscript_build.packaging.bundle.beside import say_beside
from torchscript_build.packaging.say import Product, products_of, say_advice, say_header, warn_of_another_torch
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.source_files import source_files
from torchscript_build.packaging.staged import OPS, stage
from torchscript_build.packaging.staging import install_into_prefix, ops_files


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
    plan = session.plan
    say_header(plan)
    warn_of_another_torch(plan, environment)
    say_advice(plan)
    wanted = [o for o in plan.ops if o.install or not session.packaged_only]
    with build_lock(plan):
        plan, result = build_with_lean_headers(
            session.plan, environment, jobs=session.jobs(session.plan), targets=wanted
        )
        if plan is not session.plan:
            vars(session).pop("plan")  # made anew, it is this one
        built = {o.name: result.built(o.name) for o in wanted}
        check_stable(plan, wanted, result)
        schemas = load_libraries(plan, built, environment)
        # Macros and conditions make a forecast of that text: where the libraries were loaded, that has settled it.
        for problem in conflicts if not set(built) <= set(schemas) else ():
            log.warn(problem)
        broken = broken_promises(promised, {n: r.namespaces for n, r in registrations.items()}, schemas)
        if broken:
            raise VerificationError("\n".join(broken))
        operators = {o.name: operator_names(registrations[o.name], schemas.get(o.name)) for o in spec.ops}
        loaders = render_loaders(spec, plan, operators, schemas, result.accelerated)
        for target, text in loaders.items():  # for factories that import the package before it is staged
            system.write_if_changed(plan.out_dir / target, text)
        staged: list[tuple[str, Path]] = []
        install_into_prefix(session.destination, plan, wanted, result.installed, OPS)
        if not (spec.apps or spec.cmake):
            say_beside(plan, session.destination, map(result.installed, wanted), environment)
        if session.destination.wheel:
            staged += stage(ops_files(plan, loaders, result.installed), session.destination.wheel, OPS)
        if session.destination.source:
            if spec.options.editable_rebuild:
                sources = source_files(dataclasses.replace(spec, apps=(), cmake=(), models=()), session.root)
                loaders = {target: with_rebuild(text, plan, sources) for target, text in loaders.items()}
            staged += stage(ops_files(plan, loaders, lambda o: result.built(o.name)), session.destination.source, OPS)
    return [target for target, _ in staged], products_of(session, wanted, built)
