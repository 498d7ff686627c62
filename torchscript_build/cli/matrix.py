"""``torchscript-build matrix``: one project, several libtorches, one table."""

from __future__ import annotations

import argparse
import json
from typing import Any

from torchscript_build import log, system
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.libtorch.places import fetched_names
from torchscript_build.packaging import matrix
from torchscript_build.settings.read import read_options, read_pyproject
from torchscript_build.system import Environment

EPILOG = """\
for a CI's own matrix, one job for each libtorch:
  torchscript-build matrix --json      a list of jobs: name, libtorch, command
  torchscript-build matrix --github    the same for strategy.matrix: ${{ fromJSON(…) }}
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "matrix",
        help="build the project in this folder against several libtorches",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "libtorch",
        nargs="*",
        help="folders or fetched:VERSION; by default `matrix` in the settings, else everything that was fetched",
    )
    parser.add_argument("--run", action="store_true", help="run the apps, too")
    parser.add_argument("--results", metavar="FILE", help="also write the table as JSON")
    jobs = parser.add_argument_group("instead of building").add_mutually_exclusive_group()
    jobs.add_argument("--json", action="store_true", help="print the jobs, with the command of each")
    jobs.add_argument("--github", action="store_true", help="print the jobs for a matrix of GitHub's")
    parser.set_defaults(command=_matrix)


def _matrix(options: argparse.Namespace) -> int:
    environment = Environment.current()
    if not any((environment.cwd / name).is_file() for name in ("pyproject.toml", "setup.py")):
        raise TorchScriptBuildError(
            f"there is no project in {environment.cwd}: neither pyproject.toml nor setup.py",
            cures=["go to the project's folder: cd FOLDER", "start a project: torchscript-build new project NAME"],
        )
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
    if options.json or options.github:
        jobs = [job.to_json() for job in matrix.plan_jobs(names, environment, run=options.run)]
        print(json.dumps({"include": jobs}) if options.github else json.dumps(jobs, indent=2))
        return 0
    rows = matrix.run_matrix(names, environment.cwd, environment, run=options.run, progress=log.progress)
    print(matrix.format_table(rows))
    if options.results:
        results = json.dumps([row.to_json() for row in rows], indent=2)
        system.write_atomically(environment.cwd / options.results, f"{results}\n".encode())
    return 0 if all(row.succeeded for row in rows) else 1
