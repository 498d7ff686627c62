"""The four sources of settings (pyproject.toml, setup() keywords, command options, environment) → one ``ProjectSpec``.

Every problem is collected and all are raised at once, whichever source it came from.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, TypeVar

from torchscript_build.errors import SettingsError
from torchscript_build.settings.coerce import (
    check_text,
    closest,
    kind_of,
    read_fields,
    read_spec,
    suggestion,
)
from torchscript_build.settings.near_misses import HINT, TABLE, find_near_misses
from torchscript_build.settings.options import make_options
from torchscript_build.settings.rules import ANY, Doubts, check_spec, where_of
from torchscript_build.settings.specs import (
    BuildOptions,
    BundleOptions,
    CLibrary,
    CMakeProject,
    OpLibrary,
    ProjectSpec,
    ScriptModel,
    TorchScriptApp,
)

PROCESS_SETTINGS = (
    *("default_dtype", "quantized_engine", "flush_denormal", "threads", "interop_threads", "deterministic"),
    "matmul_precision",
)
"""What of a model's settings is about the process that runs it."""
ARRAYS: Mapping[str, type] = {
    "model": ScriptModel,
    "ops": OpLibrary,
    "app": TorchScriptApp,
    "cmake": CMakeProject,
    "library": CLibrary,
}
"""The arrays of tables in pyproject.toml, and what each entry is."""

OTHER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("program", "programs", "executable", "binary", "runner"), "app"),
    **dict.fromkeys(("operator", "operators", "op", "extension"), "ops"),
    **dict.fromkeys(("network", "net", "module"), "model"),
}
"""What is written by mistake in the place of an array's name."""

DEFAULTS = "defaults"
"""The table with defaults for the entries of each array."""

KEYWORDS: Mapping[str, str] = {
    "ts_models": "model",
    "ts_ops": "ops",
    "ts_apps": "app",
    "ts_cmake": "cmake",
    "ts_c_libraries": "library",
}
"""setup()'s keywords, and the array that each stands for."""

_GENERAL = frozenset(field.name for field in dataclasses.fields(BuildOptions))


