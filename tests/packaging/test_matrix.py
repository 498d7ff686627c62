"""``torchscript-build matrix`` on tiny libtorches: rows, columns, exit codes, and what a hosted CI gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import copy_torch, run_python, write_project

from torchscript_build.packaging.matrix import Row, column_of, format_table, github_matrix
from torchscript_build.system import Environment

MAIN = "#include <torch/script.h>\nint main() { return 0; }\n"
APP = """\
[[tool.torchscript-build.app]]
name = "hello"
sources = ["main.cpp"]
install = false
"""


def matrix(folder: Path, variables: dict[str, str], *arguments: str) -> tuple[int, str]:
    done = run_python("-m", "torchscript_build", "matrix", *arguments, cwd=folder, variables=variables)
    return done.returncode, done.stdout


@pytest.mark.compile
def test_each_libtorch_is_a_row_and_one_failure_fails_all(
    fake_torch: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", APP, files={"main.cpp": MAIN})
    (tmp_path / "empty").mkdir()
    code, output = matrix(project, variables, "--run", "--json", str(fake_torch), str(tmp_path / "empty"))
    good, bad = json.loads(output)
    assert code == 1
    assert (good["configure"], good["build"], good["run"], good["error"]) == ("ok", "ok", "ok", None)
    assert not bad["succeeded"]
    assert str(tmp_path / "empty") in bad["error"]


@pytest.mark.compile
def test_a_failing_build_names_its_step_and_its_error(
    fake_torch: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", APP, files={"main.cpp": "int main() { return nothing; }\n"})
    code, output = matrix(project, variables, "--json", str(copy_torch(fake_torch, tmp_path / "copy")))
    (row,) = json.loads(output)
    assert code == 1
    assert (row["configure"], row["build"], row["run"]) == ("ok", "FAILED", "-")
    assert "nothing" in row["error"]


def test_without_a_libtorch_it_says_how_to_get_one(variables: dict[str, str], tmp_path: Path) -> None:
    done = run_python("-m", "torchscript_build", "matrix", cwd=tmp_path, variables=variables)
    assert done.returncode == 1
    assert "torchscript-build fetch" in done.stderr


def test_the_settings_may_list_the_libtorches(fake_torch: Path, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.torchscript-build]\nmatrix = ["{fake_torch}"]\n')
    code, output = matrix(tmp_path, variables, "--ci", "github")
    assert code == 0
    assert [job["libtorch"] for job in json.loads(output)["include"]] == [str(fake_torch)]


def test_a_hosted_ci_fetches_what_is_not_here(machine: Environment) -> None:
    assert json.loads(github_matrix(["fetched:2.6.0+cu124"], machine)) == {
        "include": [{"fetch": "2.6.0+cu124", "libtorch": "fetched:2.6.0+cu124", "variant": "fetched-2.6.0+cu124"}]
    }


@pytest.mark.parametrize(
    ("step", "column"),
    [("configure", "configure"), ("build", "build"), ("build sdk", "build"), ("model m", "run"), ("run a", "run")],
)
def test_steps_belong_to_columns(step: str, column: str) -> None:
    assert column_of(step) == column


def test_the_table_has_the_first_line_of_each_error() -> None:
    good = Row("torch213-cxx11-cpu", "a", (("configure", "ok"), ("build", "ok"), ("run", "-")), 12.34)
    bad = Row("torch18", "b", (("configure", "ok"), ("build", "FAILED"), ("run", "-")), 1.0, "error: x\nmore")
    assert format_table([good, bad]).splitlines() == [
        "variant             configure  build   run  seconds",
        "torch213-cxx11-cpu  ok         ok      -    12.3",
        "torch18             ok         FAILED  -    1.0",
        "torch18 (b): error: x",
    ]
