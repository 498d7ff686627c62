"""Specs and a machine → libtorch, the tools, and the plan."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Optional

from torchscript_build import log
from torchscript_build.build.compiler_cache import with_known_compiler
from torchscript_build.build.runner_cache import is_cache_on, with_cached_runner
from torchscript_build.build.whole_headers import with_headers
from torchscript_build.errors import SettingsError
from torchscript_build.libtorch import find_libtorch
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.releases import release_row
from torchscript_build.libtorch.series import asked_series, find_series, locate_installed_series, why_one_libtorch
from torchscript_build.plan.build_plan import BuildPlan, PlannedModel, PythonFacts, Toolchain
from torchscript_build.plan.decide import plan_build
from torchscript_build.plan.flags import find_unfit_flags
from torchscript_build.settings.options import unknown_variables
from torchscript_build.settings.specs import BuildOptions, ProjectSpec
from torchscript_build.system import Environment, Probes
from torchscript_build.toolchain.cuda.needs import find_cuda, without_cuda_sources
from torchscript_build.toolchain.cxx import find_cxx
from torchscript_build.toolchain.launchers import find_launcher
from torchscript_build.toolchain.programs import choose_generator, find_cmake, parse_version
from torchscript_build.toolchain.sanitizers import locate_runtimes

FLAG_VARIABLES = ("CFLAGS", "CPPFLAGS", "CUDAFLAGS", "CXXFLAGS", "LDFLAGS")
"""What CMake reads at a tree's first configure, and never again."""


def find_project_libtorches(spec: ProjectSpec, environment: Environment) -> tuple[LibTorch, ...]:
    """The libtorches that a project is built against: one, or one for each of its ``series``, oldest first.

    :raises TorchScriptBuildError: as ``find_project_libtorch``, and where a series was not fetched.
    """
    for sentence in unknown_variables(environment.variables):
        log.warn_once(sentence)
    entries = asked_series(spec.options, environment)
    if not entries:
        return (find_project_libtorch(spec, environment),)
    return tuple(find_series(entry, spec.options, environment) for entry in entries)


def find_project_libtorch(spec: ProjectSpec, environment: Environment) -> LibTorch:
    """The libtorch that a project's settings ask for, whatever its ``series``.

    :raises LibTorchNotFoundError: no place holds one that will do.
    :raises LibTorchUnusableError: the one that was named will not do.
    """
    options = spec.options
    return find_libtorch(
        options.libtorch,
        version=options.libtorch_version,
        cxx11_abi=options.cxx11_abi,
        cuda=options.cuda,
        environment=environment,
        named_by=spec.libtorch_named_by,
    )


def find_toolchain(
    options: BuildOptions, environment: Environment, libtorch: LibTorch, probes: Optional[Probes] = None
) -> Toolchain:
    """CMake, the generator and a compiler that is new enough for libtorch's headers.

    :raises ToolNotFoundError: one is missing or too old.
    """
    return Toolchain(
        cmake=find_cmake(environment, probes),
        generator=choose_generator(options.generator, environment, probes),
        cxx=find_cxx(environment, release_row(parse_version(libtorch.version)), probes),
    )


def _split_variable(name: str, environment: Environment) -> list[str]:
    try:
        return shlex.split(environment.get(name) or "")
    except ValueError as error:
        raise SettingsError([f"{name} cannot be split as a shell would ({error}): {environment.get(name)}"]) from error


def discover_plans(
    spec: ProjectSpec, environment: Environment, *, project: str, version: str, root: Path, build_base: Path
) -> tuple[BuildPlan, ...]:
    """Find everything that the spec needs, and decide everything, for each series of torch.

    The first plan is the one whose models are made, by Python's own torch if one is for that; the others take these.
    """
    one = why_one_libtorch(spec.options, environment)
    if spec.options.series and one:
        log.say(f"-- {one} names one libtorch: series ({', '.join(spec.options.series)}) is left aside")
    is_several = bool(asked_series(spec.options, environment))
    libtorches = list(find_project_libtorches(spec, environment))
    if is_several:
        installed = locate_installed_series(environment)
        libtorches.sort(key=lambda found: (found.series != installed, [-n for n in parse_version(found.series)]))
    plans: list[BuildPlan] = []
    for libtorch in libtorches:
        plan = discover_plan(
            spec,
            environment,
            project=project,
            version=version,
            root=root,
            build_base=build_base,
            libtorch=libtorch,
            is_one_of_several=is_several,
            models=plans[0].models if plans else None,
        )
        plans.append(plan)
    return tuple(plans)


def discover_plan(
    spec: ProjectSpec,
    environment: Environment,
    *,
    project: str,
    version: str,
    root: Path,
    build_base: Path,
    libtorch: Optional[LibTorch] = None,
    is_one_of_several: bool = False,
    models: Optional[tuple[PlannedModel, ...]] = None,
) -> BuildPlan:
    """Find everything that the spec needs, and decide everything, for one libtorch.

    :param libtorch: ``None``: the one that the settings ask for. The next two as for ``plan_build``.
    """
    libtorch = libtorch or find_project_libtorch(spec, environment)
    spec = without_cuda_sources(spec, libtorch)
    python = environment.python
    probes = Probes(environment.variables, build_base / "torchscript" / "programs.json")
    toolchain = find_toolchain(spec.options, environment, libtorch, probes)
    # CMAKE_ARGS as conda's compilers export it; what the project says comes after it and wins.
    cmake_args = (*_split_variable("CMAKE_ARGS", environment), *spec.options.cmake_args)
    launcher = find_launcher(
        spec.options.launcher,
        environment,
        root=root,
        compiler=toolchain.cxx.command,
        generator=toolchain.generator,
        cmake_args=cmake_args,
        probes=probes,
    )
    flags = {name: environment.variables[name] for name in FLAG_VARIABLES if environment.get(name)}
    unfit = find_unfit_flags(spec, flags, libtorch)
    if unfit:
        raise SettingsError(unfit)
    plan = plan_build(
        spec,
        project=project,
        version=version,
        root=root,
        build_base=build_base,
        libtorch=libtorch,
        is_one_of_several=is_one_of_several,
        models=models,
        toolchain=dataclasses.replace(toolchain, launcher=launcher),
        cuda=find_cuda(spec, environment, libtorch, toolchain.cxx, build_base),
        cmake_args=cmake_args,
        flags=flags,
        python=PythonFacts(
            site_packages=str(python.site_packages[0]) if python.site_packages else None,
            include=str(python.include) if python.include else None,
            ext_suffix=python.ext_suffix,
        ),
    )
    if spec.options.sanitize:
        runtimes = locate_runtimes(spec.options.sanitize, toolchain.cxx, environment)
        plan = dataclasses.replace(plan, runtimes=runtimes)
    plan = with_headers(plan, spec.ops, processors=environment.cpu_count)
    if not is_cache_on(spec.options.cache, environment):
        return plan
    return with_known_compiler(with_cached_runner(plan, environment), environment)
