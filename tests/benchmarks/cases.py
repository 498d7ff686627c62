"""The cases by name, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import case_builds, case_demo, case_growth, case_load, case_models, case_programs
from .bench import Bench
from .figures import Outcome

CASES: Mapping[str, Callable[[Bench], Outcome]] = {
    "demo": case_demo.demo,
    "find": case_programs.find,
    "configure": case_builds.configure,
    "apps": case_builds.apps,
    "export": case_demo.export,
    "again": case_demo.again,
    "change": case_models.change,
    "bytes": case_models.model_bytes,
    "many-apps": case_builds.many_apps,
    "monorepo": case_growth.monorepo,
    "ops": case_builds.ops,
    "noop": case_programs.noop,
    "one-source": case_builds.one_source,
    "start": case_programs.start,
    "latency": case_programs.latency,
    "load": case_load.load,
    "library": case_programs.library,
    "wheel": case_programs.wheel,
    "imports": case_programs.imports,
    "growing-models": case_growth.growing_models,
    "growing-ops": case_growth.growing_ops,
}
"""``noop`` and ``one-source`` use what ``ops`` has built, so they come after it."""
ONLY_NAMED = ("growing-models", "growing-ops")
"""What takes too long to be measured unasked."""


def list_cases() -> list[str]:
    """Each case with what it measures."""
    return [f"{name:16}{(case.__doc__ or '').splitlines()[0]}" for name, case in CASES.items()]
