"""The four sources of settings (pyproject.toml, setup() keywords, command options, environment) → one ``ProjectSpec``.

Every problem is collected and all are raised at once, whichever source it came from.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, TypeVar, Union

from torchscript_build.errors import SettingsError
from torchscript_build.specs import BuildOptions, CMakeProject, OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp
from torchscript_build.validation import kind_of, read_fields, read_spec, suggestion

TABLE = "tool.torchscript-build"
ARRAYS: Mapping[str, type] = {"model": ScriptModel, "ops": OpLibrary, "app": TorchScriptApp, "cmake": CMakeProject}
"""The arrays of tables in pyproject.toml, and what each entry is."""

KEYWORDS: Mapping[str, str] = {"ts_models": "model", "ts_ops": "ops", "ts_apps": "app", "ts_cmake": "cmake"}
"""setup()'s keywords, and the array that each stands for."""

ENVIRONMENT_OPTIONS = ("libtorch", "build_type", "generator", "jobs", "cmake_args")
"""What ``TORCHSCRIPT_BUILD_<NAME>`` sets; the search for libtorch reads its own, to name it in its trace."""

BUILD_TYPES = ("Release", "Debug", "RelWithDebInfo", "MinSizeRel")
PINS = ("series", "exact", "none")
TEMPLATES = ("runner", "minimal")
BINDINGS = ("loader", "none")
METHODS = ("script", "trace")

_TARGET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+\-]*\Z")
_CMAKE_TARGETS = ("all", "clean", "help", "install", "test", "package", "edit_cache", "rebuild_cache")
_TORCH_TARGETS = ("torch", "torch_library", "torch_cpu", "torch_cuda", "torch_python", "c10", "c10_cuda", "ts_runner")
_PACKAGE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")
_FUNCTION_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


def read_pyproject(path: Path) -> Mapping[str, Any]:
    """The whole of a pyproject.toml; empty if there is none.

    :raises SettingsError: it cannot be parsed.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        return dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path.name}: {error}"]) from error


def collect_settings(
    *,
    root: Path,
    pyproject: Mapping[str, Any],
    keywords: Mapping[str, Any],
    command: Mapping[str, Any],
    variables: Mapping[str, str],
    packages: Optional[Sequence[str]] = None,
) -> ProjectSpec:
    """Merge and validate the four sources; later ones win: pyproject, keywords, environment, command options.

    :param root: the project's folder, against which files are checked.
    :param pyproject: the whole of pyproject.toml.
    :param keywords: setup()'s ``ts_…`` keywords.
    :param command: options given on the command line, by field name; ``None`` means not given.
    :param variables: the environment variables.
    :param packages: the project's Python packages, for the default of ``package``; ``None`` where not known yet.
    :raises SettingsError: with every problem found.
    """
    problems: list[str] = []
    table = pyproject.get("tool", {}).get("torchscript-build", {})
    if not isinstance(table, Mapping):
        raise SettingsError([f"[{TABLE}] must be a table"])
    entries: dict[str, list[Any]] = {name: [] for name in ARRAYS}
    general: dict[str, Any] = {}
    for key, value in table.items():
        if key in ARRAYS:
            if isinstance(value, list):
                entries[key] += [
                    read_spec(ARRAYS[key], v, f"[[{TABLE}.{key}]] {i + 1}", problems, toml=True)
                    for i, v in enumerate(value)
                ]
            else:
                problems.append(f"{TABLE}.{key} must be an array of tables: write [[{TABLE}.{key}]]")
        else:
            general[key] = value
    for keyword, array in KEYWORDS.items():
        value = keywords.get(keyword)
        if value is None:
            continue
        if not isinstance(value, (list, tuple)):
            problems.append(f"setup({keyword}=…) must be a list, not {kind_of(value)}")
            continue
        entries[array] += [
            read_spec(ARRAYS[array], v, f"setup({keyword}=…) item {i + 1}", problems, toml=False)
            for i, v in enumerate(value)
        ]

    options = _options(general, variables, command, problems)
    entries = {name: [s for s in specs if s is not None] for name, specs in entries.items()}
    spec = ProjectSpec(
        options=options,
        models=tuple(entries["model"]),
        ops=tuple(_completed(s, root, packages, problems) for s in entries["ops"]),
        apps=tuple(_completed(s, root, packages, problems) for s in entries["app"]),
        cmake=tuple(_with_package(s, packages) for s in entries["cmake"]),
    )
    _check(spec, root, packages, problems)
    if problems:
        raise SettingsError(problems)
    return spec


def is_opted_in(pyproject_text: str) -> bool:
    """Does a pyproject.toml mention our table? Cheap, for hooks that run in everybody's builds."""
    return re.search(r"^\s*\[+\s*tool\s*\.\s*[\"']?torchscript-build\b", pyproject_text, re.MULTILINE) is not None


