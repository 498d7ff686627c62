"""The places where a libtorch may be, in order, and what was found in each.

A step looks at the environment and answers with candidates, best first, or with the reason why it has none.
What somebody named (an argument, a variable) is used or refused; what lies around is used if it fits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional, Union

from torchscript_build.errors import LibTorchNotFoundError, LibTorchUnusableError, TorchScriptBuildError
from torchscript_build.libtorch.abi import same_machine
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.layout import Layout, locate_layout
from torchscript_build.libtorch.read import read_layout
from torchscript_build.libtorch.requirement import Requirement
from torchscript_build.system import Environment, StrPath

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


class Step(NamedTuple):
    """One place to look."""

    name: str
    look: Callable[[Environment], Answer]
    named: bool = False
    """Did somebody name it? Then it is used or refused, and the search ends here."""


@dataclass(frozen=True)
class Finding:
    """What one step found."""

    step: str
    text: str
    """The reason why not, or the libtorch in a few words."""
    libtorch: Optional[LibTorch] = None
    """The libtorch that was read there, whether or not it was chosen."""


@dataclass(frozen=True)
class SearchResult:
    """The trace of a search and how it ended: with a libtorch or an error."""

    findings: tuple[Finding, ...]
    libtorch: Optional[LibTorch] = None
    error: Optional[TorchScriptBuildError] = None


def find_libtorch(
    root: Optional[StrPath] = None,
    *,
    version: Optional[str] = None,
    cxx11_abi: Optional[bool] = None,
    cuda: Union[str, bool, None] = None,
    environment: Optional[Environment] = None,
) -> LibTorch:
    """Find a libtorch and learn all about it, without importing torch.

    Order: ``root``; ``TORCHSCRIPT_BUILD_LIBTORCH``; ``Torch_DIR``; ``LIBTORCH``; ``TORCH_INSTALL_PREFIX`` (these are
    used or refused); ``TORCH_HOME``; ``CMAKE_PREFIX_PATH``; conda's host prefix; the Python package torch on the
    search path; the interpreter's own site-packages; ``VIRTUAL_ENV``; ``CONDA_PREFIX``; system folders.

    :param root: torch's folder, an unpacked archive or its parent, a site-packages, a ``share/cmake/Torch``,
        a conda or install prefix, or ``"fetched:2.6.0+cu124"``; relative to the environment's ``cwd``.
    :param version: a PEP 440 specifier set, ``">=2.4"``, or a version, ``"2.6"``.
    :param cxx11_abi: libstdc++'s new or old ABI.
    :param cuda: true: any CUDA build; false: none; ``"12"`` or ``"12.4"``: that series.
    :raises LibTorchNotFoundError: no place holds one that meets this; the message lists every place.
    :raises LibTorchUnusableError: a named one is none, is incomplete or contradictory, or does not meet this.
    :raises SettingsError: a requirement means nothing.
    """
    requirement = Requirement.of(version=version, cxx11_abi=cxx11_abi, cuda=cuda)
    result = search_libtorch(root, requirement=requirement, environment=environment)
    if result.libtorch is None:
        raise result.error or LibTorchNotFoundError("no usable libtorch found")
    return result.libtorch


def search_libtorch(
    root: Optional[StrPath] = None,
    *,
    requirement: Optional[Requirement] = None,
    environment: Optional[Environment] = None,
    thorough: bool = False,
) -> SearchResult:
    """Look in every place, in order, up to the first libtorch that fits; nothing is raised, the result has the error.

    :param thorough: look in the places after it, too (for ``find --all`` and the doctor).
    """
    environment = environment or Environment.current()
    requirement = requirement or Requirement()
    findings: list[Finding] = []
    chosen: Optional[LibTorch] = None
    error: Optional[TorchScriptBuildError] = None
    for step in (_argument_step(root), *STEPS):
        if chosen is None and error is None:
            found, chosen, error = _take(step, requirement, environment)
        elif thorough:
            found = _take(step, requirement, environment)[0]
        else:
            break
        findings += found
    if chosen is None and error is None:
        error = _not_found(requirement, environment, findings)
    return SearchResult(tuple(findings), chosen, error)


def _take(
    step: Step, requirement: Requirement, environment: Environment
) -> tuple[list[Finding], Optional[LibTorch], Optional[TorchScriptBuildError]]:
    """Take one step: its findings, and the libtorch or (for a named place) the error that ends the search."""
    try:
        answer = step.look(environment)
    except LibTorchUnusableError as error:
        return [Finding(step.name, error.problem)], None, error
    if isinstance(answer, str):
        return [Finding(step.name, answer)], None, None
    findings = []
    for candidate in answer:
        layout = locate_layout(candidate.path, include=candidate.include, libraries=candidate.libraries)
        if isinstance(layout, str):
            findings.append(Finding(step.name, f"{candidate.path}: {layout}"))
            if step.named:
                return findings, None, _no_libtorch(step, candidate, layout)
            continue
        try:
            libtorch = read_layout(layout, step.name)
        except LibTorchUnusableError as error:
            findings.append(Finding(step.name, error.problem.replace("\n ", ";")))
            if step.named:
                return findings, None, _named_error(step, error)
            continue
        reason = requirement.explain(libtorch)
        if reason is None and not step.named:
            reason = _foreign(libtorch, environment)
        found = f"{libtorch.full_version} in {libtorch.root}"
        if reason is None:
            return [*findings, Finding(step.name, found, libtorch)], libtorch, None
        findings.append(Finding(step.name, f"{found}: {reason}", libtorch))
        if step.named:
            return findings, None, _refused(step, libtorch, reason, requirement)
    return findings, None, None


def _foreign(libtorch: LibTorch, environment: Environment) -> Optional[str]:
    """Why a libtorch that nobody named is not for this machine."""
    if libtorch.platform != environment.platform or not same_machine(libtorch.machine, environment.machine):
        return f"made for {libtorch.platform} {libtorch.machine}, this is {environment.platform} {environment.machine}"
    return None


# The steps, in the order in which they stand in STEPS.


def _argument_step(root: Optional[StrPath]) -> Step:
    def look(environment: Environment) -> Answer:
        return "not given" if root is None else [_named(os.fspath(root), environment)]

    return Step("argument root", look, named=True)


def _variable_step(name: str) -> Step:
    def look(environment: Environment) -> Answer:
        value = environment.get(name)
        return [_named(value, environment)] if value else "not set"

    return Step(name, look, named=True)


def _named(text: str, environment: Environment) -> Candidate:
    """The folder that a text names: ``fetched:…``, or a path relative to ``cwd``, with ``~``."""
    if text.startswith("fetched:"):
        name = text.partition(":")[2]
        folder = locate_fetched(name, environment)
        if folder is None:
            raise LibTorchUnusableError(
                f"libtorch {name} has not been fetched (no {_fetched_folder(name, environment)})",
                cures=[f"torchscript-build fetch {name}"],
            )
        return Candidate(folder)
    return Candidate(_path(text, environment))


def locate_fetched(name: str, environment: Environment) -> Optional[Path]:
    """The folder of a libtorch that was fetched into the cache, by its full version (``"2.6.0+cu124"``)."""
    folder = _fetched_folder(name, environment)
    return folder if folder.is_dir() else None


def _fetched_folder(name: str, environment: Environment) -> Path:
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+_-]*", name):
        raise LibTorchUnusableError(f"{name!r} names no fetched libtorch; write it like fetched:2.6.0+cu124")
    return environment.cache_dir() / "libtorch" / name


def _path(text: str, environment: Environment) -> Path:
    if text == "~" or text.startswith(("~/", "~\\")):
        text = (environment.get("HOME") or environment.get("USERPROFILE") or "~") + text[1:]
    return Path(os.path.normpath(os.path.join(environment.cwd, text)))


def _look_tch(environment: Environment) -> Answer:
    """tch's three variables: ``LIBTORCH``, and folders above ``include`` and ``lib`` where those lie elsewhere."""
    root, include, libraries = (environment.get(n) for n in ("LIBTORCH", "LIBTORCH_INCLUDE", "LIBTORCH_LIB"))
    if not (root or (include and libraries)):
        return "not set"
    candidate = _named(root or libraries or "", environment)
    return [
        Candidate(
            candidate.path,
            _path(include, environment) if include else None,
            _path(libraries, environment) if libraries else None,
        )
    ]


