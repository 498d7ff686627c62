"""Specs and facts → ``BuildPlan``: everything decided, nothing touched."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Optional, Union

from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.spec_checks import is_library_file, is_package_file
from torchscript_build.specs import CMakeProject, OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp
from torchscript_build.toolchain.cxx import CxxCompiler
from torchscript_build.toolchain.programs import Generator, Program


@dataclass(frozen=True)
class Toolchain:
    """The programs that were found."""

    cmake: Program
    generator: Generator
    cxx: CxxCompiler


@dataclass(frozen=True)
class PlannedModel:
    """A model file: where it comes from and where it goes."""

    name: str
    file: str
    """The archive: an existing file, or where the export will write it. Absolute."""
    factory: Optional[str]
    method: str
    example_inputs: tuple[str, ...]
    python_path: tuple[str, ...]
    """Absolute folders."""
    seed: int
    show_code: bool
    package_file: Optional[str] = None
    """``package:path`` of a file inside an installed Python package, copied to ``file``."""


@dataclass(frozen=True)
class BundledModel:
    """A model as its app knows it."""

    name: str
    relative: str
    """Path from the folder of the app, with forward slashes."""


@dataclass(frozen=True)
class PlannedTarget:
    """One thing to compile: a CMake target and its place in the package."""

    name: str
    sources: tuple[str, ...]
    """Absolute paths of the project's own sources."""
    file_name: str
    output_dir: str
    """Folder in the build tree's ``out`` and, where installed, in the package tree: ``my_package/bin``."""
    install: bool
    ops: tuple[str, ...]
    """The project's operator libraries that it links."""
    install_rpath: tuple[str, ...]
    include_dirs: tuple[str, ...]
    definitions: tuple[str, ...]
    compile_options: tuple[str, ...]
    cxx_options: tuple[str, ...]
    cuda_options: tuple[str, ...]
    with_cuda: bool
    """Are there CUDA sources among its sources?"""
    separable_compilation: bool
    cudnn: bool
    find_packages: tuple[str, ...]
    link_libraries: tuple[str, ...]
    link_dirs: tuple[str, ...]

    @property
    def path(self) -> str:
        """The file's path in the package tree."""
        return posixpath.join(self.output_dir, self.file_name)


@dataclass(frozen=True)
class PlannedOps(PlannedTarget):
    """An operator library."""

    python_module: bool
    limited_api: Optional[str]


@dataclass(frozen=True)
class PlannedApp(PlannedTarget):
    """A program."""

    template: Optional[str]
    """``None`` for the project's own sources."""
    models: tuple[BundledModel, ...]
    method: str
    """The model's method that a runner calls by default."""


@dataclass(frozen=True)
class PlannedProject:
    """An existing CMake project."""

    name: str
    source_dir: str
    arguments: tuple[str, ...]
    """Its options as CMake's ``-D`` arguments, and the RUNPATH of what it installs."""
    targets: tuple[str, ...]
    package_dir: str
    """The package's folder in the package tree; empty where it is not installed."""
    install: bool
    components: tuple[str, ...]
    include: tuple[str, ...]


@dataclass(frozen=True)
class CudaFacts:
    """What a plan needs to know of the CUDA toolkit, and of cuDNN where a target wants it."""

    root: str
    nvcc: str
    version: str
    architectures: tuple[str, ...]
    """For ``CMAKE_CUDA_ARCHITECTURES``: ``("80-real", "90")``."""
    include_dirs: tuple[str, ...] = ()
    """Of the toolkit and of the wheels that complete it; for C++ sources, too."""
    library_dirs: tuple[str, ...] = ()
    """Where CUDA's libraries lie on this machine."""
    runtime_dirs: tuple[str, ...] = ()
    """Where they lie beside an installed torch, relative to its site-packages: ``nvidia/cu13/lib``."""
    flags: tuple[str, ...] = ()
    """What torch's headers want from nvcc."""
    cudnn_include_dir: Optional[str] = None
    cudnn_library: Optional[str] = None


@dataclass(frozen=True)
class PythonFacts:
    """What a plan needs to know of the target Python."""

    site_packages: Optional[str] = None
    include: Optional[str] = None
    """The folder of Python.h."""
    ext_suffix: str = ".so"
    """What the file names of its extension modules end in: ``.cpython-311-x86_64-linux-gnu.so``."""


