"""What Python says the outputs are: of the original and of what was exported, for every set of inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.models import freshness
from torchscript_build.models.archive import ModelArchive
from torchscript_build.models.export import Made
from torchscript_build.models.jobs import Job, TorchProcess, check_report, run_jobs
from torchscript_build.plan.build_plan import BuildPlan, PlannedModel, Wishes
from torchscript_build.records import dataclass
from torchscript_build.system import Environment


@dataclass(frozen=True)
class Wanted:
    """The outputs that are wanted of one model."""

    methods: tuple[str, ...]
    """The methods of the apps that use it, sorted; ``check-inputs`` can name more."""
    rtol: float
    atol: float
    external: tuple[str, ...] = ()
    """Operator libraries from elsewhere, as its apps load them."""
    own: tuple[str, ...] = ()
    """The project's own operator libraries that its apps link; loaded where no code of the user is run."""


@dataclass(frozen=True)
class Case:
    """One call of one model: its inputs, and what Python makes of them."""

    model: str
    method: str
    label: str
    """What the inputs are called: ``example``, ``check 2``."""
    arguments: Path
    """A tuple of all positional arguments, as torch.save wrote it."""
    expected: Path
    """The outputs of the exported model, as torch.save wrote them."""
    grad: bool
    """Does the call need gradients?"""
    error: Optional[str]
    """Why the exported model has no outputs."""
    carried: bool = True
    """It has some; but they cannot be carried to C++, as ``error`` says."""
    has_original: bool = False
    eager_error: Optional[str] = None
    difference: Optional[Mapping[str, Any]] = None
    """How the original's outputs and the exported model's differ (child/values.py); ``None`` without an original."""
    repeats: Optional[bool] = None
    """Where they differ: does the original repeat its own outputs with the same seed?"""
    milliseconds: Optional[float] = None
    """What a call of the original takes, where the model has a second form."""


@dataclass(frozen=True)
class References:
    """All calls of one model."""

    cases: tuple[Case, ...]
    no_original: Optional[str]
    """Why the exported model cannot be compared with an original."""


def prepare_references(
    plan: BuildPlan,
    environment: Environment,
    wanted: Mapping[str, Wanted],
    made: Mapping[str, Made],
    archives: Mapping[str, ModelArchive],
    torch: Optional[TorchProcess] = None,
) -> Mapping[str, References]:
    """Make the reference outputs that are wanted, where something that they depend on has changed.

    :param wanted: model name → what is wanted of it.
    :param torch: the process that makes them; ``None``: one for this call alone.
    :raises ModelError: there is no torch, or inputs cannot be made.
    """
    records: dict[str, dict[str, Any]] = {}
    jobs: list[Job] = []
    for name, how in wanted.items():
        model = plan.model(name)
        settings = _settings(model, how, made[name], plan)
        record = system.read_json(_record_file(plan, name))
        if _is_current(record, settings, plan, environment):
            records[name] = record
            continue
        system.remove_tree(_record_file(plan, name))
        records[name] = {"settings": settings}
        jobs += _jobs(model, how, made[name], archives[name], plan)
    if jobs:
        _make(plan, environment, jobs, records, torch)
    return {name: _references(name, record["reports"]) for name, record in records.items()}


def wishes_of(
    plan: BuildPlan,
    made: Mapping[str, Made],
    archives: Mapping[str, ModelArchive],
) -> Mapping[str, Wishes]:
    """What models want of their process: by the settings, by their code, or as it was found out by running them."""
    wishes = {}
    for name, one in made.items():
        model = plan.model(name)
        grad = model.grad
        if grad is None:
            archive = archives.get(name)
            grad = (archive is not None and archive.uses_autograd) or _was_found_to_need_grad(model, plan)
        wishes[name] = dataclasses.replace(one.process, grad=grad)
    return wishes


def _was_found_to_need_grad(model: PlannedModel, plan: BuildPlan) -> bool:
    record = system.read_json(_record_file(plan, model.name))
    calls = record.get("reports", {}).get("reference", {}).get("calls", ())
    is_same = record.get("settings", {}).get("model") == system.stamp(Path(model.file))
    return is_same and any(call["grad"] and "error" not in call for call in calls)


def repeat_case(plan: BuildPlan, environment: Environment, case: Case, wanted: Wanted, made: Made) -> Optional[bool]:
    """Does the exported model repeat its outputs in another Python process? ``None``: it could not be asked."""
    job = _reference_job("repeat", plan.model(case.model), wanted, made, case.grad, plan)
    reports = run_jobs(plan, environment, [job])
    calls = reports[0].get("calls", ()) if reports else ()
    for call in calls:
        if (call["method"], call["label"]) == (case.method, case.label) and "difference" in call:
            return not call["difference"]["place"]
    return None


