"""Specs and facts → ``BuildPlan``: everything decided, nothing touched."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import posixpath
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Optional

from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.settings import is_package_file
from torchscript_build.specs import ProjectSpec, ScriptModel, TorchScriptApp
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
class PlannedApp:
    """One program: a CMake target and its place in the package."""

    name: str
    template: Optional[str]
    """``None`` for the project's own sources."""
    sources: tuple[str, ...]
    """Absolute paths of the project's own sources."""
    output_dir: str
    """Folder in the build tree's ``out`` and, where installed, in the package tree: ``my_package/bin``."""
    install: bool
    models: tuple[BundledModel, ...]
    install_rpath: tuple[str, ...]
    include_dirs: tuple[str, ...]
    definitions: tuple[str, ...]
    compile_options: tuple[str, ...]
    link_libraries: tuple[str, ...]
    link_dirs: tuple[str, ...]


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
    models: tuple[PlannedModel, ...]
    apps: tuple[PlannedApp, ...]

    @property
    def project_dir(self) -> Path:
        """The generated CMake project."""
        return Path(self.build_dir, "project")

    @property
    def tree_dir(self) -> Path:
        """CMake's build tree."""
        return Path(self.build_dir, "tree")

    @property
    def stage_dir(self) -> Path:
        """What CMake installed, laid out as in the package."""
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
        del data["models"]
        return _digest(data, extra)

    def identity(self) -> str:
        """A digest of what a build tree cannot survive a change of: its place, its tools, its libtorch."""
        data = self.to_json()
        return _digest({key: data[key] for key in ("source_dir", "build_dir", "libtorch", "toolchain")}, b"")


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
    site_packages: Optional[Path] = None,
) -> BuildPlan:
    """Decide everything.

    :param root: the project's folder, absolute.
    :param build_base: setuptools' ``build`` folder, absolute; each libtorch variant and build type gets a folder in it.
    :param cmake_args: the user's arguments for CMake, in order.
    :param site_packages: where packages of the target Python lie; for conda's split layout.
    :raises SettingsError: a path cannot be said in CMake.
    """
    options = spec.options
    build_dir = build_base / "torchscript" / f"{libtorch.variant}-{options.build_type.lower()}"
    models = tuple(_plan_model(m, root, build_dir) for m in spec.models)
    rpaths = _RPaths(libtorch, site_packages)
    apps = tuple(_plan_app(a, root, models, rpaths) for a in spec.apps)
    plan = BuildPlan(
        project=project,
        version=version,
        source_dir=str(root),
        build_dir=str(build_dir),
        libtorch=libtorch,
        toolchain=toolchain,
        build_type=options.build_type,
        cmake_args=tuple(cmake_args),
        models=models,
        apps=apps,
    )
    _check_paths(plan)
    return plan


def _plan_model(model: ScriptModel, root: Path, build_dir: Path) -> PlannedModel:
    made = model.factory is not None or is_package_file(model.file or "")
    file = build_dir / "models" / f"{model.name}.pt" if made else root / (model.file or "")
    source = root / "src"
    folders = [root / p for p in model.python_path] + [root, *([source] if source.is_dir() else [])]
    return PlannedModel(
        name=model.name,
        file=str(file),
        factory=model.factory,
        method=model.method,
        example_inputs=model.example_inputs,
        python_path=tuple(str(f) for f in folders),
        seed=model.seed,
        show_code=model.show_code,
        package_file=model.file if made and model.factory is None else None,
    )


@dataclass(frozen=True)
class _RPaths:
    libtorch: LibTorch
    site_packages: Optional[Path]

    def of(self, folder: str) -> tuple[str, ...]:
        """RUNPATH entries for a file in a folder of the package tree, relative to the file."""
        origin = "@loader_path" if self.libtorch.platform == "darwin" else "$ORIGIN"
        up = posixpath.join(*[".."] * len(PurePath(folder).parts))
        result = [f"{origin}/{up}/torch/lib"]
        if self.libtorch.layout == "conda" and self.site_packages is not None:
            below = posixpath.relpath(self.libtorch.library_dirs[0].as_posix(), self.site_packages.as_posix())
            result.append(posixpath.normpath(f"{origin}/{up}/{below}"))
        return tuple(result)


def _plan_app(app: TorchScriptApp, root: Path, models: Sequence[PlannedModel], rpaths: _RPaths) -> PlannedApp:
    package = (app.package or "").replace(".", "/") if app.install else ""
    output_dir = posixpath.join(package, "bin") if package else f"apps/{app.name}"
    model_files = {m.name: m.file for m in models}
    if app.install:
        bundled = tuple(BundledModel(n, f"../models/{n}.pt") for n in app.models)
    else:
        bundled = tuple(BundledModel(n, model_files[n]) for n in app.models)
    return PlannedApp(
        name=app.name,
        template=None if app.sources else app.template,
        sources=tuple(str(root / s) for s in app.sources),
        output_dir=output_dir,
        install=app.install,
        models=bundled,
        install_rpath=rpaths.of(output_dir),
        include_dirs=tuple(str(root / d) for d in app.include_dirs),
        definitions=app.definitions,
        compile_options=app.compile_options,
        link_libraries=tuple(_library(lib, root) for lib in app.link_libraries),
        link_dirs=tuple(str(root / d) for d in app.link_dirs),
    )


def _library(name: str, root: Path) -> str:
    """A file of the project stands for itself; anything else is the linker's or CMake's word."""
    path = root / name
    return str(path) if ("/" in name or "." in name) and path.is_file() else name


def _check_paths(plan: BuildPlan) -> None:
    """CMake's lists are joined with semicolons, so a path with one cannot be an element; Make cannot bear quotes."""
    paths = {"project folder": plan.source_dir, "build folder": plan.build_dir, "libtorch": str(plan.libtorch.root)}
    for app in plan.apps:
        paths.update({f"app {app.name!r}": p for p in (*app.sources, *app.include_dirs, *app.link_dirs)})
    problems = [
        f"{what}: {path!r} has a {character!r}, which CMake cannot have in a path; use another folder"
        for what, path in paths.items()
        for character in sorted(set(path) & _FORBIDDEN)
    ]
    if problems:
        raise SettingsError(problems)


_FORBIDDEN = frozenset(';"\n\r') if sys.platform != "win32" else frozenset(";\n\r")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, PurePath) else value


def _digest(data: Mapping[str, Any], extra: bytes) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.sha256(text + b"\0" + extra).hexdigest()