def _look_torch_home(environment: Environment) -> Answer:
    """mlverse's variable; torch.hub uses the same one for its cache, which is nobody's mistake."""
    value = environment.get("TORCH_HOME")
    return [Candidate(_path(value, environment))] if value else "not set"


def _look_cmake_prefix_path(environment: Environment) -> Answer:
    value = environment.get("CMAKE_PREFIX_PATH")
    if not value:
        return "not set"
    entries = value.split(";") if environment.platform == "win32" else re.split("[:;]", value)
    holding = [c for c in (_path(e, environment) for e in entries if e) if isinstance(locate_layout(c), Layout)]
    return [Candidate(c) for c in holding] or "no entry holds a libtorch"


def in_conda_build(environment: Environment) -> bool:
    """Is this a build of conda-build or rattler-build, with a host prefix?"""
    return environment.get("CONDA_BUILD") == "1" and environment.get("PREFIX") is not None


def _look_conda_host(environment: Environment) -> Answer:
    if not in_conda_build(environment):
        return "not a conda build"
    return [Candidate(Path(environment.variables["PREFIX"]))]


def _outside_conda_build(look: Callable[[Environment], Answer]) -> Callable[[Environment], Answer]:
    """A conda build takes what is in its host prefix or nothing: the rest is the build machine's."""

    def guarded(environment: Environment) -> Answer:
        return "not searched in a conda build" if in_conda_build(environment) else look(environment)

    return guarded