def _jobs(model: PlannedModel, how: Wanted, made: Made, archive: ModelArchive, plan: BuildPlan) -> list[Job]:
    stem = str(Path(plan.build_dir, "models", model.name))
    arguments = {
        "stem": stem,
        "libraries": list(how.external),
        "example_inputs": list(model.example_inputs),
        "check_inputs": [[method, sets] for method, sets in model.check_inputs],
        "process": {**dataclasses.asdict(made.process), "quantized_engine": None},
    }
    grad = True if model.grad is None and archive.uses_autograd else model.grad
    jobs = [Job("arguments", model, arguments), _reference_job("reference", model, how, made, grad, plan)]
    if model.factory is not None:
        request = {**jobs[1].request, "libraries": list(how.external), "references": f"{stem}.reference.report.json"}
        request["timed"] = any(m.same_as == model.name for m in plan.models)
        # the factory has been at work in that process
        request["process"] = {**request["process"], "deterministic": made.process.deterministic or "off"}
        jobs.append(Job("eager", model, request))
    return jobs


def _reference_job(
    kind: str, model: PlannedModel, how: Wanted, made: Made, grad: Optional[bool], plan: BuildPlan
) -> Job:
    stem = str(Path(plan.build_dir, "models", model.name))
    request = {
        "stem": stem,
        "sets": f"{stem}.arguments.report.json",
        "methods": list(how.methods),
        "model": model.file,
        "libraries": [*how.external, *how.own],
        "grad": grad,
        "method": model.method,
        "process": dataclasses.asdict(made.process),
        "rtol": how.rtol,
        "atol": how.atol,
    }
    return Job(kind, model, request)


def _make(
    plan: BuildPlan,
    environment: Environment,
    jobs: Sequence[Job],
    records: Mapping[str, dict[str, Any]],
    torch: Optional[TorchProcess],
) -> None:
    Path(plan.build_dir, "models").mkdir(parents=True, exist_ok=True)
    names = ", ".join(dict.fromkeys(job.model.name for job in jobs))
    with log.step(f"compute reference outputs of {names}"):
        reports = run_jobs(plan, environment, jobs, torch)
    for job, report in zip(jobs, reports):
        check_report(job, report)
        records[job.model.name].setdefault("reports", {})[job.kind] = report
    for name in dict.fromkeys(job.model.name for job in jobs):
        record = records[name]
        arguments = record["reports"]["arguments"]
        record["used"] = freshness.record_used(arguments["used"])
        files = [c.expected for c in _references(name, record["reports"]).cases if c.error is None]
        record["stamps"] = freshness.stamps_of([*files, *(Path(s["arguments"]) for s in arguments["sets"])])
        system.write_json(_record_file(plan, name), record)


def _references(name: str, reports: Mapping[str, Any]) -> References:
    eager = reports.get("eager", {"none": "it is a file"})
    originals = eager.get("calls", [{}] * len(reports["reference"]["calls"]))
    cases = []
    for call, original in zip(reports["reference"]["calls"], originals):
        cases.append(
            Case(
                model=name,
                method=call["method"],
                label=call["label"],
                arguments=Path(call["arguments"]),
                expected=Path(call["expected"]),
                grad=bool(call["grad"]),
                error=call.get("error"),
                carried=bool(call.get("carried", True)),
                has_original="calls" in eager,
                eager_error=original.get("error"),
                difference=original.get("difference"),
                repeats=original.get("repeats"),
                milliseconds=original.get("milliseconds"),
            )
        )
    return References(tuple(cases), eager.get("none"))


def _settings(model: PlannedModel, how: Wanted, made: Made, plan: BuildPlan) -> dict[str, Any]:
    """Everything that the outputs depend on, but for what the inputs' function uses."""
    return {
        "model": system.stamp(Path(model.file)),
        "example_inputs": list(model.example_inputs),
        "check_inputs": [[method, _plain(sets)] for method, sets in model.check_inputs],
        "python_path": list(model.python_path),
        "methods": list(how.methods),
        "seed": model.seed,
        "grad": model.grad,
        "process": dataclasses.asdict(made.process),
        "tolerance": [how.rtol, how.atol],
        "torch": plan.libtorch.full_version,
        **({"timed": True} if any(m.same_as == model.name for m in plan.models) else {}),
        "libraries": {name: system.stamp(Path(name)) for name in (*how.external, *how.own)},
    }


def _plain(sets: Any) -> Any:
    """As it comes back from JSON."""
    return sets if isinstance(sets, str) else [list(specs) for specs in sets]


def _is_current(
    record: Mapping[str, Any], settings: Mapping[str, Any], plan: BuildPlan, environment: Environment
) -> bool:
    return (
        {"settings", "used", "stamps", "reports"} <= set(record)
        and record["settings"] == settings
        and record["stamps"] == freshness.stamps_of(map(Path, record["stamps"]))
        and freshness.why_stale(record["used"], Path(plan.source_dir), environment) is None
    )


def _record_file(plan: BuildPlan, name: str) -> Path:
    return Path(plan.build_dir, "models", f"{name}.references.json")
