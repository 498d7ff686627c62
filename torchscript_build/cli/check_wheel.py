"""``torchscript-build check-wheel``: what a wheel for torch lacks, whichever back end made it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from torchscript_build.cli.libtorch_options import add_libtorch_options, found, search


def add_parser(commands: Any) -> None:
    """Add ``check-wheel`` to the subcommands of a parser."""
    parser = commands.add_parser(
        "check-wheel",
        help="check a wheel with binaries for torch: ABI, NEEDED, RUNPATH, tag, requirement",
        description="Exit code 1 if something in it will fail for somebody.",
    )
    parser.add_argument("wheel", metavar="WHEEL", nargs="+", help="the files, dist/*.whl")
    add_libtorch_options(parser)
    parser.set_defaults(command=_check)


def _check(options: argparse.Namespace) -> int:
    from torchscript_build.packaging.check_wheel import check_wheel, format_advice

    libtorch = found(search(options))
    code = 0
    for wheel in options.wheel:
        advice = check_wheel(Path(wheel), libtorch)
        text = format_advice(advice)
        is_fit = not any(one.is_problem for one in advice)
        verdict = "fit" if is_fit else "not fit"
        print(
            f"{Path(wheel).name}: {verdict} to be shipped, for torch {libtorch.full_version}"
            + (f"\n{text}" if text else "")
        )
        code = code if is_fit else 1
    return code
