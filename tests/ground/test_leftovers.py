"""A test that times out or is interrupted leaves no process behind; see ``leftovers`` and ``children.run_child``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from children import run_python
from support import write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

# The time limit of pytest-timeout is this same signal; a real limit would depend on how fast the machine is.
TEST = """\
import os, subprocess, sys
import pytest
from children import run_child, started
from torchscript_build import system

COMMAND = ["sh", "start.sh", str(os.getpid())]

def test_it():
    HOW

def test_next():
    pass
"""
STUBBORN = """\
trap "" INT TERM HUP
echo $$ >>processes
while :; do sleep 1000; done
"""
START = """\
sh stubborn.sh &
sh stubborn.sh &
until [ "$(wc -l <processes)" = 2 ]; do sleep 0.1; done
kill -SIGNAL $1
wait
"""
WAYS = {
    "in a group": "run_child(COMMAND, capture_output=True)",
    "in a group, with a pipe": "with started(COMMAND, stdout=subprocess.PIPE) as child: child.stdout.read()",
    "by torchscript_build": "system.run(COMMAND, variables=dict(os.environ))",
    "a group that nobody ends": "subprocess.run(COMMAND, start_new_session=True)",
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(("signal", "code"), [("ALRM", 1), ("INT", 2), ("TERM", 2)])
def test_nothing_is_left(tmp_path: Path, how: str, signal: str, code: int) -> None:
    write(tmp_path / "stubborn.sh", STUBBORN)
    write(tmp_path / "start.sh", START.replace("SIGNAL", signal))
    write(tmp_path / "test_it.py", TEST.replace("HOW", WAYS[how]))
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTEST_ADDOPTS": ""}
    arguments = ["-p", "leftovers", "-p", "no:cacheprovider", "--timeout=3600", "test_it.py"]
    done = run_python("-m", "pytest", *arguments, cwd=tmp_path, variables=variables)
    processes = (tmp_path / "processes").read_text().split()
    assert len(processes) == 2
    assert [process for process in processes if Path("/proc", process).exists()] == [], done.stdout
    assert ("Timeout" in done.stdout) == (signal == "ALRM")
    if how != "by torchscript_build" or signal != "INT":  # which makes an error of its own of Ctrl-C
        assert done.returncode == code, done.stdout + done.stderr
