"""docs/security.md: each claim names tests that there are; those that belong nowhere else are here."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support import run_child, run_python, write_answer

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
    without = [row for row in rows if "::test_" not in row and not row.startswith(("files that you name", "---"))]
    assert without == []


@pytest.mark.compile
def test_where_a_build_writes(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_answer(tmp_path / "project")
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    before = {p for p in tmp_path.rglob("*") if not p.is_dir()}
    done = run_python("setup.py", "bdist_wheel", cwd=project, variables={**variables, **places})
    assert done.returncode == 0, done.stdout + done.stderr
    new = {p.relative_to(tmp_path).parts[:2] for p in tmp_path.rglob("*") if not p.is_dir() and p not in before}
    assert new == {("project", "build"), ("project", "dist"), ("project", "demo.egg-info"), ("cache", "compiler")}


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
