"""``torchscript-build inspect``: what a model file holds, without torch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from torchscript_build import system
from torchscript_build.models.contents import read_contents
from torchscript_build.models.describe import describe, to_json
from torchscript_build.models.differences import differences
from torchscript_build.models.page import render_page


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "inspect",
        help="show what a model file holds, without torch",
        description="Shows methods, modules, tensors, operators and risks of a .pt, .ptl or .pt2 file; nothing of it "
        "is executed.",
    )
    parser.add_argument("model", metavar="MODEL", help="a file of TorchScript, torch.export or torch.save")
    parser.add_argument("--code", action="store_true", help="also print its code")
    parser.add_argument("--depth", type=int, default=3, metavar="N", help="how many levels of modules are shown; 3")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="print JSON")
    what.add_argument("--html", metavar="FILE", help="write one page to look at")
    what.add_argument("--diff", metavar="OTHER", help="tell what differs in another model")
    parser.set_defaults(command=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    contents = read_contents(Path(options.model))
    if options.diff:
        lines = differences(contents, read_contents(Path(options.diff)))
        print("\n".join(lines) if lines else "no difference")
        return 1 if lines else 0
    if options.html:
        system.write_atomically(Path(options.html).absolute(), render_page(contents))
        print(options.html)
    elif options.json:
        print(json.dumps(to_json(contents), indent=2, ensure_ascii=False))
    else:
        print(describe(contents, depth=options.depth, code=options.code))
    return 0
