"""One run of ``build_ts_app``: discover, make models, build, compare with Python, stage, run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from torchscript_build import log
from torchscript_build.build import build_lock, build_targets
from torchscript_build.discover import discover_plan
from torchscript_build.export import prepare_models
from torchscript_build.packaging.staging import stage, staged_files
from torchscript_build.parity import compare_app, run_app, runs_against_python
from torchscript_build.plan import BuildPlan
from torchscript_build.specs import ProjectSpec, TorchScriptApp
from torchscript_build.system import Environment
from torchscript_build.toolchain.jobs import plan_jobs, read_available_memory

PackageFolder = Callable[[str], Path]
"""A path in the package tree → the file to write."""


def print_plan(
    spec: ProjectSpec, environment: Environment, *, project: str, version: str, root: Path, build_base: Path
) -> None:
    """Print the plan as JSON; build nothing."""
    plan = discover_plan(spec, environment, project=project, version=version, root=root, build_base=build_base)
    log.say(json.dumps(plan.to_json(), indent=2, ensure_ascii=False))


def build_apps(
    spec: ProjectSpec,
    environment: Environment,
    *,
    project: str,
    version: str,
    root: Path,
    build_base: Path,
    packaged_only: bool = False,
    run: bool = False,
    verify: bool = False,
    wheel_folder: Optional[PackageFolder] = None,
    source_folder: Optional[PackageFolder] = None,
) -> BuildPlan:
    """Build the project's apps; nothing is staged before everything is built and checked.

    :param packaged_only: leave out apps with ``install = false``.
    :param wheel_folder: where files for a wheel go, with relative RUNPATHs.
    :param source_folder: where files for the source tree go; these find libtorch where it is on this machine.
    """
    plan = discover_plan(spec, environment, project=project, version=version, root=root, build_base=build_base)
    apps = spec.packaged_apps if packaged_only else spec.apps
    say_header(plan)
    wanted = {model for app in apps for model in app.models} if packaged_only else {m.name for m in spec.models}
    compared = {
        app.name: (app.models[0], app.method) for app in apps if _is_compared(app, spec, run=run, verify=verify)
    }
    with build_lock(plan):
        references = prepare_models(plan, environment, names=wanted, references=set(compared.values()))
        jobs = plan_jobs(spec.options.jobs, environment, available_bytes=read_available_memory())
        result = build_targets(plan, environment, jobs=jobs, targets=[app.name for app in apps])
        for app in apps:
            if app.name in compared:
                model = Path(plan.model(app.models[0]).file)
                reference = references[compared[app.name]]
                with log.step(f"compare {app.name} with Python"):
                    compare_app(app, result.artifact(app.name), model, reference, variables=environment.variables)
        if wheel_folder is not None:
            stage(staged_files(spec, plan, lambda _, target: result.installed / target), wheel_folder)
        if source_folder is not None:
            stage(staged_files(spec, plan, lambda name, _: result.artifact(name)), source_folder)
    for app in apps:
        log.say(f"-- built {app.name}: {result.artifact(app.name)}")
    for app in apps if run else ():
        if app.name not in compared:
            models = {name: Path(plan.model(name).file) for name in app.models}
            with log.step(f"run {app.name}"):
                run_app(app, result.artifact(app.name), models, variables=environment.variables)
    return plan


def say_header(plan: BuildPlan) -> None:
    """The facts that a reader of the log needs first."""
    libtorch, tools = plan.libtorch, plan.toolchain
    abi = "" if libtorch.cxx11_abi is None else f", {'new' if libtorch.cxx11_abi else 'old'} C++ ABI"
    cuda = f" {libtorch.cuda_version}" if libtorch.cuda_version else ""
    where = f"{libtorch.root}, by {libtorch.found_by}"
    log.say(f"-- libtorch {libtorch.full_version} ({libtorch.backend}{cuda}{abi}) in {where}")
    compiler = " ".join([*tools.cxx.command[:1], tools.cxx.id, tools.cxx.version])
    log.say(
        f"-- CMake {tools.cmake.version}, {tools.generator.name or 'default generator'}, {compiler}, {plan.build_type}"
    )
    log.say(f"-- build folder {plan.build_dir}")


def _is_compared(app: TorchScriptApp, spec: ProjectSpec, *, run: bool, verify: bool) -> bool:
    """Is this app run on reference inputs? ``--run`` does so, too, unless the project has arguments of its own."""
    if not app.models or not runs_against_python(app):
        return False
    first = next(m for m in spec.models if m.name == app.models[0])
    return bool(first.example_inputs) and (verify or app.verify or (run and not app.arguments))
