"""Starts built programs, and tells why one did not start or failed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.errors import StartError, TorchScriptBuildError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import TorchScriptApp
from torchscript_build.system import Completed

CANNOT_LOAD = 127
"""The dynamic loader's exit code."""
NOT_LOADED = 3
MISMATCH = 5
"""The runner's exit codes for a model that cannot be loaded and for outputs that differ; templates/apps/runner."""
_LOADERS_WORDS = ("error while loading shared libraries", "symbol lookup error")
_LIBTORCH = ("libc10.so", "libtorch_cpu.so", "libtorch.so")


def is_runner(app: TorchScriptApp) -> bool:
    """Is this a runner, whose options we know and whose outputs can be compared with Python's?"""
    return not app.sources and app.template == "runner"


def run_app(
    app: TorchScriptApp,
    program: Path,
    models: Mapping[str, Path],
    *,
    libtorch: LibTorch,
    variables: Mapping[str, str],
) -> None:
    """Run an app on the project's arguments for it; without any, a runner describes its model.

    :param models: the app's models and their files, its default first.
    :raises TorchScriptBuildError: the app failed.
    """
    files = [str(path) for path in models.values()]
    if app.arguments:
        arguments = [fill(word, models) for word in app.arguments]
    elif is_runner(app):
        arguments = ["--model", files[0], "--info"] if files else ["--help"]
    else:
        arguments = files
    check_run(app, run_program([str(program), *arguments], variables), libtorch, variables)


def run_program(command: Sequence[str], variables: Mapping[str, str], *, echo: bool = True) -> Completed:
    """Say the command, and run it."""
    log.say_command(command)
    return system.run(command, variables=variables, echo=echo)


def check_run(app: TorchScriptApp, done: Completed, libtorch: LibTorch, variables: Mapping[str, str]) -> None:
    """:raises TorchScriptBuildError: a program did not start (``StartError``), was killed, or failed."""
    if is_start_failure(done):
        raise _start_failure(app, done, libtorch, variables)
    if done.returncode < 0:
        preloaded = [f for f in foreign_libraries(libtorch, variables) if f.variable == "LD_PRELOAD"]
        raise TorchScriptBuildError(
            ": ".join([f"app {app.name!r} was killed by signal {-done.returncode}", *map(str, preloaded[:1])]),
            cures=preloaded[0].cures if preloaded else [],
        )
    if done.returncode > 0:
        raise TorchScriptBuildError(f"app {app.name!r} failed with exit code {done.returncode}\n{tail(done.output)}")


def is_start_failure(done: Completed) -> bool:
    """Did the dynamic loader give up before the program began?"""
    return done.returncode == CANNOT_LOAD and any(words in done.output for words in _LOADERS_WORDS)


def tail(output: str) -> str:
    """The last lines of what a program printed, indented."""
    return "\n".join("  " + line for line in output.strip().splitlines()[-20:])


@dataclass(frozen=True)
class ForeignLibrary:
    """A file of another libtorch that the dynamic loader takes."""

    variable: str
    """What brings it: ``LD_PRELOAD``, ``LD_LIBRARY_PATH``."""
    file: Path

    def __str__(self) -> str:
        return f"{self.variable} brings another libtorch, {self.file}"

    @property
    def cures(self) -> list[str]:
        what = self.file if self.variable == "LD_PRELOAD" else self.file.parent
        return [f"take {what} out of {self.variable}", f"unset {self.variable}"]


def foreign_libraries(libtorch: LibTorch, variables: Mapping[str, str]) -> list[ForeignLibrary]:
    """Files of another libtorch that the dynamic loader finds by variables, in its order."""
    own = {os.path.realpath(folder) for folder in libtorch.library_dirs}
    preloaded = [Path(word) for word in re.split("[: ]+", variables.get("LD_PRELOAD", "")) if "/" in word]
    folders = [f for f in variables.get("LD_LIBRARY_PATH", "").split(os.pathsep) if f]
    found = [
        *(("LD_PRELOAD", file) for file in preloaded if file.name.startswith(("libc10", "libtorch"))),
        *(("LD_LIBRARY_PATH", Path(folder, name)) for folder in folders for name in _LIBTORCH),
    ]
    return [
        ForeignLibrary(variable, file)
        for variable, file in found
        if os.path.realpath(file.parent) not in own and os.path.isfile(file)
    ]


def _start_failure(
    app: TorchScriptApp, done: Completed, libtorch: LibTorch, variables: Mapping[str, str]
) -> StartError:
    foreign = foreign_libraries(libtorch, variables)
    if foreign:
        return StartError(
            f"app {app.name!r} cannot start: {foreign[0]}, in the place of {libtorch.library_dirs[0]}\n"
            f"{tail(done.output)}",
            cures=foreign[0].cures,
        )
    if "symbol lookup error" in done.output:
        return StartError(
            f"app {app.name!r} cannot start: a library that it loads is not the one that it was built with\n"
            f"{tail(done.output)}",
            cures=["build it again against the libtorch that it runs with"],
        )
    return StartError(
        f"app {app.name!r} cannot start: the loader misses a library that libtorch needs\n{tail(done.output)}",
        cures=[
            "install what it needs beside it, as its wheel does: pip install --force-reinstall torch",
            "torchscript-build fetch VERSION --with-cuda-libraries",
            "use a libtorch without CUDA: cuda = false in the settings",
        ],
    )


def fill(word: str, models: Mapping[str, Path]) -> str:
    """``{model}`` and ``{model:NAME}`` in an argument."""
    for name, path in models.items():
        word = word.replace(f"{{model:{name}}}", str(path))
    return word.replace("{model}", str(next(iter(models.values())))) if models else word
