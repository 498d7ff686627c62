"""The places where a libtorch may be, in order: how each is looked at, not what is done with what is there."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Union

from torchscript_build import system
from torchscript_build.errors import LibTorchUnusableError
from torchscript_build.libtorch.layout import Layout, locate_layout
from torchscript_build.libtorch.steps import Step, in_conda_build, named_path, outside_conda_build, variable_step
from torchscript_build.system import Environment

VARIABLE = "TORCHSCRIPT_BUILD_LIBTORCH"

SYSTEM_FOLDERS = {
    "linux": ("/usr/local", "/usr/local/libtorch", "/usr", "/opt/libtorch", "/opt/pytorch"),
    "darwin": ("/opt/homebrew", "/opt/homebrew/opt/pytorch", "/usr/local", "/usr/local/opt/pytorch", "/opt/libtorch"),
    "win32": ("C:\\libtorch", "C:\\Program Files\\libtorch"),
}


class Candidate(NamedTuple):
    """A folder that may be, hold, or belong to a libtorch."""

    path: Path
    include: Optional[Path] = None
    """Headers from elsewhere (``LIBTORCH_INCLUDE``)."""
    libraries: Optional[Path] = None
    """Libraries from elsewhere (``LIBTORCH_LIB``)."""


Answer = Union[Sequence[Candidate], str]


def is_isolated(environment: Environment) -> bool:
    """Does a build front end hide the interpreter's packages (PEP 517's build isolation)?"""
    marks = ("pip-build-env-", "build-env-", "builds-v0")
    search_path = environment.python.search_path
    return any(mark in part for path in search_path for part in path.parts for mark in marks) or (
        bool(environment.python.site_packages) and not any(p in search_path for p in environment.python.site_packages)
    )


def named_candidate(text: str, environment: Environment) -> Candidate:
    """The folder that a text names: ``fetched:…``, or a path relative to ``cwd``, with ``~``."""
    if text.startswith("fetched:"):
        name = text.partition(":")[2]
        folder = locate_fetched(name, environment)
        if folder is None:
            there = fetched_names(environment)
            raise LibTorchUnusableError(
                f"libtorch {name} has not been fetched (no {fetched_dir(environment) / name}"
                + (f"; there: {', '.join(there)})" if there else ")"),
                cures=[f"torchscript-build fetch {whole_version(name)}"],
            )
        return Candidate(folder)
    return Candidate(named_path(text, environment))


def fetched_dir(environment: Environment) -> Path:
    """The folder of the cache in which each fetched libtorch has a folder of its own.

    :raises TorchScriptBuildError: this user has no cache that may be used.
    """
    return system.find_cache(environment, "libtorch")


FETCHED_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]*")
"""What a folder there is called; temporary ones begin with a dot."""


def fetched_names(environment: Environment) -> tuple[str, ...]:
    """The names of all fetched libtorches, sorted."""
    store = system.locate_cache(environment, "libtorch")
    try:
        with os.scandir(store or os.devnull) as entries:
            return tuple(sorted(e.name for e in entries if FETCHED_NAME.fullmatch(e.name) and e.is_dir()))
    except OSError:
        return ()


def locate_fetched(name: str, environment: Environment) -> Optional[Path]:
    """The folder of a libtorch that was fetched into the cache, by its full version (``"2.6.0+cu124"``).

    A version without local part (``"2.6.0"``, ``"2.6"``) is the one build of that version that is there.

    :raises LibTorchUnusableError: several are there, or this is no name.
    """
    if not FETCHED_NAME.fullmatch(name):
        raise LibTorchUnusableError(f"{name!r} names no fetched libtorch; write it like fetched:2.6.0+cu124")
    folder = fetched_dir(environment) / name
    if folder.is_dir():
        return _own(folder)
    builds = [n for n in fetched_names(environment) if "+" not in name and n.startswith((f"{name}+", f"{name}."))]
    if len(builds) > 1:
        raise LibTorchUnusableError(
            f"fetched:{name} may be each of {', '.join(builds)}",
            cures=[f"name one: fetched:{build}" for build in builds],
        )
    return _own(fetched_dir(environment) / builds[0]) if builds else None


def whole_version(name: str) -> str:
    """What ``fetch`` takes: of a series, its first release that is supported."""
    return name if name.count(".") != 1 or "+" in name else f"{name}.{1 if name == '1.8' else 0}"


def _own(folder: Path) -> Path:
    """:raises LibTorchUnusableError: somebody else can have put it there."""
    reason = system.why_foreign(folder)
    if reason:
        raise LibTorchUnusableError(
            f"this fetched libtorch is not used: {reason}", cures=["remove it, and fetch again"]
        )
    return folder


def _look_tch(environment: Environment) -> Answer:
    """tch's three variables: ``LIBTORCH``, and folders above ``include`` and ``lib`` where those lie elsewhere."""
    root, include, libraries = (environment.get(n) for n in ("LIBTORCH", "LIBTORCH_INCLUDE", "LIBTORCH_LIB"))
    if not (root or (include and libraries)):
        return "not set"
    candidate = named_candidate(root or libraries or "", environment)
    return [
        Candidate(
            candidate.path,
            named_path(include, environment) if include else None,
            named_path(libraries, environment) if libraries else None,
        )
    ]


