"""The door to the machine: children, atomic files, locks, the environment."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import stat
import sys
import time
from pathlib import Path

import pytest
from children import run_python
from nobodys_machine import made_up
from support import stub, write

from torchscript_build import system
from torchscript_build.system import Environment, PythonTarget, processes


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# --- children ------------------------------------------------------------------------------------------------------


def test_a_childs_output_is_shown_and_kept_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = stub(tmp_path / "x", "echo one", "echo two >&2", 'echo "$A"', "pwd")
    done = system.run([program], variables={"A": "three"}, cwd=tmp_path)
    assert done.output == f"one\ntwo\nthree\n{tmp_path}\n"
    assert capsys.readouterr().out == done.output


def test_a_childs_output_can_be_kept_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = system.run([stub(tmp_path / "x", "echo one")], variables={}, echo=False)
    assert done.output == "one\n"
    assert capsys.readouterr().out == ""


def test_exit_codes_and_signals(tmp_path: Path) -> None:
    assert system.run([stub(tmp_path / "x", "exit 7")], variables={}).returncode == 7
    assert system.run([stub(tmp_path / "y", "kill -9 $$")], variables={}).returncode == -9


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    done = system.run([stub(tmp_path / "x", r"printf 'a\377b\n'")], variables={})
    assert done.output == "a\ufffdb\n"


def test_a_child_reads_nothing(tmp_path: Path) -> None:
    assert system.run([stub(tmp_path / "x", "read a; echo got $?")], variables={}).output == "got 1\n"


SERVER = """\
import sys
for line in sys.stdin:
    if line.strip() == "die":
        sys.exit(7)
    print("did", line.strip(), end="\\0end of answer\\n", flush=True)