def read_pyproject(path: Path) -> Mapping[str, Any]:
    """The whole of a pyproject.toml; empty if there is none.

    :raises SettingsError: it cannot be parsed.
    """
    try:
        return _parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:  # a folder of that name
        raise SettingsError([f"{path.name} cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError([f"{path.name}, line {line}: is not written in UTF-8 ({error.reason})"]) from error
    except ValueError as error:  # TOMLDecodeError
        raise SettingsError([_toml_problem(path, error)]) from error


@functools.lru_cache(maxsize=1)  # setuptools calls us a dozen times in one build
def _parse_toml(text: str) -> Mapping[str, Any]:
    """:raises ValueError: it is no TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        parsed: Mapping[str, Any] = tomllib.loads(text)
        return parsed
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _toml_problem(path: Path, error: ValueError) -> str:
    """What a TOML parser says, with the place first, as compilers do, and the line below it."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
    if match is None:
        return f"{path.name} is no TOML: {error}"
    lines = path.read_text(encoding="utf-8").splitlines() or [""]
    line = int(match[2]) if match[2] else len(lines)
    text = lines[line - 1] if line <= len(lines) else ""
    column = int(match[3]) if match[3] else len(text) + 1
    return f"{path.name}:{line}:{column}: {match[1]}\n      {text}\n      {' ' * (column - 1)}^"


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
    problems = find_near_misses(pyproject)
    doubts: Doubts = {name: {ANY} if problems else set() for name in ARRAYS}
    check_text(str(root), "the project's folder", problems)
    table = _table(pyproject)
    entries: dict[str, list[Any]] = {name: [] for name in ARRAYS}
    general: dict[str, Any] = {}
    bundle: Any = {}
    defaults = _defaults(table.get(DEFAULTS, {}), problems)

    def read_entries(array: str, values: Any, where: str, *, toml: bool) -> None:
        for i, value in enumerate(values):
            if toml and isinstance(value, Mapping):
                value = {**defaults.get(array, {}), **value}
            spec = read_spec(ARRAYS[array], value, f"{where} {i + 1}", problems, toml=toml)
            if spec is not None:
                entries[array].append(spec)
            else:
                doubts[array].add(_name_of(value))

    for key, value in table.items():
        if key in ARRAYS and isinstance(value, list):
            read_entries(key, value, f"[[{TABLE}.{key}]]", toml=True)
        elif key in ARRAYS:
            problems.append(f"{TABLE}.{key} must be an array of tables: write [[{TABLE}.{key}]]")
            doubts[key].add(ANY)
        elif key == DEFAULTS:
            continue
        elif key == "bundle":
            bundle = value
        elif key.replace("-", "_") not in _GENERAL and _is_array(value):
            meant = OTHER_WORDS.get(key) or closest(key, ARRAYS)
            also = f"did you mean [[{TABLE}.{meant}]]?" if meant else f"there are {', '.join(ARRAYS)}"
            problems.append(f"[[{TABLE}.{key}]]: {also}")
            for name in [meant] if meant else ARRAYS:
                doubts[name].add(ANY)
        else:
            general[key] = value
    for keyword, value in keywords.items():
        if value is None:
            continue
        if keyword not in KEYWORDS:
            problems.append(f"setup({keyword}=…): unknown{suggestion(keyword, list(KEYWORDS))}")
            doubts[KEYWORDS.get(closest(keyword, KEYWORDS) or "", "app")].add(ANY)
        elif not isinstance(value, (list, tuple)):
            problems.append(f"setup({keyword}=…) must be a list, not {kind_of(value)}")
            doubts[KEYWORDS[keyword]].add(ANY)
        else:
            read_entries(KEYWORDS[keyword], value, f"setup({keyword}=…) item", toml=False)

    if not isinstance(bundle, Mapping):
        problems.append(f"{TABLE}.bundle must be a table, [{TABLE}.bundle], not {kind_of(bundle)}")
        bundle = {}
    wishes = read_fields(BundleOptions, bundle, f"[{TABLE}.bundle]", problems, toml=True)
    options = make_options(general, variables, command, problems)
    spec = ProjectSpec(
        options=options,
        models=tuple(_with_python_path(m, root) for m in _completed_twins(entries["model"], problems, doubts)),
        ops=tuple(_completed(s, root, packages, problems) for s in entries["ops"]),
        apps=tuple(_completed(s, root, packages, problems) for s in entries["app"]),
        cmake=tuple(_with_package(s, root, packages) for s in entries["cmake"]),
        libraries=tuple(_with_package(s, root, packages) for s in entries["library"]),
        bundle=BundleOptions(**wishes),
        libtorch_named_by="--libtorch" if command.get("libtorch") else f"libtorch in [{TABLE}]",
    )
    check_spec(spec, root, packages, problems, doubts)
    if spec.libraries:
        from torchscript_build.settings.library_rules import check_libraries  # most projects have none

        check_libraries(spec, root, packages, problems, doubts)
    if options.series:
        from torchscript_build.settings.series_rules import check_series  # most projects have none

        check_series(spec, problems)
    if problems:
        raise SettingsError(problems)
    return spec


def read_options(pyproject: Mapping[str, Any], variables: Mapping[str, str]) -> BuildOptions:
    """How everything is built, as pyproject.toml and the environment say; what is built is not looked at.

    :raises SettingsError: with every problem of these options.
    """
    problems: list[str] = []
    table = _table(pyproject)
    general = {k: v for k, v in table.items() if k not in (*ARRAYS, DEFAULTS, "bundle")}
    options = make_options(general, variables, {}, problems)
    if problems:
        raise SettingsError(problems)
    return options


def _defaults(value: Any, problems: list[str]) -> Mapping[str, Mapping[str, Any]]:
    """``[tool.torchscript-build.defaults.ops]`` and its like: values for each entry that does not give its own."""
    if not isinstance(value, Mapping):
        problems.append(f"{TABLE}.{DEFAULTS} must be a table of tables, not {kind_of(value)}")
        return {}
    kept = {}
    for key, table in value.items():
        if key not in ARRAYS:
            problems.append(f"[{TABLE}.{DEFAULTS}]: unknown key {key!r}{suggestion(str(key), list(ARRAYS))}")
        elif not isinstance(table, Mapping) or "name" in table:
            problems.append(f"[{TABLE}.{DEFAULTS}.{key}]: must be a table of settings without a name")
        else:
            read_fields(ARRAYS[key], table, f"[{TABLE}.{DEFAULTS}.{key}]", problems, toml=True)
            kept[key] = table
    return kept


def _table(pyproject: Mapping[str, Any]) -> Mapping[str, Any]:
    tool = pyproject.get("tool", {})
    if not isinstance(tool, Mapping):
        raise SettingsError(["pyproject.toml: [tool] must be a table"])
    table = tool.get("torchscript-build", {})
    if not isinstance(table, Mapping):
        raise SettingsError([f"[{TABLE}] must be a table"])
    return table


def is_opted_in(pyproject_text: str) -> bool:
    """Does a pyproject.toml have our table, in whichever of TOML's spellings, or one that can only be meant as ours?

    One that is no TOML has nothing.
    """
    if re.search(r"^\s*\[+\s*tool\s*\.\s*[\"']?torchscript-build\b", pyproject_text, re.MULTILINE):
        return True  # the usual spelling, also in a file with a mistake elsewhere, which is then told
    if not HINT.search(pyproject_text):
        return False
    try:
        pyproject = _parse_toml(pyproject_text)
    except ValueError:
        return False
    tool = pyproject.get("tool")
    return (isinstance(tool, Mapping) and "torchscript-build" in tool) or bool(find_near_misses(pyproject))


def _is_array(value: object) -> bool:
    """Does an unknown key hold tables, as our arrays do?"""
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(v, Mapping) for v in value))


