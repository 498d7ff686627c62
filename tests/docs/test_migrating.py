"""The pages about moving from elsewhere: what they show before and after is made, and prints what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from children import clean_variables, run_child
from support import write

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("migrating-*.md"))


def blocks(page: Path, section: str) -> tuple[dict[str, str], str]:
    """The files that a section shows, by path, and its console."""
    text = page.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    files = dict(re.findall(r"```\w+\n(?:#|//) (\S+)\n(.*?)```\n", text, re.DOTALL))
    (console,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return files, console


def test_there_are_three() -> None:
    assert [page.stem for page in PAGES] == [
        "migrating-cpp-extension",
        "migrating-scikit-build-core",
        "migrating-tutorial",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_nothing_else_is_typed(page: Path) -> None:
    assert page.read_text(encoding="utf-8").count("```console\n") == len(("Before", "After"))


def follow(page: Path, section: str, folder: Path, **more: str) -> None:
    """Write a section's files and type its commands; what it shows must be printed, among other lines."""
    variables = clean_variables(
        # The session's cache: other tests take the runner from there.
        TORCHSCRIPT_BUILD_CACHE_DIR=os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"],
        TORCHSCRIPT_BUILD_VERBOSE="0",
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        PIP_QUIET="1",
        PIP_NO_INDEX="1",
        MAX_JOBS="2",
        CMAKE_BUILD_PARALLEL_LEVEL="2",
        **more,
    )
    files, console = blocks(page, section)
    for name, content in files.items():
        write(folder / name, content)
    for step in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        done = run_child(command, shell=True, cwd=folder, env=variables, stdout=subprocess.PIPE, encoding="utf-8")
        assert done.returncode == 0, command
        printed = iter(done.stdout.splitlines())
        missing = [line for line in shown.splitlines() if line not in printed]  # each after the one before
        assert missing == [], f"{command} printed {done.stdout}"


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_before_and_after_print_the_same(page: Path, tmp_path: Path) -> None:
    """For scikit-build-core, which is not among the tests' packages, what comes before is for a test of its own."""
    if page.stem == "migrating-scikit-build-core":
        for name, content in blocks(page, "Before")[0].items():
            write(tmp_path / name, content)
    else:
        follow(page, "Before", tmp_path)
    follow(page, "After", tmp_path)


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.network
def test_before_with_scikit_build_core(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    run_child([sys.executable, "-m", "pip", "install", "-q", "--target", tools, "scikit-build-core"], check=True)
    page = DOCS / "migrating-scikit-build-core.md"
    follow(page, "Before", tmp_path / "project", PYTHONPATH=str(tools))