"""


def test_a_server_does_one_thing_after_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = write(tmp_path / "server.py", SERVER)
    with system.serving([sys.executable, program], variables={}) as server:
        assert server.ask("one") is None
        assert capsys.readouterr().out == "did one"
        assert server.ask("two") is None
        assert server.ask("die") == 7
    assert capsys.readouterr().out == "did two"


@pytest.mark.parametrize(("yields", "more"), [(False, 0), (True, 5)])
def test_a_server_may_leave_the_cores_to_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], yields: bool, more: int
) -> None:
    says = SERVER.replace("import sys", "import os, sys").replace('"did"', "os.nice(0)")
    program = write(tmp_path / "server.py", says)
    with system.serving([sys.executable, program], variables={}, yields=yields) as server:
        server.ask("one")
    assert capsys.readouterr().out == f"{min(os.nice(0) + more, 19)} one"


def test_children_beside_end_with_what_they_run_beside_and_stand_in_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GENTLE_SECONDS", 0.5)
    lock = tmp_path / "lock"
    program = stub(tmp_path / "x", "echo begun", "sleep 1000")
    with system.locked(lock), system.beside([program], tmp_path / "1", variables=dict(os.environ)) as first:
        with system.beside([program], tmp_path / "2", variables=dict(os.environ)) as second:
            while (tmp_path / "2").read_text() != "begun\n":
                time.sleep(0.01)
            named = [line.split()[1] for line in lock.read_text().splitlines() if line.startswith("child ")]
            assert named == [str(first.pid), str(second.pid)]
        assert second.returncode != 0
        assert first.poll() is None
    assert first.returncode != 0


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        system.run([tmp_path / "x"], variables={})
    assert system.probe([tmp_path / "x"], variables={}) is None


def test_a_probe_has_a_time_limit_and_the_c_locale(tmp_path: Path) -> None:
    done = system.probe([stub(tmp_path / "x", "echo $LC_ALL")], variables={"LC_ALL": "de_DE"})
    assert done is not None
    assert done.output == "C\n"
    assert system.probe(["/bin/sleep", "30"], variables={}, timeout=0.2) is None


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    system.write_atomically(tmp_path / "a/b/c", b"x")
    assert (tmp_path / "a/b/c").read_bytes() == b"x"
    assert files(tmp_path / "a/b") == ["c"]
    assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o644


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = write(tmp_path / "a", "old")
    with pytest.raises(TypeError):
        system.write_atomically(file, "text")  # type: ignore[arg-type]
    assert (file.read_text(), files(tmp_path)) == ("old", ["a"])


def test_what_is_the_same_is_not_written(tmp_path: Path) -> None:
    file = write(tmp_path / "a", "x")
    os.utime(file, ns=(1, 1))
    assert not system.write_if_changed(file, b"x")
    assert file.stat().st_mtime_ns == 1
    assert system.write_if_changed(file, b"y")
    assert file.read_text() == "y"


def test_a_copy_keeps_mode_and_time(tmp_path: Path) -> None:
    source = stub(tmp_path / "a", "true")
    target = tmp_path / "deep/b"
    assert system.copy_if_changed(source, target)
    assert not system.copy_if_changed(source, target)
    assert target.stat().st_mode == source.stat().st_mode
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    source.chmod(0o644)
    assert system.copy_if_changed(source, target)


def test_a_running_program_can_be_replaced(tmp_path: Path) -> None:
    source, target = stub(tmp_path / "a", "true"), stub(tmp_path / "b", "false")
    before = target.stat().st_ino
    system.copy_if_changed(source, target)
    assert target.stat().st_ino != before


def test_trees_files_and_nothing_can_be_removed(tmp_path: Path) -> None:
    write(tmp_path / "tree/a/b")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "tree")
    system.remove_tree(link)
    assert (tmp_path / "tree/a/b").exists()
    system.remove_tree(tmp_path / "tree")
    system.remove_tree(tmp_path / "tree")
    assert files(tmp_path) == []


def test_json_that_is_damaged_is_empty(tmp_path: Path) -> None:
    system.write_json(tmp_path / "a", {"x": [1]})
    assert system.read_json(tmp_path / "a") == {"x": [1]}
    for text in ("", "[1]", "{", "\x00"):
        assert system.read_json(write(tmp_path / "b", text)) == {}
    assert system.read_json(tmp_path / "missing") == {}


def _hold(path: Path, log: Path) -> None:
    with system.locked(path), log.open("a") as file:
        file.write("begin\n")
        file.flush()
        time.sleep(0.2)
        file.write("end\n")


def test_a_lock_keeps_others_waiting(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn" if sys.platform != "linux" else "fork")
    children = [context.Process(target=_hold, args=(tmp_path / "deep/lock", tmp_path / "log")) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert (tmp_path / "log").read_text() == "begin\nend\nbegin\nend\n"


# --- the environment -----------------------------------------------------------------------------------------------


def test_an_empty_variable_is_unset(tmp_path: Path) -> None:
    environment = made_up(tmp_path, A="", B="b")
    assert (environment.get("A"), environment.get("B"), environment.get("C")) == (None, "b", None)


def test_changed_variables_are_a_copy(tmp_path: Path) -> None:
    environment = made_up(tmp_path, A="a", B="b")
    changed = environment.with_variables(A=None, B="c", D="d")
    assert (changed.get("A"), changed.get("B"), changed.get("D")) == (None, "c", "d")
    assert environment.get("A") == "a"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/torchscript-build"),
        ("linux", {"XDG_CACHE_HOME": "home/xdg"}, "home/xdg/torchscript-build"),
        ("darwin", {}, "home/Library/Caches/torchscript-build"),
        ("win32", {}, "home/AppData/Local/torchscript-build"),
        ("win32", {"LOCALAPPDATA": "home/local"}, "home/local/torchscript-build"),
        ("linux", {"TORCHSCRIPT_BUILD_CACHE_DIR": "mine"}, "cwd/mine"),
        ("linux", {"TORCHSCRIPT_BUILD_CACHE_DIR": "/mine"}, "/mine"),
    ],
)
def test_the_cache(tmp_path: Path, platform: str, variables: dict[str, str], expected: str) -> None:
    values = {k: v if k.startswith("TORCH") else str(tmp_path / v) for k, v in variables.items()}
    made = made_up(tmp_path, **{"HOME": str(tmp_path / "home"), **values})
    environment = dataclasses.replace(made, platform=platform, cwd=tmp_path / "cwd")
    assert environment.cache_dir() == tmp_path / expected


def test_the_running_interpreter() -> None:
    python = PythonTarget.current()
    assert python.executable == Path(sys.executable)
    assert python.include is not None
    assert python.ext_suffix.endswith((".so", ".pyd"))
    assert Environment.current().cpu_count >= 1


@pytest.mark.skipif(os.name != "posix", reason="limits of the size of files are POSIX")
def test_a_file_that_cannot_be_written_to_its_end_is_named(tmp_path: Path) -> None:
    """As on a full disk: what the system says of a write does not tell of which file."""
    code = (
        "import resource\nfrom pathlib import Path\nfrom torchscript_build import system\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: system.write_atomically(Path('made.txt'), bytes(1000))\n"
        "except OSError as error: print(error)\n"
    )
    done = run_python("-c", code, cwd=tmp_path, variables=os.environ)
    assert done.stdout == "[Errno 27] File too large: 'made.txt'\n"
    assert list(tmp_path.iterdir()) == []
