"""One run of ``build_ts_ops`` or ``build_ts_app``: discover, make models, build, check, compare with Python, stage."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.build.discover import discover_plan
from torchscript_build.build.pipeline import BuildResult, build_lock, build_targets
from torchscript_build.build.whole_headers import remember_whole_headers
from torchscript_build.errors import BuildError, SettingsError
from torchscript_build.generate.loader import MODULE, loader_packages, render_loaders
from torchscript_build.models.check import check_models
from torchscript_build.models.compare import compare_app, run_app, runs_against_python
from torchscript_build.models.export import Reference, prepare_models
from torchscript_build.operators.loading import load_libraries, read_schemas
from torchscript_build.operators.registrations import Registrations, find_conflicts, read_registrations
from torchscript_build.packaging.staging import Destination, StagedFile, app_files, ops_files, prefix_files, stage
from torchscript_build.plan.build_plan import BuildPlan, PlannedTarget
from torchscript_build.plan.headers import UMBRELLAS, with_whole_headers
from torchscript_build.plan.prefix import in_prefix
from torchscript_build.settings.specs import ProjectSpec, TorchScriptApp
from torchscript_build.system import Environment
from torchscript_build.toolchain.jobs import asked_jobs, plan_jobs, read_available_memory
from torchscript_build.toolchain.launchers import count_remote_jobs


@dataclass(frozen=True)
class Session:
    """A project on a machine, and where its results go."""

    spec: ProjectSpec
    environment: Environment
    project: str
    version: str
    root: Path
    build_base: Path
    destination: Destination
    packaged_only: bool = False
    """Leave out what has ``install = false``."""

    @cached_property
    def plan(self) -> BuildPlan:
        """Find everything, and decide everything; once."""
        with log.step("find libtorch and the tools", quiet=True):
            plan = discover_plan(
                self.spec,
                self.environment,
                project=self.project,
                version=self.version,
                root=self.root,
                build_base=self.build_base,
            )
        return in_prefix(plan, self.destination.prefix) if self.destination.prefix else plan

    def jobs(self, plan: BuildPlan) -> int:
        """How many compilers run at once."""
        asked = asked_jobs(self.spec.options.jobs, self.environment)
        remote = None if asked else count_remote_jobs(plan.toolchain.launcher, self.environment)
        return plan_jobs(asked, self.environment, available_bytes=read_available_memory(), remote=remote)


def print_plan(session: Session) -> None:
    """Print the plan as JSON; build nothing."""
    log.say(json.dumps(session.plan.to_json(), indent=2, ensure_ascii=False))


def build_ops(session: Session) -> None:
    """Build, check and stage the operator libraries. Nothing is staged before everything is built and checked."""
    spec, environment = session.spec, session.environment
    registrations = read_all_registrations(spec, session.root)
    problems = find_conflicts(registrations, {o.name: o.namespaces for o in spec.ops})
    if problems:
        raise SettingsError(problems)
    plan = session.plan
    say_header(plan)
    say_advice(plan)
    wanted = [o for o in plan.ops if o.install or not session.packaged_only]
    with build_lock(plan):
        plan, result = _build_with_headers(session, wanted)
        built = {o.name: result.built(o.name) for o in wanted}
        schemas = load_libraries(plan, built, environment)
        loaders = render_loaders(spec, plan, registrations, schemas)
        for target, text in loaders.items():  # for factories that import the package before it is staged
            system.write_if_changed(plan.out_dir / target, text)
        install_into_prefix(session, plan, wanted, result.installed)
        if session.destination.wheel:
            stage(ops_files(plan, loaders, result.installed), session.destination.wheel)
        if session.destination.source:
            stage(ops_files(plan, loaders, lambda o: result.built(o.name)), session.destination.source)
    say_built(built)


def _build_with_headers(session: Session, targets: Sequence[PlannedTarget]) -> tuple[BuildPlan, BuildResult]:
    """Build; sources that fail for want of a name are compiled again with torch's whole headers."""
    plan, jobs = session.plan, session.jobs(session.plan)
    while True:
        try:
            result = build_targets(plan, session.environment, jobs=jobs, targets=targets)
        except BuildError as error:
            whole = with_whole_headers(plan, error.output)
            if whole is None:
                raise
            log.say("-- the lean form of torch's headers may lack something: compiling again with the whole")
            plan = whole
        else:
            if plan is not session.plan:
                remember_whole_headers(session.plan, plan)
                vars(session).pop("plan")  # made anew, it is this one
            return plan, result


def build_apps(session: Session, *, run: bool = False, verify: bool = False) -> None:
    """Build, check and stage the apps, and existing CMake projects; compare with Python or run where asked."""
    spec, environment = session.spec, session.environment
    plan = session.plan
    say_header(plan)
    apps = {a.name: a for a in (spec.packaged_apps if session.packaged_only else spec.apps)}
    models = {m for a in apps.values() for m in a.models} if session.packaged_only else {m.name for m in spec.models}
    compared = {a.name: (a.models[0], a.method) for a in apps.values() if _is_compared(a, spec, run=run, verify=verify)}
    with build_lock(plan):
        references = prepare_models(plan, environment, names=models, references=set(compared.values()))
        with log.step("check the models", quiet=True):
            check_models(apps, plan, read_all_registrations(spec, session.root), read_schemas(plan))
        targets = [a for a in plan.apps if a.name in apps]
        if targets:
            result = build_targets(plan, environment, jobs=session.jobs(plan), targets=targets)
            built = {a.name: result.built(a.name) for a in targets}
            pairs = {n: (apps[n], references[key]) for n, key in compared.items()}
            _compare(plan, built, pairs, environment, again=run or verify)
            install_into_prefix(session, plan, targets, result.installed)
            if session.destination.wheel:
                stage(app_files(spec, plan, result.installed), session.destination.wheel)
            if session.destination.source:
                stage(app_files(spec, plan, lambda a: result.built(a.name)), session.destination.source)
            say_built(built)
        _build_projects(session, plan)
    for name, app in apps.items() if run else ():
        if app.arguments or name not in compared:
            files = {model: Path(plan.model(model).file) for model in app.models}
            with log.step(f"run {name}"):
                run_app(app, built[name], files, variables=environment.variables)


