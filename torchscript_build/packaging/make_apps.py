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
from torchscript_build.models.compare import Compared, check_inputs_fit, compare_apps, wanted_references
from torchscript_build.models.export import prepare_models
from torchscript_build.models.external import place_beside
from torchscript_build.models.forecast import check_formats, check_packages, find_missing, read_archives
from torchscript_build.models.jobs import TorchProcess
from torchscript_build.models.proof import prove_loads, warn_of_missing
from torchscript_build.models.references import prepare_references, wishes_of
from torchscript_build.models.running import run_app
from torchscript_build.operators.loading import read_schemas
from torchscript_build.operators.registrations import read_library_registrations
from torchscript_build.packaging.bundle.beside import say_beside
from torchscript_build.packaging.loaders import by_model, compared_of, external_of, loaders_of, models_of
from torchscript_build.packaging.say import Product, product_of_project, products_of, say_header, warn_of_another_torch
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.staged import APPS, LAUNCHERS, Place, StagedFile, foreign_files, project_owner, stage
from torchscript_build.packaging.staging import app_files, install_into_prefix, launcher_files
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.records import dataclass


@dataclass(frozen=True)
class MadeApps:
    """What one run made."""

    staged: list[str]
    """The package-tree paths of what was staged."""
    products: list[Product]
    """What is to be told."""
    compared: tuple[Compared, ...]
    """The calls that were compared with Python in this run."""


def build_loaders(session: Session, *, run: bool = False, verify: bool = False) -> MadeApps:
    """Build everything that loads models: the apps, and CMake projects, then the C libraries."""
    spec = session.spec
    made = MadeApps([], [], ())
    if spec.apps or spec.cmake:
        made = build_apps(session, run=run, verify=verify)
    if spec.libraries:
        from torchscript_build.packaging.make_libraries import build_libraries  # most projects have none

        staged, products = build_libraries(session, run=run, verify=verify)
        made = MadeApps([*made.staged, *staged], [*made.products, *products], made.compared)
    return made


def build_apps(session: Session, *, run: bool = False, verify: bool = False) -> MadeApps:
    """Build, check and stage the apps, and existing CMake projects; compare with Python or run where asked.

    What is bundled is compared again, since the bundle tells the result.
    """
    staged: list[tuple[str, Path]] = []
    accelerated: frozenset[str] = frozenset()
    spec, environment = session.spec, session.environment
    plan = session.plan
    say_header(plan)
    warn_of_another_torch(plan, environment)
    apps = {a.name: a for a in (spec.packaged_apps if session.packaged_only else spec.apps)}
    loaders = loaders_of(session)
    models = models_of(loaders) if session.packaged_only else {m.name for m in spec.models}
    all_compared = compared_of(loaders, session, run=run, verify=verify)
    compared = {name: found for name, found in all_compared.items() if name in apps}
    targets = [a for a in plan.apps if a.name in apps]
    built: Mapping[str, Path] = {}
    agreed: tuple[Compared, ...] = ()
    with (
        build_lock(plan),
        HeadStart(plan, environment, session.jobs(plan, beside=True), targets) as head_start,
        TorchProcess(plan, environment) as torch,
    ):
        external = external_of(loaders, session)
        made = prepare_models(
            plan,
            environment,
            names=models,
            libraries=by_model(loaders, external),
            compared={model for found in all_compared.values() for model in found},
            torch=torch,
            meanwhile=head_start.begin,
        )
        with log.step("check the models", quiet=True):
            archives = read_archives(plan, sorted(models_of(loaders)))
            check_formats(archives, plan)
            check_packages(archives, plan)
            registrations = read_library_registrations(spec.ops, session.root)
            missing = find_missing(apps, plan, archives, registrations, read_schemas(plan))
            warn_of_missing(plan, missing)
        wanted = wanted_references(loaders, all_compared, plan, external)
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
            agreed = compare_apps(
                plan,
                environment,
                apps,
                built,
                compared,
                references,
                wanted,
                made,
                missing,
                again=run or verify or session.destination.is_bundle,
                show=run,
            )
            install_into_prefix(session.destination, plan, targets, result.installed, APPS)
            say_beside(plan, session.destination, map(result.installed, targets), environment)
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
    return MadeApps([target for target, _ in staged], products, agreed)


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
                say_beside(plan, destination, installed.values(), session.environment)
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
