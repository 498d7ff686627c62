"""The steps of a search: each looks in one place, which somebody may have named.

A step looks at the environment and answers with candidates, best first, or with the reason why it has none. What was
named (by an argument, a variable) is used or refused, and the search ends there; what lies around is used if it fits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, Optional, TypeVar, Union

from torchscript_build.records import dataclass
from torchscript_build.system import Environment, StrPath

T = TypeVar("T")

Look = Callable[[Environment], Union[Sequence[T], str]]


@dataclass(frozen=True)
class Step(Generic[T]):
    """One place to look."""

    name: str
    look: Look[T]
    named: bool = False
    """Did somebody name it?"""


def argument_step(name: str, value: Optional[StrPath], read: Callable[[str, Environment], T]) -> Step[T]:
    """What the caller names."""

    def look(environment: Environment) -> Union[Sequence[T], str]:
        return "not given" if value is None else [read(os.fspath(value), environment)]

    return Step(name, look, named=True)


def variable_step(name: str, read: Callable[[str, Environment], T], *, named: bool = True) -> Step[T]:
    """What an environment variable names."""

    def look(environment: Environment) -> Union[Sequence[T], str]:
        value = environment.get(name)
        return [read(value, environment)] if value else "not set"

    return Step(name, look, named)


def in_conda_build(environment: Environment) -> bool:
    """Is this a build of conda-build or rattler-build, with a host prefix?"""
    return environment.get("CONDA_BUILD") == "1" and environment.get("PREFIX") is not None


def outside_conda_build(step: Step[T]) -> Step[T]:
    """A conda build takes what is in its prefixes or nothing: the rest is the build machine's."""

    def look(environment: Environment) -> Union[Sequence[T], str]:
        return "not searched in a conda build" if in_conda_build(environment) else step.look(environment)

    return Step(step.name, look, step.named)


def named_path(text: str, environment: Environment) -> Path:
    """A path as somebody wrote it: relative to ``cwd``, with ``~``."""
    if text == "~" or text.startswith(("~/", "~\\")):
        text = (environment.get("HOME") or environment.get("USERPROFILE") or "~") + text[1:]
    return Path(os.path.normpath(os.path.join(environment.cwd, text)))
