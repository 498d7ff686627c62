"""The runner's cache: what makes an entry another one, that one process compiles it, and that it stays small."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from support import clean_variables, made_up, make_plan, run_python, write, write_project

from torchscript_build.runner_cache import KEY, digest_of, is_cache_on, key_inputs, list_entries, prune
from torchscript_build.runner_cache import with_cached_runner as with_runner
from torchscript_build.specs import ProjectSpec, TorchScriptApp

RUNNER = ProjectSpec(apps=(TorchScriptApp(name="app", install=False),))
APP = """\
[[tool.torchscript-build.app]]
name = "app"
install = false
"""


def plan_with(tmp_path: Path, **changes: object):  # type: ignore[no-untyped-def]
    """A plan whose libtorch has one library, ``libc10.so``."""
    plan = make_plan(RUNNER)
    core = tmp_path / "libc10.so"
    if not core.exists():
        write(core, "core")
    return dataclasses.replace(plan, libtorch=dataclasses.replace(plan.libtorch, libraries=(core,)), **changes)


def test_same_inputs_are_the_same_entry_wherever_libtorch_lies(tmp_path: Path) -> None:
    plan = plan_with(tmp_path)
    moved = dataclasses.replace(plan, libtorch=dataclasses.replace(plan.libtorch, root=Path("/elsewhere/torch")))
    assert digest_of(key_inputs(plan)) == digest_of(key_inputs(moved))


@pytest.mark.parametrize(
    "changes",
    [
        {"build_type": "Debug"},
        {"cmake_args": ("-DCMAKE_CXX_FLAGS=-O1",)},
        {"flags": {"CXXFLAGS": "-march=native"}},
    ],
)
def test_other_flags_are_another_entry(tmp_path: Path, changes: dict[str, object]) -> None:
    assert digest_of(key_inputs(plan_with(tmp_path))) != digest_of(key_inputs(plan_with(tmp_path, **changes)))


def test_another_build_of_libtorch_is_another_entry(tmp_path: Path) -> None:
    before = digest_of(key_inputs(plan_with(tmp_path)))
    write(tmp_path / "libc10.so", "another core")
    assert digest_of(key_inputs(plan_with(tmp_path))) != before


def test_only_a_plan_with_a_runner_has_one(tmp_path: Path) -> None:
    environment = made_up(tmp_path, TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"))
    library = with_runner(plan_with(tmp_path), environment).runner_library
    assert library is not None
    assert Path(library).parent.parent == tmp_path / "cache" / "runner"
    own = ProjectSpec(apps=(TorchScriptApp(name="app", sources=("main.cpp",), install=False),))
    assert with_runner(make_plan(own), environment).runner_library is None


@pytest.mark.parametrize(
    ("asked", "variables", "on"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"TORCHSCRIPT_BUILD_CACHE": "off"}, False),
        (True, {"CONDA_BUILD": "1"}, False),
    ],
)
def test_who_switches_it_off(tmp_path: Path, asked: bool, variables: dict[str, str], on: bool) -> None:
    assert is_cache_on(asked, made_up(tmp_path, **variables)) is on


def test_the_least_used_entries_go_first(tmp_path: Path) -> None:
    for number in range(4):
        key = write(tmp_path / f"entry{number}" / KEY, "{}")
        os.utime(key, (number, number))
    assert [e.folder.name for e in prune(tmp_path, keep=2)] == ["entry1", "entry0"]
    assert [e.folder.name for e in list_entries(tmp_path)] == ["entry3", "entry2"]


@pytest.mark.compile
@pytest.mark.torch
def test_the_second_project_compiles_no_runner_and_the_library_has_no_path_of_the_first(tmp_path: Path) -> None:
    variables = clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"])
    logs = []
    for name in ("first", "second"):
        project = write_project(tmp_path / name, APP)
        done = run_python("setup.py", "build_ts_app", cwd=project, variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        logs.append(done.stdout)
    assert "runtime.cpp" not in logs[1]
    libraries = list(Path(variables["TORCHSCRIPT_BUILD_CACHE_DIR"]).glob("runner/*/libts_runner.a"))
    assert libraries
    assert not any(os.fsencode(tmp_path) in library.read_bytes() for library in libraries)
    info = run_python("-m", "torchscript_build", "cache", "info", cwd=tmp_path, variables=variables)
    assert f"{len(libraries)} compiled runners" in info.stdout
