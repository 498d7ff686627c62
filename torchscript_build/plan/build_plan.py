"""What was decided: ``BuildPlan`` and its parts, plain frozen data that can be printed and compared."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import posixpath
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, Optional, TypeVar, Union

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.planned_headers import PlannedHeaders
from torchscript_build.records import dataclass, field
from torchscript_build.settings.specs import InputSets
from torchscript_build.toolchain.cuda.facts import CudaFacts
from torchscript_build.toolchain.cxx import CxxCompiler
from torchscript_build.toolchain.launchers import Launcher
from torchscript_build.toolchain.programs import Generator, Program


@dataclass(frozen=True)
class Toolchain:
    """The programs that were found."""

    cmake: Program
    generator: Generator
    cxx: CxxCompiler
    launcher: Optional[Launcher] = None


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
    check_inputs: tuple[tuple[str, InputSets], ...] = ()
    """Pairs (method, sets of inputs) for the comparison; an empty method stands for the app's own."""
    inputs: tuple[str, ...] = ()
    always: bool = False
    grad: Optional[bool] = None
    default_dtype: Optional[str] = None
    quantized_engine: Optional[str] = None
    flush_denormal: Optional[bool] = None
    threads: Optional[int] = None
    interop_threads: Optional[int] = None
    deterministic: Optional[str] = None
    matmul_precision: Optional[str] = None
    same_as: Optional[str] = None
    dynamic_shapes: Union[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict, hash=False)
    cpu: str = "native"

    @property
    def file_name(self) -> str:
        return f"{self.name}.pt2" if self.is_package else f"{self.name}.pt"

    @property
    def is_package(self) -> bool:
        return self.file.endswith(".pt2")


@dataclass(frozen=True)
class Wishes:
    """What a model wants of the process that runs it, as far as that is known."""

    grad: bool = False
    """It uses autograd itself."""
    default_dtype: Optional[str] = None
    """``None``: torch's own default."""
    quantized_engine: Optional[str] = None
    flush_denormal: bool = False
    threads: Optional[int] = None
    """Inside of operators; ``None``: libtorch's choice."""
    interop_threads: Optional[int] = None
    deterministic: Optional[str] = None
    """``on``, or ``warn``; ``None``: off."""
    matmul_precision: Optional[str] = None

    def common(self, other: Wishes) -> Wishes:
        """What both want."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self)}
        return Wishes(**{name: one for name, (one, two) in pairs.items() if one == two})


@dataclass(frozen=True)
class ExternalLibrary:
    """A library of operators from elsewhere that travels with an app."""

    namespace: str
    file: str
    """As the settings name it: ``package:path``, or an absolute path."""
    relative: str
    """Where it lies as its app knows it: a path from the app's folder, with forward slashes."""


@dataclass(frozen=True)
class BundledModel:
    """A model as its app knows it."""

    name: str
    relative: str
    """Path from the folder of the app, with forward slashes."""
    wishes: Wishes = Wishes()
    """What the program does by itself when it runs this model."""


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
    link_options: tuple[str, ...]

    @property
    def path(self) -> str:
        """The file's path in the package tree."""
        return posixpath.normpath(posixpath.join(self.output_dir, self.file_name))


@dataclass(frozen=True)
class PlannedOps(PlannedTarget):
    """An operator library."""

    python_module: bool
    limited_api: Optional[str]
    torch_target: Optional[str] = None
    """The oldest release that it is for, through the stable ABI alone; ``None``: it is for one series."""
    static_cuda_runtime: bool = False
    headers: PlannedHeaders = PlannedHeaders()


@dataclass(frozen=True)
class PlannedApp(PlannedTarget):
    """A program."""

    template: Optional[str]
    """``None`` for the project's own sources."""
    models: tuple[BundledModel, ...]
    method: str
    """The model's method that a runner calls by default."""
    external_ops: tuple[ExternalLibrary, ...] = ()
    """In the order in which they are loaded."""
    wishes: Wishes = Wishes()
    """What all of its models want: the program does so with a model from elsewhere."""

    @property
    def has_runner(self) -> bool:
        """Is it made of the runner?"""
        return self.template in ("runner", "library")