def _folder(text: str, environment: Environment) -> Candidate:
    return Candidate(named_path(text, environment))


def _look_cmake_prefix_path(environment: Environment) -> Answer:
    value = environment.get("CMAKE_PREFIX_PATH")
    if not value:
        return "not set"
    entries = value.split(";") if environment.platform == "win32" else re.split("[:;]", value)
    holding = [c for c in (named_path(e, environment) for e in entries if e) if isinstance(locate_layout(c), Layout)]
    return [Candidate(c) for c in holding] or "no entry holds a libtorch"


def _look_conda_host(environment: Environment) -> Answer:
    if not in_conda_build(environment):
        return "not a conda build"
    return [Candidate(Path(environment.variables["PREFIX"]))]


def _look_package(environment: Environment) -> Answer:
    return _packages(environment.python.search_path) or "not on the search path"


def _look_own_site_packages(environment: Environment) -> Answer:
    hidden = [p for p in environment.python.site_packages if p not in environment.python.search_path]
    if not hidden:
        return "on the search path, too"
    return _packages(hidden) or f"no torch in {' or '.join(map(str, hidden))}"


def _look_starter(environment: Environment) -> Answer:
    """A front end that isolates builds may run in an environment that was never activated."""
    starter = environment.python.starter
    if starter is None or not is_isolated(environment):
        return "not an isolated build" if starter else "was no Python"
    sites = sorted(starter.parent.parent.glob("lib/python3*/site-packages"))
    return _packages(sites) or f"no torch in {' or '.join(map(str, sites)) or starter.parent.parent}"


def _packages(folders: Sequence[Path]) -> list[Candidate]:
    """The ``torch`` folders in these folders; where there is more than one, an import would take the first."""
    found = dict.fromkeys(os.path.join(folder, "torch") for folder in folders)
    return [Candidate(Path(f)) for f in found if os.path.isfile(os.path.join(f, "version.py"))]


def _look_system(environment: Environment) -> Answer:
    folders = SYSTEM_FOLDERS.get(environment.platform, ())
    holding = [Path(f) for f in folders if isinstance(locate_layout(Path(f)), Layout)]
    return [Candidate(f) for f in holding] or f"none in {', '.join(folders)}"


STEPS: tuple[Step[Candidate], ...] = (
    variable_step(VARIABLE, named_candidate),
    variable_step("Torch_DIR", named_candidate),
    Step("LIBTORCH", _look_tch, named=True),
    variable_step("TORCH_INSTALL_PREFIX", named_candidate),
    # mlverse's variable; torch.hub uses the same one for its cache, which is nobody's mistake.
    variable_step("TORCH_HOME", _folder, named=False),
    Step("CMAKE_PREFIX_PATH", _look_cmake_prefix_path),
    Step("conda host prefix", _look_conda_host),
    outside_conda_build(Step("Python package torch", _look_package)),
    outside_conda_build(Step("own site-packages", _look_own_site_packages)),
    outside_conda_build(Step("starting interpreter", _look_starter)),
    outside_conda_build(variable_step("VIRTUAL_ENV", _folder, named=False)),
    outside_conda_build(variable_step("CONDA_PREFIX", _folder, named=False)),
    outside_conda_build(Step("system folders", _look_system)),
)
"""The documented order, after the explicit argument."""
