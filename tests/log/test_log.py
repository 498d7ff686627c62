"""What a build prints: plain lines in a log, one line that moves on a terminal, more or less of both when asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from children import run_child
from terminal import in_terminal, left_over, terminal_variables

from torchscript_build import log
from torchscript_build.errors import InterruptedByUserError

TOOL = "ninja: Entering directory x\\n[1/2] Building CXX object CMakeFiles/app.dir/main.cpp.o\\n-- Configuring done\\n"
SCRIPT = f"""\
import os, sys
from torchscript_build import log, system
from torchscript_build.errors import InterruptedByUserError
log.configure(int(sys.argv[1]), os.environ)
echo = [sys.executable, "-c", "print({TOOL!r} 'main.cpp:1: warning: hm', flush=True)"]
with log.step("find everything", quiet=True):
    pass
with log.step("build"):
    log.say_command(["c++", "-c", "main.cpp"])
    system.run(echo, variables=os.environ, show=log.tool_line)
    log.warn("mind the gap")
with log.step("run app"):
    system.run([sys.executable, "-c", "print('[1/1] -- mine')"], variables=os.environ)
log.say("-- built app: " + log.shown(os.path.join(os.getcwd(), "build", "app")))
"""


def variables(**more: str) -> dict[str, str]:
    return terminal_variables(os.environ, **more)


def in_a_log(folder: Path, verbosity: int, **more: str) -> str:
    command = [sys.executable, "-c", SCRIPT, str(verbosity)]
    done = run_child(command, cwd=folder, env=variables(**more), stdout=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 0
    return re.sub(r"\d+\.\d s$", "0.0 s", done.stdout, flags=re.MULTILINE)


def on_a_terminal(folder: Path, script: str = SCRIPT, verbosity: int = 1, **more: str) -> str:
    """Everything that a terminal is sent."""
    code, sent = in_terminal([sys.executable, "-c", script, str(verbosity)], folder, variables(**more))
    assert code == 0, sent
    return sent


def test_a_log_has_plain_lines_and_each_step_before_it_begins(tmp_path: Path) -> None:
    assert in_a_log(tmp_path, 1).splitlines() == [
        "-- build …",
        "[1/2] Building CXX object CMakeFiles/app.dir/main.cpp.o",
        "-- Configuring done",
        "main.cpp:1: warning: hm",
        "-- build: 0.0 s",
        "-- run app …",
        "[1/1] -- mine",
        "-- run app: 0.0 s",
        "-- built app: build/app",
    ]


def test_verbose_adds_commands_and_whole_paths(tmp_path: Path) -> None:
    for text in (in_a_log(tmp_path, 2), in_a_log(tmp_path, 1, TORCHSCRIPT_BUILD_VERBOSE="1")):
        assert "+ c++ -c main.cpp\n" in text
        assert f"-- built app: {tmp_path}/build/app\n" in text


def test_quiet_leaves_what_programs_say(tmp_path: Path) -> None:
    for text in (in_a_log(tmp_path, 0), in_a_log(tmp_path, 1, TORCHSCRIPT_BUILD_VERBOSE="0")):
        assert text == "[1/1] -- mine\n"


def test_a_terminal_has_a_line_that_moves(tmp_path: Path) -> None:
    sent = on_a_terminal(tmp_path)
    assert re.search(r"\x1b\[Kfinding everything … \d+ s", sent)
    assert re.search(r"\x1b\[Kbuilding \[2/2\] … \d+ s", sent)
    lines = [re.sub(r"\d+\.\d s$", "0.0 s", line) for line in left_over(sent)]
    assert lines == [
        "main.cpp:1: warning: hm",
        "warning: mind the gap",
        "-- build: 0.0 s",
        "[1/1] -- mine",
        "-- run app: 0.0 s",
        "-- built app: build/app",
        "",
    ]


def test_it_moves_while_a_step_says_nothing(tmp_path: Path) -> None:
    script = (
        "import os, time\nfrom torchscript_build import log\nlog.configure(1, os.environ)\n"
        "with log.step('export model'):\n    time.sleep(1.3)\n"
    )
    times = re.findall(r"exporting model … (\d+) s", on_a_terminal(tmp_path, script))
    assert len(times) > 2
    assert set(times) == {"0", "1"}


def test_it_never_wraps(tmp_path: Path) -> None:
    script = (
        "import os\nfrom torchscript_build import log\nlog.configure(1, os.environ)\n"
        "with log.step('x' * 300):\n    pass\n"
    )
    sent = on_a_terminal(tmp_path, script, COLUMNS="40")
    moving = [part for part in re.split(r"\r\x1b\[K|\n", sent) if part.startswith("xx")]
    assert "x" * 39 in moving
    assert all(len(part) < 40 for part in moving)


@pytest.mark.parametrize("plain", [{"CI": "true"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_plain_lines(tmp_path: Path, plain: dict[str, str]) -> None:
    sent = on_a_terminal(tmp_path, **plain)
    assert "\x1b" not in sent
    assert "-- build …\r\n" in sent


def test_verbose_on_a_terminal_is_a_log(tmp_path: Path) -> None:
    sent = on_a_terminal(tmp_path, verbosity=2)
    assert "\x1b" not in sent
    assert "+ c++ -c main.cpp\r\n" in sent


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("HERE/a.cpp:1: error: in HERE/b.h", "a.cpp:1: error: in b.h"),
        ("\x1b[01m\x1b[KHERE/a.cpp:\x1b[m", "\x1b[01m\x1b[Ka.cpp:\x1b[m"),
        ("/homeHERE/a.cpp", "/homeHERE/a.cpp"),
        ("HERE-2/a.cpp", "HERE-2/a.cpp"),
        ("-IHERE/include", "-IHERE/include"),
        ("cd HERE/", "cd HERE/"),
    ],
)
def test_paths_below_the_current_folder_lose_it(
    said: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert log.relative(said.replace("HERE", str(tmp_path))) == shown.replace("HERE", str(tmp_path))


def test_paths_outside_of_the_current_folder_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert log.shown(tmp_path / "build/app") == "build/app"
    assert log.shown("/usr/lib") == "/usr/lib"
    assert log.shown("already/relative") == "already/relative"


def test_an_interrupted_step_is_named_in_the_users_words() -> None:
    assert log.doing() == ""
    with log.step("configure", quiet=True):
        assert log.doing() == "configuring"
        with log.step("probe", quiet=True):
            assert log.doing() == "probing"
    assert str(InterruptedByUserError("configuring")) == "interrupted while configuring"
