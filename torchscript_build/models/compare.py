"""Runs a built app: on the user's arguments, or on reference inputs against Python's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.errors import ParityError, TorchScriptBuildError
from torchscript_build.models.export import Reference
from torchscript_build.settings.specs import TorchScriptApp
from torchscript_build.system import Completed

CANNOT_LOAD = 127
"""The dynamic loader's exit code."""
MISMATCH = 5
"""The runner's exit code for outputs that differ; see templates/apps/runner/program/error.h."""
TOLERABLE = "hint: --rtol and --atol"
"""What a runner says where numbers differ; never for a dtype, a shape or a structure."""


def runs_against_python(app: TorchScriptApp) -> bool:
    """Is this a runner, whose outputs can be compared with Python's?"""
    return not app.sources and app.template == "runner"


def compare_app(
    app: TorchScriptApp, program: Path, model: Path, reference: Reference, *, variables: Mapping[str, str]
) -> None:
    """Run a runner on the reference inputs and compare its outputs with Python's.

    :raises ParityError: they differ.
    :raises TorchScriptBuildError: the app failed otherwise.
    """
    arguments = [
        *("--model", str(model)),
        *("--input", f"args:{reference.arguments}", "--expect", str(reference.expected)),
        *("--rtol", repr(app.rtol), "--atol", repr(app.atol)),
    ]
    done = _run([str(program), *arguments], variables)
    if done.returncode == MISMATCH:
        raise ParityError(
            f"app {app.name!r}: its outputs differ from Python's\n{_tail(done.output)}",
            cures=["if the difference is rounding, widen rtol and atol of the app in the settings"]
            if TOLERABLE in done.output
            else [],
        )
    _check(app, done)


def run_app(app: TorchScriptApp, program: Path, models: Mapping[str, Path], *, variables: Mapping[str, str]) -> None:
    """Run an app on the project's arguments for it; without any, a runner describes its model.

    :param models: the app's models and their files, its default first.
    :raises TorchScriptBuildError: the app failed.
    """
    files = [str(path) for path in models.values()]
    if app.arguments:
        arguments = [_fill(word, models) for word in app.arguments]
    elif runs_against_python(app):
        arguments = ["--model", files[0], "--info"] if files else ["--help"]
    else:
        arguments = files
    _check(app, _run([str(program), *arguments], variables))


def _run(command: Sequence[str], variables: Mapping[str, str]) -> Completed:
    log.say_command(command)
    return system.run(command, variables=variables)


def _check(app: TorchScriptApp, done: Completed) -> None:
    if done.returncode < 0:
        raise TorchScriptBuildError(f"app {app.name!r} was killed by signal {-done.returncode}")
    if done.returncode == CANNOT_LOAD and "error while loading shared libraries" in done.output:
        raise TorchScriptBuildError(
            f"app {app.name!r} cannot start: the loader misses a library that libtorch needs\n{_tail(done.output)}",
            cures=[
                "install what this libtorch needs beside it (pip install torch brings the nvidia-* packages)",
                "torchscript-build fetch VERSION --with-cuda-libraries",
                "use a libtorch without CUDA: cuda = false in the settings",
            ],
        )
    if done.returncode > 0:
        raise TorchScriptBuildError(f"app {app.name!r} failed with exit code {done.returncode}\n{_tail(done.output)}")


def _tail(output: str) -> str:
    return "\n".join("  " + line for line in output.strip().splitlines()[-20:])


def _fill(word: str, models: Mapping[str, Path]) -> str:
    """``{model}`` and ``{model:NAME}`` in an argument."""
    for name, path in models.items():
        word = word.replace(f"{{model:{name}}}", str(path))
    return word.replace("{model}", str(next(iter(models.values())))) if models else word
