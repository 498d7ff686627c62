"""``torchscript-build matrix`` on tiny libtorches: rows, columns, exit codes, and what a hosted CI gets."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from children import run_child, run_python
from small_projects import write_project
from tiny_torch import copy_torch

from torchscript_build.packaging.matrix import Job, Row, column_of, format_table, plan_jobs
from torchscript_build.system import Environment

VARIANT = "torch213-cxx11-cpu-x86_64-linux"
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
    code, _ = matrix(project, variables, "--run", "--results", "rows.json", str(fake_torch), str(tmp_path / "empty"))
    good, bad = json.loads((project / "rows.json").read_text(encoding="utf-8"))
    assert code == 1
    assert (good["configure"], good["build"], good["run"], good["error"]) == ("ok", "ok", "ok", None)
    assert not bad["succeeded"]
    assert str(tmp_path / "empty") in bad["error"]


@pytest.mark.compile
def test_a_failing_build_names_its_step_and_its_error(
    fake_torch: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", APP, files={"main.cpp": "int main() { return nothing; }\n"})
    code, _ = matrix(project, variables, "--results", "rows.json", str(copy_torch(fake_torch, tmp_path / "copy")))
    (row,) = json.loads((project / "rows.json").read_text(encoding="utf-8"))
    assert code == 1
    assert (row["configure"], row["build"], row["run"]) == ("ok", "FAILED", "-")
    assert "nothing" in row["error"]


def test_outside_of_a_project_it_says_so(variables: dict[str, str], tmp_path: Path) -> None:
    for options in ([], ["--json"], ["--github"]):
        done = run_python("-m", "torchscript_build", "matrix", *options, cwd=tmp_path, variables=variables)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(
            f"error: there is no project in {tmp_path}: neither pyproject.toml nor setup.py\n"
        )


def test_without_a_libtorch_it_says_how_to_get_one(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "setup.py").touch()
    done = run_python("-m", "torchscript_build", "matrix", cwd=tmp_path, variables=variables)
    assert done.returncode == 1
    assert "torchscript-build fetch" in done.stderr


def test_the_settings_may_list_the_libtorches(fake_torch: Path, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.torchscript-build]\nmatrix = ["{fake_torch}"]\n')
    code, output = matrix(tmp_path, variables, "--github")
    assert code == 0
    jobs = [{"name": VARIANT, "libtorch": str(fake_torch), "command": f"torchscript-build matrix {fake_torch}"}]
    assert json.loads(output) == {"include": jobs}
    assert json.loads(matrix(tmp_path, variables, "--json")[1]) == jobs


def test_a_job_fetches_what_an_index_has(machine: Environment) -> None:
    (job,) = plan_jobs(["fetched:2.6.0+cu124"], machine, run=True)
    fetch, build = "torchscript-build fetch 2.6.0+cu124", "torchscript-build matrix --run fetched:2.6.0+cu124"
    assert job == Job("fetched-2.6.0+cu124", "fetched:2.6.0+cu124", f"{fetch} && {build}")
    (of_archive,) = plan_jobs(["fetched:2.6.0+cpu.cxx11.abi"], machine, run=False)
    assert of_archive.command == "torchscript-build matrix fetched:2.6.0+cpu.cxx11.abi"


def test_every_job_has_a_name_of_its_own(machine: Environment, fake_torch: Path, tmp_path: Path) -> None:
    copy = copy_torch(fake_torch, tmp_path / "an other")
    jobs = plan_jobs([str(fake_torch), str(copy), str(fake_torch)], machine, run=False)
    assert [job.name for job in jobs] == [VARIANT, f"{VARIANT}-2"]
    assert jobs[1].command == f"torchscript-build matrix '{copy}'"


@pytest.mark.compile
def test_the_jobs_run_one_by_one(fake_torch: Path, variables: dict[str, str], tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", APP, files={"main.cpp": MAIN})
    copy = copy_torch(fake_torch, tmp_path / "an other")
    jobs = json.loads(matrix(project, variables, "--run", "--json", str(fake_torch), str(copy))[1])
    path = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    for job in jobs:
        done = run_child(
            job["command"],
            shell=True,
            cwd=project,
            env={**variables, "PATH": path},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert re.search(rf"^{VARIANT}  ok +ok +ok ", done.stdout, re.MULTILINE)


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