def _name_of(value: object) -> str:
    """The name of an entry that could not be read; ``ANY`` where that is what is wrong with it."""
    name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
    return name if isinstance(name, str) and name else ANY


# --- the whole -----------------------------------------------------------------------------------------------------

_Packaged = TypeVar("_Packaged", OpLibrary, TorchScriptApp, CMakeProject, CLibrary)
_Compiled = TypeVar("_Compiled", OpLibrary, TorchScriptApp)


def _with_package(spec: _Packaged, root: Path, packages: Optional[Sequence[str]]) -> _Packaged:
    """The spec with its default package, if the project has exactly one at the top."""
    default = _default_package(root, packages or ())
    if spec.install and spec.package is None and default:
        return dataclasses.replace(spec, package=default)
    return spec


def _default_package(root: Path, packages: Sequence[str]) -> Optional[str]:
    """The project's only package at the top; of a namespace (``acme.tool``), the only one in it."""
    inner = ""
    while True:
        deeper = {p[len(inner) :].split(".")[0] for p in packages if p.startswith(inner)}
        if len(deeper) != 1:
            return None
        package = inner + deeper.pop()
        folder = package.replace(".", "/")
        is_namespace = not any((root / top / folder / "__init__.py").is_file() for top in ("", "src"))
        has_more = any(p.startswith(package + ".") for p in packages)
        there = any((root / top / folder).is_dir() for top in ("", "src"))
        if not (is_namespace and there and has_more):
            return package
        inner = package + "."


def _completed_twins(
    models: Sequence[ScriptModel], problems: list[str], doubts: Mapping[str, set[str]]
) -> Sequence[ScriptModel]:
    """Models that are further forms of others, with what they take from these."""
    by_name = {model.name: model for model in models}
    return [_completed_twin(m, by_name, problems, doubts) if m.same_as is not None else m for m in models]


def _completed_twin(
    model: ScriptModel, by_name: Mapping[str, ScriptModel], problems: list[str], doubts: Mapping[str, set[str]]
) -> ScriptModel:
    other = by_name.get(model.same_as or "")
    where = f"model {model.name!r}: same-as"
    if other is None:
        if not {model.same_as or ANY, ANY} & doubts["model"]:
            problems.append(
                f"{where}: there is no model {model.same_as!r}{suggestion(model.same_as or '', [*by_name])}"
            )
        return model
    if other is model or other.same_as is not None:
        problems.append(
            f"{where}: {model.same_as!r} is itself another form; name the model that it takes its inputs from"
        )
        return model
    given = {
        "factory": other.factory if model.file is None else None,
        **{name: getattr(other, name) for name in ("example_inputs", "check_inputs", "inputs", "python_path")},
        **{name: getattr(other, name) for name in ("seed", *PROCESS_SETTINGS)},
    }
    defaults = {f.name: f.default for f in dataclasses.fields(ScriptModel)}
    return dataclasses.replace(
        model, **{name: value for name, value in given.items() if getattr(model, name) == defaults[name]}
    )


def _with_python_path(model: ScriptModel, root: Path) -> ScriptModel:
    """The model with the folders that its factory is always imported from."""
    always = (".", "src") if (root / "src").is_dir() else (".",)
    return dataclasses.replace(model, python_path=tuple(dict.fromkeys((*model.python_path, *always))))


def _completed(spec: _Compiled, root: Path, packages: Optional[Sequence[str]], problems: list[str]) -> _Compiled:
    """The spec with its default package, and its sources without patterns."""
    return dataclasses.replace(
        _with_package(spec, root, packages),
        sources=_matching(spec, "sources", root, problems),
        cuda_sources=_matching(spec, "cuda_sources", root, problems),
    )


def _matching(spec: _Compiled, key: str, root: Path, problems: list[str]) -> tuple[str, ...]:
    """Files that names and patterns stand for: sorted, relative, with forward slashes."""
    where = f"{where_of(spec)}: {key.replace('_', '-')}"
    sources: list[str] = []
    for name in getattr(spec, key):
        if not any(c in name for c in "*?["):
            sources.append(name)
            continue
        if Path(name).is_absolute():
            problems.append(f"{where}: a pattern must be relative to the project, not {name!r}")
            continue
        try:
            found = sorted(Path(os.path.relpath(p, root)).as_posix() for p in root.glob(name) if p.is_file())
        except (ValueError, NotImplementedError, IndexError, OSError, RecursionError) as error:  # src/**.cpp
            problems.append(f"{where}: {name!r} is no pattern ({error}); write src/**/*.cpp")
            continue
        if not found:
            problems.append(f"{where}: nothing matches {name!r}")
        for file in found:
            check_text(file, where, problems)
        sources += found
    return tuple(dict.fromkeys(sources))
