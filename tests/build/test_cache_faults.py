"""Caches that are damaged, somebody else's, or cannot be written: nothing foreign is used, and every build is good."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import clean_variables, run_python
from nobodys_machine import made_up, make_plan
from small_projects import write_answer
from support import write

from torchscript_build import log
from torchscript_build.build import compiler_cache, runner_cache
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import ProjectSpec, TorchScriptApp
from torchscript_build.system import locked

SPEC = ProjectSpec(apps=(TorchScriptApp(name="app", install=False),))


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_told", set())


# --- what CMake found out ------------------------------------------------------------------------------------------


def kept(tmp_path: Path, **variables: str) -> BuildPlan:
    """A plan whose tree has been configured, and whose compiler is known now."""
    environment = made_up(tmp_path, **variables)
    plan = compiler_cache.with_known_compiler(make_plan(SPEC, build_base=tmp_path / "build"), environment)
    folder = plan.tree_dir / "CMakeFiles" / plan.toolchain.cmake.version
    for name in compiler_cache.FILES:
        write(folder / name, f"# {name}\n")
    write(plan.tree_dir / "CMakeCache.txt", "CMAKE_AR:FILEPATH=/usr/bin/env\nOTHER:STRING=x\n")
    compiler_cache.keep_compiler(plan)
    return plan


def entry_of(plan: BuildPlan) -> Path:
    return Path(plan.known_compiler or "")


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    entry = compiler_cache.read_entry(entry_of(kept(tmp_path)))
    assert entry is not None
    assert entry["answers"] == [["CMAKE_AR", "FILEPATH", "/usr/bin/env"]]
    assert entry["files"] == {name: f"# {name}\n" for name in compiler_cache.FILES}


def changed(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """The entry with another value and a digest that fits."""

    def change(entry: dict[str, Any]) -> Any:
        entry = {**entry, key: value}
        return {**entry, "sha256": compiler_cache._digest(entry)}

    return change


DAMAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a table of something else": lambda entry: {"a": 1},
    "a list": lambda entry: [entry],
    "nothing": lambda entry: None,
    "one key less": lambda entry: {k: v for k, v in entry.items() if k != "files"},
    "another digest": lambda entry: {**entry, "answers": []},
    "a file outside": changed("files", {"../../x": "a", "CMakeSystem.cmake": "b"}),
    "a file more": changed("files", {**dict.fromkeys(compiler_cache.FILES, ""), "../x": ""}),
    "files that are no text": changed("files", dict.fromkeys(compiler_cache.FILES, 1)),
    "another variable": changed("answers", [["CMAKE_CXX_COMPILER_LAUNCHER", "STRING", "/tmp/evil"]]),
    "code in a type": changed("answers", [["CMAKE_AR", 'STRING "")\nexecute_process(COMMAND x)', "y"]]),
    "a line break in an answer": changed("answers", [["CMAKE_AR", "STRING", "x\ny"]]),
    "an answer that is no text": changed("answers", [["CMAKE_AR", "STRING", 1]]),
    "another entry's": changed("key", "0" * 32),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_dropped(tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = kept(tmp_path)
    file = entry_of(plan)
    file.write_text(json.dumps(DAMAGES[damage](json.loads(file.read_text()))))
    assert compiler_cache.read_entry(file) is None
    assert capsys.readouterr().out.startswith(f"-- the cache's entry is made anew: {file} is damaged (")
    assert not file.exists()
    compiler_cache.keep_compiler(plan)
    assert compiler_cache.read_entry(file) is not None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b" " * (2 << 20), b'{"files": {'])
def test_an_entry_that_is_no_json_is_dropped(tmp_path: Path, content: bytes) -> None:
    file = entry_of(kept(tmp_path))
    file.write_bytes(content)
    assert compiler_cache.read_entry(file) is None
    assert not file.exists()


def test_an_entry_that_others_can_write_or_that_is_a_link_is_dropped(tmp_path: Path) -> None:
    plan = kept(tmp_path)
    file = entry_of(plan)
    file.chmod(0o666)
    assert compiler_cache.read_entry(file) is None
    target = write(tmp_path / "elsewhere.json")
    file.symlink_to(target)
    assert compiler_cache.read_entry(file) is None
    assert target.exists()
    assert not file.is_symlink()


def make_folder(path: Path) -> None:
    path.mkdir()
    write(path / "x")


def bind_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the name of a socket has at most 100 characters
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(before)
    path.chmod(0o600)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a pipe": lambda path: os.mkfifo(path, 0o600),
    "a folder": make_folder,
    "a socket": bind_socket,
}


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.timeout(20)
def test_an_entry_that_is_no_file_is_dropped(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan = kept(tmp_path)
    file = entry_of(plan)
    file.unlink()
    NO_FILES[kind](file)
    assert compiler_cache.read_entry(file) is None
    assert capsys.readouterr().out.endswith(f"{file} is damaged ({file.name} is no file)\n")
    assert not file.exists()
    compiler_cache.keep_compiler(plan)
    assert compiler_cache.read_entry(file) is not None


def test_answers_cannot_become_code(tmp_path: Path) -> None:
    plan = kept(tmp_path)
    file = entry_of(plan)
    hostile = '${X}") execute_process(COMMAND touch /tmp/x) #\\'
    file.write_text(json.dumps(changed("answers", [["CMAKE_AR", "STRING", hostile]])(json.loads(file.read_text()))))
    (plan.tree_dir / "CMakeCache.txt").unlink()
    _, initial, _ = compiler_cache.seed_tree(plan)
    escaped = '\\${X}\\") execute_process(COMMAND touch /tmp/x) #\\\\'
    assert Path(initial).read_text() == f'set(CMAKE_AR "{escaped}" CACHE STRING "")\n'


def test_another_binutils_on_path_is_another_entry(tmp_path: Path) -> None:
    names = set()
    for folder in ("one", "two", "three"):
        program = write(tmp_path / folder / "ar")
        program.chmod(0o755 if folder != "three" else 0o644)
        plan = compiler_cache.with_known_compiler(make_plan(SPEC), made_up(tmp_path, PATH=str(tmp_path / folder)))
        names.add(plan.known_compiler)
    assert len(names) == 3


# --- the runner ----------------------------------------------------------------------------------------------------

INPUTS = {"libtorch": "2.13.0"}
NAME = "libts_runner.a"


def put(tmp_path: Path, content: bytes = b"!<arch>\n") -> Path:
    entry = tmp_path / "runner" / runner_cache.digest_of(INPUTS)
    (tmp_path / "runner").mkdir(exist_ok=True)
    runner_cache._put(entry, NAME, content, INPUTS)
    return entry


def test_a_runner_is_read_again(tmp_path: Path) -> None:
    assert runner_cache.read_library(put(tmp_path), NAME) == b"!<arch>\n"
    assert [p.name for p in (tmp_path / "runner").iterdir()] == [runner_cache.digest_of(INPUTS)]


def test_a_build_keeps_its_own_copy_of_a_runner(tmp_path: Path) -> None:
    entry = put(tmp_path)
    copy = tmp_path / "build" / entry.name / NAME
    plan = dataclasses.replace(make_plan(SPEC), runner_entry=str(entry), runner_library=str(copy))
    assert runner_cache.take_runner(plan)
    (entry / NAME).write_bytes(b"another's")
    assert copy.read_bytes() == b"!<arch>\n"
    assert not copy.is_symlink()
    assert copy.stat().st_nlink == 1
    assert not runner_cache.take_runner(plan)


def test_the_first_of_two_stays(tmp_path: Path) -> None:
    put(tmp_path, b"first")
    assert runner_cache.read_library(put(tmp_path, b"second"), NAME) == b"first"
    assert len(list((tmp_path / "runner").iterdir())) == 1


RUNNER_DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda e: (e / NAME).write_bytes(b"!<ar"),
    "empty": lambda e: (e / NAME).write_bytes(b""),
    "gone": lambda e: (e / NAME).unlink(),
    "no key": lambda e: (e / runner_cache.KEY).unlink(),
    "a key of something else": lambda e: (e / runner_cache.KEY).write_text('{"a": 1}'),
    "a key that is no JSON": lambda e: (e / runner_cache.KEY).write_text("{"),
    "a deep key": lambda e: (e / runner_cache.KEY).write_text("[" * 100_000),
    "another's key": lambda e: (e / runner_cache.KEY).write_text(
        json.dumps({"inputs": {"x": 1}, "sha256": hashlib.sha256(b"!<arch>\n").hexdigest()})
    ),
    "writable by others": lambda e: (e / NAME).chmod(0o666),
    "in a folder that others can write": lambda e: e.chmod(0o777),
    "a link": lambda e: ((e / NAME).unlink(), (e / NAME).symlink_to("/etc/passwd")),
}


@pytest.mark.parametrize("damage", RUNNER_DAMAGES)
def test_a_damaged_runner_is_dropped_and_made_anew(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = put(tmp_path)
    RUNNER_DAMAGES[damage](entry)
    assert runner_cache.read_library(entry, NAME) is None
    assert capsys.readouterr().out.startswith("-- the cache's runner is made anew: ")
    assert not entry.exists()
    assert runner_cache.read_library(put(tmp_path), NAME) == b"!<arch>\n"


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("name", [NAME, runner_cache.KEY])
@pytest.mark.timeout(20)
def test_a_runner_that_is_no_file_is_dropped(tmp_path: Path, name: str, kind: str) -> None:
    entry = put(tmp_path)
    (entry / name).unlink()
    NO_FILES[kind](entry / name)
    assert [len(e.inputs) for e in runner_cache.list_entries(tmp_path / "runner")] == [int(name == NAME)]
    assert runner_cache.read_library(entry, NAME) is None
    assert not entry.exists()
    assert runner_cache.read_library(put(tmp_path), NAME) == b"!<arch>\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["", NAME, runner_cache.KEY])
def test_somebody_elses_runner_is_dropped(tmp_path: Path, name: str) -> None:
    entry = put(tmp_path)
    os.chown(entry / name, 12345, 12345)
    assert runner_cache.read_library(entry, NAME) is None
    assert not entry.exists()


def test_entries_are_listed_whatever_their_keys_say(tmp_path: Path) -> None:
    for number, text in enumerate(("{", '{"inputs": 1}', "[]", '{"inputs": {"compiler": ["c++"]}, "sha256": ""}')):
        write(tmp_path / f"e{number}" / runner_cache.KEY, text)
    told = sorted(runner_cache.describe(e) for e in runner_cache.list_entries(tmp_path))
    assert told == ["libtorch ?, ?, ?"] * 3 + ["libtorch ?, c++, ?"]


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    for name in (".part-new", ".part-old"):
        write(tmp_path / name / NAME)
    os.utime(tmp_path / ".part-old", (0, 0))
    runner_cache.prune(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".part-new"]


# --- one that cannot be written ------------------------------------------------------------------------------------


@pytest.mark.compile
@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (
            {"HOME": "", "XDG_CACHE_HOME": None, "TORCHSCRIPT_BUILD_CACHE_DIR": None},
            "the cache is not used: this user has no home (HOME)",
        ),
        (
            {"TORCHSCRIPT_BUILD_CACHE_DIR": "/proc/nowhere/cache"},
            "kept in the cache /proc/nowhere/cache: ",
        ),
        ({"TORCHSCRIPT_BUILD_CACHE_DIR": "open"}, "open can be written by others (mode 777)"),
        ({"TORCHSCRIPT_BUILD_CACHE_DIR": "setup.py"}, "setup.py is no folder"),
    ],
)
def test_a_build_without_its_cache_is_good_and_says_so_once(
    tmp_path: Path, run_setup: Any, changes: dict[str, str | None], wanted: str
) -> None:
    project = write_answer(tmp_path / "project")
    (project / "open").mkdir()
    (project / "open").chmod(0o777)
    done = run_setup(project, "build_ts_app", "--run", **changes)
    assert done.returncode == 0, done.stderr
    assert "answer 42" in done.stdout
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1, done.stdout + done.stderr
    assert wanted in warnings[0]
    assert list((project / "open").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_cache_that_cannot_be_locked_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    core = write(tmp_path / "libc10.so")
    plan = make_plan(SPEC, build_base=tmp_path / "build")
    plan = runner_cache.dataclasses.replace(
        plan, libtorch=runner_cache.dataclasses.replace(plan.libtorch, libraries=(core,))
    )
    for _ in range(2):
        with runner_cache.claim_runner(runner_cache.with_cached_runner(plan, made_up(tmp_path))):
            pass
    folder = tmp_path / ".cache/torchscript-build/runner"
    assert capsys.readouterr().err == (
        f"warning: {folder} cannot be locked ({os.strerror(number)}): do not build there twice at once\n"
    )


def test_the_commands_for_a_cache_that_may_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    variables = clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "open"))
    for command in (["cache", "info"], ["cache", "clean"], ["fetch", "2.6.0"]):
        done = run_python("-m", "torchscript_build", *command, cwd=tmp_path, variables=variables)
        assert done.returncode == 1
        assert "can be written by others (mode 777)" in done.stderr
        assert "set TORCHSCRIPT_BUILD_CACHE_DIR to a folder of your own" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_lock_that_fails_otherwise_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    named = re.escape(f"Input/output error: '{tmp_path / '.lock'}'")
    with pytest.raises(OSError, match=named), locked(tmp_path / ".lock"):
        pass
