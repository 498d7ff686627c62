"""``torchscript-build eject``: the project's C++ part as a plain CMake project."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add ``eject`` to the subcommands of a parser."""
    parser = commands.add_parser(
        "eject",
        help="write the project in this folder as a plain CMake project that needs no torchscript-build",
        description="Its C++ sources, the programs' own, the models, presets and a README. pyproject.toml is read, "
        "setup.py is not run.",
    )
    parser.add_argument("folder", metavar="DIR", help="where to write it; a new or empty folder")
    parser.add_argument("--libtorch", metavar="FOLDER", help="use this libtorch, or say why not")
    parser.set_defaults(command=_eject)


def _eject(options: argparse.Namespace) -> None:
    from torchscript_build.packaging.eject import eject
    from torchscript_build.packaging.standalone import make_session

    for path in eject(make_session(libtorch=options.libtorch), Path(options.folder)):
        print(path)
