"""The C libraries of one run of ``build_ts_app``: models made, libraries built, compared with Python, and staged."""

from __future__ import annotations

from pathlib import Path

from torchscript_build import log
from torchscript_build.build.pipeline import build_lock, build_targets
from torchscript_build.models.compare import check_inputs_fit, wanted_references
from torchscript_build.models.export import prepare_models
from torchscript_build.models.external import place_beside
from torchscript_build.models.forecast import check_formats, find_missing, read_archives
from torchscript_build.models.jobs import TorchProcess
from torchscript_build.models.libraries import compare_libraries, prove_opens
from torchscript_build.models.proof import warn_of_missing
from torchscript_build.models.references import prepare_references, wishes_of
from torchscript_build.operators.loading import read_schemas
from torchscript_build.operators.registrations import read_library_registrations
from torchscript_build.packaging.loaders import by_model, compared_of, external_of, loaders_of, models_of
from torchscript_build.packaging.say import Product, products_of, say_header, warn_of_another_torch
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.staged import LIBRARIES, stage
from torchscript_build.packaging.staging import install_into_prefix, library_files


def build_libraries(session: Session, *, run: bool = False, verify: bool = False) -> tuple[list[str], list[Product]]:
    """Build, check and stage the C libraries; compare them with Python where asked.

    :returns: the package-tree paths of what was staged, and what is to be told.
    """
    spec, environment, plan = session.spec, session.environment, session.plan
    libraries = {c.name: c for c in (spec.packaged_libraries if session.packaged_only else spec.libraries)}
    if not libraries:
        return [], []
    if not (spec.apps or spec.cmake):
        say_header(plan)
        warn_of_another_torch(plan, environment)
    loaders = loaders_of(session)
    all_compared = compared_of(loaders, session, run=run, verify=verify)
    compared = {name: found for name, found in all_compared.items() if name in libraries}
    staged: list[tuple[str, Path]] = []
    with build_lock(plan), TorchProcess(plan, environment) as torch:
        external = external_of(loaders, session)
        names = models_of(loaders)
        made = prepare_models(
            plan,
            environment,
            names=names,
            libraries=by_model(loaders, external),
            compared={model for found in all_compared.values() for model in found},
            torch=torch,
        )
        with log.step("check the models", quiet=True):
            archives = read_archives(plan, sorted(names))
            check_formats(archives, plan)
            registrations = read_library_registrations(spec.ops, session.root)
            own = {name: one for name, one in loaders.items() if name in libraries}
            missing = find_missing(own, plan, archives, registrations, read_schemas(plan))
            warn_of_missing(plan, missing)
        wanted = wanted_references(loaders, all_compared, plan, external)
        references = prepare_references(plan, environment, wanted, made, archives, torch)
        check_inputs_fit(plan, references)
        plan = plan.with_wishes(wishes_of(plan, made, archives))
        targets = [c for c in plan.libraries if c.name in libraries]
        result = build_targets(plan, environment, jobs=session.jobs(plan), targets=targets)
        built = {c.name: result.built(c.name) for c in targets}
        place_beside(plan, targets, built, external)
        prove_opens(plan, environment, libraries, built, missing)
        compare_libraries(plan, environment, libraries, built, compared, references, made, again=run or verify)
        install_into_prefix(session.destination, plan, targets, result.installed, LIBRARIES)
        if session.destination.wheel:
            staged += stage(library_files(plan, result.installed), session.destination.wheel, LIBRARIES)
        if session.destination.source:
            in_sources = library_files(plan, lambda c: result.built(c.name))
            staged += stage(in_sources, session.destination.source, LIBRARIES)
    return [target for target, _ in staged], products_of(session, targets, built)
