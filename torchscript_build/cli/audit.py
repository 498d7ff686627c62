"""The command ``auditwheel-args``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from torchscript_build.system import Environment

EPILOG = """\
example, with a shell that splits words:
  auditwheel repair $(torchscript-build auditwheel-args --wheel FILE) FILE
"""


def add_parser(commands: Any) -> None:
    """Add ``auditwheel-args`` to the subcommands of a parser."""
    audit = commands.add_parser(
        "auditwheel-args",
        help="print auditwheel's options that keep torch's and CUDA's libraries out of a wheel",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    audit.add_argument("--wheel", metavar="FILE", help="only what this wheel's own binaries need")
    audit.add_argument("--libtorch", metavar="FOLDER", help="use this libtorch, or say why not")
    audit.set_defaults(command=_print_arguments)


def _print_arguments(options: argparse.Namespace) -> None:
    from torchscript_build.libtorch.search import search_libtorch
    from torchscript_build.packaging.auditwheel import auditwheel_arguments, excluded_libraries, needed_by_wheel

    result = search_libtorch(options.libtorch, environment=Environment.current(), named_by="--libtorch")
    if result.error is not None:
        raise result.error
    assert result.libtorch is not None  # one of the two is there
    needed = needed_by_wheel(Path(options.wheel)) if options.wheel else None
    # Unquoted: a shell's $(…) splits words, but takes no quotes away.
    print(*auditwheel_arguments(excluded_libraries(result.libtorch), needed))
