"""What is known of a compiler: what makes it another one, and that a tree configured with it is the same."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from children import run_child
from nobodys_machine import made_up, make_plan
from small_projects import read_project, write_answer

from torchscript_build.build.compiler_cache import _digest, with_known_compiler
from torchscript_build.build.discover import discover_plan
from torchscript_build.build.pipeline import build_targets
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, TorchScriptApp
from torchscript_build.system import Environment
from torchscript_build.toolchain.programs import Generator

SPEC = ProjectSpec(apps=(TorchScriptApp(name="app", install=False),))


def known(plan: BuildPlan, tmp_path: Path, **variables: str) -> str | None:
    return with_known_compiler(plan, made_up(tmp_path, **variables)).known_compiler


def test_the_same_compiler_is_known_wherever_the_project_and_cmake_lie(tmp_path: Path) -> None:
    plan = make_plan(SPEC)
    first = known(plan, tmp_path)
    assert first is not None
    cmake = dataclasses.replace(plan.toolchain.cmake, path=Path("/elsewhere/cmake"))
    moved = dataclasses.replace(
        plan, source_dir="/other", build_dir="/other/build", toolchain=dataclasses.replace(plan.toolchain, cmake=cmake)
    )
    assert known(moved, tmp_path) == first
    assert plan.fingerprint() == dataclasses.replace(plan, known_compiler=first).fingerprint()


def test_what_makes_it_another_one(tmp_path: Path) -> None:
    plan = make_plan(SPEC)
    tools = plan.toolchain
    others = [
        dataclasses.replace(plan, flags={"CXXFLAGS": "-m32"}),
        dataclasses.replace(plan, cmake_args=("-DX=1",)),
        dataclasses.replace(plan, build_type="Debug"),
        *(
            dataclasses.replace(plan, toolchain=t)
            for t in (
                dataclasses.replace(tools, cmake=dataclasses.replace(tools.cmake, version="3.99")),
                dataclasses.replace(tools, cxx=dataclasses.replace(tools.cxx, version="99")),
            )
        ),
    ]
    entries = [known(plan, tmp_path), *(known(p, tmp_path) for p in others), known(plan, tmp_path, CPATH="/inc")]
    assert None not in entries
    assert len(set(entries)) == len(entries)


def test_where_nothing_is_kept(tmp_path: Path) -> None:
    plan = make_plan(SPEC)
    tools = plan.toolchain
    assert known(make_plan(ProjectSpec(ops=(OpLibrary(name="o", package="demo", sources=("a.c",)),))), tmp_path) is None
    assert known(dataclasses.replace(plan, cmake_args=("-DCMAKE_TOOLCHAIN_FILE=x",)), tmp_path) is None
    assert known(plan, tmp_path, CMAKE_TOOLCHAIN_FILE="x") is None
    for generator in (Generator("Unix Makefiles"), Generator(None), Generator("Ninja Multi-Config", multi_config=True)):
        changed = dataclasses.replace(plan, toolchain=dataclasses.replace(tools, generator=generator))
        assert known(changed, tmp_path) is None


@pytest.mark.compile
def test_a_tree_with_a_known_compiler_is_the_same_as_one_without(
    tmp_path: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = machine.with_variables(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"))
    project = write_answer(tmp_path / "project")

    def build(base: str, settings: str = "") -> tuple[str, BuildPlan]:
        write_answer(project, settings)
        spec = read_project(project)
        plan = discover_plan(spec, machine, project="demo", version="1", root=project, build_base=tmp_path / base)
        result = build_targets(plan, machine, jobs=2, targets=plan.targets)
        printed = run_child([result.built("answer")], capture_output=True, encoding="utf-8", check=True)
        assert printed.stdout == "answer 42\n"
        assert result.installed(plan.apps[0]).is_file()  # --install --strip knows its programs
        return capsys.readouterr().out, plan

    tried, first = build("first")
    assert "compiler identification" in tried
    (entry,) = (tmp_path / "cache/compiler").iterdir()
    taken, second = build("second")
    assert "compiler identification" not in taken
    for file, lines in (
        ("build.ninja", r"(?:build .*\.o: |  (?:FLAGS|DEFINES|INCLUDES|LINK_\w+) = ).*"),
        ("rules.ninja", ".+"),
    ):
        written = [(next(p.tree_dir.rglob(file)).read_text(), p.build_dir) for p in (first, second)]
        one, other = ([line.replace(folder, "B") for line in re.findall(lines, text)] for text, folder in written)
        assert one
        assert one == other

    changed, _ = build("second", '[tool.torchscript-build]\npin = "exact"\ncmake-args = ["-DANYTHING=1"]\n')
    assert "Configuring done" in changed

    # One that does not fit any more costs a second attempt.
    for path in (tmp_path / "cache/compiler").iterdir():
        content = json.loads(path.read_text())
        content["files"]["CMakeSystem.cmake"] = "message(FATAL_ERROR damaged)\n"
        content["sha256"] = _digest(content)
        path.write_text(json.dumps(content))
    again, _ = build("third")
    assert "configuring again" in again
    assert "damaged" not in entry.read_text()
    assert "compiler identification" not in build("fourth")[0]
