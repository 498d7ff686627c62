"""Who is told to end ends his children first; who waits for a lock is told; what a killed holder left is ended."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from children import run_child, run_python, started
from support import stub, write

from torchscript_build.system import processes

RUN = """\
import os, signal, sys
from pathlib import Path
from torchscript_build import system
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it for all that it starts
with system.ending_by_signals(), system.locked(Path("lock"), "the folder"):
    system.run(sys.argv[1:], variables=os.environ)
print("never said")
"""
IMPATIENT = (
    f"from torchscript_build.system import processes\nprocesses.GENTLE_SECONDS = processes.FIRM_SECONDS = 0.5\n{RUN}"
)
"""The same, for children that would not end by themselves however long one waits."""
TREE = "trap '' INT; (trap '' TERM; sleep 97 & echo $! > grandchild; wait) & echo $! > child; wait"
"""A shell that will not end by SIGINT, with a child that will not end by SIGTERM, with a child."""


def numbers(folder: Path) -> list[int]:
    """The processes of TREE, once they run."""
    files = [folder / "child", folder / "grandchild"]
    while not all(f.is_file() and f.read_text().strip() for f in files):
        time.sleep(0.02)
    return [int(f.read_text()) for f in files]


def gone(number: int) -> bool:
    """Waits for it; for how long is said by the time limit of tests alone."""
    while processes.read_start(number) is not None:
        time.sleep(0.02)
    return True


@contextmanager
def script_started(folder: Path, code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    script = write(folder / "script.py", code)
    with started(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGALRM, signal.SIGUSR1]
)
def test_a_signal_ends_the_children_and_then_us_by_that_signal(tmp_path: Path, number: int) -> None:
    with script_started(tmp_path, IMPATIENT, "/bin/sh", "-c", TREE) as child:
        members = numbers(tmp_path)
        child.send_signal(number)
        output, _ = child.communicate()
    assert child.returncode == -number
    assert "Traceback" not in output
    assert "never said" not in output
    assert [gone(n) for n in members] == [True, True]


def test_ctrl_c_ends_them_too(tmp_path: Path) -> None:
    with script_started(tmp_path, IMPATIENT, "/bin/sh", "-c", TREE) as child:
        members = numbers(tmp_path)
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate()
    assert "interrupted while running /bin/sh" in output
    assert [gone(n) for n in members] == [True, True]


def test_a_build_tool_that_ends_by_itself_is_given_the_time(tmp_path: Path) -> None:
    program = stub(
        tmp_path / "tool",
        "trap 'sleep 0.3; echo cleaned > result; exit 1' INT",
        "echo x > child",
        "echo x > grandchild",
        "sleep 60 & wait",
    )
    with script_started(tmp_path, RUN, str(program)) as child:
        while not (tmp_path / "grandchild").is_file():
            time.sleep(0.02)
        child.terminate()
        child.communicate()
    assert (tmp_path / "result").read_text() == "cleaned\n"


def test_a_signal_that_is_ignored_stays_ignored_and_one_that_is_handled_stays_so(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom torchscript_build import system\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('mine'))\n"
        "with system.ending_by_signals():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('done')\n"
    )
    assert run_python("-c", code, cwd=tmp_path, variables=os.environ).stdout == "mine\ndone\n"


def test_a_signal_while_a_child_starts_waits_until_it_is_known(tmp_path: Path) -> None:
    code = (
        "import os, signal, subprocess\nfrom torchscript_build.system import ending_by_signals, run\n"
        "plain = subprocess.Popen\n"
        "def popen(*a, **k):\n"
        "    child = plain(*a, **k)\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    open('child', 'w').write(str(child.pid))\n    return child\n"
        "subprocess.Popen = popen\n"
        "with ending_by_signals():\n    run(['/bin/sleep', '98'], variables={})\n"
    )
    assert run_python("-c", code, cwd=tmp_path, variables=os.environ).returncode == -signal.SIGTERM
    assert gone(int((tmp_path / "child").read_text()))


# --- locks ---------------------------------------------------------------------------------------------------------

WAIT = """\
from pathlib import Path
from torchscript_build import system
with system.locked(Path("lock"), "the folder"):
    print("have it")
