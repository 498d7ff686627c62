"""One run of ``build_ts_app``: models are made, apps and CMake projects built, compared with Python, and staged."""

from __future__ import annotations

import filecmp
import posixpath
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import log
from torchscript_build.build.head_start import HeadStart
from torchscript_build.build.pipeline import BuildResult, build_locks, build_targets
from torchscript_build.errors import StartError, VerificationError
from torchscript_build.models.archive import ModelArchive
from torchscript_build.models.compare import Compared, check_inputs_fit, compare_apps, wanted_references
from torchscript_build.models.export import Made, prepare_models
from torchscript_build.models.external import place_beside
from torchscript_build.models.forecast import Missing, check_formats, check_packages, find_missing, read_archives
from torchscript_build.models.jobs import TorchProcess
from torchscript_build.models.proof import prove_loads, warn_of_missing
from torchscript_build.models.references import References, Wanted, prepare_references, wishes_of
from torchscript_build.models.running import run_app
from torchscript_build.operators.loading import read_schemas
from torchscript_build.operators.registrations import read_library_registrations
from torchscript_build.packaging.bundle.beside import say_beside
from torchscript_build.packaging.loaders import by_model, compared_of, external_of, loaders_of, models_of
from torchscript_build.packaging.say import (
    Product,
    product_of_project,
    products_of,
    say_header,
    say_series,
    warn_of_another_torch,
)
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.staged import APPS, LAUNCHERS, Place, StagedFile, foreign_files, project_owner, stage
from torchscript_build.packaging.staging import app_files, install_into_prefix, launcher_files
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp, PlannedTarget
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import TorchScriptApp


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
    with (
        build_locks(session.plans),
        HeadStart(plan, environment, session.jobs(plan, beside=True), targets) as head_start,
        TorchProcess(plan, environment, yields=head_start.is_at_work) as torch,
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
            for p in session.plans:
                check_formats(archives, p)
            check_packages(archives, plan)
            registrations = read_library_registrations(spec.ops, session.root)
            schemas = read_schemas(plan)
            missing = [find_missing(apps, p, archives, registrations, schemas) for p in session.plans]
            warn_of_missing(plan, missing[0])
        wanted = wanted_references(loaders, all_compared, plan, external)
        references = prepare_references(plan, environment, wanted, made, archives, torch)
        check_inputs_fit(plan, references)
        head_start.finish()
        checks = _Checks(external, archives, compared, references, wanted, made, run=run, verify=verify)
        wishes = wishes_of(plan, made, archives)
        built = [_make(session, p.with_wishes(wishes), apps, m, checks) for p, m in zip(session.plans, missing)]
        first = built[0]
        if first.cannot_start and all(one.cannot_start for one in built):
            raise first.cannot_start
        if targets:
            install_into_prefix(session.destination, first.plan, first.targets, first.installed, APPS)
            say_beside(plan, session.destination, map(first.installed, first.targets), environment)
            if session.destination.wheel:
                files = {f.target: f for one in built for f in app_files(spec, one.plan, one.installed)}
                staged += stage(files.values(), session.destination.wheel, APPS)
            if session.destination.source:
                files = {f.target: f for one in built for f in app_files(spec, one.plan, one.built)}
                staged += stage(files.values(), session.destination.source, APPS)
        projects, heavy = _build_projects(session, first.plan)
        staged += projects
        started = [(one.plan, one.accelerated | heavy) for one in built]
        launchers = launcher_files(spec, started, is_several=bool(session.series))
        for folder in filter(None, (session.destination.wheel, session.destination.source)):
            staged += stage(launchers, folder, LAUNCHERS)
        for each in built if session.series and targets else ():
            seconds = each.seconds + (head_start.seconds if each is first else 0.0)
            say_series(each.plan, "programs", map(each.built, each.targets), seconds)
    for each in built if run else ():
        _run(session, apps, each, checks)
    kept = [p for p in plan.cmake if p.install or not session.packaged_only]
    products = [
        p for one in built for p in products_of(session, one.targets, {t.name: one.built(t) for t in one.targets})
    ]
    products += [product_of_project(session, plan, p) for p in kept]
    return MadeApps([target for target, _ in staged], products, first.agreed)


@dataclass(frozen=True)
class _Checks:
    """What the programs of every plan are checked with; all of it was made for the first."""

    external: Mapping[str, list[str]]
    archives: Mapping[str, ModelArchive]
    compared: Mapping[str, Sequence[str]]
    references: Mapping[str, References]
    wanted: Mapping[str, Wanted]
    made: Mapping[str, Made]
    run: bool
    verify: bool


@dataclass(frozen=True)
class _MadeApps:
    """The programs of one plan, built and checked."""

    plan: BuildPlan
    targets: Sequence[PlannedApp] = ()
    result: Optional[BuildResult] = None
    """``None`` where there is nothing to build."""
    agreed: tuple[Compared, ...] = ()
    cannot_start: Optional[StartError] = None
    """Why they could not be compared."""
    seconds: float = 0.0

    def built(self, target: PlannedTarget) -> Path:
        assert self.result is not None
        return self.result.built(target.name)

    def installed(self, target: PlannedTarget) -> Path:
        assert self.result is not None
        return self.result.installed(target)

    @property
    def accelerated(self) -> frozenset[str]:
        return self.result.accelerated if self.result else frozenset()


def _make(
    session: Session,
    plan: BuildPlan,
    apps: Mapping[str, TorchScriptApp],
    missing: Sequence[Missing],
    checks: _Checks,
) -> _MadeApps:
    """Build the apps against the libtorch of one plan, let them load their models, and compare them with Python."""
    began = time.monotonic()
    environment = session.environment
    targets = [a for a in plan.apps if a.name in apps]
    if not targets:
        return _MadeApps(plan)
    if plan.libtorch is not session.plan.libtorch:
        say_header(plan)
    result = build_targets(plan, environment, jobs=session.jobs(plan), targets=targets)
    built = {a.name: result.built(a.name) for a in targets}
    place_beside(plan, targets, built, checks.external)
    pairs = {(name, model) for name, found in checks.compared.items() for model in found}
    prove_loads(apps, plan, built, checks.archives, missing, environment, compared=pairs)
    agreed: tuple[Compared, ...] = ()
    cannot_start = None
    try:
        agreed = compare_apps(
            plan,
            environment,
            apps,
            built,
            checks.compared,
            checks.references,
            checks.wanted,
            checks.made,
            missing,
            again=checks.run or checks.verify or session.destination.is_bundle,
            show=checks.run,
            references_of=session.plan,
        )
    except StartError as error:
        _tell_unstartable(session, plan, error)
        cannot_start = error
    return _MadeApps(plan, targets, result, agreed, cannot_start, time.monotonic() - began)


def _run(session: Session, apps: Mapping[str, TorchScriptApp], made: _MadeApps, checks: _Checks) -> None:
    """Run the apps that were not run already to compare them."""
    plan = made.plan
    for target in made.targets:
        app = apps[target.name]
        if app.arguments or app.name not in checks.compared:
            files = {model: Path(plan.model(model).file) for model in app.models}
            variables = session.environment.variables
            try:
                with log.step(f"run {app.name}"):
                    run_app(app, made.built(target), files, libtorch=plan.libtorch, variables=variables)
            except StartError as error:
                _tell_unstartable(session, plan, error)


def _tell_unstartable(session: Session, plan: BuildPlan, error: StartError) -> None:
    """Of several libtorches one may lack what its programs need to run here, which is told: CUDA's libraries, say.

    :raises StartError: there is only one.
    """
    if not session.series:
        raise error
    libtorch, words = plan.libtorch, error.problem.splitlines()[-1].strip()
    cure = f"; torchscript-build fetch {libtorch.version} --with-cuda-libraries" if libtorch.backend == "cuda" else ""
    log.warn(f"programs for torch {libtorch.series} were built, and cannot be run here: {words}{cure}")


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
