"""``torchscript-build cache``: what the user's cache holds, and removing it."""

from __future__ import annotations

import argparse
from typing import Any

from torchscript_build import system
from torchscript_build.build import compiler_cache, runner_cache
from torchscript_build.system import Environment


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("cache", help="show the compiled runners in the user's cache, or empty it")
    parser.add_argument("action", choices=["info", "clean"], help="show what is there, or remove it")
    parser.set_defaults(command=_cache)


def _cache(options: argparse.Namespace) -> None:
    environment = Environment.current()
    folder, compilers = (system.find_cache(environment, kind) for kind in (runner_cache.KIND, compiler_cache.KIND))
    entries = runner_cache.list_entries(folder)
    total = sum(entry.size for entry in entries) / 1e6
    if options.action == "clean":
        if folder.is_dir():
            with system.locked_if_possible(folder / ".lock", "the compiled runner"):
                for path in (p for p in folder.iterdir() if p.is_dir()):
                    system.remove_tree(path)
        system.remove_tree(compilers)
        print(f"removed {len(entries)} compiled runners, {total:.1f} MB, from {folder}")
        return
    print(f"{len(entries)} compiled runners, {total:.1f} MB, in {folder}")
    for entry in entries:
        print(f"  {entry.folder.name[:12]}  {entry.size / 1e6:.1f} MB  {runner_cache.describe(entry)}")
