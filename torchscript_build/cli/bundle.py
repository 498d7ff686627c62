"""``torchscript-build bundle``: ``build_ts_app --bundle`` with an argument for what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchscript_build.cli.parsing import Parser

HELP = "build the project in this folder, and make a folder, archive or Debian package that needs no Python"


def add_parser(commands: Any) -> None:
    """List it among the subcommands of a parser; its own options are read by ``setup_words``."""
    commands.add_parser("bundle", help=HELP)


def setup_words(arguments: Sequence[str]) -> list[str]:
    """Its arguments as words for setup.py.

    :raises SystemExit: an option is unknown, or ``--help`` was asked for.
    """
    from torchscript_build.packaging.commands import build_ts_app

    parser = Parser(prog="torchscript-build bundle", description=f"{HELP[0].upper()}{HELP[1:]}.", allow_abbrev=False)
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        default="",
        help="a folder, or a file that ends in .tar.gz, .tar.zst or .deb; by default into dist, called by the project",
    )
    left_out = {"bundle", "prefix", "inplace"}
    for name, short, what in build_ts_app.user_options:
        plain = name.rstrip("=")
        if plain not in left_out:
            action: dict[str, Any] = {} if name.endswith("=") else {"action": "store_true"}
            parser.add_argument(f"--{plain}", *([f"-{short}"] if short else []), help=what, **action)
    for word in ("verbose", "quiet"):
        parser.add_argument(f"--{word}", f"-{word[0]}", action="store_true")
    options = vars(parser.parse_args(arguments))
    given = [name for name in ("verbose", "quiet") if options.pop(name)]
    words = [f"--{name}" for name in given]
    words += ["build_ts_app", f"--bundle={options.pop('output')}"]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value:
            words.append(f"{option}={value}")
    return words
