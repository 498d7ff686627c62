"""pyproject's requirements → lines of a recipe, under conda's names and in conda's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from torchscript_build.conda.forge import conda_name, normalized_name
from torchscript_build.conda.selectors import Selector, parse_marker
from torchscript_build.errors import SettingsError
from torchscript_build.records import dataclass


@dataclass(frozen=True)
class Line:
    """A line of the recipe: a requirement or a command. Expressions in it are written as in meta.yaml: ``{{ … }}``."""

    text: str
    only: Optional[Selector] = None
    v1: Optional[str] = None
    """How recipe.yaml says it, where that differs in more than the dollar."""

    @property
    def is_pip_check(self) -> bool:
        """rattler-build has its own word for it."""
        return self.text.endswith("pip check")


def conda_range(specifiers: Any) -> str:
    """A set of specifiers in conda's words: ``==1.*`` is ``1.*`` there, and ``===`` is unknown."""
    words = sorted((str(s).replace("===", "==") for s in specifiers), reverse=True)
    return ",".join(w[2:] if w.startswith("==") and w.endswith(".*") else w for w in words)


def _conda_lines(texts: Sequence[str], asked: str, section: str) -> tuple[dict[str, Line], list[str]]:
    """Requirements as conda names and writes them, by their names, and what it cannot say.

    Those of torch are left out, which has lines of its own.

    :param asked: where pyproject.toml has them.
    :raises SettingsError: with all that are none.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    lines: dict[str, Line] = {}
    notes: list[str] = []
    problems: list[str] = []
    for text in texts:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            problems.append(f"pyproject.toml: {asked}: {error}")
            continue
        only = parse_marker(requirement.marker)
        if normalized_name(requirement.name) == "torch" or only is None:
            continue
        name = conda_name(requirement.name)
        if requirement.url:
            notes.append(f"requirements.{section}: {name} comes from {requirement.url}, which a recipe cannot name")
        if requirement.extras:
            extras = ", ".join(sorted(requirement.extras))
            notes.append(
                f"requirements.{section}: conda knows no extras: add what {name}[{extras}] brings, with `# keep`"
            )
        line = Line(f"{name} {conda_range(requirement.specifier)}".strip(), only if only.v0 else None)
        # One name may be there several times, for several platforms.
        lines[name if name not in lines else text] = line
    if problems:
        raise SettingsError(problems)
    return lines, notes


def run_lines(project: Mapping[str, Any]) -> tuple[list[Line], list[str]]:
    """``dependencies``: lines and notes."""
    lines, notes = _conda_lines(project.get("dependencies") or (), "project.dependencies", "run")
    return list(lines.values()), notes


def backend_lines(pyproject: Mapping[str, Any], section: str = "host") -> tuple[list[Line], list[str]]:
    """``build-system.requires``, without which no build in conda's environment goes: lines and notes.

    cmake and ninja have their own lines, since they run on the build machine.
    """
    texts = pyproject.get("build-system", {}).get("requires") or ()
    lines, notes = _conda_lines(texts, "build-system.requires", section)
    always = {name: Line(name) for name in ("setuptools", "torchscript-build")}
    return [line for line in {**always, **lines}.values() if line.text.split()[0] not in ("cmake", "ninja")], notes
