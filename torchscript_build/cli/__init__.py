"""The command line: its parser, and the commands that tell of a libtorch."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchscript_build import log
from torchscript_build.cli import (
    audit,
    audit_abi,
    bundle,
    cache,
    check_wheel,
    cmake_dir,
    completion,
    conda,
    doctor,
    eject,
    fetch,
    flags,
    inspect,
    matrix,
    migrate,
    new,
    twins,
)
from torchscript_build.cli.libtorch_options import add_libtorch_options, found, search
from torchscript_build.cli.parsing import Parser
from torchscript_build.libtorch import LibTorch
from torchscript_build.libtorch.health import diagnose
from torchscript_build.libtorch.search import SearchResult
from torchscript_build.system import Environment


def run_command(arguments: Sequence[str]) -> int:
    """Parse the arguments and run one command; returns the exit code.

    :raises TorchScriptBuildError: the command failed.
    """
    if arguments and arguments[0] in (*twins.COMMANDS, "bundle"):
        from torchscript_build.packaging.standalone import run_commands

        is_bundle = arguments[0] == "bundle"
        run_commands(bundle.setup_words(arguments[1:]) if is_bundle else twins.setup_words(arguments))
        return 0
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    result = options.command(options)
    return int(result or 0)


COMMANDS = (
    *(doctor, inspect, twins, bundle, cmake_dir, flags, check_wheel, audit_abi, cache, fetch, matrix),
    *(new, migrate, eject, audit, conda, completion),
)
"""In the order of the help text, after ``find``."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(prog="torchscript-build", description="Finds and fetches libtorch, and builds C++ against it.")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND")

    find = commands.add_parser("find", help="find a libtorch and print what is known about it")
    add_libtorch_options(find)
    find.add_argument("--json", action="store_true", help="print JSON, with the witness of each fact")
    find.add_argument("--trace", action="store_true", help="print where we looked")
    find.add_argument(
        "--diagnose",
        action="store_true",
        help="also tell what will go wrong with it: missing libraries, a second torch, …; exit code 1 if any",
    )
    find.set_defaults(command=_find)

    for command in COMMANDS:
        command.add_parser(commands)

    schema = commands.add_parser("schema", help="print the JSON schema of [tool.torchscript-build]")
    schema.set_defaults(command=_schema)

    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    return parser


class _Version(argparse.Action):
    """Prints the version; it is looked up only then, as the commands work without an installation's metadata, too."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import torchscript_build

        print(f"{parser.prog} {torchscript_build.__version__}")
        parser.exit()


def _find(options: argparse.Namespace) -> int:
    result = search(options)
    libtorch = found(result)
    troubles = diagnose(libtorch, Environment.current()) if options.diagnose else ()
    if options.json:
        data = describe(libtorch, result)
        print(
            json.dumps({**data, "troubles": list(troubles)} if options.diagnose else data, indent=2, ensure_ascii=False)
        )
    else:
        _print_facts(libtorch, result, trace=options.trace)
        for trouble in troubles:
            log.warn(trouble)
        if options.diagnose and not troubles:
            print("\nno problems found")
    return 1 if troubles else 0


def _print_facts(libtorch: LibTorch, result: SearchResult, *, trace: bool) -> None:
    if trace:
        width = max(len(f.step) for f in result.findings)
        for finding in result.findings:
            print(f"{finding.step:<{width}}  {finding.text}")
        print()
    facts = describe(libtorch, result)
    del facts["witnesses"], facts["trace"]
    width = max(map(len, facts))
    for name, value in facts.items():
        if isinstance(value, list):
            value = ("\n" + " " * (width + 2)).join(map(str, value))
        witness = libtorch.witnesses.get(name)
        word = absent(name, libtorch) if value in (None, "") else value
        print(f"{name:<{width}}  {word}" + (f"   ({witness})" if witness else ""))


OF_CUDA = ("cuda_version", "cudnn_version", "cuda_architectures")
OFTEN_NONE = ("local_version", "python_library", "definitions")
"""Facts that are read from files: nothing found is nothing there."""


def absent(name: str, libtorch: LibTorch) -> str:
    """Why a fact has no value: there is nothing to know, or nothing could be learned."""
    if name in OFTEN_NONE or (name in OF_CUDA and libtorch.backend != "cuda"):
        return "none"
    return "none" if name == "cxx11_abi" and libtorch.platform != "linux" else "unknown"


def describe(libtorch: LibTorch, result: SearchResult) -> dict[str, Any]:
    """A libtorch as plain data: its facts, their witnesses, and where we looked."""
    from dataclasses import fields

    data: dict[str, Any] = {f.name: _plain(getattr(libtorch, f.name)) for f in fields(libtorch)}
    data["variant"] = libtorch.variant
    data["trace"] = [{"place": f.step, "finding": f.text} for f in result.findings]
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def _schema(_options: argparse.Namespace) -> None:
    from torchscript_build.settings.docs import json_schema

    print(json.dumps(json_schema(), indent=2))
