"""Specs and facts → ``BuildPlan``: everything decided, nothing touched."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Optional, Union

from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import (
    BuildPlan,
    BundledModel,
    ExternalLibrary,
    PlannedApp,
    PlannedLibrary,
    PlannedModel,
    PlannedOps,
    PlannedProject,
    PlannedTarget,
    PythonFacts,
    Toolchain,
)
from torchscript_build.plan.parts import series_folder
from torchscript_build.plan.paths import check_paths
from torchscript_build.records import dataclass
from torchscript_build.settings.cuda_sources import needs_cuda
from torchscript_build.settings.rules import is_library_file, is_package_file
from torchscript_build.settings.specs import (
    CLibrary,
    CMakeProject,
    InputSets,
    OpLibrary,
    ProjectSpec,
    ScriptModel,
    TorchScriptApp,
)
from torchscript_build.toolchain.cuda.facts import CudaFacts
from torchscript_build.toolchain.programs import parse_version

STABLE_SINCE = "2.10"
"""The first torch whose headers can aim at an older release (``TORCH_TARGET_VERSION``)."""


def plan_build(
    spec: ProjectSpec,
    *,
    project: str,
    version: str,
    root: Path,
    build_base: Path,
    libtorch: LibTorch,
    toolchain: Toolchain,
    cmake_args: Sequence[str],
    flags: Mapping[str, str],
    python: PythonFacts,
    cuda: Optional[CudaFacts] = None,
    is_one_of_several: bool = False,
    models: Optional[tuple[PlannedModel, ...]] = None,
) -> BuildPlan:
    """Decide everything.

    :param root: the project's folder, absolute.
    :param build_base: setuptools' ``build`` folder, absolute; each libtorch variant and build type gets a folder in it.
    :param is_one_of_several: will the wheel hold the same for other series of torch, too?
    :param models: those of the plan that makes them; ``None``: this one does.
    :param cmake_args: the user's arguments for CMake, in order.
    :raises SettingsError: a path cannot be said in CMake.
    """
    options = spec.options
    build_dir = build_base / "torchscript" / "-".join([libtorch.variant, options.build_type.lower(), *options.sanitize])
    models = tuple(_plan_model(m, root, build_dir) for m in spec.models) if models is None else models
    part = series_folder(libtorch.series) if is_one_of_several else ""
    rpaths = _RPaths(libtorch, python.site_packages, cuda.runtime_dirs if cuda else ())
    ops = tuple(_plan_ops(o, root, libtorch.platform, python.ext_suffix, part) for o in _in_link_order(spec.ops))
    apps = tuple(_plan_app(a, root, models, libtorch.platform, part) for a in spec.apps)
    libraries = tuple(_plan_library(c, root, models, libtorch.platform) for c in spec.libraries)
    folders = {o.name: o.output_dir for o in ops}
    plan = BuildPlan(
        project=project,
        version=version,
        source_dir=str(root),
        build_dir=str(build_dir),
        libtorch=libtorch,
        toolchain=toolchain,
        build_type=options.build_type,
        cmake_args=tuple(cmake_args),
        flags=flags,
        python=python,
        cuda=cuda,
        runner_library=None,
        sanitize=options.sanitize,
        models=models,
        ops=tuple(dataclasses.replace(o, install_rpath=rpaths.of(o, folders)) for o in ops),
        apps=tuple(dataclasses.replace(a, install_rpath=rpaths.of(a, folders)) for a in apps),
        cmake=tuple(_plan_project(p, root, rpaths) for p in spec.cmake),
        libraries=tuple(dataclasses.replace(c, install_rpath=rpaths.of(c, folders)) for c in libraries),
    )
    check_paths(plan)
    _check_targets(plan)
    return plan


def _check_targets(plan: BuildPlan) -> None:
    """Can this libtorch's headers make what is for any torch from some release on?"""
    have = parse_version(plan.libtorch.series)
    problems = []
    for ops in plan.ops:
        if ops.torch_target is None:
            continue
        where, oldest = (
            f"operator library {ops.name!r}",
            max(parse_version(ops.torch_target), parse_version(STABLE_SINCE)),
        )
        if have < oldest:
            need = ".".join(map(str, oldest))
            problems.append(f"{where}: torch-target: building it takes torch {need}, this is {plan.libtorch.series}")
    if problems:
        raise SettingsError(problems)


