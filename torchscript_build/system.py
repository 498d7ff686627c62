"""The only door to the machine: environment, processes, and atomic changes of files.

No other module reads ``os.environ`` or starts a process.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform as _platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, Optional, Union

from torchscript_build.errors import InterruptedByUserError

StrPath = Union[str, "os.PathLike[str]"]

PROBE_SECONDS = 20.0
"""How long a version probe may take."""


@dataclass(frozen=True)
class PythonTarget:
    """The Python that a build is for: where its packages lie and what its programs are called."""

    executable: Path
    search_path: tuple[Path, ...] = ()
    """Folders on ``sys.path``; under build isolation this is the isolated environment."""
    site_packages: tuple[Path, ...] = ()
    """The site-packages of the interpreter itself, also visible where an isolated build hides them from sys.path."""
    scripts: Optional[Path] = None
    """The folder of installed console scripts."""
    include: Optional[Path] = None
    """The folder of Python.h."""
    ext_suffix: str = ".so"
    """What the file names of extension modules end in: ``.cpython-311-x86_64-linux-gnu.so``."""
    starter: Optional[Path] = None
    """The interpreter that started this one, ``venv/bin/python -m build``, where the system tells."""

    @classmethod
    def current(cls) -> PythonTarget:
        """The running interpreter."""
        paths = sysconfig.get_paths()
        sites = dict.fromkeys([paths["platlib"], paths["purelib"]])
        return cls(
            executable=Path(sys.executable),
            search_path=tuple(Path(p) for p in sys.path if p),
            site_packages=tuple(Path(p) for p in sites),
            scripts=Path(paths["scripts"]),
            include=Path(paths["include"]),
            ext_suffix=EXTENSION_SUFFIXES[0],
            starter=locate_starter(Path("/proc", str(os.getppid()))),
        )


def locate_starter(process: Path) -> Optional[Path]:
    """The Python of a process, by the name that it was called by: that tells its virtual environment."""
    try:
        program = (process / "cmdline").read_bytes().split(b"\0")[0].decode("utf-8", errors="surrogateescape")
        called = Path(os.readlink(process / "cwd"), program)
    except OSError:
        return None
    return called if called.name.startswith("python") and "/" in program and called.is_file() else None


@dataclass(frozen=True)
class Environment:
    """The machine as the build sees it; tests pass a made-up one."""

    variables: Mapping[str, str]
    cwd: Path
    platform: str
    """As ``sys.platform``: ``"linux"``, ``"darwin"``, ``"win32"``."""
    machine: str
    """As ``platform.machine()``: ``"x86_64"``, ``"aarch64"``, ``"arm64"``, ``"AMD64"``."""
    python: PythonTarget
    cpu_count: int = field(default=1)

    @classmethod
    def current(cls) -> Environment:
        """The real one, read once."""
        try:
            cpus = len(os.sched_getaffinity(0))
        except AttributeError:  # macOS, Windows
            cpus = os.cpu_count() or 1
        return cls(
            variables=dict(os.environ),
            cwd=Path.cwd(),
            platform=sys.platform,
            machine=_platform.machine(),
            python=PythonTarget.current(),
            cpu_count=cpus,
        )

    def get(self, name: str) -> Optional[str]:
        """The variable's value; ``None`` where it is unset or empty."""
        return self.variables.get(name) or None

    def with_variables(self, **changes: Optional[str]) -> Environment:
        """A copy with some variables changed; ``None`` removes one."""
        variables = {k: v for k, v in self.variables.items() if k not in changes}
        variables.update({k: v for k, v in changes.items() if v is not None})
        return replace(self, variables=variables)

    def which(self, program: str) -> Optional[Path]:
        """The program on this environment's PATH, or ``None``."""
        found = shutil.which(program, path=self.get("PATH") or os.defpath)
        return Path(found) if found else None

    def cache_dir(self) -> Path:
        """The user's cache folder for this tool (``TORCHSCRIPT_BUILD_CACHE_DIR``, else the platform's custom)."""
        named = self.get("TORCHSCRIPT_BUILD_CACHE_DIR")
        if named:
            return self.cwd / named
        home = Path(self.get("HOME") or self.get("USERPROFILE") or tempfile.gettempdir())
        if self.platform == "win32":
            base = Path(self.get("LOCALAPPDATA") or home / "AppData" / "Local")
        elif self.platform == "darwin":
            base = home / "Library" / "Caches"
        else:
            base = Path(self.get("XDG_CACHE_HOME") or home / ".cache")
        return base / "torchscript-build"


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
) -> Completed:
    """Run a child with live output, which is also kept.

    The child's lines are printed as they come (``echo``), so a log shows progress and an error handler can still
    read them. A negative return code is the signal that killed the child.

    :raises OSError: the program cannot be started.
    :raises InterruptedByUserError: on Ctrl-C; the child is ended first.
    """
    words = [os.fspath(w) for w in command]
    sys.stdout.flush()
    with subprocess.Popen(
        words,
        cwd=cwd,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as child:
        assert child.stdout is not None  # for the type checker: PIPE was asked for
        lines = []
        try:
            for line in child.stdout:
                lines.append(line)
                if echo:
                    sys.stdout.write(line)
                    sys.stdout.flush()
            child.wait()
        except KeyboardInterrupt:
            end(child)
            raise InterruptedByUserError(f"running {words[0]}") from None
    return Completed(tuple(words), child.returncode, "".join(lines))


def end(child: subprocess.Popen[str]) -> None:
    """Ask a child to stop, then make it stop."""
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            child.wait(timeout=5)
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
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Completed(tuple(words), done.returncode, done.stdout)


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
            self._known = read_json(self._file) if self._file is not None else {}
        return self._known

    def _stamp(self, word: str) -> str:
        path = word if os.path.dirname(word) else shutil.which(word, path=self._variables.get("PATH") or os.defpath)
        try:
            status = os.stat(path or "")
        except OSError:
            return ""
        return f"{path}:{status.st_size}:{status.st_mtime_ns}"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_if_changed(path: Path, data: bytes) -> bool:
    """Write a file only if its content differs, so that build tools see no change where there is none."""
    try:
        if path.read_bytes() == data:
            return False
    except OSError:
        pass
    write_atomically(path, data)
    return True


def stamp(path: Path) -> Optional[list[int]]:
    """Size and time of a file, which change when it does; ``None`` if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that we wrote; empty if it is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object atomically."""
    write_atomically(path, json.dumps(data, indent=1).encode())


def copy_if_changed(source: Path, target: Path) -> bool:
    """Copy a file with its mode and time, atomically, unless size and time already agree."""
    new = source.stat()
    try:
        old = target.stat()
        if (old.st_size, old.st_mtime_ns, old.st_mode) == (new.st_size, new.st_mtime_ns, new.st_mode):
            return False
    except OSError:
        pass
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        shutil.copy2(source, temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return True


def materialize(files: Mapping[str, bytes], folder: Path) -> None:
    """Write a FileSet into a folder: only what changed; files that are no longer part of it are removed."""
    for name, content in sorted(files.items()):
        write_if_changed(folder / name, content)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.as_posix() not in files and inside.parts[0] != "build":
            path.unlink()


def remove_tree(path: Path) -> None:
    """Remove a folder or file; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file while the body runs; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        if os.name == "posix":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
        yield
