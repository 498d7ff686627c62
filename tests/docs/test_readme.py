"""README and docs say what is true: their commands, their tables, their options, their example."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from children import clean_variables, run_child
from support import write

from torchscript_build.packaging.commands import build_ts_app
from torchscript_build.settings.docs import json_schema, markdown_tables

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
BUILDING = ROOT / "docs" / "building.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
BEGIN, END = "<!-- options:begin -->\n", "<!-- options:end -->"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def between(page: Path, begin: str, end: str) -> str:
    text = text_of(page)
    assert text.count(begin) == 1, begin
    return text.split(begin)[1].split(end)[0]


def test_the_option_tables(request: pytest.FixtureRequest) -> None:
    wanted = markdown_tables()
    if request.config.getoption("--update-golden"):
        before, rest = text_of(SETTINGS).split(BEGIN)
        SETTINGS.write_text(before + BEGIN + wanted + END + rest.split(END)[1], encoding="utf-8")
    assert between(SETTINGS, BEGIN, END) == wanted, "if this is meant: pytest --update-golden tests/docs"


@pytest.mark.parametrize("marker", ["main-command", "test-command"])
def test_each_of_the_two_commands_is_one_line(marker: str) -> None:
    block = between(README, f"<!-- {marker} -->\n", "<!-- end -->")
    assert re.fullmatch(r"```\n\S[^\n]*\n```\n", block), block


def test_every_option_of_the_command_is_there() -> None:
    text = text_of(BUILDING)
    options: list[Any] = build_ts_app.user_options
    inherited = ("build-lib", "build-base")  # those of every setuptools command
    for name, _, _ in options:
        if name.rstrip("=") not in inherited:
            assert f"`--{name.rstrip('=')}" in text, name
    for named in re.findall(r"`--([a-z-]+)", text):
        assert named in {name.rstrip("=") for name, _, _ in options}, named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_command_lines_words_are_there(page: Path) -> None:
    from torchscript_build.cli import make_parser

    for words in re.findall(r"[`(]torchscript-build ([a-z-]+)(?: (--[a-z-]+))?", text_of(page)):
        command, option = words
        help_text = make_parser().format_help()
        assert re.search(rf"^    {command}\b", help_text, re.MULTILINE), words
        if option:
            assert option in _help_of(command), words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_of_the_setuptools_commands_are_there(page: Path) -> None:
    known = {f"--{name.rstrip('=')}" for name, *_ in build_ts_app.user_options}
    for words in re.findall(r"build_ts_(?:app|ops)((?: [^\s`&|)]+)+)", text_of(page)):
        assert set(re.findall(r" (--[a-z][a-z-]*)", words)) <= known, words


@pytest.mark.parametrize("page", [*PAGES, ROOT / "examples/README.md"], ids=lambda page: page.name)
def test_settings_that_are_shown_are_settings(page: Path) -> None:
    for block in re.findall(r"```toml\n(.*?)```", text_of(page), re.DOTALL):
        table = tomllib.loads(block).get("tool", {}).get("torchscript-build")
        for error in jsonschema.Draft202012Validator(json_schema()).iter_errors(table) if table else ():
            assert error.validator == "required", error.message  # what is shown may be a part


def _help_of(command: str) -> str:
    from torchscript_build.cli import make_parser

    choices: Any = next(a.choices for a in make_parser()._actions if a.choices)
    return str(choices[command].format_help())


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "examples/README.md"], ids=lambda p: p.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text_of(page)):
        assert (page.parent / target).exists(), target


def test_every_page_is_in_the_menu_and_in_the_overview() -> None:
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert set(re.findall(r": (\S+\.md)$", text_of(ROOT / "mkdocs.yml"), re.MULTILINE)) == {*pages, "index.md"}
    assert set(re.findall(r"\]\((\S+\.md)\)", text_of(ROOT / "docs/index.md"))) == pages


def test_every_example_is_in_the_table() -> None:
    named = re.findall(r"^\| \[(\w+)\]\(\1\) \|", text_of(ROOT / "examples/README.md"), re.MULTILINE)
    assert sorted(named) == sorted(p.name for p in (ROOT / "examples").iterdir() if (p / "README.md").is_file())


@pytest.mark.compile
@pytest.mark.torch
def test_sixty_seconds_are_all_that_it_takes(tmp_path: Path) -> None:
    section = between(README, "## Sixty seconds\n", "\n## ")
    for name, content in re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```\n", section, re.DOTALL):
        write(tmp_path / name, content)
    console = re.search(r"```console\n(.*?)```", section, re.DOTALL)
    assert console
    wheel_command, _, run_command, *output = console[1].splitlines()
    # The session's cache: the example of the quick tier takes the runner from there.
    variables = clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"], MAX_JOBS="2")
    pip = [sys.executable, "-m", *wheel_command.removeprefix("$ ").split()]
    built = run_child(pip, cwd=tmp_path, env=variables, capture_output=True, encoding="utf-8")
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("my_package-1.0-py3-none-*.whl")
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target), str(wheel)]
    run_child(install, check=True, capture_output=True, env=variables)
    # In a folder beside torch, as pip would put it, so that the program's RUNPATH leads to libtorch.
    import torch

    (target / "torch").symlink_to(Path(torch.__file__).parent, target_is_directory=True)
    program, *arguments = run_command.removeprefix("$ ").split()
    ran = run_child([target / "my_package/bin" / program, *arguments], capture_output=True, encoding="utf-8")
    assert ran.stdout.splitlines() == output, ran.stderr
