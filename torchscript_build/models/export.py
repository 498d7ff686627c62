"""Makes model files, in a child process that runs torch, and only when something changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.errors import ModelError
from torchscript_build.models import freshness
from torchscript_build.models.archive import read_archive
from torchscript_build.models.jobs import Job, TorchProcess, check_report, run_jobs
from torchscript_build.plan.build_plan import BuildPlan, PlannedModel, Wishes
from torchscript_build.records import dataclass, field
from torchscript_build.system import Environment

CARRIED = {
    "default dtype": "default_dtype",
    "quantized engine": "quantized_engine",
    "flush-denormal": "flush_denormal",
    "threads": "threads",
    "interop threads": "interop_threads",
    "deterministic algorithms": "deterministic",
    "float32 matmul precision": "matmul_precision",
}
"""What a factory changes in its process and the app can do, too: its name, and that of the setting."""
OFF = ("off", "highest", 0)
"""Settings that ask for what torch does anyway."""


@dataclass(frozen=True)
class Made:
    """What is known of a model's file."""

    process: Wishes = field(default_factory=Wishes)
    """What the model wants of its process, by the settings or as its factory left it behind; but for gradients."""


def prepare_models(
    plan: BuildPlan,
    environment: Environment,
    *,
    names: Collection[str],
    libraries: Mapping[str, list[str]],
    compared: Collection[str] = (),
    torch: Optional[TorchProcess] = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Mapping[str, Made]:
    """Make the files of models that are needed.

    :param names: the models that are needed.
    :param libraries: model name → the files of operator libraries from elsewhere that its apps load.
    :param compared: the models whose originals are compared with what is exported, so that torch need not.
    :param torch: the process that makes them; ``None``: one for this call alone.
    :param meanwhile: begins what goes on while models are made; not called where all are as they would be made.
    :raises ModelError: a file is no TorchScript archive, or an export failed.
    """
    records = {}
    stale: list[tuple[Job, dict[str, Any]]] = []
    for model in (m for m in plan.models if m.name in names):
        if model.package_file:
            system.copy_if_changed(locate_package_file(model.package_file, environment), Path(model.file))
        if model.factory is None:
            records[model.name] = _check_file(model, plan)
            continue
        settings = _settings(model, plan, libraries.get(model.name, []))
        record = system.read_json(_record_file(plan, model.name))
        reason = _why_stale(model, record, settings, plan, environment)
        if reason is None:
            records[model.name] = record
            continue
        system.remove_tree(_record_file(plan, model.name))
        if record:
            log.say(f"-- model {model.name} is made again: {reason}")
        request = {
            **settings,
            "output": model.file,
            "libraries": libraries.get(model.name, []),
            "compared": model.name in compared,
        }
        request["process"] = {key: settings[key] for key in CARRIED.values()}
        stale.append((Job("export", model, request), {"settings": settings}))
    if stale:
        meanwhile()
        records.update(_export(plan, environment, stale, torch))
    return {name: _made(plan.model(name), record) for name, record in records.items()}


def locate_package_file(name: str, environment: Environment) -> Path:
    """``package:path`` → the file in an installed Python package, without importing it; ``*`` matches one file.

    :raises ModelError: no such package or file; says where we looked.
    """
    package, _, path = name.partition(":")
    folders = dict.fromkeys((*environment.python.search_path, *environment.python.site_packages))
    for folder in folders:
        inside = folder.joinpath(*package.split("."))
        found = sorted(inside.glob(path)) if "*" in path and inside.is_dir() else [inside / path]
        if len(found) == 1 and found[0].is_file():
            return found[0]
        if len(found) > 1:
            raise ModelError(f"{name!r} matches several files: {', '.join(f.name for f in found)}")
    raise ModelError(
        f"there is no file {path!r} of a Python package {package!r}",
        looked_in=[(str(f), "not there") for f in folders if f.is_dir()],
        cures=["install the package that holds it into this environment", "add it to build-system.requires"],
    )


def _export(
    plan: BuildPlan,
    environment: Environment,
    stale: list[tuple[Job, dict[str, Any]]],
    torch: Optional[TorchProcess],
) -> Mapping[str, dict[str, Any]]:
    """Run the jobs; what was made is recorded, also where a later one fails."""
    records = {}
    jobs = [job for job, _ in stale]
    Path(plan.build_dir, "models").mkdir(parents=True, exist_ok=True)
    names = ", ".join(job.model.name for job in jobs)
    with log.step(f"export model {names}" if len(jobs) == 1 else f"export models {names}"):
        reports = run_jobs(plan, environment, jobs, torch)
        for (job, record), report in zip(stale, reports):
            check_report(job, report)
            read_archive(Path(job.model.file))
            _tell(job.model, report, plan)
            used = freshness.record_used(report["used"])
            inputs = freshness.find_inputs(job.model.inputs, Path(plan.source_dir))
            record.update(
                used=used,
                inputs=freshness.record_files(inputs),
                stamps=freshness.stamps_of([Path(job.model.file)]),
                process=report["process"],
            )
            system.write_json(_record_file(plan, job.model.name), record)
            records[job.model.name] = record
    return records


def _tell(model: PlannedModel, report: Mapping[str, Any], plan: BuildPlan) -> None:
    """How a model was made, and what is worth knowing about that."""
    libtorch, torch_version = plan.libtorch, str(report["torch"])
    words = {
        "trace": "traced",
        "script": "scripted",
        "as it is": "saved as the factory made it",
        "aoti": "exported and compiled ahead of time",
    }
    how = words.get(report["kind"], str(report["kind"]).replace("trace", "traced", 1))
    is_warned = bool(report["deprecations"]) and report["kind"] != "aoti"
    note = "; torch.jit is deprecated upstream, libtorch still loads what it makes" if is_warned else ""
    log.say(f"-- model {model.name}: {how} by torch {torch_version}{note}")
    if torch_version.split("+")[0].split(".")[:2] != libtorch.series.split("."):
        log.warn(f"model {model.name}: made by torch {torch_version}, the app links libtorch {libtorch.full_version}")
    if report.get("moved_from"):
        log.say(
            f"-- model {model.name}: moved from {report['moved_from']} to the CPU; the app puts it where --device says"
        )
    for name, (before, after) in sorted(report["process"].items()):
        what = f"-- model {model.name}: its factory changes the {name} of the process from {before} to {after}"
        if name not in CARRIED:
            log.say(f"{what}, which no model file carries: reference and app run without that")
        elif getattr(model, CARRIED[name]) is None:
            log.say(f"{what}; the app does so, too (setting: {CARRIED[name].replace('_', '-')})")


def _settings(model: PlannedModel, plan: BuildPlan, external: list[str]) -> dict[str, Any]:
    """What of the settings and libraries an export depends on; the comparison's inputs are none of it."""
    return {
        "factory": model.factory,
        "method": model.method,
        "grad": model.grad if model.method == "trace" else None,
        "example_inputs": list(model.example_inputs) if model.method in ("trace", "aoti") else [],
        "python_path": list(model.python_path),
        "seed": model.seed,
        **{key: getattr(model, key) for key in CARRIED.values()},
        "show_code": model.show_code,
        **({"dynamic_shapes": _shapes(model), "cpu": model.cpu} if model.method == "aoti" else {}),
        "torch": plan.libtorch.full_version,
        "libraries": {
            **{file: system.stamp(Path(file)) for file in external},
            **{o.name: system.stamp(plan.out_dir / o.path) for o in plan.ops},
        },
    }


def _shapes(model: PlannedModel) -> Any:
    shapes = model.dynamic_shapes
    return shapes if isinstance(shapes, str) else {name: dict(sizes) for name, sizes in shapes.items()}


def _why_stale(
    model: PlannedModel,
    record: Mapping[str, Any],
    settings: Mapping[str, Any],
    plan: BuildPlan,
    environment: Environment,
) -> Optional[str]:
    """Why a model is made again, in words; ``None``: it is as it would be made."""
    root = Path(plan.source_dir)
    if not {"settings", "used", "inputs", "stamps", "process"} <= set(record):
        return "it is not known how it was made"
    if model.always:
        return "always = true"
    inputs = freshness.find_inputs(model.inputs, root) if model.inputs else []
    reason = (
        freshness.why_other_settings(record["settings"], settings)
        or ("its file has changed" if record["stamps"] != freshness.stamps_of([Path(model.file)]) else None)
        or freshness.why_other_files(record["inputs"]["files"], inputs, root)
        or freshness.why_stale(record["inputs"], root, environment)
        or freshness.why_stale(record["used"], root, environment)
    )
    if reason is None and record != system.read_json(_record_file(plan, model.name)):
        system.write_json(_record_file(plan, model.name), record)  # files that were touched only
    return reason


def _check_file(model: PlannedModel, plan: BuildPlan) -> dict[str, Any]:
    """A file that exists: is it an archive, checksums and all? Read once for each that it becomes."""
    record_file = _record_file(plan, model.name)
    stamps = freshness.stamps_of([Path(model.file)])
    record = system.read_json(record_file)
    if record.get("stamps") != stamps:
        system.remove_tree(record_file)
        read_archive(Path(model.file))
        record = {"stamps": stamps, "process": {}}
        system.write_json(record_file, record)
    return record


def _made(model: PlannedModel, record: Mapping[str, Any]) -> Made:
    wanted = {}
    for name, setting in CARRIED.items():
        asked = getattr(model, setting)
        value = record["process"].get(name, [None, None])[1] if asked is None else asked
        if value is not None and value not in OFF:
            wanted[setting] = value
    return Made(Wishes(**wanted))


def _record_file(plan: BuildPlan, name: str) -> Path:
    return Path(plan.build_dir, "models", f"{name}.json")
