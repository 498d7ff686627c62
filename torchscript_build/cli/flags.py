"""``torchscript-build flags``: what to give a compiler, for builds without CMake."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from torchscript_build import system
from torchscript_build.cli.cmake_dir import write_cmake_dir
from torchscript_build.cli.libtorch_options import add_libtorch_options, found, search
from torchscript_build.errors import SettingsError
from torchscript_build.generate.templates import FileSet

EPILOG = """\
examples:
  c++ main.cpp $(torchscript-build flags) -o main
  cmake $(torchscript-build flags --cmake) -S . -B build
  export PKG_CONFIG_PATH=$(torchscript-build flags --pkg-config build/pkgconfig)
"""


def add_parser(commands: Any) -> None:
    """Add ``flags`` to the subcommands of a parser."""
    parser = commands.add_parser(
        "flags",
        help="print what to give a compiler: for Make, Bazel, Meson, a build script",
        description="Without an option of its own, prints what --cflags --libs does.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_libtorch_options(parser)
    what = parser.add_argument_group("what to print")
    what.add_argument("--cflags", action="store_true", help="options for the compiler")
    what.add_argument("--libs", action="store_true", help="options for the linker")
    what.add_argument("--no-rpath", action="store_true", help="leave out the RPATH to where libtorch is now")
    what.add_argument("--json", action="store_true", help="all of it as JSON, and the facts behind it")
    what.add_argument("--cmake", action="store_true", help="the option for CMake")
    what.add_argument("--pkg-config", metavar="DIR", help="write torch.pc into a folder, and print the folder")
    what.add_argument(
        "--bazel", metavar="DIR", help="write a module segment and a build file into a workspace's folder"
    )
    parser.set_defaults(command=_flags)


def _flags(options: argparse.Namespace) -> None:
    from torchscript_build.generate.flags import compiler_flags, render_bazel, render_pkg_config, shell_words

    kinds = ("json", "cmake", "pkg_config", "bazel")
    given = [f"--{k.replace('_', '-')}" for k in kinds if getattr(options, k)]
    if options.cflags or options.libs:
        given.append("--cflags or --libs")
    if len(given) > 1:
        raise SettingsError([f"flags: {' and '.join(given)} do not go together"])
    libtorch = found(search(options))
    flags = compiler_flags(libtorch)
    if options.json:
        print(json.dumps(flags.to_json(), indent=2, ensure_ascii=False))
    elif options.cmake:
        print(shell_words([f"-DTorch_DIR={write_cmake_dir(libtorch).as_posix()}"]))
    elif options.pkg_config:
        _write(render_pkg_config(flags), options.pkg_config)
        print(os.path.abspath(options.pkg_config))
    elif options.bazel:
        package = Path(os.path.normpath(options.bazel)).as_posix()
        if os.path.isabs(package) or package.startswith(".."):
            raise SettingsError([f"flags --bazel: a folder inside the workspace, relative to it, not {package}"])
        if not all(libtorch.root in d.parents for d in libtorch.include_dirs):
            raise SettingsError(
                [f"flags --bazel: {libtorch.root} does not hold all its headers, so it is no repository"]
            )
        package = "" if package == "." else package
        _write(render_bazel(flags, libtorch.root, package=package), options.bazel)
        print(f'include("//{package}:libtorch.MODULE.bazel")')
    else:
        libs = flags.libs_without_rpath if options.no_rpath else flags.libs
        both = not (options.cflags or options.libs)
        words = [*(flags.cflags if options.cflags or both else ()), *(libs if options.libs or both else ())]
        print(shell_words(words))


def _write(files: FileSet, folder: str) -> None:
    for name, content in files.items():
        system.write_if_changed(Path(folder, name), content)
