"""Compares three ways, in one table: what the factories made, what was exported, and the built app."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.errors import ModelError, ParityError
from torchscript_build.models.export import Made
from torchscript_build.models.forecast import Missing
from torchscript_build.models.proof import load_failure
from torchscript_build.models.references import Case, References, Wanted, repeat_case
from torchscript_build.models.running import MISMATCH, NOT_LOADED, check_run, is_runner, run_program, tail
from torchscript_build.models.twins import read_report, twin_lines
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp, Wishes
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import ProjectSpec, TorchScriptApp
from torchscript_build.system import Completed, Environment

RECORD = "compared.json"
WIDEN = "if the difference is rounding, widen rtol and atol of the app in the settings"


@dataclass(frozen=True)
class Verdict:
    """How one call compares."""

    app: str
    case: Case
    exported: str
    """Original against exported, in a few words for the table."""
    native: str
    """Exported against the app."""
    problem: Optional[str] = None
    is_values: bool = False
    """Is the problem one of values, which wider tolerances can solve?"""


@dataclass(frozen=True)
class Compared:
    """A call that agreed, and how the program was asked for it."""

    verdict: Verdict
    arguments: tuple[str, ...]
    """The runner's words, without those that name the model."""


def compared_models(app: TorchScriptApp, spec: ProjectSpec, *, run: bool, verify: bool) -> list[str]:
    """The models of an app that are compared. ``--run`` does so, too, unless the project has arguments of its own."""
    if not is_runner(app) or not (verify or app.verify or (run and not app.arguments)):
        return []
    return [m.name for m in spec.models if m.name in app.models and (m.example_inputs or m.check_inputs)]


def wanted_references(
    apps: Mapping[str, TorchScriptApp],
    compared: Mapping[str, Sequence[str]],
    plan: BuildPlan,
    external: Mapping[str, Sequence[str]],
) -> Mapping[str, Wanted]:
    """Model name → what is wanted of it, for all apps that are compared; the strictest tolerances count.

    :param compared: app name → its models that are compared.
    :param external: app name → the files of its operator libraries from elsewhere.
    """
    wanted = {}
    for model in dict.fromkeys(m for models in compared.values() for m in models):
        users = [apps[name] for name, models in compared.items() if model in models]
        planned = [a for a in plan.loaders if a.name in {u.name for u in users}]
        linked = {name for a in planned for name in plan.linked_ops(a)}
        wanted[model] = Wanted(
            methods=tuple(sorted({u.method for u in users})),
            rtol=min(u.rtol for u in users),
            atol=min(u.atol for u in users),
            external=tuple(dict.fromkeys(f for u in users for f in external.get(u.name, ()))),
            own=tuple(str(plan.out_dir / o.path) for o in plan.ops if o.name in linked),
        )
    return wanted


def compare_apps(
    plan: BuildPlan,
    environment: Environment,
    apps: Mapping[str, TorchScriptApp],
    built: Mapping[str, Path],
    compared: Mapping[str, Sequence[str]],
    references: Mapping[str, References],
    wanted: Mapping[str, Wanted],
    made: Mapping[str, Made],
    missing: Sequence[Missing],
    *,
    again: bool,
    show: bool,
    references_of: BuildPlan,
) -> tuple[Compared, ...]:
    """Compare apps with Python; one that agreed is run again only when something of it has changed, or on request.

    :param references_of: the plan that the references were made for.
    :param show: let each app print what it says to its first call.
    :returns: the calls that were compared now, and agree.
    :raises ParityError: names every call that differs, after the table.
    :raises StartError: libtorch cannot start a program here.
    """
    record_file = Path(plan.build_dir, RECORD)
    agreed = system.read_json(record_file)
    calls: list[Compared] = []
    for name, models in compared.items():
        app, planned = apps[name], next(a for a in plan.apps if a.name == name)
        stamps = _stamps(app, planned, built[name], models, references, wanted, plan)
        if not again and agreed.get(name) == stamps:
            continue
        comparison = _Comparison(plan, environment, app, planned, built[name], made, missing)
        with log.step(f"compare {name} with Python"):
            verdicts = [comparison.of(case) for model in models for case in references[model].cases]
        for line in table(app, verdicts, {m: references[m].no_original for m in models}):
            log.say(line)
        bad = [v for v in verdicts if v.problem]
        if not bad:
            for line in twin_lines(plan, models, references, comparison.arguments, comparison.run):
                log.say(line)
        if bad:
            raise _parity_error(app, bad, references_of, environment, wanted, made)
        calls += [Compared(v, tuple(comparison.arguments(v.case)[2:])) for v in verdicts if v.case.error is None]
        agreed = {**agreed, name: stamps}
        system.write_json(record_file, agreed)
        first = verdicts[0].case
        if show and first.error is None:
            with log.step(f"run {name}"):
                comparison.show(first)
    return tuple(calls)


