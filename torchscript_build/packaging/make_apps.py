"""One run of ``build_ts_app``: models are made, apps and CMake projects built, compared with Python, and staged."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchscript_build import log
from torchscript_build.build.pipeline import build_lock, build_targets
from torchscript_build.models.compare import compare_apps, compared_models, wanted_references
from torchscript_build.models.export import prepare_models
from torchscript_build.models.external import external_files, place_beside
from torchscript_build.models.forecast import check_formats, check_packages, find_missing, read_archives
from torchscript_build.models.proof import prove_loads, warn_of_missing
from torchscript_build.models.references import prepare_references, wishes_of
from torchscript_build.models.running import run_app
from torchscript_build.operators.loading import read_schemas
from torchscript_build.operators.registrations import read_library_registrations
from torchscript_build.packaging.say import say_built, say_header, warn_of_another_torch
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.staged import APPS, LAUNCHERS, StagedFile, project_owner, stage
from torchscript_build.packaging.staging import app_files, install_into_prefix, launcher_files
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import TorchScriptApp


def build_apps(session: Session, *, run: bool = False, verify: bool = False) -> list[str]:
    """Build, check and stage the apps, and existing CMake projects; compare with Python or run where asked.

    :returns: the package-tree paths of what was staged.
    """
    staged: list[tuple[str, Path]] = []
    accelerated: frozenset[str] = frozenset()
    spec, environment = session.spec, session.environment
    plan = session.plan
    say_header(plan)
    warn_of_another_torch(plan, environment)
    apps = {a.name: a for a in (spec.packaged_apps if session.packaged_only else spec.apps)}
    models = {m for a in apps.values() for m in a.models} if session.packaged_only else {m.name for m in spec.models}
    compared = {a.name: compared_models(a, spec, run=run, verify=verify) for a in apps.values()}
    compared = {name: found for name, found in compared.items() if found}
    built: Mapping[str, Path] = {}
    with build_lock(plan):
        external = external_files([a for a in plan.apps if a.name in apps], environment)
        libraries = _by_model(apps, external)
        made = prepare_models(plan, environment, names=models, libraries=libraries)
        with log.step("check the models", quiet=True):
            bundled = sorted({m for a in apps.values() for m in a.models})
            archives = read_archives(plan, bundled)
            check_formats(archives, plan)
            check_packages(archives, plan)
            registrations = read_library_registrations(spec.ops, session.root)
            missing = find_missing(apps, plan, archives, registrations, read_schemas(plan))
            warn_of_missing(plan, missing)
        wanted = wanted_references(apps, compared, plan, external)
        references = prepare_references(plan, environment, wanted, made, archives)
        plan = plan.with_wishes(wishes_of(plan, made, archives))
        targets = [a for a in plan.apps if a.name in apps]
        if targets:
            result = build_targets(plan, environment, jobs=session.jobs(plan), targets=targets)
            built = {a.name: result.built(a.name) for a in targets}
            place_beside(plan, targets, built, external)
            pairs = {(name, model) for name, found in compared.items() for model in found}
            prove_loads(apps, plan, built, archives, missing, environment, compared=pairs)
            compare_apps(
                plan,
                environment,
                apps,
                built,
                compared,
                references,
                wanted,
                made,
                missing,
                again=run or verify,
                show=run,
            )
            install_into_prefix(session.destination, plan, targets, result.installed, APPS)
            if session.destination.wheel:
                staged += stage(app_files(spec, plan, result.installed), session.destination.wheel, APPS)
            if session.destination.source:
                in_sources = app_files(spec, plan, lambda a: result.built(a.name))
                staged += stage(in_sources, session.destination.source, APPS)
            say_built(built)
            accelerated |= result.accelerated
        projects, heavy = _build_projects(session, plan)
        staged += projects
        launchers = launcher_files(spec, plan, accelerated | heavy)
        for folder in filter(None, (session.destination.wheel, session.destination.source)):
            staged += stage(launchers, folder, LAUNCHERS)
    for name, app in apps.items() if run else ():
        if app.arguments or name not in compared:
            files = {model: Path(plan.model(model).file) for model in app.models}
            with log.step(f"run {name}"):
                run_app(app, built[name], files, libtorch=plan.libtorch, variables=environment.variables)
    return [target for target, _ in staged]


def _by_model(apps: Mapping[str, TorchScriptApp], external: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Model name → the operator libraries from elsewhere that its apps load."""
    found: dict[str, list[str]] = {}
    for app in apps.values():
        for model in app.models:
            files = found.setdefault(model, [])
            files += [file for file in external.get(app.name, ()) if file not in files]
    return found


def _build_projects(session: Session, plan: BuildPlan) -> tuple[list[tuple[str, Path]], frozenset[str]]:
    """What was staged of CMake projects, and which of their programs need a build of torch with CUDA."""
    staged: list[tuple[str, Path]] = []
    if not plan.cmake:
        return staged, frozenset()
    from torchscript_build.build.cmake_project import build_cmake_project
    from torchscript_build.build.verify import needs_accelerator

    accelerated: set[str] = set()

    for project in plan.cmake:
        if not project.install and session.packaged_only:
            continue
        destination = session.destination
        for place, inplace in ((destination.wheel or destination.prefix, False), (destination.source, True)):
            if place is None:
                continue
            installed = build_cmake_project(
                plan, project, session.environment, jobs=session.jobs(plan), inplace=inplace and project.install
            )
            if project.install:
                files = {posixpath.join(project.package_dir, name): path for name, path in installed.items()}
                members = [StagedFile(name, path) for name, path in files.items()]
                staged += stage(members, place, project_owner(project.name))
                accelerated |= {p for p in project.programs if p in installed and needs_accelerator(installed[p])}
    return staged, frozenset(accelerated)
