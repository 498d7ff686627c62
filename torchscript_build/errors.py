"""Every error that a user can see.

Each says what was wanted and what is the case, where we looked, and what to type next.
Libraries raise these; setuptools commands and ``__main__`` translate them into one ``error: …`` and exit code 1.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Sequence
from typing import Optional


class TorchScriptBuildError(Exception):
    """The base of all our errors.

    :param problem: what was wanted and what is the case, one or more lines.
    :param looked_in: pairs (place, what was found there), printed as a table.
    :param cures: things to type or to do, each one line.
    """

    def __init__(
        self,
        problem: str,
        *,
        looked_in: Sequence[tuple[str, str]] = (),
        cures: Sequence[str] = (),
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.looked_in = tuple(looked_in)
        self.cures = tuple(cures)

    def __str__(self) -> str:
        lines = [self.problem]
        if self.looked_in:
            width = max(len(place) for place, _ in self.looked_in)
            lines.append("  looked in:")
            lines.extend(f"    {place:<{width}}  {finding}" for place, finding in self.looked_in)
        if self.cures:
            lines.append("  do this:" if len(self.cures) == 1 else "  do one of these:")
            lines.extend(f"    - {cure}" for cure in self.cures)
        return "\n".join(lines)


class SettingsError(TorchScriptBuildError):
    """The project's settings are wrong; holds every problem that was found, not just the first."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n".join([f"{head} in the settings:", *(f"  - {p}" for p in self.problems)]))


class LibTorchNotFoundError(TorchScriptBuildError):
    """No place holds a libtorch that meets the requirements."""


class LibTorchUnusableError(TorchScriptBuildError):
    """A folder is not a libtorch, or an incomplete or contradictory one."""


class ToolNotFoundError(TorchScriptBuildError):
    """A program that the build needs (CMake, Ninja, a compiler) is missing or too old."""


class ConfigureError(TorchScriptBuildError):
    """CMake's configure step failed."""


class BuildError(TorchScriptBuildError):
    """The compiler or linker failed.

    :param output: all that the build tool printed.
    """

    def __init__(self, problem: str, *, output: str = "") -> None:
        super().__init__(problem)
        self.output = output


class ModelError(TorchScriptBuildError):
    """A TorchScript archive is missing, corrupt, or could not be exported."""


class VerificationError(TorchScriptBuildError):
    """What was built is not what was promised: ABI, NEEDED, RUNPATH."""


class StartError(TorchScriptBuildError):
    """The dynamic loader cannot start a built program on this machine."""


class ParityError(TorchScriptBuildError):
    """The built app's outputs differ from Python's."""


class ScaffoldError(TorchScriptBuildError):
    """A new project cannot be written: its name, or what is there already."""


class InterruptedByUserError(TorchScriptBuildError):
    """The build was interrupted (Ctrl-C)."""

    def __init__(self, doing: Optional[str] = None) -> None:
        super().__init__("interrupted" + (f" while {doing}" if doing else ""))


_ROOM = (errno.ENOSPC, errno.EDQUOT)
_RIGHTS = (errno.EACCES, errno.EPERM, errno.EROFS)


def of_the_system(error: OSError) -> TorchScriptBuildError:
    """What the operating system refuses, as one of ours: a full disk, a folder that cannot be written."""
    said = (error.strerror or str(error)).lower()
    if not isinstance(error.filename, (str, os.PathLike)):
        return TorchScriptBuildError(said, cures=_cures(error, os.curdir))
    file = os.fspath(error.filename)
    return TorchScriptBuildError(f"{file}: {said}", cures=_cures(error, os.path.dirname(file) or os.curdir))


def _cures(error: OSError, folder: str) -> list[str]:
    if error.errno in _ROOM:
        return [
            "make room: torchscript-build cache clean, pip cache purge, rm -r build",
            f"df -h {shlex.quote(folder)} shows how much there is; TMPDIR names another place for what compilers keep",
        ]
    return [f"ls -ld {shlex.quote(folder)} shows who may write there"] if error.errno in _RIGHTS else []