"""


def test_who_waits_is_told_for_what_and_who_holds_it(tmp_path: Path) -> None:
    with script_started(tmp_path, IMPATIENT, "/bin/sh", "-c", TREE) as holder:
        numbers(tmp_path)
        with script_started(tmp_path, WAIT) as waiting:
            assert waiting.stdout is not None
            line = waiting.stdout.readline()
            holder.terminate()
            rest = waiting.stdout.read()
    assert line.startswith(f"-- waiting for the folder: process {holder.pid} (script.py /bin/sh -c trap ")
    assert line.endswith(f" on {os.uname().nodename} holds it\n")
    assert rest == "have it\n"


def test_a_holder_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with open(write(tmp_path / "lock", "process 7 (\x1b[2J\x07) on here\n"), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with script_started(tmp_path, WAIT) as waiting:
            assert waiting.stdout is not None
            line = waiting.stdout.readline()
            fcntl.flock(file, fcntl.LOCK_UN)
            assert waiting.stdout.read() == "have it\n"
    assert line == "-- waiting for the folder: process 7 (?[2J?) on here holds it\n"


def test_a_lock_that_is_free_is_taken_without_a_word(tmp_path: Path) -> None:
    write(tmp_path / "lock", "process 1 (nobody)\nchild x y\n\0\xff")
    assert run_python("-c", WAIT, cwd=tmp_path, variables=os.environ).stdout == "have it\n"


def test_the_child_of_a_killed_holder_is_ended_before_the_next_one_begins(tmp_path: Path) -> None:
    with script_started(tmp_path, IMPATIENT, "/bin/sh", "-c", TREE) as holder:
        members = numbers(tmp_path)
        holder.kill()
        holder.wait()
        done = run_python("-c", WAIT, cwd=tmp_path, variables=os.environ)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("-- a killed build left process ")
    assert lines[1] == "have it"
    assert [gone(n) for n in members] == [True, True]


def test_a_process_that_only_has_the_number_is_left_alone(tmp_path: Path) -> None:
    with started(["/bin/sleep", "60"]) as other:
        host = os.uname().nodename
        write(tmp_path / "lock", f"process 1 (x) on {host}\nchild {other.pid} 12345\n")
        assert run_python("-c", WAIT, cwd=tmp_path, variables=os.environ).stdout == "have it\n"
        assert other.poll() is None
        other.kill()


# --- output --------------------------------------------------------------------------------------------------------

SAY = """\
from torchscript_build import log, system
log.say("\\u2018one\\u2019 \\udcff")
log.warn("\\u2018two\\u2019")
system.run(["./quoting"], variables={})
open("reached", "w").close()
"""


def say(folder: Path) -> Path:
    """A script that prints what not every terminal can show, itself and through a child."""
    stub(folder / "quoting", r"printf '\342\200\230three\342\200\231\n'")
    return write(folder / "x.py", SAY)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"PYTHONIOENCODING": "ascii"}, r"\u2018one\u2019 \udcff" + "\n" + r"\u2018three\u2019" + "\n"),
        ({"PYTHONIOENCODING": "utf-8"}, "‘one’ \\udcff\n‘three’\n"),
        (
            {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1:strict"},
            r"\u2018one\u2019 \udcff" + "\n" + r"\u2018three\u2019" + "\n",
        ),
    ],
)
def test_what_the_terminal_cannot_show_is_escaped(
    tmp_path: Path, variables: dict[str, str], wanted: str | None
) -> None:
    done = run_python(str(say(tmp_path)), cwd=tmp_path, variables={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    assert wanted in (None, done.stdout)
    assert (tmp_path / "reached").exists()


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "| true", ">/dev/full"])
def test_nobody_need_read_what_is_printed(tmp_path: Path, redirection: str) -> None:
    say(tmp_path)
    command = f"set -o pipefail; {sys.executable} x.py {redirection}"
    done = run_child(["bash", "-c", command], cwd=tmp_path, capture_output=True, encoding="utf-8", errors="replace")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "reached").exists()
    if redirection != ">/dev/full":
        assert done.returncode == 0, done.stderr