def table(app: TorchScriptApp, verdicts: Sequence[Verdict], no_original: Mapping[str, Optional[str]]) -> list[str]:
    """The comparison as lines: a row for each call, the largest differences in its columns."""
    rows = [("model", "method", "inputs", "original/exported", "exported/C++")]
    rows += [(v.case.model, v.case.method, v.case.label, v.exported, v.native) for v in verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [f"-- {app.name}: largest differences (rtol {app.rtol:g}, atol {app.atol:g})"]
    lines += ["   " + "  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows]
    lines += [f"   {name} has no original to compare with: {why}" for name, why in no_original.items() if why]
    lines += [
        f"   {v.case.model}.{v.case.method}, {v.case.label}: the original does not repeat itself with the same seed"
        for v in verdicts
        if v.case.repeats is False
    ]
    return lines


@dataclass(frozen=True)
class _Comparison:
    """One app in its build tree."""

    plan: BuildPlan
    environment: Environment
    app: TorchScriptApp
    planned: PlannedApp
    program: Path
    made: Mapping[str, Made]
    missing: Sequence[Missing]

    @property
    def variables(self) -> Mapping[str, str]:
        """Those of a program whose threads sleep while they wait; else they take the cores from what runs beside it."""
        return {"OMP_WAIT_POLICY": "passive", **self.environment.variables}

    def of(self, case: Case) -> Verdict:
        """Run the app on one call's inputs, and say how all three compare."""
        exported, problem, is_values = exported_verdict(case)
        if case.error is not None:
            return Verdict(self.app.name, case, exported, "-", problem, is_values)
        command = [str(self.program), *self.arguments(case), "--json"]
        done = run_program(command, self.variables, echo=False)
        if done.returncode == NOT_LOADED:
            names = [m.name for m in self.missing if (m.app, m.model) == (self.app.name, case.model)]
            raise load_failure(self.app, case.model, done, names)
        found = _report(done)
        if done.returncode == MISMATCH and found is not None:
            words = f"{found['place']} {found['message']}"
            values = bool(found["tolerable"])
            native = problem or f"the app differs from the exported model: {words}"
            return Verdict(self.app.name, case, exported, "differs", native, is_values or (values and not problem))
        if done.returncode == MISMATCH:
            return Verdict(self.app.name, case, exported, "differs", problem or tail(done.output).strip())
        check_run(self.app, done, self.plan.libtorch, self.environment.variables)
        largest = "agrees" if found is None else f"{found['max_absolute']:.2g}"
        return Verdict(self.app.name, case, exported, largest, problem, is_values)

    def arguments(self, case: Case) -> list[str]:
        """The runner's options for one call; what the program was compiled to do by itself is not said again."""
        app, model = self.app, self.plan.model(case.model)
        bundled = next(m for m in self.planned.models if m.name == case.model)
        is_beside = not os.path.isabs(bundled.relative)  # else it lies where it will be installed
        arguments = ["--model", model.name if is_beside else model.file]
        if case.method != app.method:
            arguments += ["--method", case.method]
        arguments += ["--input", f"args:{case.arguments}", "--expect", str(case.expected)]
        arguments += ["--rtol", repr(app.rtol), "--atol", repr(app.atol), "--seed", str(model.seed)]
        wanted = dataclasses.replace(self.made[case.model].process, grad=case.grad)
        return arguments + process_options(wanted, bundled.wishes if is_beside else self.planned.wishes)

    def run(self, options: Sequence[str]) -> Completed:
        """Start the program."""
        return run_program([str(self.program), *options], self.environment.variables, echo=False)

    def show(self, case: Case) -> None:
        """Run the app on one call's inputs, for people to read."""
        done = run_program([str(self.program), *self.arguments(case)], self.variables)
        check_run(self.app, done, self.plan.libtorch, self.environment.variables)


def check_inputs_fit(plan: BuildPlan, references: Mapping[str, References]) -> None:
    """Inputs that Python itself cannot run need no program to be built.

    :raises ModelError: names each of them, and what the methods take.
    """
    problems, cures = [], []
    for name, found in references.items():
        for case in found.cases:
            if case.error is None or (case.has_original and case.eager_error is None):
                continue
            problems.append(
                f"model {name!r}: {case.method} fails in Python, too, on its {case.label} inputs: {case.error}"
            )
            key = "example-inputs" if case.label == "example" else "check-inputs"
            cures.append(f"give {key} that it takes: {_schema(Path(plan.model(name).file), case.method)}")
    if problems:
        raise ModelError("\n  ".join(problems), cures=list(dict.fromkeys(cures)))


def _schema(file: Path, method: str) -> str:
    from torchscript_build.models.contents import read_contents

    methods = read_contents(file).methods
    return next((m for m in methods if m.startswith(f"{method}(")), f"torchscript-build inspect {log.shown(file)}")


def process_options(wanted: Wishes, known: Wishes) -> list[str]:
    """The runner's options for what a call wants, where its program does not do so by itself."""
    options = []
    for name, value in dataclasses.asdict(wanted).items():
        if value not in (None, False, getattr(known, name)):
            options.append(f"--{name.replace('_', '-')}")
            options += [] if value is True else [str(value)]
    return options


def exported_verdict(case: Case) -> tuple[str, Optional[str], bool]:
    """Original against exported: a word for the table, the problem, and whether it is one of values."""
    if not case.carried:
        return "-", case.error, False
    if case.error is not None and case.has_original and case.eager_error is None:
        return "fails", f"the original runs, the exported model fails: {case.error}", False
    if case.error is not None:
        return "fails", f"it fails in Python: {case.error}", False
    if case.eager_error is not None:
        return "fails", f"the original fails in Python, the exported model does not: {case.eager_error}", False
    if case.difference is None:
        return "-", None, False
    if not case.difference["place"]:
        return f"{case.difference['largest']:.2g}", None, False
    if case.repeats is False:
        return "random", None, False
    words = f"{case.difference['place']}: {case.difference['words']}"
    return "differs", f"the exported model differs from the original: {words}", case.difference["kind"] == "values"


def _report(done: Completed) -> Optional[Mapping[str, Any]]:
    """The comparison in the runner's ``--json``."""
    found = read_report(done).get("comparison")
    return found if isinstance(found, dict) else None


def _parity_error(
    app: TorchScriptApp,
    bad: Sequence[Verdict],
    plan: BuildPlan,
    environment: Environment,
    wanted: Mapping[str, Wanted],
    made: Mapping[str, Made],
) -> ParityError:
    lines = []
    is_random = False
    for verdict in bad:
        case, words = verdict.case, str(verdict.problem)
        if verdict.native == "differs" and verdict.exported != "differs":
            name = case.model
            if repeat_case(plan, environment, case, wanted[name], made[name]) is False:
                is_random = True
                words += "; the exported model does not repeat its outputs in Python either, with the same seed"
        lines.append(f"  - {case.model}.{case.method}, {case.label}: {words}")
    traced = any(v.exported in ("differs", "fails") and plan.model(v.case.model).method == "trace" for v in bad)
    cures = []
    if traced:
        cures.append("tracing keeps the path and the shapes of its example: method = 'script' keeps branches and loops")
    if any(v.is_values for v in bad) and not is_random:
        cures.append(WIDEN)
    if any(v.exported == "differs" and not v.is_values and plan.model(v.case.model).method == "script" for v in bad):
        cures.append("if the exported model is the one that is meant, let its factory return torch.jit.script(module)")
    return ParityError("\n".join([f"app {app.name!r}: its outputs differ from Python's", *lines]), cures=cures)


def _stamps(
    app: TorchScriptApp,
    planned: PlannedApp,
    program: Path,
    models: Sequence[str],
    references: Mapping[str, References],
    wanted: Mapping[str, Wanted],
    plan: BuildPlan,
) -> list[Any]:
    """Everything that a comparison depends on."""
    cases = [case for model in models for case in references[model].cases]
    files = [program, *(Path(plan.model(m).file) for m in models), *(c.arguments for c in cases)]
    files += [case.expected for case in cases]
    files += [Path(name) for model in models for name in (*wanted[model].external, *wanted[model].own)]
    return [
        {str(file): system.stamp(file) for file in files},
        [[c.model, c.method, c.label, c.error] for c in cases],
        [app.rtol, app.atol, plan.libtorch.full_version],
        [dataclasses.asdict(m.wishes) for m in planned.models],
    ]