# --- options -------------------------------------------------------------------------------------------------------


def _options(
    general: Mapping[str, Any], variables: Mapping[str, str], command: Mapping[str, Any], problems: list[str]
) -> BuildOptions:
    general = dict(general)
    requirement = general.get("libtorch")
    if isinstance(requirement, Mapping):  # libtorch = { version = "…", cxx11-abi = true, cuda = "12", root = "…" }
        general.pop("libtorch")
        long_names = {"root": "libtorch", "version": "libtorch-version", "cxx11-abi": "cxx11-abi", "cuda": "cuda"}
        for key, value in requirement.items():
            if key in long_names:
                general[long_names[key]] = value
            else:
                problems.append(f"[{TABLE}]: unknown key 'libtorch.{key}'{suggestion(key, list(long_names))}")
    values = read_fields(BuildOptions, general, f"[{TABLE}]", problems, toml=True)
    sources = dict.fromkeys(values, f"[{TABLE}]")
    for name in ENVIRONMENT_OPTIONS:
        variable = "TORCHSCRIPT_BUILD_" + name.upper()
        text = variables.get(variable)
        if text and name != "libtorch":  # the search ranks that variable itself, and names it in its trace
            _set_from_text(values, sources, name, text, variable, problems)
    for name, value in command.items():
        if value is not None:
            if isinstance(value, str):
                _set_from_text(values, sources, name, value, "--" + name.replace("_", "-"), problems)
            else:
                values[name] = value
    for name, allowed in (("build_type", BUILD_TYPES), ("pin", PINS)):
        value = values.get(name)
        if value is not None and value not in allowed:
            hint = difflib.get_close_matches(str(value).lower(), [a.lower() for a in allowed], n=1)
            extra = f"; did you mean {next(a for a in allowed if a.lower() == hint[0])!r}?" if hint else ""
            problems.append(
                f"{sources[name]}: {name.replace('_', '-')} must be one of {', '.join(allowed)}, not {value!r}{extra}"
            )
    jobs = values.get("jobs")
    if isinstance(jobs, int) and jobs < 1:
        problems.append(f"{sources['jobs']}: jobs must be at least 1, not {jobs}")
    return BuildOptions(**values)


def _set_from_text(
    values: dict[str, Any], sources: dict[str, str], name: str, text: str, where: str, problems: list[str]
) -> None:
    """An option given as text (command line, environment)."""
    sources[name] = where
    if name == "jobs":
        try:
            values[name] = int(text)
        except ValueError:
            problems.append(f"{where}: must be a whole number, not {text!r}")
    elif name == "cmake_args":
        try:
            values[name] = (*values.get(name, ()), *shlex.split(text))
        except ValueError as error:
            problems.append(f"{where}: {error}: {text!r}")
    else:
        values[name] = text


# --- the whole -----------------------------------------------------------------------------------------------------

_Packaged = TypeVar("_Packaged", OpLibrary, TorchScriptApp, CMakeProject)
_Compiled = TypeVar("_Compiled", OpLibrary, TorchScriptApp)


def _with_package(spec: _Packaged, packages: Optional[Sequence[str]]) -> _Packaged:
    """The spec with its default package, if the project has exactly one at the top."""
    top = sorted({p.split(".")[0] for p in packages or ()})
    if spec.install and spec.package is None and len(top) == 1:
        return dataclasses.replace(spec, package=top[0])
    return spec


