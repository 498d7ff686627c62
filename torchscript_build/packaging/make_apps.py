"""One run of ``build_ts_app``: models are made, apps and CMake projects built, compared with Python, and staged."""

from __future__ import annotations

import filecmp
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchscript_build import log
from torchscript_build.build.head_start import HeadStart
from torchscript_build.build.pipeline import build_lock, build_targets
from torchscript_build.errors import VerificationError
from torchscript_build.models.compare import check_inputs_fit, compare_apps, compared_models, wanted_references
from torchscript_build.models.export import prepare_models
from torchscript_build.models.external import external_files, place_beside
from torchscript_build.models.forecast import check_formats, check_packages, find_missing, read_archives
from torchscript_build.models.jobs import TorchProcess
from torchscript_build.models.proof import prove_loads, warn_of_missing
from torchscript_build.models.references import prepare_references, wishes_of
from torchscript_build.models.running import run_app
from torchscript_build.operators.loading import read_schemas
from torchscript_build.operators.registrations import read_library_registrations
from torchscript_build.packaging.say import Product, product_of_project, products_of, say_header, warn_of_another_torch
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.staged import APPS, LAUNCHERS, Place, StagedFile, foreign_files, project_owner, stage
from torchscript_build.packaging.staging import app_files, install_into_prefix, launcher_files
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import TorchScriptApp


def build_apps(session: Session, *, run: bool = False, verify: bool = False) -> tuple[list[str], list[Product]]:
    """Build, check and stage the apps, and existing CMake projects; compare with Python or run where asked.

    :returns: the package-tree paths of what was staged, and what is to be told.
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
    targets = [a for a in plan.apps if a.name in apps]
    built: Mapping[str, Path] = {}
    with (
        build_lock(plan),
        HeadStart(plan, environment, session.jobs(plan), targets) as head_start,
        TorchProcess(plan, environment) as torch,
    ):
        external = external_files(targets, environment)
        libraries = _by_model(apps, external)
        made = prepare_models(
            plan,
            environment,
            names=models,
            libraries=libraries,
            compared={model for found in compared.values() for model in found},
            torch=torch,
            meanwhile=head_start.begin,
        )
        with log.step("check the models", quiet=True):
            bundled = sorted({m for a in apps.values() for m in a.models})
            archives = read_archives(plan, bundled)
            check_formats(archives, plan)
            check_packages(archives, plan)
            registrations = read_library_registrations(spec.ops, session.root)
            missing = find_missing(apps, plan, archives, registrations, read_schemas(plan))
            warn_of_missing(plan, missing)
        wanted = wanted_references(apps, compared, plan, external)
        references = prepare_references(plan, environment, wanted, made, archives, torch)
        check_inputs_fit(plan, references)
        head_start.finish()
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
    kept = [p for p in plan.cmake if p.install or not session.packaged_only]
    products = [*products_of(session, targets, built), *(product_of_project(session, plan, p) for p in kept)]
    return [target for target, _ in staged], products


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
    ours: dict[str, tuple[str, Path]] = {t.path: (repr(t.name), Path()) for t in plan.targets if t.install}
    taken = {inplace: dict(ours) for inplace in (False, True)}
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
                _refuse_overwriting(project.name, files, members, taken[inplace], place)
                taken[inplace] |= {name: (repr(project.name), path) for name, path in files.items()}
                staged += stage(members, place, project_owner(project.name))
                accelerated |= {p for p in project.programs if p in installed and needs_accelerator(installed[p])}
    return staged, frozenset(accelerated)


def _refuse_overwriting(
    name: str,
    files: Mapping[str, Path],
    members: Sequence[StagedFile],
    taken: Mapping[str, tuple[str, Path]],
    place: Place,
) -> None:
    """:raises VerificationError: what a project installs is another's file, or a Python file of the project itself."""
    twice = [
        f"{file} is also one of {taken[file][0]}"
        for file, path in files.items()
        if file in taken and not (taken[file][1].is_file() and filecmp.cmp(path, taken[file][1], shallow=False))
    ]
    sources = [m for m in members if m.target.endswith((".py", ".pyi"))]
    twice += [
        f"{file} is also a file of the project's own" for file in (foreign_files(sources, place) if sources else ())
    ]
    if twice:
        raise VerificationError(
            f"{name}: what it installs would overwrite other files:\n" + "\n".join(f"  - {line}" for line in twice),
            cures=["give it another name or destination", "leave it out: include = […] names what is taken"],
        )
