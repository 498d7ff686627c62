"""``torchscript-build matrix``: one project, several libtorches, one table."""

from __future__ import annotations

import argparse
import json
from typing import Any

from torchscript_build import log
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.libtorch.places import fetched_names
from torchscript_build.packaging import matrix
from torchscript_build.settings.read import read_options, read_pyproject
from torchscript_build.system import Environment


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("matrix", help="build the project in this folder against several libtorches")
    parser.add_argument(
        "libtorch",
        nargs="*",
        help="folders or fetched:VERSION; by default `matrix` in the settings, else everything that was fetched",
    )
    parser.add_argument("--run", action="store_true", help="run the apps, too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--ci", choices=["github"], help="build nothing; print the job matrix for a hosted CI")
    parser.set_defaults(command=_matrix)


def _matrix(options: argparse.Namespace) -> int:
    environment = Environment.current()
    settings = read_options(read_pyproject(environment.cwd / "pyproject.toml"), environment.variables)
    names = options.libtorch or settings.matrix or [f"fetched:{n}" for n in fetched_names(environment)]
    if not names:
        raise TorchScriptBuildError(
            "there is no libtorch to build against",
            cures=[
                "torchscript-build fetch 2.6.0 --cpu",
                "torchscript-build matrix FOLDER …",
                'matrix = ["fetched:2.6.0"]',
            ],
        )
    if options.ci:
        print(matrix.github_matrix(names, environment))
        return 0
    rows = matrix.run_matrix(names, environment.cwd, environment, run=options.run, progress=log.progress)
    print(json.dumps([row.to_json() for row in rows], indent=2) if options.json else matrix.format_table(rows))
    return 0 if all(row.succeeded for row in rows) else 1