def _compare(
    plan: BuildPlan,
    built: Mapping[str, Path],
    compared: Mapping[str, tuple[TorchScriptApp, Reference]],
    environment: Environment,
    *,
    again: bool,
) -> None:
    """Compare apps with Python; one that agreed and has not changed since is run only when that was asked for."""
    agreed_file = Path(plan.build_dir, "compared.json")
    agreed = system.read_json(agreed_file)
    for name, (app, reference) in compared.items():
        model = Path(plan.model(app.models[0]).file)
        files = (built[name], model, reference.arguments, reference.expected)
        stamps = [*(system.stamp(file) for file in files), app.rtol, app.atol]
        if again or agreed.get(name) != stamps:
            with log.step(f"compare {name} with Python"):
                compare_app(app, built[name], model, reference, variables=environment.variables)
            agreed = {**agreed, name: stamps}
            system.write_json(agreed_file, agreed)


def _build_projects(session: Session, plan: BuildPlan) -> None:
    if not plan.cmake:
        return
    from torchscript_build.build.cmake_project import build_cmake_project

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
                stage([StagedFile(name, path) for name, path in files.items()], folder)


def install_into_prefix(
    session: Session, plan: BuildPlan, targets: Sequence[PlannedTarget], binary: Callable[[PlannedTarget], Path]
) -> None:
    """With ``--prefix``: put programs, models and operator libraries there, and say where."""
    prefix = session.destination.prefix
    if prefix is not None:
        for _, path in stage(prefix_files(plan, targets, binary), prefix.joinpath):
            log.say(f"-- installed {path}")


def _is_compared(app: TorchScriptApp, spec: ProjectSpec, *, run: bool, verify: bool) -> bool:
    """Is this app run on reference inputs? ``--run`` does so, too, unless the project has arguments of its own."""
    if not app.models or not runs_against_python(app):
        return False
    first = next(m for m in spec.models if m.name == app.models[0])
    return bool(first.example_inputs) and (verify or app.verify or (run and not app.arguments))


def read_all_registrations(spec: ProjectSpec, root: Path) -> Mapping[str, Registrations]:
    """What the sources of each operator library register."""
    return {o.name: read_registrations(root / source for source in o.sources) for o in spec.ops}


def say_unloaded(spec: ProjectSpec, package_folders: Mapping[str, Path]) -> None:
    """Warn of packages whose ``__init__.py`` does not import the loader of their operator libraries."""
    for package in loader_packages(spec):
        file = package_folders[package] / "__init__.py"
        if not file.is_file() or MODULE not in file.read_text(encoding="utf-8", errors="replace"):
            line = f"from . import {MODULE}  # noqa: F401"
            log.warn(f"{package}/__init__.py does not load its operator libraries: add the line `{line}`")


def say_header(plan: BuildPlan) -> None:
    """The facts that a reader of the log needs first."""
    libtorch, tools = plan.libtorch, plan.toolchain
    abi = "" if libtorch.cxx11_abi is None else f", {'new' if libtorch.cxx11_abi else 'old'} C++ ABI"
    cuda = f" {libtorch.cuda_version}" if libtorch.cuda_version else ""
    where = f"{libtorch.root}, by {libtorch.found_by}"
    log.say(f"-- libtorch {libtorch.full_version} ({libtorch.backend}{cuda}{abi}) in {where}")
    compiler = " ".join([*tools.cxx.command[:1], tools.cxx.id, tools.cxx.version])
    generator = tools.generator.name or "CMake's default generator"
    launcher = tools.launcher
    through = f" through {launcher.kind or launcher.path} ({launcher.found_by})" if launcher else ""
    log.say(f"-- CMake {tools.cmake.version}, {generator}, {compiler}{through}, {plan.build_type}")
    log.say(f"-- build folder {plan.build_dir}")


def say_advice(plan: BuildPlan) -> None:
    """What happens to sources with a header that costs much, or one line of advice for each."""
    for ops in plan.ops:
        headers = ops.headers
        if headers.lean:
            lean, python = len(headers.lean), len(headers.python)
            log.say(f"-- {ops.name}: lean torch headers for {lean} sources, {python} of them with Python")
        if headers.precompiled:
            log.say(f"-- {ops.name}: {headers.precompiled} is compiled once for all sources that begin with it")
        for source, header in headers.heavy:
            if source not in headers.lean:
                log.say(f"-- advice: {Path(source).name} includes {header}: {UMBRELLAS[header]}")


def say_built(built: Mapping[str, Path]) -> None:
    """Where the results are."""
    for name, path in built.items():
        log.say(f"-- built {name}: {path}")
