"""A build of ours with nothing declared: what was found in its place, and where to look."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.packaging.distribution import KEYWORDS, is_ours
from torchscript_build.settings.near_misses import TABLE
from torchscript_build.settings.read import read_pyproject
from torchscript_build.settings.specs import ProjectSpec


def nothing_declared(dist: Any, spec: ProjectSpec, root: Path) -> TorchScriptBuildError:
    """A command of ours was asked for, and there is nothing that it builds."""
    problem, cures = "nothing to build is declared", []
    if spec.apps or spec.cmake or spec.libraries:
        problem = "no operator library is declared"
        cures += [f'declare one: [[{TABLE}.ops]] with name = "…", sources = ["…"]']
        cures += ["build what is declared: python setup.py build_ts_app"]
    elif spec.models:
        names = ", ".join(f'"{model.name}"' for model in spec.models)
        problem = "models are declared, and no app that takes them"
        cures += [f'declare one: [[{TABLE}.app]] with name = "…", models = [{names}]']
    else:
        cures += [f'declare it: [[{TABLE}.app]], [[{TABLE}.ops]] or [[{TABLE}.cmake]], each with a name = "…"']
        cures += [f"cd {os.path.relpath(folder, root)}, a project with our table" for folder in _neighbours(root)]
        cures += ["write a project to look at: torchscript-build new project NAME"]
    looked_in = [(str(root / "pyproject.toml"), _found_in_table(root)), ("setup()", _found_in_setup(dist))]
    return TorchScriptBuildError(problem, looked_in=looked_in, cures=cures)


def _found_in_table(root: Path) -> str:
    file = root / "pyproject.toml"
    if not file.is_file():
        return "no such file"
    table = read_pyproject(file).get("tool", {}).get(TABLE.partition(".")[2])
    if table is None:
        return f"no table [{TABLE}]"
    return f"[{TABLE}] has only {', '.join(table)}" if table else f"[{TABLE}] is empty"


def _found_in_setup(dist: Any) -> str:
    given = [keyword for keyword in KEYWORDS if getattr(dist, keyword, None) is not None]
    words = [keyword if getattr(dist, keyword) else f"{keyword}, which is empty" for keyword in given]
    return f"only {', '.join(words)}" if words else f"none of {', '.join(KEYWORDS)}"


def _neighbours(root: Path) -> Iterator[Path]:
    """Folders above and right below that are projects of ours."""
    try:
        below = sorted(p for p in root.iterdir() if p.is_dir())
    except OSError:
        below = []
    yield from (folder for folder in (*below, *root.parents[:2]) if is_ours(folder))