@dataclass(frozen=True)
class PlannedLibrary(PlannedApp):
    """A plain C library of models; to its models it is what a runner is."""

    prefix: str = ""
    """What its functions begin with, without the underscore."""

    @property
    def root(self) -> str:
        """The folder in the package tree that holds its ``lib`` and ``include``."""
        return posixpath.dirname(self.output_dir)


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
    artifacts: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    """The installed programs that have a console script."""
    libtorch_dirs: tuple[str, ...] = ()
    """Where libtorch lies: absolute, or relative to the folder that holds the package tree."""


_Loader = TypeVar("_Loader", PlannedApp, PlannedLibrary)


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
    """Where the build folder has, or will have, its copy of the cache's compiled runner; ``None``: no cache is used."""
    models: tuple[PlannedModel, ...]
    ops: tuple[PlannedOps, ...]
    apps: tuple[PlannedApp, ...]
    cmake: tuple[PlannedProject, ...]
    sanitize: tuple[str, ...] = ()
    """The compiler's sanitizers; their options are among the flags."""
    runtimes: Optional[tuple[str, ...]] = ()
    """Their libraries that a Python must preload to load what is built; ``None``: where they are is not known."""
    known_compiler: Optional[str] = None
    """Where what CMake found out about the compiler is, or will be, kept; ``None``: nowhere."""
    libraries: tuple[PlannedLibrary, ...] = ()
    runner_entry: Optional[str] = None
    """The compiled runner's folder in the cache."""

    @property
    def targets(self) -> tuple[PlannedTarget, ...]:
        """Everything that the generated project compiles, libraries before what links them."""
        return (*self.ops, *self.apps, *self.libraries)

    @property
    def loaders(self) -> tuple[PlannedApp, ...]:
        """Everything that loads models."""
        return (*self.apps, *self.libraries)

    @property
    def with_runner(self) -> bool:
        """Is the runner compiled?"""
        return any(loader.has_runner for loader in self.loaders)

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

    @property
    def header_root(self) -> Path:
        """The folder in which compilers find libtorch's headers.

        For a compiler cache it is a link whose name stays the same when libtorch moves, as it does with every isolated
        pip build.
        """
        launcher = self.toolchain.launcher
        linked = launcher is not None and launcher.caches and self.libtorch.platform != "win32"
        return Path(self.build_dir, "libtorch") if linked else self.libtorch.root

    def linked_ops(self, app: PlannedApp) -> list[str]:
        """The operator libraries that an app links, also through others; each after those that it needs."""
        wanted, todo = set(), list(app.ops)
        depends = {o.name: o.ops for o in self.ops}
        while todo:
            name = todo.pop()
            if name not in wanted:
                wanted.add(name)
                todo += depends[name]
        return [o.name for o in self.ops if o.name in wanted]

    def carried_file(self, library: ExternalLibrary) -> Path:
        """Where the copy of a library from elsewhere lies that travels with apps."""
        return Path(self.build_dir, "external", posixpath.basename(library.relative))

    def with_wishes(self, wishes: Mapping[str, Wishes]) -> BuildPlan:
        """The plan with what each model of each runner and C library wants, by the model's name."""

        def wishing(loader: _Loader) -> _Loader:
            if not (loader.has_runner and loader.models):
                return loader
            models = tuple(dataclasses.replace(m, wishes=wishes.get(m.name, m.wishes)) for m in loader.models)
            common = functools.reduce(Wishes.common, (m.wishes for m in models))
            return dataclasses.replace(loader, models=models, wishes=common)

        apps, libraries = tuple(map(wishing, self.apps)), tuple(map(wishing, self.libraries))
        return dataclasses.replace(self, apps=apps, libraries=libraries)

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
        del data["models"], data["cmake"], data["known_compiler"], data["runner_entry"]
        return _digest(data, extra)

    def identity(self) -> str:
        """A digest of what a build tree cannot survive a change of: its place, its tools, its libtorch."""
        data = self.to_json()
        keys = ("source_dir", "build_dir", "libtorch", "toolchain", "flags", "cuda")
        del data["toolchain"]["launcher"]  # the compiler stays the same
        return _digest({key: data[key] for key in keys}, b"")


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