def _plan_model(model: ScriptModel, root: Path, build_dir: Path) -> PlannedModel:
    made = model.factory is not None or is_package_file(model.file or "")
    file = build_dir / "models" / model.file_name if made else root / (model.file or "")
    return PlannedModel(
        name=model.name,
        file=str(file),
        factory=model.factory,
        method=model.method,
        example_inputs=model.example_inputs,
        python_path=tuple(str(root / folder) for folder in model.python_path),
        seed=model.seed,
        show_code=model.show_code,
        package_file=model.file if made and model.factory is None else None,
        check_inputs=_check_inputs(model),
        inputs=model.inputs,
        always=model.always,
        grad=model.grad,
        default_dtype=model.default_dtype,
        quantized_engine=model.quantized_engine,
        same_as=model.same_as,
        dynamic_shapes=model.dynamic_shapes,
        cpu=model.cpu,
        flush_denormal=model.flush_denormal,
        threads=model.threads,
        interop_threads=model.interop_threads,
        deterministic=model.deterministic,
        matmul_precision=model.matmul_precision,
    )


def _check_inputs(model: ScriptModel) -> tuple[tuple[str, InputSets], ...]:
    wanted = model.check_inputs
    if isinstance(wanted, Mapping):
        return tuple(sorted(wanted.items()))
    return (("", wanted),) if wanted else ()


@dataclass(frozen=True)
class _RPaths:
    libtorch: LibTorch
    site_packages: Optional[str]
    cuda_dirs: tuple[str, ...]

    @property
    def origin(self) -> str:
        return "@loader_path" if self.libtorch.platform == "darwin" else "$ORIGIN"

    def of(self, target: PlannedTarget, folders: Mapping[str, str]) -> tuple[str, ...]:
        """RUNPATH entries of a target: to libtorch, and to the operator libraries that it links."""
        result = self.to_libtorch(target.output_dir)
        if target.with_cuda or target.cudnn:
            up = posixpath.relpath(".", target.output_dir)
            result += [f"{self.origin}/{up}/{folder}" for folder in self.cuda_dirs]
        for name in target.ops:
            between = posixpath.relpath(folders[name], target.output_dir)
            result.append(self.origin if between == "." else f"{self.origin}/{between}")
        return tuple(dict.fromkeys(result))

    @property
    def libtorch_dirs(self) -> list[str]:
        """Where libtorch lies, from the folder that the package is installed in."""
        result = ["torch/lib"]
        if self.libtorch.layout == "conda" and self.site_packages is not None:
            library_dir = self.libtorch.library_dirs[0].as_posix()
            result.append(posixpath.relpath(library_dir, PurePath(self.site_packages).as_posix()))
        return result

    def to_libtorch(self, folder: str) -> list[str]:
        """From a folder of the package tree to the torch that is installed beside the package."""
        up = posixpath.relpath(".", folder)
        return [f"{self.origin}/{posixpath.normpath(posixpath.join(up, d))}" for d in self.libtorch_dirs]


def _in_link_order(libraries: Sequence[OpLibrary]) -> list[OpLibrary]:
    """Libraries after those that they depend on; otherwise as the project lists them. Cycles were refused before."""
    by_name = {o.name: o for o in libraries}
    ordered: dict[str, OpLibrary] = {}
    todo = list(reversed(libraries))
    while todo:
        ops = todo[-1]
        waiting = [by_name[name] for name in ops.depends if name not in ordered] if ops.name not in ordered else []
        if waiting:
            todo += reversed(waiting)
        else:
            ordered.setdefault(ops.name, ops)
            todo.pop()
    return list(ordered.values())


