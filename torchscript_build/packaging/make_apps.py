"""One run of ``build_ts_app``: models are made, apps and CMake projects built, compared with Python, and staged."""

from __future__ import annotations

import posixpath
from pathlib import Path

from torchscript_build import log
from torchscript_build.build.pipeline import build_lock, build_targets
from torchscript_build.models.check import check_models
from torchscript_build.models.compare import compare_apps, is_compared, run_app
from torchscript_build.models.export import prepare_models
from torchscript_build.operators.loading import read_schemas
from torchscript_build.operators.registrations import read_library_registrations
from torchscript_build.packaging.say import say_built, say_header, warn_of_another_torch
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.staging import StagedFile, app_files, install_into_prefix, launcher_files, stage
from torchscript_build.plan.build_plan import BuildPlan


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
    compared = {a.name: (a.models[0], a.method) for a in apps.values() if is_compared(a, spec, run=run, verify=verify)}
    with build_lock(plan):
        references = prepare_models(plan, environment, names=models, references=set(compared.values()))
        with log.step("check the models", quiet=True):
            check_models(apps, plan, read_library_registrations(spec.ops, session.root), read_schemas(plan))
        targets = [a for a in plan.apps if a.name in apps]
        if targets:
            result = build_targets(plan, environment, jobs=session.jobs(plan), targets=targets)
            built = {a.name: result.built(a.name) for a in targets}
            pairs = {n: (apps[n], references[key]) for n, key in compared.items()}
            compare_apps(plan, built, pairs, environment, again=run or verify)
            install_into_prefix(session.destination.prefix, plan, targets, result.installed)
            if session.destination.wheel:
                staged += stage(app_files(spec, plan, result.installed), session.destination.wheel)
            if session.destination.source:
                staged += stage(app_files(spec, plan, lambda a: result.built(a.name)), session.destination.source)
            say_built(built)
            accelerated |= result.accelerated
        projects, heavy = _build_projects(session, plan)
        staged += projects
        launchers = launcher_files(spec, plan, accelerated | heavy)
        for folder in filter(None, (session.destination.wheel, session.destination.source)):
            staged += stage(launchers, folder)
    for name, app in apps.items() if run else ():
        if app.arguments or name not in compared:
            files = {model: Path(plan.model(model).file) for model in app.models}
            with log.step(f"run {name}"):
                run_app(app, built[name], files, variables=environment.variables)
    return [target for target, _ in staged]


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
        prefix = session.destination.prefix
        into_prefix = prefix.joinpath if prefix else None
        for folder, inplace in ((session.destination.wheel or into_prefix, False), (session.destination.source, True)):
            if folder is None:
                continue
            installed = build_cmake_project(
                plan, project, session.environment, jobs=session.jobs(plan), inplace=inplace and project.install
            )
            if project.install:
                files = {posixpath.join(project.package_dir, name): path for name, path in installed.items()}
                staged += stage([StagedFile(name, path) for name, path in files.items()], folder)
                accelerated |= {p for p in project.programs if p in installed and needs_accelerator(installed[p])}
    return staged, frozenset(accelerated)