def _completed(spec: _Compiled, root: Path, packages: Optional[Sequence[str]], problems: list[str]) -> _Compiled:
    """The spec with its default package, and its sources without patterns: sorted, relative, with forward slashes."""
    sources: list[str] = []
    for name in spec.sources:
        if not any(c in name for c in "*?["):
            sources.append(name)
            continue
        found = sorted(p.relative_to(root).as_posix() for p in root.glob(name) if p.is_file())
        if not found:
            problems.append(f"{_where(spec)}: sources: nothing matches {name!r}")
        sources += found
    return dataclasses.replace(_with_package(spec, packages), sources=tuple(dict.fromkeys(sources)))


def _where(spec: Union[OpLibrary, TorchScriptApp, CMakeProject]) -> str:
    kind = {OpLibrary: "operator library", TorchScriptApp: "app", CMakeProject: "CMake project"}[type(spec)]
    return f"{kind} {spec.name!r}"


def _check(spec: ProjectSpec, root: Path, packages: Optional[Sequence[str]], problems: list[str]) -> None:
    for kind, names in (
        ("models", [m.name for m in spec.models]),
        ("targets", [t.name for t in (*spec.ops, *spec.apps)]),
        ("CMake projects", [c.name for c in spec.cmake]),
    ):
        for name in sorted({n for n in names if names.count(n) > 1}):
            problems.append(f"two {kind} are called {name!r}")
        for name in names:
            if not _TARGET_NAME.match(name):
                problems.append(
                    f"{name!r}: a name has letters, digits and the characters _ . + - and begins with a letter or digit"
                )
            elif kind == "targets" and name.lower() in (*_CMAKE_TARGETS, *_TORCH_TARGETS):
                problems.append(f"{name!r}: CMake or libtorch already has a target of that name")
    for model in spec.models:
        _check_model(model, root, problems)
    for ops in spec.ops:
        _check_compiled(ops, root, problems)
        _check_package(ops, packages, problems)
        _check_ops(ops, spec, problems)
    _check_cycles(spec.ops, problems)
    for app in spec.apps:
        _check_compiled(app, root, problems)
        _check_package(app, packages, problems)
        _check_app(app, spec, problems)
    for project in spec.cmake:
        _check_package(project, packages, problems)
        if not (root / project.source_dir / "CMakeLists.txt").is_file():
            problems.append(f"{_where(project)}: source-dir: there is no CMakeLists.txt in {project.source_dir!r}")


def _check_model(model: ScriptModel, root: Path, problems: list[str]) -> None:
    where = f"model {model.name!r}"
    if (model.file is None) == (model.factory is None):
        problems.append(f"{where}: give either file or factory")
    if model.file is not None and not is_package_file(model.file) and not (root / model.file).is_file():
        problems.append(f"{where}: there is no file {model.file!r}")
    if model.factory is not None and not _FUNCTION_NAME.match(model.factory):
        problems.append(f"{where}: factory must look like 'package.module:function', not {model.factory!r}")
    if model.method not in METHODS:
        problems.append(f"{where}: method must be one of {', '.join(METHODS)}, not {model.method!r}")
    if model.factory is not None and model.method == "trace" and not model.example_inputs:
        problems.append(f"{where}: tracing needs example-inputs")
    for folder in model.python_path:
        if not (root / folder).is_dir():
            problems.append(f"{where}: python-path: there is no folder {folder!r}")


def _check_compiled(spec: Union[OpLibrary, TorchScriptApp], root: Path, problems: list[str]) -> None:
    for name in spec.sources:
        if not (root / name).is_file():
            problems.append(f"{_where(spec)}: sources: there is no file {name!r}")
    for key in ("include_dirs", "link_dirs"):
        for name in getattr(spec, key):
            if not (root / name).is_dir():
                problems.append(f"{_where(spec)}: {key.replace('_', '-')}: there is no folder {name!r}")