def _package_dir(spec: Union[OpLibrary, TorchScriptApp, CMakeProject, CLibrary]) -> str:
    """The folder in the package tree; empty for what is not installed."""
    return (spec.package or "").replace(".", "/") if spec.install else ""


def ops_path(ops: OpLibrary, platform: str, ext_suffix: str, part: str = "") -> str:
    """Where an operator library lies: in the package tree, or below the build tree's ``out`` if it is not installed.

    A plain library lies in the package's ``lib``; a Python module and a file with a name of its own in the package.

    :param part: the folder of its series of torch in there, of several.
    """
    package = _package_dir(ops)
    suffix = _shared_suffix(platform)
    folder = package if ops.python_module or ops.file_name else posixpath.join(package, "lib")
    if ops.python_module:
        abi3 = ".pyd" if platform == "win32" else ".abi3.so"
        default = ops.name + (abi3 if ops.limited_api else ext_suffix)
    else:
        default = ops.name + suffix if platform == "win32" else f"lib{ops.name}{suffix}"
    if ops.install and ops.package == "":
        return ops.file_name or default
    return posixpath.join(*(folder, part) if package else ("ops", ops.name), ops.file_name or default)


def app_path(app: TorchScriptApp, platform: str, part: str = "") -> str:
    """Where a program lies, as ``ops_path``."""
    package = _package_dir(app)
    folder = posixpath.join(package, "bin", part) if package else f"apps/{app.name}"
    return posixpath.join(folder, app.name + (".exe" if platform == "win32" else ""))


def library_path(library: CLibrary, platform: str) -> str:
    """Where a C library lies, as ``ops_path``."""
    root = _package_dir(library) or f"libraries/{library.name}"
    suffix = _shared_suffix(platform)
    return f"{root}/lib/{library.name}{suffix}" if platform == "win32" else f"{root}/lib/lib{library.name}{suffix}"


def _plan_ops(ops: OpLibrary, root: Path, platform: str, ext_suffix: str, part: str) -> PlannedOps:
    folder, _, file_name = ops_path(ops, platform, ext_suffix, part).rpartition("/")
    return PlannedOps(
        file_name=file_name,
        output_dir=folder or ".",
        ops=ops.depends,
        python_module=ops.python_module,
        limited_api=ops.limited_api,
        torch_target=(ops.torch_target or STABLE_SINCE) if ops.abi == "stable" else None,
        static_cuda_runtime=ops.cuda_runtime == "static",
        **_compiled(ops, root),
    )


def _plan_app(app: TorchScriptApp, root: Path, models: Sequence[PlannedModel], platform: str, part: str) -> PlannedApp:
    folder, _, file_name = app_path(app, platform, part).rpartition("/")
    by_name = {m.name: m for m in models}
    beside = f"{'../' if part else ''}../models" if app.install else None
    return PlannedApp(
        file_name=file_name,
        output_dir=folder,
        ops=app.ops,
        template=None if app.sources else app.template,
        method=app.method,
        models=tuple(_bundled(by_name[n], beside) for n in app.models),
        external_ops=_external_ops(app, root, platform),
        **_compiled(app, root),
    )


def _plan_library(library: CLibrary, root: Path, models: Sequence[PlannedModel], platform: str) -> PlannedLibrary:
    folder, _, file_name = library_path(library, platform).rpartition("/")
    by_name = {m.name: m for m in models}
    return PlannedLibrary(
        file_name=file_name,
        output_dir=folder,
        ops=library.ops,
        template="library",
        method=library.method,
        models=tuple(_bundled(by_name[n], "../models" if library.install else None) for n in library.models),
        external_ops=_external_ops(library, root, platform),
        prefix=library.prefix,
        **_compiled(TorchScriptApp(library.name, install=library.install), root),
    )


