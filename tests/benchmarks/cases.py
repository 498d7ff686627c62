"""The cases by name, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import case_builds, case_programs
from .bench import Bench
from .figures import Outcome

CASES: Mapping[str, Callable[[Bench], Outcome]] = {
    "find": case_programs.find,
    "configure": case_builds.configure,
    "apps": case_builds.apps,
    "many-apps": case_builds.many_apps,
    "ops": case_builds.ops,
    "noop": case_programs.noop,
    "one-source": case_builds.one_source,
    "start": case_programs.start,
    "latency": case_programs.latency,
    "library": case_programs.library,
    "wheel": case_programs.wheel,
    "imports": case_programs.imports,
}
"""``noop`` and ``one-source`` use what ``ops`` has built, so they come after it."""


def list_cases() -> list[str]:
    """Each case with what it measures."""
    return [f"{name:12}{(case.__doc__ or '').splitlines()[0]}" for name, case in CASES.items()]
