"""``torchscript-build cmake-dir``: writes the package Torch for a libtorch and prints its folder."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, Optional

from torchscript_build import system
from torchscript_build.cli.libtorch_options import add_libtorch_options, found, search
from torchscript_build.libtorch import LibTorch
from torchscript_build.system import Environment

EPILOG = """\
examples:
  cmake -DTorch_DIR="$(torchscript-build cmake-dir)" -S . -B build
  cmake -DCMAKE_PREFIX_PATH="$(torchscript-build cmake-dir)" -S . -B build
"""


def add_parser(commands: Any) -> None:
    """Add ``cmake-dir`` to the subcommands of a parser."""
    parser = commands.add_parser(
        "cmake-dir",
        help="print a folder in which CMake's find_package(Torch) finds a libtorch",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_libtorch_options(parser)
    parser.add_argument("--output", metavar="FOLDER", help="write it there; by default into the user's cache")
    parser.set_defaults(command=_cmake_dir)


def _cmake_dir(options: argparse.Namespace) -> None:
    print(write_cmake_dir(found(search(options)), options.output))


def write_cmake_dir(libtorch: LibTorch, output: Optional[str] = None) -> Path:
    """Write the package Torch for a libtorch, by default into the user's cache: a folder per libtorch and content."""
    from torchscript_build.generate.torch_package import render_torch_package

    files = render_torch_package(libtorch)
    if output is None:
        digest = hashlib.sha256()
        for name, content in sorted(files.items()):
            digest.update(name.encode() + b"\0" + content + b"\0")
        store = system.find_cache(Environment.current(), "cmake")
        folder = store / f"{libtorch.variant}-{digest.hexdigest()[:12]}"
        system.make_private(folder, store.parent)
    else:
        folder = Path(output)
    for name, content in files.items():
        system.write_if_changed(folder / name, content)
    return folder
