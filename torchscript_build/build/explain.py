"""Says what is known of a failure: of our own build's, or of those in anybody's log."""

from __future__ import annotations

import re

from torchscript_build.build.exports import EXPORTS
from torchscript_build.build.failures import Failure, Named, name_failures
from torchscript_build.build.hints import HINTS
from torchscript_build.build.installs import INSTALLS
from torchscript_build.build.pains import PAINS
from torchscript_build.build.troubles import TROUBLES
from torchscript_build.errors import BuildError, ConfigureError, TorchScriptBuildError

LONGEST = 1000
"""Characters of a line that are looked at, half at each end; between them are command lines and symbols."""

FURTHER_UP = Failure(
    "further up",
    r"Command '\['ninja', '-v'[^\n]*returned non-zero|ninja: build stopped: subcommand failed"
    r"|^g?make(?:\[\d+\])?: \*\*\* |Failed (?:building wheel for|to build [`'])|failed to run custom build command"
    r"|error: command '[^'\n]+' failed with exit (?:status|code) \d+",
    "a compiler or linker failed, and this is only what the tool that started it says",
    "look for the first line with error: above it, and give the doctor that part of the log, too",
    "Ninja, Make, setuptools",
)
"""What is named where nothing else is."""


def explain_log(text: str) -> list[Named]:
    """What is known of the failures in a log of any build or program."""
    found: dict[int, Named] = {}
    log = _bounded(text)
    known = name_failures(log, (*PAINS, *HINTS, *INSTALLS, *TROUBLES, *EXPORTS))
    for named in known or name_failures(log, [FURTHER_UP]):
        found.setdefault(named.line, named)  # the more special one stands first
    return list(found.values())


def explain(error: TorchScriptBuildError, backend: str = "") -> None:
    """Give an error of CMake, a compiler or a linker what is known of its cause, and a cure.

    :param backend: that of the libtorch that was built against.
    """
    if not isinstance(error, (BuildError, ConfigureError)):
        return
    text = error.output if isinstance(error, BuildError) and error.output else error.problem
    named = name_failures(_bounded(text), (*HINTS, *PAINS, *INSTALLS, *TROUBLES), backend=backend)
    known = [n.failure for n in named if not n.failure.harmless]
    if known:
        error.problem += f"\n  why: {known[0].cause}"
        error.cures = (*error.cures, known[0].cure)


def _bounded(text: str) -> str:
    """Without colours, and with no line so long that searching it takes more than a moment."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    half = LONGEST // 2
    return "\n".join(x if len(x) <= LONGEST else x[:half] + x[-half:] for x in plain.split("\n"))
