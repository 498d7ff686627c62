"""The libtorches of a wheel for several series of torch: those that were fetched, one for each."""

from __future__ import annotations

from typing import Optional

from torchscript_build.errors import LibTorchNotFoundError, LibTorchUnusableError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.places import STEPS, fetched_names, whole_version
from torchscript_build.libtorch.requirement import Requirement
from torchscript_build.libtorch.search import explain_foreign, fetch_option, search_libtorch
from torchscript_build.libtorch.steps import in_conda_build
from torchscript_build.libtorch.versions import parse_python_part, read_text, release_of
from torchscript_build.settings.specs import BuildOptions
from torchscript_build.system import Environment

NAMED_BY = "series in [tool.torchscript-build]"


def series_of(entry: str) -> str:
    """An entry of ``series`` → the series: ``"2.13.0+cpu"`` → ``"2.13"``."""
    return ".".join(map(str, release_of(entry)[:2]))


def asked_series(options: BuildOptions, environment: Environment) -> tuple[str, ...]:
    """The entries of ``series``, oldest first; none where one libtorch was named, which then is the only one."""
    if why_one_libtorch(options, environment):
        return ()
    return tuple(sorted(options.series, key=release_of))


def why_one_libtorch(options: BuildOptions, environment: Environment) -> Optional[str]:
    """What names one libtorch in the place of the project's series."""
    if options.libtorch:
        return "--libtorch"
    named = next((step.name for step in STEPS if step.named and environment.get(step.name)), None)
    return named or ("the conda build" if in_conda_build(environment) else None)


def find_series(entry: str, options: BuildOptions, environment: Environment) -> LibTorch:
    """The fetched libtorch of a series; of several releases the newest.

    :param entry: ``"2.13"``, or a build: ``"2.13.0+cpu"``.
    :raises LibTorchNotFoundError: it was not fetched.
    :raises LibTorchUnusableError: it may be each of several, or is broken.
    """
    wanted = Requirement.of(version=entry, cxx11_abi=options.cxx11_abi, cuda=options.cuda)
    names = fetched_names(environment)
    found: dict[str, LibTorch] = {}
    reasons = []
    for name in (n for n in names if series_of(n) == series_of(entry)):
        result = search_libtorch(f"fetched:{name}", environment=environment, named_by=NAMED_BY)
        if result.libtorch is None:
            raise result.error or LibTorchUnusableError(f"the fetched libtorch {name} is not usable")
        reason = wanted.explain(result.libtorch) or explain_foreign(result.libtorch, environment)
        if reason is None:
            found[name] = result.libtorch
        else:
            reasons.append((f"fetched:{name}", reason))
    if not found:
        version = whole_version(entry)
        option = "" if "+" in entry else fetch_option(version, wanted)
        raise LibTorchNotFoundError(
            f"libtorch {wanted.describe()} has not been fetched ({NAMED_BY}; there: {', '.join(names) or 'none'})",
            looked_in=reasons,
            cures=[f"torchscript-build fetch {version}{option}"],
        )
    newest = max(release_of(libtorch.version) for libtorch in found.values())
    builds = [name for name, libtorch in found.items() if release_of(libtorch.version) == newest]
    if len(builds) > 1:
        raise LibTorchUnusableError(
            f"libtorch {entry} may be each of {', '.join(builds)} ({NAMED_BY})",
            cures=[f'name one in series: "{build}"' for build in builds],
        )
    return found[builds[0]]


def locate_installed_series(environment: Environment) -> Optional[str]:
    """The series of Python's own torch, which makes models; ``None``: it has none."""
    for folder in (*environment.python.search_path, *environment.python.site_packages):
        file = folder / "torch" / "version.py"
        part = parse_python_part(read_text(file) or "", file)
        if part is not None:
            return series_of(part.version)
    return None
