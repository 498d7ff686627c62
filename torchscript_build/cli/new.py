"""The command ``new``."""

from __future__ import annotations

import argparse
import shlex
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

KINDS = {
    "ops": "an operator library with its Python package",
    "app": "a model and the program that runs it",
    "project": "both",
}


def add_parser(commands: Any) -> None:
    """Add ``new`` to the subcommands of a parser."""
    new = commands.add_parser(
        "new",
        help="write a small project to start from",
        description="Writes a project that builds and passes its tests as it is. Nothing is overwritten.",
        epilog="\n".join(f"  {kind:<8} {what}" for kind, what in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("kind", choices=list(KINDS), metavar="ops|app|project", help="what it holds, see below")
    new.add_argument("name", metavar="NAME", help="its Python package and operator namespace: my_ops")
    new.add_argument("--directory", metavar="FOLDER", help="where to write it; by default ./NAME")
    asked = new.add_argument_group("on request")
    asked.add_argument("--license", metavar="SPDX", help="also a licence line in pyproject.toml: MIT, BSD-3-Clause, …")
    asked.add_argument("--ci", choices=["github"], help="also a workflow that builds, audits and tests wheels")
    asked.add_argument(
        "--stable", action="store_true", help="ops: through torch's stable ABI, one wheel for every torch from 2.10 on"
    )
    asked.add_argument("-y", "--yes", action="store_true", help="all of that: --license MIT --ci github")
    new.set_defaults(command=_new)


def _new(options: argparse.Namespace) -> None:
    from torchscript_build.scaffold.projects import checked_license, render_scaffold, write_scaffold

    license_ = checked_license(options.license) if options.license else "MIT" if options.yes else None
    with_ci = options.yes or options.ci is not None
    files = render_scaffold(options.kind, options.name, license_=license_, with_ci=with_ci, stable=options.stable)
    folder = Path(options.directory or options.name)
    write_scaffold(files, folder)
    for target in files:
        print(folder / target)
    if license_:
        print(f"put the text of {license_} into {folder / 'LICENSE'}")
    missing = "".join(f" {shlex.quote(requirement)}" for requirement in missing_here(with_license=bool(license_)))
    first = f"pip install{missing} && " if missing else ""
    print(
        f"now type: cd {shlex.quote(str(folder))} && {first}pip install --no-build-isolation -e . && python -m pytest"
    )


def missing_here(*, with_license: bool) -> list[str]:
    """What this environment lacks for a build without isolation and for the tests.

    :param with_license: a licence's expression in pyproject.toml is known to setuptools from 77 on.
    """
    wanted = ["torch", "pytest", f"setuptools>={77 if with_license else 64}"]
    return [requirement for requirement in wanted if not _is_met(*requirement.partition(">=")[::2])]


def _is_met(package: str, least: str) -> bool:
    try:
        return int(version(package).partition(".")[0]) >= int(least or 0)
    except PackageNotFoundError:
        return False
