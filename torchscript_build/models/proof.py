"""The last word on a model: the built program loads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.errors import ModelError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.models.archive import ModelArchive
from torchscript_build.models.forecast import CURES, Missing, needs_operators_of_run_time
from torchscript_build.models.running import NOT_LOADED, is_runner, is_start_failure, run_program, tail
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import TorchScriptApp
from torchscript_build.system import Completed, Environment

RECORD = "loaded.json"


def prove_loads(
    apps: Mapping[str, TorchScriptApp],
    plan: BuildPlan,
    built: Mapping[str, Path],
    archives: Mapping[str, ModelArchive],
    missing: Sequence[Missing],
    environment: Environment,
    *,
    compared: Collection[tuple[str, str]] = (),
) -> None:
    """Let each runner load each of its models, if one of them has changed since it did.

    :param missing: the forecast; it makes the better message, and decides where a program cannot run here.
    :param compared: pairs (app, model) that are run anyway.
    :raises ModelError: a program cannot load a model.
    """
    record_file = Path(plan.build_dir, RECORD)
    record = system.read_json(record_file)
    proven = dict(record)
    for planned in (a for a in plan.apps if a.name in built and is_runner(apps[a.name])):
        app = apps[planned.name]
        for model in planned.models:
            said = [m.name for m in missing if (m.app, m.model) == (app.name, model.name)]
            if (app.name, model.name) in compared and not said:
                continue
            file = Path(plan.model(model.name).file)
            libraries = [plan.out_dir / o.path for o in plan.ops if o.name in plan.linked_ops(planned)]
            stamps = [system.stamp(f) for f in (built[app.name], file, *libraries)]
            key = f"{app.name}/{model.name}"
            if proven.get(key) == stamps:
                continue
            promised = needs_operators_of_run_time(app, archives[model.name])
            if promised:
                log.say(
                    f"-- {app.name} was not asked to load {model.name}: {', '.join(promised)} is loaded at run time"
                )
            else:
                done = run_program(
                    [str(built[app.name]), "--model", str(file), "--info"], environment.variables, echo=False
                )
                if not _check(app, model.name, done, said, plan.libtorch):
                    continue
            proven[key] = stamps
    if proven != record:
        system.write_json(record_file, proven)


def warn_of_missing(plan: BuildPlan, missing: Sequence[Missing]) -> None:
    """One line for each operator, before minutes of compiling; none for a model that a program has loaded before."""
    record = system.read_json(Path(plan.build_dir, RECORD))
    for one in missing:
        proven = record.get(f"{one.app}/{one.model}")
        if not proven or proven[1] != system.stamp(Path(plan.model(one.model).file)):
            log.warn(
                f"app {one.app!r}: model {one.model!r} needs {one.name}, which seems to be neither libtorch's nor in "
                "what the app links"
            )


def load_failure(app: TorchScriptApp, model: str, done: Completed, missing: Sequence[str]) -> ModelError:
    """A program that cannot load its model: in its own words, and with what the forecast knew."""
    words = f"app {app.name!r} cannot load its model {model!r}\n{tail(done.output)}"
    if not missing:
        return ModelError(words)
    names = ", ".join(missing)
    return ModelError(f"{words}\n  {names}: neither libtorch's, nor in what the app links", cures=CURES)


def _check(app: TorchScriptApp, model: str, done: Completed, missing: Sequence[str], libtorch: LibTorch) -> bool:
    """Could the program load the model? ``False``: it did not come so far, which is told.

    :raises ModelError: it could not; or it did not start, and the forecast says that it would not.
    """
    if done.returncode == NOT_LOADED:
        raise load_failure(app, model, done, missing)
    if done.returncode == 0:
        return True
    if missing:
        raise ModelError(
            f"app {app.name!r}: model {model!r} needs {', '.join(missing)}, which neither libtorch has nor what the "
            f"app links; the program, which would know, does not run here\n{tail(done.output)}",
            cures=CURES,
        )
    why = "does not start here" if is_start_failure(done) else f"ended with exit code {done.returncode}"
    last = done.output.strip().splitlines()[-1:] or [""]
    log.warn(f"app {app.name!r} was asked to load its model {model!r} and {why}: {last[0]}")
    return False
