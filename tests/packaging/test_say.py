"""The end of a build: what there is now, and where; a path that it names is there, and runs where it says so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from children import run_child
from small_projects import ANSWER_APP, ANSWER_CPP, write_project

pytestmark = pytest.mark.compile
OPS = """\
[[tool.torchscript-build.ops]]
name = "none"
sources = ["none.cpp"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP})


def end(done: Any) -> list[str]:
    """The closing line without its time, and what follows."""
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    number = max(n for n, line in enumerate(lines) if line.startswith("-- done in "))
    return [re.sub(r"\d+\.\d s", "0.0 s", lines[number]), *lines[number + 1 :]]


def runs(project: Path, path: str, variables: dict[str, str]) -> bool:
    done = run_child([project / path.strip()], cwd=project, env=variables, stdout=subprocess.PIPE, encoding="utf-8")
    return str(done.stdout) == "answer 42\n"


def test_a_program_that_runs_where_it_is(project: Path, run_setup: Any, variables: dict[str, str]) -> None:
    done, path = end(run_setup(project, "build_ts_app"))
    assert done == "-- done in 0.0 s: program answer"
    assert path.startswith("     build/torchscript/")
    assert runs(project, path, variables)


def test_in_the_source_tree(project: Path, run_setup: Any, variables: dict[str, str]) -> None:
    assert end(run_setup(project, "build_ts_app", "--inplace"))[-1] == "     demo/bin/answer"
    assert runs(project, "demo/bin/answer", variables)


def test_in_a_prefix(project: Path, run_setup: Any, variables: dict[str, str]) -> None:
    assert end(run_setup(project, "build_ts_app", "--prefix", "out"))[-1] == "     out/bin/answer"
    assert runs(project, "out/bin/answer", variables)


def test_in_a_wheel(project: Path, run_setup: Any) -> None:
    done, path, *_ = end(run_setup(project, "bdist_wheel"))
    assert (done, path) == ("-- done in 0.0 s: program answer", "     in the package: demo/bin/answer")


def test_libraries_stand_before_programs(project: Path, run_setup: Any, no_torch: dict[str, str]) -> None:
    (project / "none.cpp").write_text("#include <torch/library.h>\nint nothing() { return 0; }\n")
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + OPS)
    done, library, program = end(run_setup(project, "build_ts_app", **no_torch))
    assert done == "-- done in 0.0 s: operator library none, program answer"
    assert (Path(library).name, Path(program).name) == ("libnone.so", "answer")
    done, library = end(run_setup(project, "build_ts_ops", **no_torch))
    assert done == "-- done in 0.0 s: operator library none"


def test_a_cmake_project(tmp_path: Path, run_setup: Any) -> None:
    settings = '[[tool.torchscript-build.cmake]]\nname = "sdk"\nsource-dir = "sdk"\n'
    cmake = "cmake_minimum_required(VERSION 3.18)\nproject(sdk NONE)\ninstall(FILES note.txt DESTINATION share)\n"
    files = {"sdk/CMakeLists.txt": cmake, "sdk/note.txt": "note"}
    project = write_project(tmp_path / "project", settings, files=files)
    done, path, *_ = end(run_setup(project, "build_ts_app"))
    assert done == "-- done in 0.0 s: CMake project sdk"
    assert (project / path.strip() / "share/note.txt").is_file()
    assert end(run_setup(project, "bdist_wheel"))[1] == "     in the package: demo/"
