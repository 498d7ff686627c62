"""The command line: its parser, and the commands that tell of a libtorch."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

from torchscript_build import log, system
from torchscript_build.cli import audit, cache, conda, doctor, fetch, inspect, matrix, new
from torchscript_build.cli.parsing import Parser
from torchscript_build.libtorch import LibTorch
from torchscript_build.libtorch.health import diagnose
from torchscript_build.libtorch.requirement import Requirement
from torchscript_build.libtorch.search import SearchResult, search_libtorch
from torchscript_build.system import Environment


def run_command(arguments: Sequence[str]) -> int:
    """Parse the arguments and run one command; returns the exit code.

    :raises TorchScriptBuildError: the command failed.
    """
    options = make_parser().parse_args(arguments)
    result = options.command(options)
    return int(result or 0)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(prog="torchscript-build", description="Finds and fetches libtorch, and builds C++ against it.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    find = commands.add_parser("find", help="find a libtorch and print what is known about it")
    _add_libtorch_options(find)
    find.add_argument("--json", action="store_true", help="print JSON, with the witness of each fact")
    find.add_argument("--trace", action="store_true", help="print where we looked")
    find.add_argument(
        "--diagnose",
        action="store_true",
        help="also tell what will go wrong with it: missing libraries, a second torch, …; exit code 1 if any",
    )
    find.set_defaults(command=_find)

    cmake_dir = commands.add_parser(
        "cmake-dir", help='print a folder for cmake -DTorch_DIR="$(torchscript-build cmake-dir)"'
    )
    _add_libtorch_options(cmake_dir)
    cmake_dir.set_defaults(command=_cmake_dir)

    for command in (doctor, inspect, cache, fetch, matrix, new, audit, conda):
        command.add_parser(commands)

    schema = commands.add_parser("schema", help="print the JSON schema of [tool.torchscript-build]")
    schema.set_defaults(command=_schema)

    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    return parser


def _version() -> str:
    import torchscript_build

    return torchscript_build.__version__


def _add_libtorch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--libtorch", metavar="FOLDER", help="use this libtorch, or say why not")
    parser.add_argument("--version", metavar="SPECIFIER", help="which releases will do: '>=2.1,<2.16'")
    parser.add_argument("--cuda", metavar="SERIES", help="insist on CUDA ('12', '12.4', 'any') or none ('none')")
    parser.add_argument("--cxx11-abi", choices=["0", "1"], help="insist on libstdc++'s old (0) or new (1) ABI")


def _search(options: argparse.Namespace) -> SearchResult:
    cuda: Optional[Union[str, bool]] = options.cuda
    abi = None if options.cxx11_abi is None else options.cxx11_abi == "1"
    requirement = Requirement.of(version=options.version, cxx11_abi=abi, cuda=cuda)
    return search_libtorch(
        options.libtorch, requirement=requirement, environment=Environment.current(), named_by="--libtorch"
    )


def _found(result: SearchResult) -> LibTorch:
    if result.error is not None:
        raise result.error
    assert result.libtorch is not None  # one of the two is there
    return result.libtorch


def _find(options: argparse.Namespace) -> int:
    result = _search(options)
    libtorch = _found(result)
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
        print(
            f"{name:<{width}}  {'unknown' if value in (None, '') else value}" + (f"   ({witness})" if witness else "")
        )


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


def _cmake_dir(options: argparse.Namespace) -> None:
    print(write_cmake_dir(_found(_search(options)), Environment.current()))


def write_cmake_dir(libtorch: LibTorch, environment: Environment) -> Path:
    """Write the package Torch for a libtorch into the user's cache: one folder per libtorch and content."""
    import hashlib

    from torchscript_build.generate.torch_package import render_torch_package

    files = render_torch_package(libtorch)
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    folder = environment.cache_dir() / "cmake" / f"{libtorch.variant}-{digest.hexdigest()[:12]}"
    for name, content in files.items():
        system.write_if_changed(folder / name, content)
    return folder


def _schema(_options: argparse.Namespace) -> None:
    from torchscript_build.settings.docs import json_schema

    print(json.dumps(json_schema(), indent=2))
