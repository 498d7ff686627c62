"""The runner's cache: what makes an entry another one, that one process compiles it, and that it stays small."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from children import clean_variables, run_python
from nobodys_machine import made_up, make_plan
from small_projects import write_project
from support import write

from torchscript_build.build.runner_cache import KEY, digest_of, is_cache_on, key_inputs, list_entries, prune
from torchscript_build.build.runner_cache import with_cached_runner as with_runner
from torchscript_build.settings.specs import ProjectSpec, TorchScriptApp

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
    plan = with_runner(plan_with(tmp_path), environment)
    assert plan.runner_entry is not None
    assert Path(plan.runner_entry).parent == tmp_path / "cache" / "runner"
    assert Path(plan.runner_library or "").parent == Path(plan.build_dir, "runner", Path(plan.runner_entry).name)
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


@pytest.mark.slow
@pytest.mark.compile
@pytest.mark.torch
def test_the_second_project_compiles_no_runner_and_the_library_has_no_path_of_the_first(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    variables = clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=str(cache))

    def build(name: str) -> str:
        done = run_python("setup.py", "build_ts_app", cwd=tmp_path / name, variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for name in ("first", "second"):
        write_project(tmp_path / name, APP)
    assert "ts_runner.dir" in build("first")
    assert "ts_runner.dir" not in build("second")
    (library,) = cache.glob("runner/*/libts_runner.a")
    assert os.fsencode(tmp_path) not in library.read_bytes()
    info = run_python("-m", "torchscript_build", "cache", "info", cwd=tmp_path, variables=variables)
    assert "1 compiled runners" in info.stdout

    # Without the cache's: a build folder that has one gives it again; one that has none configures and compiles.
    for name in ("first", "second"):
        run_python("-m", "torchscript_build", "cache", "clean", cwd=tmp_path, variables=variables)
        assert not library.exists()
        assert "ts_runner.dir" not in build(name)
        assert library.is_file()
    # A damaged one is told of and made anew, here from the copy in the build folder.
    library.write_bytes(library.read_bytes()[:1000])
    write_project(tmp_path / "third", APP)
    told = build("third")
    assert f"the cache's runner is made anew: {library.parent} is damaged (the digest of libts_runner.a" in told
    assert "ts_runner.dir" in told
    assert "ts_runner.dir" not in build("second")
