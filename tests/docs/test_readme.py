"""README says what is true: its commands, its tables, its options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from torchscript_build.packaging.commands import build_ts_app
from torchscript_build.settings.docs import markdown_tables

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- options:begin -->\n", "<!-- options:end -->"


def text() -> str:
    return README.read_text(encoding="utf-8")


def between(begin: str, end: str) -> str:
    assert text().count(begin) == 1, begin
    return text().split(begin)[1].split(end)[0]


def test_the_option_tables(request: pytest.FixtureRequest) -> None:
    wanted = markdown_tables()
    if request.config.getoption("--update-golden"):
        before, rest = text().split(BEGIN)
        README.write_text(before + BEGIN + wanted + END + rest.split(END)[1], encoding="utf-8")
    assert between(BEGIN, END) == wanted, "if this is meant: pytest --update-golden tests/test_readme.py"


@pytest.mark.parametrize("marker", ["main-command", "test-command"])
def test_each_of_the_two_commands_is_one_line(marker: str) -> None:
    block = between(f"<!-- {marker} -->\n", "<!-- end -->")
    assert re.fullmatch(r"```\n\S[^\n]*\n```\n", block), block


def test_every_option_of_the_command_is_there() -> None:
    section = between("## `build_ts_app`\n", "\n## ")
    options: list[Any] = build_ts_app.user_options
    inherited = ("build-lib", "build-base")  # those of every setuptools command
    for name, _, _ in options:
        if name.rstrip("=") not in inherited:
            assert f"`--{name.rstrip('=')}" in section, name
    for named in re.findall(r"`--([a-z-]+)", section):
        assert named in {name.rstrip("=") for name, _, _ in options}, named


def test_the_command_lines_words_are_there() -> None:
    from torchscript_build.cli import make_parser

    for words in re.findall(r"[`(]torchscript-build ([a-z-]+)(?: (--[a-z-]+))?", text()):
        command, option = words
        help_text = make_parser().format_help()
        assert re.search(rf"^    {command}\b", help_text, re.MULTILINE), words
        if option:
            assert option in _help_of(command), words


def _help_of(command: str) -> str:
    from torchscript_build.cli import make_parser

    choices: Any = next(a.choices for a in make_parser()._actions if a.choices)
    return str(choices[command].format_help())