def _look_package(environment: Environment) -> Answer:
    return _packages(environment.python.search_path) or "not on the search path"


def _look_own_site_packages(environment: Environment) -> Answer:
    hidden = [p for p in environment.python.site_packages if p not in environment.python.search_path]
    if not hidden:
        return "on the search path, too"
    return _packages(hidden) or f"no torch in {' or '.join(map(str, hidden))}"


def _packages(folders: Sequence[Path]) -> list[Candidate]:
    """The ``torch`` folders in these folders; where there is more than one, an import would take the first."""
    found = dict.fromkeys(os.path.join(folder, "torch") for folder in folders)
    return [Candidate(Path(f)) for f in found if os.path.isfile(os.path.join(f, "version.py"))]


def _look_virtual_env(environment: Environment) -> Answer:
    value = environment.get("VIRTUAL_ENV")
    return [Candidate(Path(value))] if value else "not set"


def _look_conda_prefix(environment: Environment) -> Answer:
    value = environment.get("CONDA_PREFIX")
    return [Candidate(Path(value))] if value else "not set"


def _look_system(environment: Environment) -> Answer:
    folders = SYSTEM_FOLDERS.get(environment.platform, ())
    holding = [Path(f) for f in folders if isinstance(locate_layout(Path(f)), Layout)]
    return [Candidate(f) for f in holding] or f"none in {', '.join(folders)}"


STEPS: tuple[Step, ...] = (
    _variable_step(VARIABLE),
    _variable_step("Torch_DIR"),
    Step("LIBTORCH", _look_tch, named=True),
    _variable_step("TORCH_INSTALL_PREFIX"),
    Step("TORCH_HOME", _look_torch_home),
    Step("CMAKE_PREFIX_PATH", _look_cmake_prefix_path),
    Step("conda host prefix", _look_conda_host),
    Step("Python package torch", _outside_conda_build(_look_package)),
    Step("own site-packages", _outside_conda_build(_look_own_site_packages)),
    Step("VIRTUAL_ENV", _outside_conda_build(_look_virtual_env)),
    Step("CONDA_PREFIX", _outside_conda_build(_look_conda_prefix)),
    Step("system folders", _outside_conda_build(_look_system)),
)
"""The documented order, after the explicit argument."""


# Errors.


def _no_libtorch(step: Step, candidate: Candidate, reason: str) -> LibTorchUnusableError:
    return LibTorchUnusableError(
        f"no libtorch in {candidate.path} (named by {step.name}): {reason}",
        cures=[
            "name a folder with include and lib: an installed wheel's torch, an unpacked libtorch, a conda prefix",
            f"leave {step.name} away, so that the usual places are searched",
        ],
    )


def _named_error(step: Step, error: LibTorchUnusableError) -> LibTorchUnusableError:
    named = LibTorchUnusableError(f"{error.problem}\n  (named by {step.name})", cures=error.cures)
    named.__cause__ = error
    return named


def _refused(step: Step, libtorch: LibTorch, reason: str, requirement: Requirement) -> LibTorchUnusableError:
    return LibTorchUnusableError(
        f"libtorch {libtorch.full_version} in {libtorch.root} (named by {step.name}) is not what is required "
        f"({requirement.describe()}): {reason}",
        cures=[f"let {step.name} name another libtorch", "change the requirement"],
    )


def is_isolated(environment: Environment) -> bool:
    """Does a build front end hide the interpreter's packages (PEP 517's build isolation)?"""
    marks = ("pip-build-env-", "build-env-", "builds-v0")
    search_path = environment.python.search_path
    return any(mark in part for path in search_path for part in path.parts for mark in marks) or (
        bool(environment.python.site_packages) and not any(p in search_path for p in environment.python.site_packages)
    )


def _not_found(
    requirement: Requirement, environment: Environment, findings: Sequence[Finding]
) -> LibTorchNotFoundError:
    wanted = requirement.describe()
    return LibTorchNotFoundError(
        "no usable libtorch found" + (f" (wanted {wanted})" if wanted else ""),
        looked_in=[(f.step, f.text) for f in findings if f.step != "argument root"],
        cures=list(_cures(requirement, environment)),
    )


def _cures(requirement: Requirement, environment: Environment) -> Iterator[str]:
    torch = _requirement_line(requirement)
    if in_conda_build(environment):
        yield "add libtorch (or pytorch) to the recipe's requirements/host"
    elif is_isolated(environment):
        yield f"pip install {torch}, then build with --no-build-isolation"
        yield f"add {torch} to build-system.requires in pyproject.toml"
    else:
        yield f"pip install {torch}"
    yield f"set {VARIABLE} to an unpacked libtorch or to the torch folder of another Python"


def _requirement_line(requirement: Requirement) -> str:
    """``'torch>=2.4'``, quoted for a shell."""
    version = requirement.version or ""
    if version[:1].isdigit():
        version = f"=={version}" + (".*" if version.count(".") < 2 else "")
    return f"'torch{version}'" if version else "torch"
