"""Pages that are made from what the program itself knows: the command line, and the failures that the doctor names.

``pytest --update-golden tests/docs/test_generated.py`` writes them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from torchscript_build.build.exports import EXPORTS
from torchscript_build.build.failures import Failure, name_failures
from torchscript_build.build.hints import HINTS
from torchscript_build.build.installs import INSTALLS
from torchscript_build.build.pains import PAINS
from torchscript_build.build.troubles import TROUBLES
from torchscript_build.cli import make_parser
from torchscript_build.packaging.commands import build_ts_app

DOCS = Path(__file__).parents[2] / "docs"
TEXTS = Path(__file__).parents[1] / "build"
WIDEST = 140


def compare(request: pytest.FixtureRequest, page: str, text: str) -> None:
    if request.config.getoption("--update-golden"):
        (DOCS / page).write_text(text, encoding="utf-8")
    assert (DOCS / page).read_text(encoding="utf-8") == text, "if this is meant: pytest --update-golden tests/docs"


# --- the command line ------------------------------------------------------------------------------------------------

LEAD = """\
# The command line

`torchscript-build` alone prints this list; `torchscript-build COMMAND --help` a command's options. A misspelt word gets
a suggestion. `torchscript-build completion bash` (or `zsh`, `fish`) prints what completes all of it in a shell.
"""


def escaped(text: str | None) -> str:
    return " ".join((text or "").replace("%%", "%").replace("|", "\\|").split())


def shown(action: argparse.Action) -> str:
    metavar = action.metavar or action.dest.upper()
    value = "" if action.nargs == 0 else f" {'|'.join(map(str, action.choices)) if action.choices else metavar}"
    if not action.option_strings:
        return f"`{value.strip()}`".replace("|", "\\|")
    return ", ".join(f"`{flag}{value}`" for flag in action.option_strings).replace("|", "\\|")


def command_line() -> Iterator[str]:
    yield LEAD
    (commands,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    for choice in commands._choices_actions:
        parser = commands.choices[choice.dest]
        said = escaped(parser.description) or f"{escaped(choice.help)[:1].upper()}{escaped(choice.help)[1:]}."
        yield f"\n## {choice.dest}\n\n{said}\n"
        rows = [(shown(a), escaped(a.help)) for a in parser._actions if a.dest != "help"]
        if rows:
            yield "\n| | |\n|---|---|\n" + "".join(f"| {option} | {text} |\n" for option, text in rows)
    yield (
        "\n## python setup.py build_ts_app, build_ts_ops\n\nThe same build as a setuptools command. `build_ts_ops` has "
        "neither `--run` nor `--verify` nor `--bundle`.\n\n| | |\n|---|---|\n"
    )
    for name, short, text in build_ts_app.user_options:
        flag = f"--{name.rstrip('=')}" + (
            f" {name.rstrip('=').replace('-', '_').upper()}" if name.endswith("=") else ""
        )
        yield f"| `{flag}`{f', `-{short}`' if short else ''} | {escaped(text)} |\n"


def test_the_command_line(request: pytest.FixtureRequest) -> None:
    compare(request, "command-line.md", "".join(command_line()))


# --- what goes wrong -------------------------------------------------------------------------------------------------

REAL = "".join(
    (TEXTS / name).read_text(encoding="utf-8") for name in ("pains.txt", "installs.txt", "troubles.txt", "exports.txt")
)
GROUPS = (
    ("Installing: Python, compilers, NumPy", INSTALLS),
    ("Finding and linking libtorch", PAINS),
    ("Compiling sources that use torch", HINTS),
    ("Scripting, tracing, exporting a model", EXPORTS),
    ("Loading and running models and libraries", TROUBLES),
)
HEAD = """\
# Troubleshooting

```console
$ torchscript-build doctor                 # this machine and this project, on one page, with what to type
$ torchscript-build doctor --log build.log # names the failures below in a log of anybody's build or program
```

This page is what the doctor knows: what is printed, why, and what helps. `-` in the place of a file is standard input.
"""


def example(failure: Failure) -> tuple[str, Failure]:
    """A line of a real text, and the failure with its names filled in; where there is none, with dots for them."""
    found = name_failures(REAL, [failure])
    if found:
        line = found[0].text.replace("`", "'")
        return f"\n`{line if len(line) <= WIDEST else line[:WIDEST] + '…'}`\n", found[0].failure
    cause, cure = (re.sub(r"\{\w+\}", "…", t) for t in (failure.cause, failure.cure))
    return "", replace(failure, cause=cause, cure=cure)


def begun(text: str) -> str:
    """With a capital, unless it begins with a name that has none."""
    return text if re.match(r"torch|lib|nv|cu[A-Z]", text) else text[0].upper() + text[1:]


def troubleshooting() -> Iterator[str]:
    yield HEAD
    for title, table in GROUPS:
        yield f"\n## {title}\n"
        for failure in table:
            line, filled = example(failure)
            cause, cure = (
                re.sub(r"<([^\s<>]+)>", r"`<\1>`", text.replace("……", "…")) for text in (filled.cause, filled.cure)
            )
            yield f"\n### {begun(re.sub('^[0-9]+ ', '', failure.name))}\n{line}\n{begun(cause)}.\n\n"
            yield f"What helps: {cure}.\n"


def test_the_page_of_troubles(request: pytest.FixtureRequest) -> None:
    compare(request, "troubleshooting.md", "".join(troubleshooting()))
