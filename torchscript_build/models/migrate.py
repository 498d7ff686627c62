"""What stands between a project's TorchScript models and ``torch.export``, model by model, and what it would bring."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build.errors import ModelError
from torchscript_build.models.jobs import Job, run_jobs
from torchscript_build.plan.build_plan import BuildPlan, PlannedModel
from torchscript_build.records import dataclass
from torchscript_build.system import Environment

LARGEST = 2**62
FORMS = ("eager", "TorchScript", ".pt2")


@dataclass(frozen=True)
class Verdict:
    """What became of one model."""

    model: PlannedModel
    report: Mapping[str, Any]
    """See child/verdict.py; ``problem`` where it could not even be tried."""

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if "problem" in self.report:
            return f"not tried: {self.report['problem']}"
        blocked = self.report.get("blocked")
        if blocked:
            where = f" ({blocked['where']})" if blocked.get("where") else ""
            return f"blocked: {blocked['words']}{where}"
        if self.report["dynamic"]:
            sizes = (f"{n}.{i}" for n, s in self.report["dynamic"].items() for i in s)
            return f"exports with these dynamic dimensions: {', '.join(sizes)}"
        return "exports as it is, with the sizes of its example"

    @property
    def exports(self) -> bool:
        """Can it have a package?"""
        failed = ".pt2" in self.report.get("measured", {}) and "error" in self.report["measured"][".pt2"]
        return not failed and "problem" not in self.report and "blocked" not in self.report

    @property
    def shapes(self) -> Mapping[str, Mapping[str, str]]:
        """The setting ``dynamic-shapes`` for it."""
        dynamic = self.report.get("dynamic", {})
        return {name: {i: _size_text(*size) for i, size in sizes.items()} for name, sizes in dynamic.items()}


def _size_text(name: str, least: int, most: int) -> str:
    """``batch``, or with bounds where they are not torch's own."""
    lower = str(least) if least > 2 else ""
    upper = str(most) if most < LARGEST - 1 else ""
    return f"{name}={lower}..{upper}" if lower or upper else name


def judge_models(
    plan: BuildPlan,
    environment: Environment,
    models: Sequence[PlannedModel],
    *,
    methods: Mapping[str, Sequence[str]],
    libraries: Mapping[str, Sequence[str]],
    measure: bool,
) -> list[Verdict]:
    """Try to export each of the models, in a process of its own.

    :param methods: model name → the methods that its apps call.
    :param libraries: model name → files of operator libraries.
    :param measure: compile what can be exported, and time it; that takes minutes.
    :raises ModelError: there is no torch.
    """
    Path(plan.build_dir, "models").mkdir(parents=True, exist_ok=True)
    verdicts = [Verdict(m, {"problem": "it has no example-inputs to be called with"}) for m in models if _lacks(m)]
    todo = [_job(m, plan, methods, libraries, measure) for m in models if not _lacks(m)]
    while todo:
        reports = run_jobs(plan, environment, todo)
        if not reports:
            raise ModelError("the child process that runs torch did nothing")
        for job, report in zip(todo, reports):
            verdicts.append(Verdict(job.model, _told(report)))
        todo = todo[len(reports) :]
    order = {model.name: number for number, model in enumerate(models)}
    return sorted(verdicts, key=lambda v: order[v.model.name])


def _told(report: Mapping[str, Any]) -> Mapping[str, Any]:
    if "code" in report and "problem" not in report:
        code = report["code"]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return {"problem": f"{report.get('doing', 'starting')}: the process {how}"}
    return report


def _lacks(model: PlannedModel) -> bool:
    return not model.example_inputs


def _job(
    model: PlannedModel,
    plan: BuildPlan,
    methods: Mapping[str, Sequence[str]],
    libraries: Mapping[str, Sequence[str]],
    measure: bool,
) -> Job:
    request = {
        "model": model.file,
        "stem": str(Path(plan.build_dir, "models", model.name)),
        "example_inputs": list(model.example_inputs),
        "libraries": list(libraries.get(model.name, ())),
        "methods": list(methods.get(model.name, ())),
        "method": model.method,
        "grad": model.grad,
        "compile": measure,
        "rtol": 1e-5,
        "atol": 1e-5,
    }
    return Job("judge", model, request)


