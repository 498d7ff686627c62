"""``torchscript-build migrate``: which models can go from TorchScript to ``torch.export``, and what that brings."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from torchscript_build import log, system


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "migrate",
        help="judge the way of models from TorchScript to torch.export",
        description="Says of each model of the project in this folder whether torch.export takes it, with which sizes "
        "that vary, or what blocks it and where; and measures what a .pt2 of it would gain or lose.",
    )
    parser.add_argument("models", nargs="*", metavar="NAME", help="names of models; by default all")
    parser.add_argument("--no-compile", action="store_true", help="do not compile and measure, which takes minutes")
    parser.add_argument(
        "--write", action="store_true", help="add the settings for a .pt2 beside each to pyproject.toml"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--libtorch", metavar="FOLDER", help="the libtorch of the project")
    parser.set_defaults(command=_migrate)


def _migrate(options: argparse.Namespace) -> int:
    from torchscript_build.models import migrate
    from torchscript_build.packaging.make_verdicts import judge_project
    from torchscript_build.packaging.standalone import make_session

    verdicts = judge_project(make_session(libtorch=options.libtorch), options.models, measure=not options.no_compile)
    print(json.dumps(migrate.to_json(verdicts), indent=2) if options.json else migrate.describe(verdicts))
    if options.write:
        _write(verdicts)
    elif not options.json and migrate.summary(verdicts):
        print(migrate.summary(verdicts))
    return 0


def _write(verdicts: Any) -> None:
    from torchscript_build.models.migrate import with_twins

    file = Path("pyproject.toml").absolute()
    text, added = with_twins(file.read_text(encoding="utf-8"), verdicts)
    if added:
        system.write_atomically(file, text.encode())
        log.say(f"-- pyproject.toml: added {', '.join(added)}; torchscript-build verify compares them")
    else:
        log.say("-- pyproject.toml: nothing to add")
