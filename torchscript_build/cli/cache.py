"""``torchscript-build cache``: what the user's cache holds, and removing it."""

from __future__ import annotations

import argparse
from typing import Any

from torchscript_build import system
from torchscript_build.build.compiler_cache import compilers_dir
from torchscript_build.build.runner_cache import describe, list_entries, runners_dir
from torchscript_build.system import Environment


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("cache", help="show the compiled runners in the user's cache, or empty it")
    parser.add_argument("action", choices=["info", "clean"])
    parser.set_defaults(command=_cache)


def _cache(options: argparse.Namespace) -> None:
    environment = Environment.current()
    folder = runners_dir(environment)
    entries = list_entries(folder)
    total = sum(entry.size for entry in entries) / 1e6
    if options.action == "clean":
        with system.locked(folder / ".lock"):
            for entry in entries:
                system.remove_tree(entry.folder)
        system.remove_tree(compilers_dir(environment))
        print(f"removed {len(entries)} compiled runners, {total:.1f} MB, from {folder}")
        return
    print(f"{len(entries)} compiled runners, {total:.1f} MB, in {folder}")
    for entry in entries:
        print(f"  {entry.folder.name[:12]}  {entry.size / 1e6:.1f} MB  {describe(entry)}")
