"""``torchscript-build build|run|verify|wheel``: what ``python setup.py`` does, without a setup.py."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from children import run_python
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import write

from torchscript_build.cli.twins import setup_words

RunSetup = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one app and a setup.py."""
    return write_project(tmp_path / "project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP})


@pytest.fixture
def twin(project: Path, variables: dict[str, str]) -> Callable[..., CompletedProcess[str]]:
    """Our command in the project, from which setup.py has been taken."""

    def run(*words: str) -> CompletedProcess[str]:
        (project / "setup.py").unlink(missing_ok=True)
        return run_python("-m", "torchscript_build", *words, cwd=project, variables=variables)

    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["build"], ["build_ts_app"]),
        (["build", "-j2", "--inplace"], ["build_ts_app", "-j2", "--inplace"]),
        (["run", "--libtorch", "x"], ["build_ts_app", "--run", "--libtorch", "x"]),
        (["verify"], ["build_ts_app", "--verify"]),
        (["wheel"], ["bdist_wheel"]),
        (["wheel", "-w", "out", "-j1"], ["build_ts_app", "-j1", "bdist_wheel", "--dist-dir", "out"]),
    ],
)
def test_the_words_for_setup_py(words: list[str], expected: list[str]) -> None:
    assert setup_words(words) == expected


def test_the_plan_is_the_same_without_setup_py(project: Path, run_setup: RunSetup, twin: RunSetup) -> None:
    theirs = run_setup(project, "build_ts_app", "--dry-run")
    ours = twin("build", "--dry-run")
    assert (ours.returncode, ours.stdout) == (0, theirs.stdout)


@pytest.mark.compile
def test_run_builds_and_runs(twin: RunSetup) -> None:
    done = twin("run")
    assert done.returncode == 0, done.stderr
    assert "answer 42\n" in done.stdout
    assert re.search(r"^-- done in [\d.]+ s: program answer\n {5}build/\S*/answer$", done.stdout, re.MULTILINE)


@pytest.mark.compile
@pytest.mark.parametrize("options", [[], ["--build-type", "Debug"]])
def test_wheel_puts_the_wheel_where_it_is_told(project: Path, twin: RunSetup, options: list[str]) -> None:
    done = twin("wheel", "--wheel-dir", "out", *options)
    assert done.returncode == 0, done.stderr
    (file,) = (project / "out").iterdir()
    with zipfile.ZipFile(file) as archive:
        assert "demo/bin/answer" in archive.namelist()
    assert bool(options) == any(p.name.endswith("-debug") for p in (project / "build/torchscript").iterdir())


def test_a_setup_py_that_is_there_is_used(tmp_path: Path, variables: dict[str, str]) -> None:
    setup = "from helper import NAME\nfrom setuptools import setup\n\nprint(NAME)\nsetup()\n"
    project = write_project(
        tmp_path / "p", ANSWER_APP, files={"answer.cpp": "", "helper.py": "NAME = 'mine'"}, setup=setup
    )
    done = run_python("-m", "torchscript_build", "build", "--dry-run", cwd=project, variables=variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mine\n")


def test_an_error_is_what_setup_py_says(project: Path, run_setup: RunSetup, twin: RunSetup) -> None:
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text.replace("sources", "sorces"))
    theirs = run_setup(project, "build_ts_app")
    ours = twin("build")
    assert ours.returncode == theirs.returncode == 1
    assert ours.stderr == theirs.stderr
    assert "sorces" in ours.stderr


def test_a_folder_without_a_project_is_told(tmp_path: Path, variables: dict[str, str]) -> None:
    write(tmp_path / "pyproject.toml", "[project]\nname = 'x'\nversion = '1'\n")
    done = run_python("-m", "torchscript_build", "build", cwd=tmp_path, variables=variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: nothing to build in {tmp_path}: no setup.py, and no pyproject.toml with" in done.stderr


def test_help_lists_them(tmp_path: Path, variables: dict[str, str]) -> None:
    done = run_python("-m", "torchscript_build", "--help", cwd=tmp_path, variables=variables)
    for name in ("build", "run", "verify", "wheel"):
        assert re.search(rf"^    {name} ", done.stdout, re.MULTILINE)
    done = run_python("-m", "torchscript_build", "build", "--help", cwd=tmp_path, variables=variables)
    assert done.returncode == 0
    assert "--build-type" in done.stdout
