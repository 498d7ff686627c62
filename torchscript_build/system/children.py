"""Child processes: run with live output, asked short questions, ended with all that they started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log
from torchscript_build.errors import InterruptedByUserError, TorchScriptBuildError
from torchscript_build.records import dataclass
from torchscript_build.system.environment import StrPath
from torchscript_build.system.files import read_json, write_json
from torchscript_build.system.locks import noted_child
from torchscript_build.system.processes import GENTLE_SECONDS, end_tree
from torchscript_build.system.signals import raise_waiting, starting_a_child

Child = subprocess.Popen[str]

PROBE_SECONDS = 60.0
"""How long a version probe may take: a compiler is not refused because the machine is busy."""


@dataclass(frozen=True)
class Completed:
    """How a child process ended and, where it was captured, what it printed."""

    command: tuple[str, ...]
    returncode: int
    output: str = ""
    """Standard output and standard error together, in order."""


def run(
    command: Sequence[StrPath],
    *,
    variables: Mapping[str, str],
    cwd: Optional[StrPath] = None,
    echo: bool = True,
    show: Optional[Callable[[str], None]] = None,
) -> Completed:
    """Run a child with live output, which is also kept.

    The child's lines are shown as they come (``echo``), so a log shows progress and an error handler can still
    read them. A negative return code is the signal that killed the child.

    :raises OSError: the program cannot be started.
    :raises InterruptedByUserError: on Ctrl-C; the child is ended first, as it is on whatever else is raised meanwhile.
    """
    lines = []
    with _started(command, variables=variables, cwd=cwd, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None  # for the type checker: PIPE was asked for
        for line in child.stdout:
            lines.append(line)
            if echo and show is not None:
                show(line)
            elif echo:
                log.write(line, sys.stdout)
        child.wait()
    return Completed(tuple(os.fspath(w) for w in command), child.returncode, "".join(lines))


@contextlib.contextmanager
def beside(command: Sequence[StrPath], output: Path, *, variables: Mapping[str, str]) -> Iterator[Child]:
    """A child that runs while the body does, and is ended with it; what it prints goes into a file.

    :raises OSError: the program cannot be started, or the file not written.
    """
    with open(output, "wb") as file, _started(command, variables=variables, stdout=file.fileno()) as child:
        try:
            yield child
        finally:
            end(child)


YIELDING = 5
"""What is added to the niceness of a child that yields: of a core that another one wants, too, it gets a quarter."""
END_OF_ANSWER = "\0end of answer\n"
"""What a ``Server`` prints after each piece of work."""


class Server:
    """A child that does one piece of work after the other, each named by a line on its standard input."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def ask(self, line: str) -> Optional[int]:
        """Let it do a piece of work, and show what it prints; ``None`` when it is done, or how the child ended."""
        child = self._child
        assert child.stdin is not None  # for the type checker: pipes were asked for
        assert child.stdout is not None
        try:
            try:
                child.stdin.write(line + "\n")
                child.stdin.flush()
            except OSError:  # it has ended
                with contextlib.suppress(OSError):
                    child.stdin.close()
            for printed in child.stdout:
                if printed.endswith(END_OF_ANSWER):
                    log.write(printed[: -len(END_OF_ANSWER)], sys.stdout)
                    return None
                log.write(printed, sys.stdout)
            return child.wait()
        except KeyboardInterrupt:
            raise InterruptedByUserError(log.doing() or str(child.args)) from None


@contextlib.contextmanager
def serving(command: Sequence[StrPath], *, variables: Mapping[str, str], yields: bool = False) -> Iterator[Server]:
    """A child that waits for work while the body runs, and is ended with it.

    :param yields: it takes fewer turns than others where there are more that want a core than cores.
    :raises OSError: the program cannot be started.
    """
    with _started(command, variables=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        if yields and sys.platform != "win32":
            with contextlib.suppress(OSError):  # it has ended
                os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, 0) + YIELDING)
        try:
            yield Server(child)
        finally:
            end(child)


@contextlib.contextmanager
def _started(
    command: Sequence[StrPath],
    *,
    variables: Mapping[str, str],
    cwd: Optional[StrPath] = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int,
) -> Iterator[Child]:
    """A child that is known to the locks and is ended, with all that it started, on whatever is raised."""
    words = [os.fspath(w) for w in command]
    log.write("", sys.stdout)
    with starting_a_child(), _explained(words[0]):
        started = subprocess.Popen(
            words,
            cwd=cwd,
            env=dict(variables),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    with started as child:
        try:
            raise_waiting()
            with noted_child(child.pid):
                yield child
        except BaseException as error:
            end(child)
            if isinstance(error, KeyboardInterrupt):
                raise InterruptedByUserError(log.doing() or f"running {words[0]}") from None
            raise


@contextlib.contextmanager
def _explained(program: str) -> Iterator[None]:
    """Words that no command line can have: with a NUL, or with what the locale's encoding lacks."""
    try:
        yield
    except ValueError as error:
        raise TorchScriptBuildError(f"{program} cannot be started with these arguments: {error}") from error


def end(child: Child) -> None:
    """Ask a child to stop, then make it stop, and all that it started."""
    if child.poll() is None:
        end_tree(child.pid, signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        if child.poll() is None:  # where processes cannot be looked at
            try:
                child.wait(timeout=GENTLE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def probe(
    command: Sequence[StrPath],
    *,
    variables: Mapping[str, str],
    cwd: Optional[StrPath] = None,
    timeout: float = PROBE_SECONDS,
) -> Optional[Completed]:
    """Run a short question (``--version``) in the C locale; ``None`` if it cannot start or takes too long."""
    words = [os.fspath(w) for w in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**variables, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Completed(tuple(words), done.returncode, done.stdout)


def _is_answer(answer: Any) -> bool:
    """Is an entry of a file of answers what ``Probes`` writes?"""
    return isinstance(answer, list) and len(answer) == 2 and isinstance(answer[0], int) and isinstance(answer[1], str)


class Probes:
    """Answers of programs to short questions, remembered in a file for as long as the programs stay the same.

    :param file: where they are kept; ``None``: nowhere.
    """

    def __init__(self, variables: Mapping[str, str], file: Optional[Path] = None) -> None:
        self._variables = variables
        self._file = file
        self._known: Optional[dict[str, list[Any]]] = None

    def ask(self, command: Sequence[StrPath]) -> Optional[Completed]:
        """As ``probe``; a program is the same while path, size and time of all files in the command are."""
        words = [os.fspath(w) for w in command]
        key = "\0".join([*words, *(self._stamp(w) for w in words)])
        known = self._load()
        if key not in known:
            done = probe(words, variables=self._variables)
            if done is None or done.returncode != 0:
                return done
            known[key] = [done.returncode, done.output]
            if self._file is not None:
                with contextlib.suppress(OSError):
                    write_json(self._file, known)
        returncode, output = known[key]
        return Completed(tuple(words), returncode, output)

    def _load(self) -> dict[str, list[Any]]:
        if self._known is None:
            known = read_json(self._file) if self._file is not None else {}
            self._known = {key: answer for key, answer in known.items() if _is_answer(answer)}
        return self._known

    def _stamp(self, word: str) -> str:
        path = word if os.path.dirname(word) else shutil.which(word, path=self._variables.get("PATH") or os.defpath)
        try:
            status = os.stat(path or "")
        except OSError:
            return ""
        return f"{path}:{status.st_size}:{status.st_mtime_ns}"
