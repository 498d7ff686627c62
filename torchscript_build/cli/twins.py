"""``build``, ``run``, ``rebuild``, …: setuptools' commands by another door, for projects without a setup.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

COMMANDS = {
    "build": ("build_ts_app",),
    "run": ("build_ts_app", "--run"),
    "verify": ("build_ts_app", "--verify"),
    "rebuild": ("build_ts_app", "--inplace"),
    "wheel": ("bdist_wheel",),
}
"""What each says to setuptools; the words after it follow."""


def add_parser(commands: Any) -> None:
    """List them among the subcommands of a parser; their options are setuptools' to read."""
    for name, what in (
        ("build", "build the project in this folder: as python setup.py build_ts_app, with the same options"),
        ("run", "build it, and run its apps"),
        ("verify", "build it, and compare its apps with Python"),
        ("rebuild", "build what an editable install has put into the source tree again"),
        ("wheel", "build its wheel into dist, or the folder after --wheel-dir; options as for build"),
    ):
        commands.add_parser(name, help=what)


def setup_words(arguments: Sequence[str]) -> list[str]:
    """A command and its options as words for setup.py."""
    name, *rest = arguments
    if name != "wheel":
        return [*COMMANDS[name], *rest]
    parser = argparse.ArgumentParser(prog="torchscript-build wheel", add_help=False, allow_abbrev=False)
    parser.add_argument("-w", "--wheel-dir")
    options, rest = parser.parse_known_args(rest)
    # Only with options of its own: as a part of bdist_wheel it builds what is packaged, and nothing else.
    words = ["build_ts_app", *rest] if rest else []
    return [*words, *COMMANDS[name], *(["--dist-dir", options.wheel_dir] if options.wheel_dir else [])]
