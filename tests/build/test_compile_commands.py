"""build/compile_commands.json: for every build, of all targets, and such that clang's tools understand it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import clean_variables, run_child, run_python
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import write

from torchscript_build.build.compile_commands import for_clang, keep_commands, link_commands, merge_commands

RunSetup = Callable[..., Any]

OPS = """\
[[tool.torchscript-build.ops]]
name = "shrink"
sources = ["shrink.cpp"]
precompiled-header = true
"""
SHRINK = """\
#include <torch/extension.h>

at::Tensor shrink(const at::Tensor& x, double by) { return at::sign(x) * at::relu(at::abs(x) - by); }

TORCH_LIBRARY(demo_ops, library) { library.def("shrink(Tensor x, float by) -> Tensor", &shrink); }
"""


def entries(project: Path) -> dict[str, dict[str, Any]]:
    """The database by the sources' names."""
    database = json.loads((project / "build/compile_commands.json").read_text())
    assert [e["file"] for e in database] == sorted(e["file"] for e in database)
    return {Path(e["file"]).name: e for e in database}


def test_only_what_clang_understands_is_left() -> None:
    words = ["g++", "-Winvalid-pch", "-include", "/b/CMakeFiles/x.dir/cmake_pch.hxx", "-include", "mine.h"]
    words += ["--param=ggc-min-heapsize=4", "--param", "x=1", "-fno-canonical-system-headers", "-c", "a.cpp"]
    assert list(for_clang(words)) == ["g++", "-include", "mine.h", "-c", "a.cpp"]


def test_the_first_database_wins_and_sources_that_are_gone_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.cpp")
    write(tmp_path / "b.cpp")

    def entry(name: str, command: str) -> dict[str, str]:
        return {"directory": str(tmp_path), "file": name, "command": command}

    new = [entry("a.cpp", "new 'a b'")]
    old = [entry(str(tmp_path / "a.cpp"), "old"), entry("b.cpp", "old"), entry("gone.cpp", "old")]
    assert merge_commands([new, old]) == [
        {"directory": str(tmp_path), "file": str(tmp_path / "a.cpp"), "arguments": ["new", "a b"]},
        {"directory": str(tmp_path), "file": str(tmp_path / "b.cpp"), "arguments": ["old"]},
    ]


def test_a_damaged_database_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.cpp")
    good = json.dumps([{"directory": str(tmp_path), "file": "a.cpp", "command": "c++"}])
    for name, text in (("one", good), ("two", "{"), ("three", '[{"file": "x"}, 3]'), ("four", "null")):
        write(tmp_path / f"build/torchscript/{name}/tree/compile_commands.json", text)
    assert keep_commands(tmp_path / "build/torchscript/one/tree") == tmp_path / "build/compile_commands.json"
    assert list(entries(tmp_path)) == ["a.cpp"]
    assert keep_commands(tmp_path / "elsewhere/tree") is None


@pytest.mark.compile
def test_every_build_keeps_the_union_of_all_targets(tmp_path: Path, run_setup: RunSetup) -> None:
    existing = '[[tool.torchscript-build.cmake]]\nname = "old"\nsource-dir = "old"\ninstall = false\n'
    lists = "cmake_minimum_required(VERSION 3.15)\nproject(old LANGUAGES CXX)\nfind_package(Torch REQUIRED)\n"
    lists += "add_executable(old old.cpp)\ntarget_link_libraries(old torch)\n"
    files = {"answer.cpp": ANSWER_CPP, "old/CMakeLists.txt": lists, "old/old.cpp": ANSWER_CPP}
    project = write_project(tmp_path / "a project", ANSWER_APP + existing, files=files)
    done = run_setup(project, "build_ts_app")
    assert done.returncode == 0, done.stderr
    assert list(entries(project)) == ["answer.cpp", "old.cpp"]
    command = entries(project)["answer.cpp"]
    assert command["arguments"][-2:] == ["-c", str(project / "answer.cpp")]
    assert not (project / "compile_commands.json").exists()
    before = os.stat(project / "build/compile_commands.json")
    run_setup(project, "build_ts_app")
    assert os.stat(project / "build/compile_commands.json") == before
    (project / "build/compile_commands.json").unlink()
    run_setup(project, "build_ts_app")
    assert list(entries(project)) == ["answer.cpp", "old.cpp"]
    write(project / "old/CMakeLists.txt", lists + "target_compile_definitions(old PRIVATE MORE)\n")
    run_setup(project, "build_ts_app")
    run_setup(project, "build_ts_app")
    assert "-DMORE" in entries(project)["old.cpp"]["arguments"]


@pytest.mark.compile
def test_a_failing_build_keeps_them_too(tmp_path: Path, run_setup: RunSetup) -> None:
    project = write_project(tmp_path / "p", ANSWER_APP, files={"answer.cpp": "int main() { return x; }\n"})
    assert run_setup(project, "build_ts_app").returncode == 1
    assert list(entries(project)) == ["answer.cpp"]


@pytest.mark.compile
def test_inplace_links_them_into_the_project_if_asked(tmp_path: Path, run_setup: RunSetup) -> None:
    settings = "[tool.torchscript-build]\nide = true\n" + ANSWER_APP
    project = write_project(tmp_path / "p", settings, files={"answer.cpp": ANSWER_CPP})
    assert run_setup(project, "build_ts_app").returncode == 0
    assert not (project / "compile_commands.json").is_symlink()
    done = run_setup(project, "build_ts_app", "--inplace")
    assert done.returncode == 0, done.stderr
    assert os.readlink(project / "compile_commands.json") == "build/compile_commands.json"


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "build/compile_commands.json", "[]")
    mine = write(tmp_path / "compile_commands.json", "mine")
    trouble = link_commands(tmp_path, tmp_path / "build")
    assert trouble is not None
    assert f"{mine} is there already, and not ours" in trouble
    assert mine.read_text() == "mine"


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
def test_clangd_understands_an_operator_source(tmp_path: Path) -> None:
    """With lean and precompiled headers, and with nothing told: clangd looks into ``build`` by itself."""
    if shutil.which("clangd") is None:
        pytest.skip("needs clangd: apt-get install clangd")
    project = write_project(tmp_path / "p", OPS, files={"shrink.cpp": SHRINK})
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=clean_variables(MAX_JOBS="1"))
    assert done.returncode == 0, done.stderr + done.stdout
    check = ["clangd", "--check=shrink.cpp", "--check-lines=3"]
    checked = run_child(check, cwd=project, capture_output=True, encoding="utf-8")
    assert f"Compilation database path: {project}/build\n" in checked.stderr.replace("'", "") or (
        f"Loaded compilation database from {project}/build/compile_commands.json" in checked.stderr
    )
    assert "All checks completed, 0 errors" in checked.stderr, checked.stderr