def describe(verdicts: Sequence[Verdict]) -> str:
    """All verdicts, each with its reasons, what to write, and a table of what was measured."""
    lines = []
    for verdict in verdicts:
        report = verdict.report
        lines.append(f"{verdict.model.name}: {verdict.sentence}")
        blocked = report.get("blocked") or {}
        if blocked.get("cure"):
            lines.append(f"    way out: {blocked['cure']}")
        if blocked.get("write"):
            lines += ["    write:", *(f"        {line}" for line in blocked["write"].splitlines())]
        if report.get("why_fixed"):
            lines.append(f"    sizes stay fixed: {report['why_fixed']}")
        lines += [f"    note: {note}" for note in report.get("notes", ())]
        lines += [f"    {line}" for line in _table(report.get("measured", {}))]
    return "\n".join(lines)


def _table(measured: Mapping[str, Any]) -> list[str]:
    if not measured:
        return []
    rows = [("", "difference", "size", "latency", "build")]
    errors = []
    for name in FORMS:
        form = measured.get(name, {})
        if "error" in form:
            errors.append(f"{name}: {form['error']}")
            continue
        if form.get("problem"):
            errors.append(f"{name}: its outputs differ: {form['problem']}")
        difference = f"{form['difference']:.2g}" if "difference" in form else "-"
        size = f"{form['size'] / 1e6:.2f} MB" if "size" in form else "-"
        build = f"{form['build']:.1f} s" if "build" in form else "-"
        rows.append((name, difference, size, f"{form['latency']:.3f} ms", build))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return ["  ".join(w.ljust(n) for w, n in zip(row, widths)).rstrip() for row in rows] + errors


def to_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The verdicts for programs."""
    return [
        {"model": v.model.name, "exports": v.exports, "verdict": v.sentence, "dynamic_shapes": v.shapes, **v.report}
        for v in verdicts
    ]


def twin_name(model: str) -> str:
    """What the further form of a model is called."""
    return f"{model}-pt2"


def with_twins(pyproject: str, verdicts: Sequence[Verdict]) -> tuple[str, list[str]]:
    """A pyproject.toml with the settings for a ``.pt2`` beside each model that can have one.

    :returns: the text, and the names of the models that were added.
    """
    added = []
    for verdict in verdicts:
        name, twin = verdict.model.name, twin_name(verdict.model.name)
        is_there = re.search(rf'^name\s*=\s*"{re.escape(twin)}"', pyproject, re.MULTILINE)
        if not verdict.exports or is_there or verdict.model.factory is None:
            continue
        added.append(twin)
        lines = ["[[tool.torchscript-build.model]]", f'name = "{twin}"', f'same-as = "{name}"', 'method = "aoti"']
        if verdict.shapes:
            lines.append(f"dynamic-shapes = {_inline(verdict.shapes)}")
        pyproject = pyproject.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"
        pyproject = _MODELS.sub(functools.partial(_with_twin, name=name, twin=twin), pyproject)
    return pyproject, added


_MODELS = re.compile(r"^(models\s*=\s*\[)([^\]#]*)(\])", re.MULTILINE)


def _with_twin(match: re.Match[str], *, name: str, twin: str) -> str:
    """The twin at the end of an app's models, where the model is one of them."""
    if f'"{name}"' not in match[2] and f"'{name}'" not in match[2]:
        return match[0]
    return f'{match[1]}{match[2].rstrip().rstrip(",")}, "{twin}"{match[3]}'


def _inline(shapes: Mapping[str, Mapping[str, str]]) -> str:
    """An inline table of TOML."""
    inner = (
        f"{name} = {{ {', '.join(f'{index} = {chr(34)}{text}{chr(34)}' for index, text in sizes.items())} }}"
        for name, sizes in shapes.items()
    )
    return f"{{ {', '.join(inner)} }}"


def chosen(models: Sequence[PlannedModel], names: Sequence[str]) -> list[PlannedModel]:
    """The models to judge: those that are named, else all that are no packages.

    :raises ModelError: there is no such model.
    """
    known = {model.name: model for model in models}
    for name in names:
        if name not in known:
            raise ModelError(f"the project has no model {name!r} (it has {', '.join(known) or 'none'})")
    return [known[n] for n in dict.fromkeys(names)] or [m for m in models if not m.is_package]


def summary(verdicts: Sequence[Verdict]) -> Optional[str]:
    """One line at the end, where there is more than one model."""
    if len(verdicts) < 2:
        return None
    count = sum(v.exports for v in verdicts)
    return f"{count} of {len(verdicts)} models can have a .pt2 beside them: --write adds the settings"
