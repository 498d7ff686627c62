"""docs/security.md: each claim names tests that there are; those that belong nowhere else are here."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from children import run_child, run_python
from small_projects import write_answer
from support import stub, write

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["security.md", "reliability.md"])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert named
    for file, test in named:
        (path,) = (ROOT / "tests").rglob(file)
        assert f"def {test}(" in path.read_text(encoding="utf-8"), f"{page}: {file}::{test}"


def test_every_row_of_claims_has_a_test() -> None:
    rows = re.findall(r"^\| (?!claim|where|-)(.*) \|$", (ROOT / "docs/security.md").read_text(), re.MULTILINE)
    without = [row for row in rows if "::test_" not in row and not row.startswith("---")]
    assert without == []


@pytest.mark.compile
def test_where_a_build_writes(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_answer(tmp_path / "project")
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    before = {p for p in tmp_path.rglob("*") if not p.is_dir()}
    for command in (["bdist_wheel"], ["build_ts_app", "--report=report.json", "--trace=trace.json"]):
        done = run_python("setup.py", *command, cwd=project, variables={**variables, **places})
        assert done.returncode == 0, done.stdout + done.stderr
    new = {p.relative_to(tmp_path).parts[:2] for p in tmp_path.rglob("*") if not p.is_dir() and p not in before}
    assert new == {("project", "build"), ("project", "dist"), ("project", "demo.egg-info"), ("cache", "compiler")} | {
        ("project", "report.json"),
        ("project", "trace.json"),
    }


@pytest.mark.compile
def test_the_log_names_the_programs_that_ran(tmp_path: Path, variables: dict[str, str]) -> None:
    """Each is a wrapper that notes its call, at a place that only PATH tells."""
    for name in ("cmake", "ninja", "c++"):
        real = shutil.which(name)
        stub(tmp_path / "bin" / name, f'echo "$0" >> {tmp_path}/ran', f'exec {real} "$@"')
    project = write_answer(tmp_path / "project")
    path = f"{tmp_path / 'bin'}{os.pathsep}{variables['PATH']}"
    done = run_python("setup.py", "build_ts_app", cwd=project, variables={**variables, "PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    ran = set((tmp_path / "ran").read_text().splitlines())
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("-- CMake "))
    assert str(tmp_path / "bin/c++") in ran
    assert f", {tmp_path / 'bin/c++'} GNU " in line


NOTES_ITS_RUN = '#include <cstdio>\nint main() { std::fclose(std::fopen("it-ran", "w")); }\n'


@pytest.mark.compile
def test_what_was_built_is_run_only_when_asked_for(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_answer(tmp_path / "project")
    write(project / "answer.cpp", NOTES_ITS_RUN)
    for command, times in ((["bdist_wheel"], 0), (["build_ts_app", "--run"], 1)):
        done = run_python("setup.py", *command, cwd=project, variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len([*tmp_path.rglob("it-ran")]) == times


@pytest.mark.compile
def test_a_build_needs_no_network(tmp_path: Path, variables: dict[str, str]) -> None:
    """In a network namespace of its own, without even a loopback."""
    if run_child(["unshare", "--net", "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    project = write_answer(tmp_path / "project")
    code = "import setuptools, sys; sys.argv = ['setup.py', 'build_ts_app', '--run']; setuptools.setup()"
    done = run_child(
        ["unshare", "--net", sys.executable, "-c", code],
        cwd=project,
        env=variables,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answer 42" in done.stdout
