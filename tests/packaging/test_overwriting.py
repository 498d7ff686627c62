"""What a CMake project installs is never put over another's file, or over Python that the project itself has."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import write

pytestmark = pytest.mark.compile

HEAD = "cmake_minimum_required(VERSION 3.16)\nproject(files LANGUAGES NONE)\n"
TABLE = '[[tool.torchscript-build.cmake]]\nname = "{name}"\nsource-dir = "{name}"\n'


def files_project(folder: Path, rules: dict[str, str], settings: str = "") -> Path:
    """A project with folders of CMake that install a file ``x``, which holds their rule."""
    project = write_project(folder, settings + "".join(TABLE.format(name=name) for name in rules))
    for name, rule in rules.items():
        write(project / name / "CMakeLists.txt", f"{HEAD}install(FILES x DESTINATION {rule})\n")
        write(project / name / "x", rule)
    return project


def test_one_file_of_two_projects(tmp_path: Path, run_setup: Any) -> None:
    project = files_project(tmp_path / "p", {"one": "share", "two": "share RENAME y"})
    assert run_setup(project, "build").returncode == 0
    write(project / "two/CMakeLists.txt", f"{HEAD}install(FILES x DESTINATION share)\n")
    done = run_setup(project, "build")
    assert done.returncode == 1
    assert "two: what it installs would overwrite other files:\n  - demo/share/x is also one of 'one'" in done.stderr
    write(project / "two/x", "share")  # the same, as a licence might be
    assert run_setup(project, "build").returncode == 0


def test_an_apps_program(tmp_path: Path, run_setup: Any) -> None:
    project = files_project(tmp_path / "p", {"one": "bin RENAME answer"}, ANSWER_APP)
    write(project / "answer.cpp", ANSWER_CPP)
    assert "demo/bin/answer is also one of 'answer'" in run_setup(project, "build").stderr


@pytest.mark.parametrize("options", [("build",), ("build_ts_app", "--inplace")])
def test_python_of_the_project_itself(tmp_path: Path, run_setup: Any, options: tuple[str, ...]) -> None:
    project = files_project(tmp_path / "p", {"one": ". RENAME __init__.py"})
    write(project / "demo/__init__.py", "precious = 1\n")
    done = run_setup(project, *options)
    assert done.returncode == 1
    assert "demo/__init__.py is also a file of the project's own" in done.stderr
    assert (project / "demo/__init__.py").read_text() == "precious = 1\n"


def test_python_that_the_project_installed_before(tmp_path: Path, run_setup: Any) -> None:
    project = files_project(tmp_path / "p", {"one": ". RENAME made.py"})
    for age, text in ((10, "a = 1\n"), (0, "a = 2\n")):
        file = write(project / "one/x", text)
        # CMake installs nothing whose time is within a second of what is there.
        os.utime(file, (time.time() - age, time.time() - age))
        assert run_setup(project, "build_ts_app", "--inplace").returncode == 0
        assert (project / "demo/made.py").read_text() == text