@dataclass(frozen=True)
class BuildPlan:
    """What will be built, how, and where; JSON-able."""

    project: str
    version: str
    source_dir: str
    build_dir: str
    libtorch: LibTorch
    toolchain: Toolchain
    build_type: str
    cmake_args: tuple[str, ...]
    flags: Mapping[str, str]
    """``CXXFLAGS`` and the like, as the environment has them."""
    python: PythonFacts
    cuda: Optional[CudaFacts]
    """``None`` where nothing needs a toolkit."""
    runner_library: Optional[str]
    """Where the compiled runner is, or will be, kept; ``None``: it is compiled in the build tree."""
    models: tuple[PlannedModel, ...]
    ops: tuple[PlannedOps, ...]
    apps: tuple[PlannedApp, ...]
    cmake: tuple[PlannedProject, ...]

    @property
    def targets(self) -> tuple[PlannedTarget, ...]:
        """Everything that the generated project compiles, libraries before what links them."""
        return (*self.ops, *self.apps)

    @property
    def project_dir(self) -> Path:
        """The generated CMake project."""
        return Path(self.build_dir, "project")

    @property
    def tree_dir(self) -> Path:
        """CMake's build tree."""
        return Path(self.build_dir, "tree")

    @property
    def out_dir(self) -> Path:
        """What the build tree made, laid out as in the package; its files find libtorch where it is on this machine."""
        return self.tree_dir / "out"

    @property
    def stage_dir(self) -> Path:
        """What CMake installed, a folder for each component, laid out as in the package."""
        return Path(self.build_dir, "stage")

    def model(self, name: str) -> PlannedModel:
        """A model by its name."""
        return next(m for m in self.models if m.name == name)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``--dry-run`` prints it."""
        data = _plain(self)
        assert isinstance(data, dict)
        return data

    def fingerprint(self, extra: bytes = b"") -> str:
        """A digest of everything that configure depends on; models are made apart from CMake and do not count."""
        data = self.to_json()
        del data["models"], data["cmake"]
        return _digest(data, extra)

    def identity(self) -> str:
        """A digest of what a build tree cannot survive a change of: its place, its tools, its libtorch."""
        data = self.to_json()
        keys = ("source_dir", "build_dir", "libtorch", "toolchain", "flags", "cuda")
        return _digest({key: data[key] for key in keys}, b"")


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
) -> BuildPlan:
    """Decide everything.

    :param root: the project's folder, absolute.
    :param build_base: setuptools' ``build`` folder, absolute; each libtorch variant and build type gets a folder in it.
    :param cmake_args: the user's arguments for CMake, in order.
    :raises SettingsError: a path cannot be said in CMake.
    """
    options = spec.options
    build_dir = build_base / "torchscript" / f"{libtorch.variant}-{options.build_type.lower()}"
    models = tuple(_plan_model(m, root, build_dir) for m in spec.models)
    rpaths = _RPaths(libtorch, python.site_packages, cuda.runtime_dirs if cuda else ())
    ops = tuple(_plan_ops(o, root, libtorch.platform, python.ext_suffix) for o in _in_link_order(spec.ops))
    apps = tuple(_plan_app(a, root, models, libtorch.platform) for a in spec.apps)
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
        models=models,
        ops=tuple(dataclasses.replace(o, install_rpath=rpaths.of(o, folders)) for o in ops),
        apps=tuple(dataclasses.replace(a, install_rpath=rpaths.of(a, folders)) for a in apps),
        cmake=tuple(_plan_project(p, root, rpaths) for p in spec.cmake),
    )
    _check_paths(plan)
    return plan


def _plan_model(model: ScriptModel, root: Path, build_dir: Path) -> PlannedModel:
    made = model.factory is not None or is_package_file(model.file or "")
    file = build_dir / "models" / f"{model.name}.pt" if made else root / (model.file or "")
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
    )


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

    def to_libtorch(self, folder: str) -> list[str]:
        """From a folder of the package tree to the torch that is installed beside the package."""
        up = posixpath.relpath(".", folder)
        result = [f"{self.origin}/{up}/torch/lib"]
        if self.libtorch.layout == "conda" and self.site_packages is not None:
            below = posixpath.relpath(self.libtorch.library_dirs[0].as_posix(), PurePath(self.site_packages).as_posix())
            result.append(f"{self.origin}/{posixpath.normpath(f'{up}/{below}')}")
        return result


def _in_link_order(libraries: Sequence[OpLibrary]) -> list[OpLibrary]:
    """Libraries after those that they depend on; otherwise as the project lists them. Cycles were refused before."""
    by_name = {o.name: o for o in libraries}
    ordered: dict[str, OpLibrary] = {}

    def visit(ops: OpLibrary) -> None:
        for name in ops.depends:
            visit(by_name[name])
        ordered.setdefault(ops.name, ops)

    for ops in libraries:
        visit(ops)
    return list(ordered.values())


def _package_dir(spec: Union[OpLibrary, TorchScriptApp, CMakeProject]) -> str:
    """The folder in the package tree; empty for what is not installed."""
    return (spec.package or "").replace(".", "/") if spec.install else ""


def ops_path(ops: OpLibrary, platform: str, ext_suffix: str) -> str:
    """Where an operator library lies: in the package tree, or below the build tree's ``out`` if it is not installed.

    A plain library lies in the package's ``lib``; a Python module and a file with a name of its own in the package.
    """
    package = _package_dir(ops)
    suffix = {"darwin": ".dylib", "win32": ".dll"}.get(platform, ".so")
    folder = package if ops.python_module or ops.file_name else posixpath.join(package, "lib")
    if ops.python_module:
        abi3 = ".pyd" if platform == "win32" else ".abi3.so"
        default = ops.name + (abi3 if ops.limited_api else ext_suffix)
    else:
        default = ops.name + suffix if platform == "win32" else f"lib{ops.name}{suffix}"
    return posixpath.join(folder if package else f"ops/{ops.name}", ops.file_name or default)


def app_path(app: TorchScriptApp, platform: str) -> str:
    """Where a program lies, as ``ops_path``."""
    package = _package_dir(app)
    folder = posixpath.join(package, "bin") if package else f"apps/{app.name}"
    return posixpath.join(folder, app.name + (".exe" if platform == "win32" else ""))


def _plan_ops(ops: OpLibrary, root: Path, platform: str, ext_suffix: str) -> PlannedOps:
    folder, _, file_name = ops_path(ops, platform, ext_suffix).rpartition("/")
    return PlannedOps(
        file_name=file_name,
        output_dir=folder,
        ops=ops.depends,
        python_module=ops.python_module,
        limited_api=ops.limited_api,
        **_compiled(ops, root),
    )


def _plan_app(app: TorchScriptApp, root: Path, models: Sequence[PlannedModel], platform: str) -> PlannedApp:
    folder, _, file_name = app_path(app, platform).rpartition("/")
    model_files = {m.name: m.file for m in models}
    return PlannedApp(
        file_name=file_name,
        output_dir=folder,
        ops=app.ops,
        template=None if app.sources else app.template,
        method=app.method,
        models=tuple(BundledModel(n, f"../models/{n}.pt" if app.install else model_files[n]) for n in app.models),
        **_compiled(app, root),
    )


def _compiled(spec: Union[OpLibrary, TorchScriptApp], root: Path) -> dict[str, Any]:
    """What both kinds of target take from their specs as it is."""
    return {
        "name": spec.name,
        "sources": tuple(str(root / s) for s in spec.sources),
        "install": spec.install,
        "install_rpath": (),
        "include_dirs": tuple(str(root / d) for d in spec.include_dirs),
        "definitions": spec.definitions,
        "compile_options": spec.compile_options,
        "cxx_options": spec.cxx_options,
        "cuda_options": spec.cuda_options,
        "with_cuda": any(is_cuda_source(s) for s in spec.sources),
        "separable_compilation": spec.separable_compilation,
        "cudnn": spec.cudnn,
        "find_packages": spec.find_packages,
        "link_libraries": tuple(str(root / lib) if is_library_file(lib) else lib for lib in spec.link_libraries),
        "link_dirs": tuple(str(root / d) for d in spec.link_dirs),
    }


def is_cuda_source(name: str) -> bool:
    """Is a source compiled by nvcc?"""
    return name.endswith(".cu")


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
    )


def _cache_value(value: Union[str, bool, int]) -> str:
    return ("ON" if value else "OFF") if isinstance(value, bool) else str(value)


def _check_paths(plan: BuildPlan) -> None:
    """CMake's lists are joined with semicolons, so a path with one cannot be an element; Make cannot bear quotes."""
    paths = [
        ("project folder", plan.source_dir),
        ("build folder", plan.build_dir),
        ("libtorch", str(plan.libtorch.root)),
        *((repr(t.name), path) for t in plan.targets for path in (*t.sources, *t.include_dirs, *t.link_dirs)),
    ]
    # On Windows a colon follows the drive, and a backslash separates.
    windows = plan.libtorch.platform == "win32"
    forbidden = _FORBIDDEN if windows else _FORBIDDEN + r"|\\"
    if plan.toolchain.generator.name == "Unix Makefiles":
        forbidden += _FORBIDDEN_IN_MAKE
    in_libtorch = _FORBIDDEN_IN_LIBTORCH.replace(":", "") if windows else _FORBIDDEN_IN_LIBTORCH
    problems = []
    named: list[str] = []
    for what, path in paths:
        bad = re.search(forbidden, path) or (re.search(in_libtorch, path) if what == "libtorch" else None)
        if bad and not any(path.startswith(folder + "/") for folder in named):
            named.append(path)
            problems.append(
                f"{what}: {path!r} has {bad.group()!r}, which the build tools cannot have there; use another folder"
            )
    if problems:
        raise SettingsError(problems)


_FORBIDDEN = r'[;"|\[\]\n\r]|\$[<{]|\$ENV\{'
"""Tried with CMake 3.25, Ninja and Make: each of these breaks a list, a rule or an expression somewhere."""
_FORBIDDEN_IN_MAKE = r"|:|#.*['()&]|['()&].*#"
"""A colon ends a target's name, and CMake 3.25 escapes a ``#`` wrongly where it also has to quote."""
_FORBIDDEN_IN_LIBTORCH = r"[,:$]"
"""These break ``-Wl,-rpath``, a RUNPATH, and linker arguments that Ninja does not quote."""


def _without_provenance(value: Any) -> Any:
    """How a thing was found makes no difference to what is built with it."""
    if isinstance(value, Mapping):
        return {k: _without_provenance(v) for k, v in value.items() if k not in ("found_by", "witnesses")}
    return [_without_provenance(v) for v in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, PurePath) else value


def _digest(data: Mapping[str, Any], extra: bytes) -> str:
    data = _without_provenance(data)
    text = json.dumps(data, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.sha256(text + b"\0" + extra).hexdigest()