def _bundled(model: PlannedModel, folder: Optional[str]) -> BundledModel:
    """:param folder: that of the models, from the program's; ``None``: it is not installed."""
    return BundledModel(model.name, f"{folder}/{model.file_name}" if folder else model.file)


def _external_ops(app: Union[TorchScriptApp, CLibrary], root: Path, platform: str) -> tuple[ExternalLibrary, ...]:
    """Libraries from elsewhere; each has its namespace's name, for two may be called ``_C.so``."""
    if not isinstance(app.external_ops, Mapping):
        return ()
    folder = "../lib" if app.install else "lib"
    return tuple(
        ExternalLibrary(
            namespace,
            file if is_package_file(file) else str(root / file),
            f"{folder}/{external_name(namespace, platform)}",
        )
        for namespace, file in app.external_ops.items()
    )


def external_name(namespace: str, platform: str) -> str:
    """What the library from elsewhere with the operators of a namespace is called where it travels with an app."""
    return f"{namespace}_external{_shared_suffix(platform)}"


def _shared_suffix(platform: str) -> str:
    return {"darwin": ".dylib", "win32": ".dll"}.get(platform, ".so")


def _compiled(spec: Union[OpLibrary, TorchScriptApp], root: Path) -> dict[str, Any]:
    """What both kinds of target take from their specs as it is."""
    return {
        "name": spec.name,
        "sources": tuple(_source_path(root, s) for s in (*spec.sources, *spec.cuda_sources)),
        "install": spec.install,
        "install_rpath": (),
        "include_dirs": tuple(str(root / d) for d in spec.include_dirs),
        "definitions": spec.definitions,
        "compile_options": spec.compile_options,
        "cxx_options": spec.cxx_options,
        "cuda_options": spec.cuda_options,
        "with_cuda": needs_cuda(spec),
        "separable_compilation": spec.separable_compilation,
        "cudnn": spec.cudnn,
        "find_packages": spec.find_packages,
        "link_libraries": tuple(str(root / lib) if is_library_file(lib) else lib for lib in spec.link_libraries),
        "link_dirs": tuple(str(root / d) for d in spec.link_dirs),
        "link_options": spec.link_options,
    }


def _source_path(root: Path, source: str) -> str:
    """An absolute path, without ``..`` where it leads out of the project."""
    return posixpath.normpath(str(root / source)) if ".." in source else str(root / source)


def _plan_project(project: CMakeProject, root: Path, rpaths: _RPaths) -> PlannedProject:
    package = _package_dir(project)
    # Programs and libraries lie one folder below the prefix (bin, lib), so one RUNPATH serves both.
    entries = rpaths.to_libtorch(posixpath.join(package, "lib")) if package else []
    rpath = ";".join([*entries, rpaths.origin, f"{rpaths.origin}/../lib"])
    values = {"CMAKE_INSTALL_RPATH": rpath, **project.options}
    return PlannedProject(
        name=project.name,
        source_dir=str(root / project.source_dir),
        arguments=tuple(f"-D{name}={_cache_value(value)}" for name, value in values.items()),
        targets=project.targets,
        package_dir=package,
        install=project.install,
        components=project.components,
        include=project.include,
        artifacts=project.artifacts,
        programs=tuple(program_scripts(project).values()),
        libtorch_dirs=tuple(rpaths.libtorch_dirs),
    )


def program_scripts(project: CMakeProject) -> dict[str, str]:
    """Console script → the program that it starts, in the project's install tree."""
    asked = project.console_script
    if not asked or not project.install:
        return {}
    if isinstance(asked, str):
        name = asked.rpartition("/")[2]
        return {name: asked if "/" in asked else f"bin/{asked}"}
    return {command: str(program) for command, program in asked.items()}


def _cache_value(value: Union[str, bool, int]) -> str:
    return ("ON" if value else "OFF") if isinstance(value, bool) else str(value)
