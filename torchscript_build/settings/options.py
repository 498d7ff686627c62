"""The options of a whole build, from pyproject.toml, the environment and a command, into one ``BuildOptions``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from torchscript_build.settings.coerce import check_text, read_fields, shortened, suggestion
from torchscript_build.settings.near_misses import TABLE
from torchscript_build.settings.rules import check_sanitizers
from torchscript_build.settings.specs import BuildOptions

ENVIRONMENT_OPTIONS = ("libtorch", "build_type", "generator", "jobs", "launcher", "cmake_args")
"""What ``TORCHSCRIPT_BUILD_<NAME>`` sets; the search for libtorch reads its own, to name it in its trace."""

VARIABLES = (
    *("TORCHSCRIPT_BUILD_" + name.upper() for name in ENVIRONMENT_OPTIONS),
    *("TORCHSCRIPT_BUILD_CACHE", "TORCHSCRIPT_BUILD_CACHE_DIR", "TORCHSCRIPT_BUILD_VERBOSE"),
    "TORCHSCRIPT_BUILD_RUNNING",  # templates/python/rebuild.py
)
"""All that are ours."""

BUILD_TYPES = ("Release", "Debug", "RelWithDebInfo", "MinSizeRel")
MOST_JOBS = 10_000
MOST_DIGITS = 200
"""Of a requirement; no release has a number of more than a few digits."""
PINS = ("series", "exact", "none")
LAUNCHERS = ("auto", "none", "off", "ccache", "sccache", "distcc")
"""Beside paths."""


def unknown_variables(variables: Mapping[str, str]) -> list[str]:
    """A sentence about each variable that has our prefix and that nobody reads."""
    named = (name for name in sorted(variables) if name.startswith("TORCHSCRIPT_BUILD_") and name not in VARIABLES)
    return [f"{name} is no variable of torchscript-build{suggestion(name, VARIABLES)}" for name in named]


def make_options(
    general: Mapping[str, Any], variables: Mapping[str, str], command: Mapping[str, Any], problems: list[str]
) -> BuildOptions:
    general = dict(general)
    requirement = general.get("libtorch")
    if isinstance(requirement, Mapping):  # libtorch = { version = "…", cxx11-abi = true, cuda = "12", root = "…" }
        general.pop("libtorch")
        long_names = {"root": "libtorch", "version": "libtorch-version", "cxx11-abi": "cxx11-abi", "cuda": "cuda"}
        for key, value in requirement.items():
            if key in long_names and key != "root" and long_names[key] in general:
                problems.append(f"[{TABLE}]: give either libtorch.{key} or {long_names[key]}")
            elif key in long_names:
                general[long_names[key]] = value
            else:
                problems.append(f"[{TABLE}]: unknown key 'libtorch.{key}'{suggestion(key, list(long_names))}")
    if isinstance(general.get("cuda"), (int, float)) and not isinstance(general["cuda"], bool):
        general["cuda"] = str(general["cuda"])  # cuda = 12, cuda = 12.4
    values = read_fields(BuildOptions, general, f"[{TABLE}]", problems, toml=True)
    sources = dict.fromkeys(values, f"[{TABLE}]")
    for name in ENVIRONMENT_OPTIONS:
        variable = "TORCHSCRIPT_BUILD_" + name.upper()
        text = variables.get(variable)
        if text and name == "libtorch":
            values.pop("libtorch", None)  # the search reads that variable itself, and names it in its trace
        elif text:
            _set_from_text(values, sources, name, text, variable, problems)
    for name, value in command.items():
        where = "--" + name.replace("_", "-")
        if isinstance(value, str):
            _set_from_text(values, sources, name, value, where, problems)
        elif value is not None:  # [tool.distutils.build_ts_app] has numbers
            values.update(read_fields(BuildOptions, {name: value}, where, problems, toml=False))
            sources[name] = where
    for name, allowed in (("build_type", BUILD_TYPES), ("pin", PINS)):
        value = values.get(name)
        if value is not None and value not in allowed:
            import difflib

            hint = difflib.get_close_matches(str(value).lower(), [a.lower() for a in allowed], n=1)
            extra = f"; did you mean {next(a for a in allowed if a.lower() == hint[0])!r}?" if hint else ""
            problems.append(
                f"{sources[name]}: {name.replace('_', '-')} must be one of {', '.join(allowed)}, not {value!r}{extra}"
            )
    _check_requirement(values, sources, problems)
    check_sanitizers(values.get("sanitize", ()), sources.get("sanitize", ""), problems)
    launcher = values.get("launcher")
    if isinstance(launcher, str) and launcher not in LAUNCHERS and not _is_launcher_path(launcher):
        problems.append(
            f"{sources['launcher']}: launcher: {launcher!r} is none that we know, nor a path to one"
            f"{suggestion(launcher, LAUNCHERS)}; CMake takes any, as CMAKE_CXX_COMPILER_LAUNCHER"
        )
    jobs = values.get("jobs")
    if isinstance(jobs, int) and not 1 <= jobs <= MOST_JOBS:
        least = f"at least 1, not {jobs}" if jobs < 1 else f"at most {MOST_JOBS}"
        problems.append(f"{sources['jobs']}: jobs must be {least}")
    return BuildOptions(**values)


def _check_requirement(values: Mapping[str, Any], sources: Mapping[str, str], problems: list[str]) -> None:
    """The requirement's syntax; whether a libtorch meets it is the search's business."""
    version, cuda = values.get("libtorch_version"), values.get("cuda")
    if version is not None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            if len(version) > MOST_DIGITS:
                raise InvalidSpecifier(version)
            SpecifierSet(f"=={version}.*" if re.fullmatch(r"\d+(\.\d+)*", version) else version)
        except InvalidSpecifier:
            problems.append(
                f"{sources['libtorch_version']}: libtorch-version: {shortened(version)} is no version or range; "
                "write >=2.4,<2.7"
            )
    if isinstance(cuda, str) and not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?|any|none|cpu", cuda):
        problems.append(
            f'{sources["cuda"]}: cuda must be true, false or a series like "12" or "12.4", not {shortened(cuda)}'
        )


def _is_launcher_path(text: str) -> bool:
    return re.fullmatch(r".*[/\\](ccache|sccache|distcc)(?![a-z])[^/\\]*", text, re.DOTALL) is not None


def _set_from_text(
    values: dict[str, Any], sources: dict[str, str], name: str, text: str, where: str, problems: list[str]
) -> None:
    """An option given as text (command line, environment)."""
    sources[name] = where
    if not check_text(text, where, problems):
        return
    if name == "jobs":
        try:
            values[name] = int(text)
        except ValueError:
            problems.append(f"{where}: must be a whole number, not {shortened(text)}")
    elif name == "cmake_args":
        try:
            values[name] = (*values.get(name, ()), *shlex.split(text))
        except ValueError as error:
            problems.append(f"{where}: {error}: {text!r}")
    else:
        values[name] = text
