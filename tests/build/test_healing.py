"""Build folders that are damaged, dated in the future, or made on another PATH: noticed, named, made anew."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from children import run_child
from small_projects import ANSWER_APP, ANSWER_CPP, NATIVE_TABLE, read_project, write_answer, write_project
from support import write

from torchscript_build.build.cmake_project import build_cmake_project
from torchscript_build.build.damage import inputs_of_the_future, is_configured
from torchscript_build.build.discover import discover_plan
from torchscript_build.build.pipeline import build_lock, build_targets
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment, Probes

pytestmark = pytest.mark.compile


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_answer(tmp_path / "project")


def build(project: Path, machine: Environment) -> BuildPlan:
    plan = discover_plan(
        read_project(project), machine, project="demo", version="1", root=project, build_base=project / "build"
    )
    with build_lock(plan):
        result = build_targets(plan, machine, jobs=1, targets=plan.targets)
    for program in (result.built("answer"), result.installed(plan.apps[0])):
        assert run_child([program], capture_output=True, encoding="utf-8").stdout.startswith("answer 42") or (
            program != result.built("answer")
        )
    return plan


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def obstruct(path: Path) -> None:
    path.unlink()
    write(path / "x")


def blank(tree: Path, name: str) -> None:
    """As a file system leaves a file where the power failed: of the right size, without its content."""
    for path in tree.glob(f"CMakeFiles/*/{name}"):
        path.write_bytes(bytes(path.stat().st_size))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a cut build.ninja": lambda tree: cut(tree / "build.ninja"),
    "an empty build.ninja": lambda tree: (tree / "build.ninja").write_bytes(b""),
    "no build.ninja": lambda tree: (tree / "build.ninja").unlink(),
    "a build.ninja of noise": lambda tree: (tree / "build.ninja").write_bytes(bytes(range(256)) * 20),
    "cut rules": lambda tree: cut(tree / "CMakeFiles/rules.ninja"),
    "no rules": lambda tree: (tree / "CMakeFiles/rules.ninja").unlink(),
    "no CMakeCache.txt": lambda tree: (tree / "CMakeCache.txt").unlink(),
    "a .ninja_log of noise": lambda tree: (tree / ".ninja_log").write_bytes(bytes(range(256))),
    "a cut .ninja_deps": lambda tree: cut(tree / ".ninja_deps"),
    "no program": lambda tree: (tree / "out/demo/bin/answer").unlink(),
    "no answer of the file API": lambda tree: shutil.rmtree(tree / ".cmake"),
    "a folder for a cache": lambda tree: obstruct(tree / "CMakeCache.txt"),
    "folders for ninja's records": lambda tree: [obstruct(tree / name) for name in (".ninja_log", ".ninja_deps")],
    "a folder for an install script": lambda tree: obstruct(tree / "cmake_install.cmake"),
    "no facts of the compiler": lambda tree: blank(tree, "CMakeCXXCompiler.cmake"),
    "no facts of the system": lambda tree: blank(tree, "CMakeSystem.cmake"),
    "a cut install script": lambda tree: cut(tree / "cmake_install.cmake"),
    "no installed program": lambda tree: (tree.parent / "stage/apps/demo/bin/answer").unlink(),
    "a cut installed program": lambda tree: cut(tree.parent / "stage/apps/demo/bin/answer"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tree_is_made_anew(project: Path, machine: Environment, damage: str) -> None:
    plan = build(project, machine)
    DAMAGES[damage](plan.tree_dir)
    if "install" not in damage:
        write(project / "answer.cpp", ANSWER_CPP + "// changed\n")
    build(project, machine)


NATIVE = """\
cmake_minimum_required(VERSION 3.18)
project(native LANGUAGES CXX)
find_package(Torch REQUIRED)
add_executable(answer ../answer.cpp)
target_link_libraries(answer torch)
install(TARGETS answer DESTINATION bin)
"""
CUTS: dict[str, Callable[[Path], object]] = {
    "a cut cache": lambda tree: (tree / "CMakeCache.txt").write_bytes((tree / "CMakeCache.txt").read_bytes()[:3000]),
    "a cache of noise": lambda tree: (tree / "CMakeCache.txt").write_bytes(b"no cache at all\n"),
    "a cache with noise": lambda tree: (tree / "CMakeCache.txt").write_bytes(
        (tree / "CMakeCache.txt").read_bytes() + b"no entry\n"
    ),
    "everything is of the future": lambda tree: [
        os.utime(p, (2e9, 2e9)) for p in tree.parent.rglob("*") if not p.is_symlink()
    ],
}
OWN = ("no program", "no installed program", "a cut installed program")


@pytest.mark.parametrize("damage", [*(d for d in DAMAGES if d not in OWN), *CUTS])
def test_a_damaged_tree_of_a_cmake_project_is_made_anew_at_once(
    project: Path, machine: Environment, damage: str
) -> None:
    write_project(project, NATIVE_TABLE)
    write(project / "native/CMakeLists.txt", NATIVE)
    build_native(project, machine)
    {**DAMAGES, **CUTS}[damage](tree_of_native(project))
    write(project / "answer.cpp", ANSWER_CPP.replace("answer %d", "answer 42 and %d"))
    write(project / "native/CMakeLists.txt", NATIVE + "# changed\n")
    assert b"answer 42 and" in build_native(project, machine).read_bytes()


def build_native(project: Path, machine: Environment) -> Path:
    plan = discover_plan(
        read_project(project), machine, project="demo", version="1", root=project, build_base=project / "build"
    )
    return build_cmake_project(plan, plan.cmake[0], machine, jobs=1)["bin/answer"]


def tree_of_native(project: Path) -> Path:
    (tree,) = project.glob("build/torchscript/*/cmake/native/tree")
    return tree


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_a_damaged_cache_is_made_anew_when_it_is_read(
    project: Path, machine: Environment, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = build(project, machine)
    cache = plan.tree_dir / "CMakeCache.txt"
    cache.write_bytes(b"no cache at all\n" if damage == "noise" else cache.read_bytes()[:3000])
    write_project(project, ANSWER_APP + 'definitions = ["X=1"]\n')
    build(project, machine)


STATES = [
    "{",
    "[]",
    '{"identity": 1}',
    '{"fingerprint": 1, "artifacts": 5}',
    '{"artifacts": [["a", "b"]]}',
    "[" * 10**5,
]


@pytest.mark.parametrize("text", STATES, ids=[t[:20] for t in STATES])
def test_damaged_records_are_none(project: Path, machine: Environment, text: str) -> None:
    plan = build(project, machine)
    state = Path(plan.build_dir, "state.json")
    whole = json.loads(state.read_text())
    for file in Path(plan.build_dir).rglob("*.json"):
        if "tree" not in file.parts:
            write(file, text)
    if text.startswith('{"artifacts'):
        write(state, json.dumps({**whole, "artifacts": [["answer"]], "installed": 3}))
    build(project, machine)


def test_folders_in_the_place_of_records_are_none(project: Path, machine: Environment) -> None:
    plan = build(project, machine)
    for file in Path(plan.build_dir).rglob("*.json"):
        if "tree" not in file.parts:
            obstruct(file)
    build(project, machine)
    assert Path(plan.build_dir, "state.json").is_file()


def test_what_was_made_while_the_clock_was_ahead_is_made_anew(
    project: Path, machine: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = build(project, machine)
    ahead = time.time() + 10**6
    for path in Path(plan.build_dir).rglob("*"):
        if not path.is_symlink():
            os.utime(path, (ahead, ahead))
    write(project / "answer.cpp", ANSWER_CPP.replace("answer %d", "answer 42 and %d"))
    build(project, machine)
    assert "is dated in the future" in capfd.readouterr().out
    assert b"answer 42 and" in (plan.tree_dir / "out/demo/bin/answer").read_bytes()


@pytest.mark.parametrize("more", ["no entry\n", "=x\n", ":STRING=\n", "\x00\n", "X:lower=1\n"])
def test_a_cache_with_a_line_that_is_none_is_not_whole(tmp_path: Path, more: str) -> None:
    good = '# a\n// b\nX:STRING=a:b=c\n"a:b":BOOL=ON\n\nY-ADVANCED:INTERNAL=1\n'
    good += "".join(f"CMAKE_{name}:INTERNAL=x\n" for name in ("GENERATOR", "HOME_DIRECTORY", "ROOT"))
    write(tmp_path / "CMakeCache.txt", good)
    assert is_configured(tmp_path)
    write(tmp_path / "CMakeCache.txt", good + more)
    assert not is_configured(tmp_path)


def test_inputs_that_are_dated_in_the_future_are_named(tmp_path: Path) -> None:
    files = [write(tmp_path / name) for name in ("CMakeLists.txt", "a b.cmake", "$x.cmake", "old.cmake")]
    for file in files[:3]:
        os.utime(file, (2e9, 2e9))
    names = " ".join(str(f).replace("$", "$$").replace(" ", "$ ") for f in files)
    write(tmp_path / "tree/build.ninja", f"build build.ninja: RERUN_CMAKE | CMakeCache.txt {names}\n  pool = console\n")
    assert inputs_of_the_future(tmp_path / "tree", now=1.9e9) == files[:3]
    assert inputs_of_the_future(tmp_path / "tree", now=2.1e9) == []


def bare_path(tmp_path: Path, machine: Environment) -> Path:
    """A folder of programs, without ar."""
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("c++", "gcc", "g++", "cc", "cmake", "ninja", "ld", "as", "strip", "sh", "uname", "cat", "env"):
        found = machine.which(name)
        if found:
            (bare / name).symlink_to(found)
    return bare


def test_a_tree_that_was_made_without_a_program_is_made_anew_when_it_is_there(
    project: Path, machine: Environment, tmp_path: Path
) -> None:
    plan = build(project, machine.with_variables(PATH=str(bare_path(tmp_path, machine))))
    assert "CMAKE_AR:FILEPATH=CMAKE_AR-NOTFOUND" in (plan.tree_dir / "CMakeCache.txt").read_text()
    build(project, machine)
    assert "CMAKE_AR-NOTFOUND" not in (plan.tree_dir / "CMakeCache.txt").read_text()


def test_so_is_the_tree_of_a_cmake_project(project: Path, machine: Environment, tmp_path: Path) -> None:
    write_project(project, NATIVE_TABLE)
    write(project / "native/CMakeLists.txt", NATIVE)
    build_native(project, machine.with_variables(PATH=str(bare_path(tmp_path, machine))))
    cache = tree_of_native(project) / "CMakeCache.txt"
    assert "CMAKE_AR-NOTFOUND" in cache.read_text()
    build_native(project, machine)
    assert "CMAKE_AR-NOTFOUND" not in cache.read_text()


@pytest.mark.parametrize("text", ['{"x": 1}', '{"x": ["a", "b"]}', '{"x": [0]}'])
def test_damaged_answers_of_programs_are_asked_for_again(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "programs.json", text.replace("x", "\\u0000".join(["/bin/echo", "a", "", ""])))
    done = Probes({}, file).ask(["/bin/echo", "a"])
    assert done is not None
    assert done.output == "a\n"
