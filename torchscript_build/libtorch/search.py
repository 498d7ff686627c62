"""The search for a libtorch: one place after the other, what was found in each, and the one that fits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Optional, Union

from torchscript_build.errors import LibTorchNotFoundError, LibTorchUnusableError, TorchScriptBuildError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.layout import locate_layout
from torchscript_build.libtorch.machine import same_machine
from torchscript_build.libtorch.places import STEPS, VARIABLE, Candidate, is_isolated, named_candidate
from torchscript_build.libtorch.read import read_layout
from torchscript_build.libtorch.requirement import Requirement
from torchscript_build.libtorch.steps import Step, argument_step, in_conda_build
from torchscript_build.records import dataclass
from torchscript_build.system import Environment, StrPath

ROOT = "argument root"
"""What the first step is called where nobody says how the user does."""
PACKAGE_STEPS = ("Python package torch", "own site-packages")


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
    named_by: str = ROOT,
) -> LibTorch:
    """Find a libtorch and learn all about it, without importing torch.

    Order: ``root``; ``TORCHSCRIPT_BUILD_LIBTORCH``; ``Torch_DIR``; ``LIBTORCH``; ``TORCH_INSTALL_PREFIX`` (these are
    used or refused); ``TORCH_HOME``; ``CMAKE_PREFIX_PATH``; conda's host prefix; the Python package torch on the
    search path; the interpreter's own site-packages; that of the Python which started an isolated build;
    ``VIRTUAL_ENV``; ``CONDA_PREFIX``; system folders.

    :param root: torch's folder, an unpacked archive or its parent, a site-packages, a ``share/cmake/Torch``,
        a conda or install prefix, or ``"fetched:2.6.0+cu124"``; relative to the environment's ``cwd``.
    :param version: a PEP 440 specifier set, ``">=2.4"``, or a version, ``"2.6"``.
    :param cxx11_abi: libstdc++'s new or old ABI.
    :param cuda: true: any CUDA build; false: none; ``"12"`` or ``"12.4"``: that series.
    :param named_by: what messages call ``root``.
    :raises LibTorchNotFoundError: no place holds one that meets this; the message lists every place.
    :raises LibTorchUnusableError: a named one is none, is incomplete or contradictory, or does not meet this.
    :raises SettingsError: a requirement means nothing.
    """
    requirement = Requirement.of(version=version, cxx11_abi=cxx11_abi, cuda=cuda)
    result = search_libtorch(root, requirement=requirement, environment=environment, named_by=named_by)
    if result.libtorch is None:
        raise result.error or LibTorchNotFoundError("no usable libtorch found")
    return result.libtorch


def search_libtorch(
    root: Optional[StrPath] = None,
    *,
    requirement: Optional[Requirement] = None,
    environment: Optional[Environment] = None,
    thorough: bool = False,
    named_by: str = ROOT,
) -> SearchResult:
    """Look in every place, in order, up to the first libtorch that fits; nothing is raised, the result has the error.

    :param named_by: what the user calls ``root``: an option, a setting.
    :param thorough: look in the places after it, too (for ``find --all`` and the doctor).
    """
    environment = environment or Environment.current()
    requirement = requirement or Requirement()
    findings: list[Finding] = []
    chosen: Optional[LibTorch] = None
    error: Optional[TorchScriptBuildError] = None
    for step in (argument_step(named_by, root, named_candidate), *STEPS):
        if chosen is None and error is None:
            found, chosen, error = _take(step, requirement, environment)
        elif thorough:
            found = _take(step, requirement, environment)[0]
        else:
            break
        findings += found
    if chosen is None and error is None:
        error = _not_found(requirement, environment, findings if root is not None else findings[1:])
    return SearchResult(tuple(findings), chosen, error)


def locate_beside(libtorch: LibTorch, environment: Environment) -> Optional[LibTorch]:
    """Another torch than an isolated build was given, in the environment that the build was started from."""
    if not is_isolated(environment) or libtorch.found_by != "Python package torch":
        return None
    for step in STEPS:
        if step.name in ("own site-packages", "starting interpreter", "VIRTUAL_ENV"):
            other = _take(step, Requirement(), environment)[1]
            if other is not None:
                return other if other.full_version != libtorch.full_version else None
    return None


def _take(
    step: Step[Candidate], requirement: Requirement, environment: Environment
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
            reason = explain_foreign(libtorch, environment)
        found = f"{libtorch.full_version} in {libtorch.root}"
        if reason is None:
            return [*findings, Finding(step.name, found, libtorch)], libtorch, None
        findings.append(Finding(step.name, f"{found}: {reason}", libtorch))
        if step.named:
            return findings, None, _refused(step, libtorch, reason, requirement)
    return findings, None, None


def explain_foreign(libtorch: LibTorch, environment: Environment) -> Optional[str]:
    """Why a libtorch that nobody named is not for this machine."""
    if libtorch.platform != environment.platform or not same_machine(libtorch.machine, environment.machine):
        return f"made for {libtorch.platform} {libtorch.machine}, this is {environment.platform} {environment.machine}"
    return None


def _cures_of_a_version(name: str) -> list[str]:
    """What helps who names a release in the place of a folder."""
    if not re.fullmatch(r"\d+\.\d+(?:\.\d+)?(?:\+\w+)?", name):
        return []
    return [
        f'a release that is installed: libtorch-version = "=={name}" in the settings',
        f"torchscript-build fetch {name}, and name it fetched:{name}",
    ]


def _no_libtorch(step: Step[Candidate], candidate: Candidate, reason: str) -> LibTorchUnusableError:
    return LibTorchUnusableError(
        f"no libtorch in {candidate.path} (named by {step.name}): {reason}",
        cures=[
            *_cures_of_a_version(candidate.path.name),
            "name a folder with include and lib: an installed wheel's torch, an unpacked libtorch, a conda prefix",
            f"leave {step.name} away, so that the usual places are searched",
        ],
    )


def _named_error(step: Step[Candidate], error: LibTorchUnusableError) -> LibTorchUnusableError:
    named = LibTorchUnusableError(f"{error.problem}\n  (named by {step.name})", cures=error.cures)
    named.__cause__ = error
    return named


def _refused(step: Step[Candidate], libtorch: LibTorch, reason: str, requirement: Requirement) -> LibTorchUnusableError:
    return LibTorchUnusableError(
        f"libtorch {libtorch.full_version} in {libtorch.root} (named by {step.name}) is not what is required "
        f"({requirement.describe()}): {reason}",
        cures=[f"let {step.name} name another libtorch", "change the requirement"],
    )


def _not_found(
    requirement: Requirement, environment: Environment, findings: Sequence[Finding]
) -> LibTorchNotFoundError:
    wanted = requirement.describe()
    if wanted and not requirement.version:
        wanted = f"one {wanted}"
    return LibTorchNotFoundError(
        "no usable libtorch found" + (f" (wanted {wanted})" if wanted else ""),
        looked_in=[(f.step, f.text) for f in findings],
        cures=list(_cures(requirement, environment, findings)),
    )


def _cures(requirement: Requirement, environment: Environment, findings: Sequence[Finding]) -> Iterator[str]:
    kept = next((f.libtorch for f in findings if f.step in PACKAGE_STEPS and _has_version(f, requirement)), None)
    if in_conda_build(environment):
        build = _conda_build_string(requirement)
        yield f"add `- libtorch{build}` to requirements/host in meta.yaml (`- pytorch{build}` for a Python package)"
    elif kept is not None:
        yield from _replacements(kept, requirement)
    else:
        torch = _requirement_line(requirement)
        if any(f.step in PACKAGE_STEPS and f.text.startswith(os.sep) and f.libtorch is None for f in findings):
            torch = f"--force-reinstall {torch}"  # pip takes what cannot be used for installed
        if is_isolated(environment):
            yield f"pip install {torch}, then build with --no-build-isolation (pip, uv), --no-isolation (build)"
            yield f"add {_requirement_line(requirement)} to build-system.requires in pyproject.toml"
        else:
            yield f"pip install {torch}"
    if not in_conda_build(environment):
        name = _exact_version(requirement) or (kept.version if kept else "VERSION")
        yield f"torchscript-build fetch {name}{fetch_option(name, requirement)}, then set {VARIABLE}=fetched:{name}"
    yield f"set {VARIABLE} to an unpacked libtorch or to the torch folder of another Python"


def _has_version(finding: Finding, requirement: Requirement) -> bool:
    """Would pip take the torch that was found, and refused for something else, for what is required?"""
    found = finding.libtorch
    return found is not None and Requirement.of(version=requirement.version).explain(found) is None


def _replacements(kept: LibTorch, requirement: Requirement) -> Iterator[str]:
    """Commands that put another build in the place of an installed torch; pip alone would find nothing to do."""
    if requirement.cuda is not None and Requirement.of(cuda=requirement.cuda).explain(kept):
        from torchscript_build.libtorch.variants import pip_cure  # for errors only

        yield pip_cure(kept.version, requirement.cuda)
    if requirement.cxx11_abi is not None and requirement.cxx11_abi != kept.cxx11_abi:
        first = "2.6" if kept.machine == "aarch64" else "2.7"  # whose wheel has the new ABI
        yield f"pip install 'torch{'>=' if requirement.cxx11_abi else '<'}{first}'"


def fetch_option(version: str, requirement: Requirement) -> str:
    """What ``fetch`` has to be told, beside a version, to get a build that meets this."""
    if requirement.cuda is None:
        return "" if requirement.cxx11_abi is None else f" --abi {'new' if requirement.cxx11_abi else 'old'}"
    if requirement.cuda is False:
        return " --cpu"
    from torchscript_build.libtorch.variants import variant_tag

    if version == "VERSION" and "." not in str(requirement.cuda):
        return " --cuda TAG"
    return f" --cuda {variant_tag(version if version != 'VERSION' else '0.0', requirement.cuda)}".replace("…", "N")


def _conda_build_string(requirement: Requirement) -> str:
    """The rest of a conda requirement that names the variant: `` * cpu*``, `` * cuda129*``; empty where any will do."""
    if requirement.cuda is None:
        return ""
    series = requirement.cuda.replace(".", "") if isinstance(requirement.cuda, str) else ""
    return f" * cuda{series}*" if requirement.cuda else " * cpu*"


def _exact_version(requirement: Requirement) -> Optional[str]:
    """``"2.6.0"``, where just that is required."""
    version = (requirement.version or "").removeprefix("==").strip()
    return version if version[:1].isdigit() and version.count(".") == 2 and version[-1:].isdigit() else None


def _requirement_line(requirement: Requirement) -> str:
    """``'torch>=2.4'``, quoted for a shell."""
    version = requirement.version or ""
    if version[:1].isdigit():
        version = f"=={version}" + (".*" if version.count(".") < 2 else "")
    return f"'torch{version}'" if version else "torch"
