"""``torchscript-build doctor``: this machine and project on one page, and the known failures in a log."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Optional

from torchscript_build import log
from torchscript_build.build.checkup import Check, examine, failed
from torchscript_build.build.explain import explain_log
from torchscript_build.build.failures import Named
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.log.columns import fold
from torchscript_build.system import Environment

LONGEST_LOG = 256 << 20
"""Bytes that are read of a log; /dev/zero has no end."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="look at this machine and project, or explain a log",
        description="Tells what a build here would use, and what is wrong; exit code 1 if anything is.",
    )
    parser.add_argument(
        "--log", metavar="FILE", help="name the known failures in any build's or program's log; -: stdin"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    if options.log is not None:
        with open(options.log, "rb") if options.log != "-" else nullcontext(sys.stdin.buffer) as file:
            raw = file.read(LONGEST_LOG)
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"  # PowerShell's redirection
        named = explain_log(raw.decode(encoding, errors="replace"))
        print(_json_log(named) if options.json else format_log(named, _columns()))
        return 0 if named else 1
    checks = check_up(Environment.current())
    print(_json_checks(checks) if options.json else format_checks(checks, _columns()))
    return 0 if all(check.ok for check in checks) else 1


def check_up(environment: Environment) -> list[Check]:
    """The project in the current folder, if there is one, and the machine."""
    root = environment.cwd
    if not (root / "pyproject.toml").is_file():
        return [Check("project", True, f"none in {root}"), *examine(environment, root)]
    from setuptools import Distribution

    from torchscript_build.packaging.distribution import read_spec

    try:
        distribution: Any = Distribution({"src_root": str(root)})
        distribution.parse_config_files()
        distribution.set_defaults()
        spec = read_spec(distribution)
    except TorchScriptBuildError as error:
        return [failed("project", error), *examine(environment, root)]
    except Exception as error:  # noqa: BLE001 - setuptools says what is wrong with the rest of pyproject.toml
        return [Check("project", False, f"setuptools cannot read pyproject.toml: {error}"), *examine(environment, root)]
    entries: list[Any] = [*spec.models, *spec.ops, *spec.apps, *spec.cmake, *spec.libraries]
    names = list(dict.fromkeys(entry.name for entry in entries))
    declared = ", ".join(names) if names else "nothing declared in pyproject.toml (setup.py was not run)"
    return [Check("project", True, f"{distribution.get_name()}: {declared}"), *examine(environment, root, spec)]


def _columns() -> Optional[int]:
    """Those of the terminal; ``None`` where the page goes into a file or a pipe."""
    return log.terminal_width() if sys.stdout.isatty() else None


def format_checks(checks: Sequence[Check], columns: Optional[int] = None) -> str:
    """A line for each, with what to type below those that are wrong.

    :param columns: how long a line may be.
    """
    width = max(len(check.topic) for check in checks)
    indent = " " * (width + 4)
    lines = []
    for check in checks:
        said = [*check.text.splitlines(), *(f"→ {cure}" for cure in check.cures)]
        first, *more = _folded(said, columns and columns - len(indent))
        lines.append(f"{'✓' if check.ok else '✗'} {check.topic:<{width}}  {first}")
        lines += [f"{indent}{line}" for line in more]
    return "\n".join(lines)


def _folded(lines: Sequence[str], columns: Optional[int]) -> list[str]:
    return [part for line in lines for part in (fold(line, columns) if columns else [line])]


def format_log(named: Sequence[Named], columns: Optional[int] = None) -> str:
    """Each failure with its first line, cause and cure.

    :param columns: how long a line may be.
    """
    if not named:
        return "no failure that is known here; the first error of a log is the one that counts"
    parts = []
    for found in named:
        failure = found.failure
        parts.append(
            f"line {found.line}: {found.text}\n"
            f"  {failure.name}{' (harmless)' if failure.harmless else ''}\n"
            f"  cause: {failure.cause}\n  cure:  {failure.cure}\n  seen:  {failure.source}"
        )
    return "\n".join(_folded("\n\n".join(parts).split("\n"), columns))


def _json_checks(checks: Sequence[Check]) -> str:
    return json.dumps([dataclasses.asdict(check) for check in checks], indent=2, ensure_ascii=False)


def _json_log(named: Sequence[Named]) -> str:
    kept = ("name", "cause", "cure", "source", "harmless")
    rows = [{"line": n.line, "text": n.text, **{name: getattr(n.failure, name) for name in kept}} for n in named]
    return json.dumps(rows, indent=2, ensure_ascii=False)
