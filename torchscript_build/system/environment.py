"""The machine as the build sees it: variables, platform, Python, the user's cache folder."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Optional, Union

from torchscript_build.records import dataclass, field

StrPath = Union[str, "os.PathLike[str]"]


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
        paths = _paths()
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


@functools.cache
def _paths() -> Mapping[str, str]:
    return sysconfig.get_paths()


def locate_starter(process: Path) -> Optional[Path]:
    """The Python of a process, by the name that it was called by: that tells its virtual environment."""
    try:
        program = (process / "cmdline").read_bytes().split(b"\0")[0].decode("utf-8", errors="surrogateescape")
        called = Path(os.readlink(process / "cwd"), program)
    except OSError:
        return None
    if not (called.name.startswith("python") and "/" in program and called.is_file()):
        return None
    return called.parent.resolve() / called.name  # not itself: in a virtual environment it is a link away from there


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
            machine=_machine(),
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
        from dataclasses import replace  # it imports much, and finding libtorch does without

        return replace(self, variables=variables)

    def which(self, program: str) -> Optional[Path]:
        """The program on this environment's PATH, or ``None``."""
        import shutil  # with it come modules for archives, and finding libtorch does without

        found = shutil.which(program, path=self.get("PATH") or os.defpath)
        return Path(found) if found else None

    def cache_dir(self) -> Optional[Path]:
        """The user's cache folder for this tool (``TORCHSCRIPT_BUILD_CACHE_DIR``, else the platform's custom).

        ``None`` for a user without a home. Whether it may be used is ``trust``'s business.
        """
        named = self.get("TORCHSCRIPT_BUILD_CACHE_DIR")
        if named:
            return self.cwd / named
        home = self._folder("HOME") or self._folder("USERPROFILE")
        if self.platform == "win32":
            base = self._folder("LOCALAPPDATA") or (home / "AppData" / "Local" if home else None)
        elif self.platform == "darwin":
            base = home / "Library" / "Caches" if home else None
        else:
            base = self._folder("XDG_CACHE_HOME") or (home / ".cache" if home else None)
        return base / "torchscript-build" if base else None

    def _folder(self, variable: str) -> Optional[Path]:
        """An absolute path; a relative one is to be ignored (XDG Base Directory Specification)."""
        value = self.get(variable)
        return Path(value) if value and os.path.isabs(value) else None


def _machine() -> str:
    """``platform.machine()``, without importing a module where the system itself tells."""
    if hasattr(os, "uname"):
        return os.uname().machine
    import platform

    return platform.machine()


@contextlib.contextmanager
def default_variable(name: str, value: str) -> Iterator[None]:
    """While the body runs, a variable of this process has a value; one that it has already stays."""
    before = os.environ.get(name)
    os.environ.setdefault(name, value)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
