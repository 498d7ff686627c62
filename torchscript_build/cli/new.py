"""The command ``new``."""

from __future__ import annotations

import argparse
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
    new.set_defaults(command=_new)


def _new(options: argparse.Namespace) -> None:
    from torchscript_build.scaffold.projects import render_scaffold, write_scaffold

    files = render_scaffold(options.kind, options.name)
    folder = Path(options.directory or options.name)
    write_scaffold(files, folder)
    for target in files:
        print(folder / target)
    print(f"now type: cd {folder} && pip install --no-build-isolation -e . && python -m pytest")