def _check_package(
    spec: Union[OpLibrary, TorchScriptApp, CMakeProject], packages: Optional[Sequence[str]], problems: list[str]
) -> None:
    where = _where(spec)
    if spec.package is not None and not _PACKAGE_NAME.match(spec.package):
        problems.append(f"{where}: {spec.package!r} is no name of a Python package")
    elif spec.install and packages is not None:
        if spec.package is None:
            problems.append(
                f'{where}: the project has not exactly one top-level package: say package = "…", or install = false'
            )
        elif spec.package not in packages:
            hint = suggestion(spec.package, list(packages))
            problems.append(f"{where}: the project has no package {spec.package!r}{hint}")


def _check_ops(ops: OpLibrary, spec: ProjectSpec, problems: list[str]) -> None:
    where = _where(ops)
    if not ops.sources:
        problems.append(f"{where}: sources is missing")
    if ops.python_binding not in BINDINGS:
        problems.append(f"{where}: python-binding must be one of {', '.join(BINDINGS)}, not {ops.python_binding!r}")
    _check_references(where, "depends", ops.depends, [o.name for o in spec.ops], problems)
    if ops.limited_api is not None and not (ops.python_module and re.fullmatch(r"3\.\d+", ops.limited_api)):
        problems.append(f'{where}: limited-api is a version like "3.9", for a python-module only')
    if ops.file_name is not None and not re.fullmatch(r"[\w.+-]+\.(so|dylib|dll|pyd)", ops.file_name):
        problems.append(f"{where}: file-name must be a plain file name that ends in .so, .dylib, .dll or .pyd")


def _check_cycles(libraries: Sequence[OpLibrary], problems: list[str]) -> None:
    """Each cycle of ``depends`` once, as the chain that a reader can follow."""
    depends = {o.name: o.depends for o in libraries}

    def walk(name: str, chain: tuple[str, ...]) -> Optional[tuple[str, ...]]:
        if name in chain:
            return (*chain[chain.index(name) :], name)
        return next((c for d in depends.get(name, ()) if (c := walk(d, (*chain, name)))), None)

    seen = set()
    for name in depends:
        cycle = walk(name, ())
        if cycle and frozenset(cycle) not in seen:
            seen.add(frozenset(cycle))
            problems.append(f"operator libraries depend on each other in a circle: {' → '.join(cycle)}")


def _check_app(app: TorchScriptApp, spec: ProjectSpec, problems: list[str]) -> None:
    where = _where(app)
    if app.template not in TEMPLATES:
        problems.append(f"{where}: there is no template {app.template!r}{suggestion(app.template, TEMPLATES)}")
    _check_references(where, "models", app.models, [m.name for m in spec.models], problems)
    _check_references(where, "ops", app.ops, [o.name for o in spec.ops], problems)
    for ops in spec.ops:
        if ops.name in app.ops and ops.python_module:
            problems.append(f"{where}: ops: {ops.name!r} is a Python module; a program cannot link it")
        elif ops.name in app.ops and app.install and not ops.install:
            problems.append(f"{where}: ops: {ops.name!r} has install = false, so the installed program would miss it")
    if app.verify:
        first = next((m for m in spec.models if app.models and m.name == app.models[0]), None)
        if app.sources or app.template != "runner":
            problems.append(f"{where}: verify works with the runner template only")
        elif first is None or not first.example_inputs:
            problems.append(f"{where}: verify needs a model with example-inputs")


def _check_references(where: str, key: str, names: Sequence[str], known: Sequence[str], problems: list[str]) -> None:
    what = {"models": "model"}.get(key, "operator library")
    for name in names:
        if name not in known:
            hint = suggestion(name, known) if known else "; the project has none"
            problems.append(f"{where}: {key}: there is no {what} {name!r}{hint}")


def is_package_file(file: str) -> bool:
    """Is a model's ``file`` of the form ``package:path``, a file of an installed Python package?"""
    package, colon, path = file.partition(":")
    return bool(colon and path and _PACKAGE_NAME.match(package))
