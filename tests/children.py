"""Children of the tests: nothing that they start outlives its test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from torchscript_build.system import StrPath


def clean_variables(**changes: str) -> dict[str, str]:
    """The real environment without anything that could steer a build."""
    steering = ("CXX", "CC", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "LIBTORCH", "MAX_JOBS", "CPU_COUNT")
    prefixes = ("CMAKE", "TORCH", "LIBTORCH", "CONDA", "PYTEST", "PIP_", "CUDA", "NINJA", "CCACHE", "SCCACHE", "DISTCC")
    variables = {
        k: v
        for k, v in os.environ.items()
        if k not in (*steering, "VIRTUAL_ENV", "PREFIX", "LD_LIBRARY_PATH", "DESTDIR") and not k.startswith(prefixes)
    }
    return {**variables, "TORCHSCRIPT_BUILD_LAUNCHER": "none", **changes}


def run_child(
    command: Union[str, Sequence[StrPath]],
    *,
    input: Union[str, bytes, None] = None,
    capture_output: bool = False,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """As ``subprocess.run``, but the child has a process group of its own, which is killed if we cannot wait for it.

    There is no time limit but the test's own: how long a compiler takes depends on what else the machine does.
    """
    if capture_output:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if input is not None:
        options.update(stdin=subprocess.PIPE)
    with started(command, **options) as child:
        output, errors = child.communicate(input)
    done = subprocess.CompletedProcess(command, child.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


@contextlib.contextmanager
def started(command: Union[str, Sequence[StrPath]], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """As ``subprocess.Popen``, in the same way; for what is not only waited for."""
    with subprocess.Popen(command, start_new_session=True, **options) as child:
        try:
            yield child
        except BaseException:  # the time limit, Ctrl-C or what the test found wrong
            kill_group(child)
            raise


def kill_group(child: subprocess.Popen[Any]) -> None:
    """Kill a child that has a process group of its own, with all that it started."""
    if os.name != "posix":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def run_python(*arguments: str, cwd: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The running interpreter as a child; standard output and error apart."""
    return run_child(
        [sys.executable, *arguments],
        cwd=cwd,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )


def peak_of(command: list[str]) -> int:
    """The memory that a command took at its most, in bytes; it succeeds."""
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
    _, status, usage = os.wait4(child, 0)
    assert status == 0
    return usage.ru_maxrss * 1024
