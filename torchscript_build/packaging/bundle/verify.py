"""Proves a bundle in an empty root: its programs find all that they need, run, and agree with Python."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import ParityError, VerificationError
from torchscript_build.models.compare import Compared
from torchscript_build.models.running import MISMATCH, fill, is_runner, tail
from torchscript_build.packaging.bundle.empty_root import make_root, run_in_root
from torchscript_build.packaging.bundle.make import Bundle
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.plan.prefix import model_path
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import TorchScriptApp
from torchscript_build.system import Completed, Environment, elf

INSIDE = "/bundle"
_UNOPENED = re.compile(r"(\S+): cannot open shared object file")
_UNFOUND = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One run of a program in the root."""

    program: str
    arguments: tuple[str, ...]
    what: str
    """What it shows, for people: ``agrees with Python: forward, example``."""
    files: tuple[Path, ...] = ()
    """What it reads; a word of the arguments that holds a file's path will hold its path in the root."""
    client: Optional[Path] = None
    """A program from outside of the bundle that is run, where ``program`` is a library."""


def plan_runs(
    bundle: Bundle, apps: Iterable[TorchScriptApp], compared: Sequence[Compared], plan: BuildPlan
) -> list[Run]:
    """What to run: a runner's calls that were compared with Python; else the project's arguments; else what it tells.

    A program of which nothing is known is not run: it may serve for ever.
    """
    runs: list[Run] = []
    for app in apps:
        if app.name not in bundle.programs:
            continue
        calls = [c for c in compared if c.verdict.app == app.name]
        runs += [_call(c) for c in calls]
        seen = {c.verdict.case.model for c in calls}
        if is_runner(app):
            words = [("--model", m, "--info") for m in app.models if m not in seen]
            runs += [Run(app.name, w, f"loads {w[1]}") for w in words]
        elif app.arguments:
            models = {m: Path(INSIDE, model_path(plan.project, plan.model(m).file_name)) for m in app.models}
            filled = tuple(fill(word, models) for word in app.arguments)
            runs.append(Run(app.name, filled, "runs on the arguments in the settings"))
    return runs


def plan_opened(plan: BuildPlan, client: Path) -> list[Run]:
    """What a client does with the C libraries: it opens the model that each opens by default, where it has one."""
    runs = []
    for library in plan.libraries:
        name = PurePosixPath(library.path).name
        words = (f"{INSIDE}/lib/{name}", library.prefix, *(["model"] if library.models else []))
        what = f"opens its model {library.models[0].name}" if library.models else "can be loaded"
        runs.append(Run(name, words, what, client=client))
    return runs


def _call(one: Compared) -> Run:
    case = one.verdict.case
    what = f"agrees with Python: {case.model}.{case.method}, {case.label}"
    return Run(one.verdict.app, ("--model", case.model, *one.arguments), what, (case.arguments, case.expected))


def verify_bundle(bundle: Bundle, runs: Sequence[Run], root: Path, environment: Environment) -> list[str]:
    """Run a bundle's programs in an empty root, as somebody else, read-only and without a variable.

    :param root: a folder to make the root in; removed afterwards.
    :returns: what was shown, a line for each.
    :raises VerificationError: a program misses a library, does not start, or fails; what it said is in the error.
    :raises ParityError: its outputs differ from Python's.
    """
    system.remove_tree(root)
    try:
        clients = {run.client for run in runs if run.client is not None}
        make_root(root, [*bundle.programs.values(), *sorted(clients)], bundle.needs.libraries)
        return verify_in_root(bundle, runs, root, environment)
    finally:
        system.remove_tree(root)


def verify_in_root(bundle: Bundle, runs: Sequence[Run], root: Path, environment: Environment) -> list[str]:
    """The same in any root that has ``bundle``, ``proc`` and ``tmp``."""
    shown = []
    started = {run.program for run in runs}
    for name, program in bundle.programs.items():
        _check_libraries(name, program, bundle.tree, root, environment)
        if name not in started:
            shown.append(f"{name}: finds all its libraries; it was not run, for the settings have no arguments for it")
    for number, run in enumerate(runs):
        words = _with_files(run, root, number)
        started_by = f"{INSIDE}/bin/{run.program}"
        if run.client is not None:
            started_by = f"/tmp/{run.client.name}"
            shutil.copy(run.client, root / "tmp" / run.client.name)
        done = run_in_root(root, bundle.tree, [started_by, *words], environment)
        _check(run, done)
        shown.append(f"{run.program}: {run.what}")
    return shown


def _check_libraries(name: str, program: Path, tree: Path, root: Path, environment: Environment) -> None:
    """Ask the loader for all that it would load: then everything that is missing is told at once."""
    interpreter = elf.read_elf(program).interpreter
    if interpreter is None:
        return
    inside = f"{INSIDE}/{program.relative_to(tree).as_posix()}"
    done = run_in_root(root, tree, [interpreter, "--list", inside], environment)
    missing = sorted({*_UNFOUND.findall(done.output), *_UNOPENED.findall(done.output)})
    if missing:
        raise VerificationError(
            f"{name} cannot start from the bundle in an empty root; these are missing:\n"
            + "\n".join(f"  - {one}" for one in missing),
            cures=[
                'name them in the settings: libraries = ["…"] in [tool.torchscript-build.bundle]',
                "cxx-runtime = true there, if it is the C++ runtime that is missing",
            ],
        )


def _with_files(run: Run, root: Path, number: int) -> list[str]:
    """The arguments, after the files that they name have been copied into the root."""
    names: dict[str, str] = {}
    for index, file in enumerate(run.files):
        inside = f"tmp/{number}-{index}-{file.name}"
        shutil.copyfile(file, root / inside)
        (root / inside).chmod(0o644)
        names[str(file)] = f"/{inside}"
    return [_replaced(word, names) for word in run.arguments]


def _replaced(word: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        word = word.replace(old, new)
    return word


def _check(run: Run, done: Completed) -> None:
    if done.returncode == 0:
        return
    missing = _UNOPENED.search(done.output)
    if missing is not None:
        raise VerificationError(
            f"{run.program} does not run from the bundle in an empty root: it loads {missing[1]} by name, which is "
            f"not in the bundle\n{tail(done.output)}",
            cures=[f'libraries = ["…/{missing[1]}"] in [tool.torchscript-build.bundle]'],
        )
    if done.returncode == MISMATCH and "Python" in run.what:
        raise ParityError(f"{run.program} differs from Python when it runs from the bundle\n{tail(done.output)}")
    how = f"was killed by signal {done.returncode - 128}" if done.returncode > 128 else f"ends with {done.returncode}"
    raise VerificationError(
        f"{run.program} {how} when it runs from the bundle in an empty root, where there is no other file, "
        f"variable or program\n{tail(done.output)}"
    )
