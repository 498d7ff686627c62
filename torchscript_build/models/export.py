"""Makes model files and reference outputs, in a child process that runs torch, and only when something changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.errors import ModelError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.models.archive import read_archive
from torchscript_build.plan.build_plan import BuildPlan, PlannedModel
from torchscript_build.system import Environment
from torchscript_build.toolchain.python_torch import torch_site_dirs
from torchscript_build.toolchain.sanitizers import preload_variables

CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class Reference:
    """What Python's torch says the outputs are."""

    arguments: Path
    """A tuple of all positional arguments, as torch.save wrote it."""
    expected: Path
    """The outputs for them, as torch.save wrote them."""


def prepare_models(
    plan: BuildPlan, environment: Environment, *, names: Collection[str], references: Collection[tuple[str, str]]
) -> Mapping[tuple[str, str], Reference]:
    """Make model files, and the reference outputs that are wanted.

    :param names: the models that are needed.
    :param references: pairs (model, method) whose outputs are wanted.
    :returns: the references.
    :raises ModelError: a file is no TorchScript archive, or an export failed.
    """
    folder = Path(plan.build_dir, "models")
    made = {}
    for model in plan.models:
        if model.name in names:
            calls = {
                method: Reference(folder / f"{name}.{method}.arguments.pt", folder / f"{name}.{method}.expected.pt")
                for name, method in sorted(references)
                if name == model.name
            }
            _prepare(model, plan, environment, calls)
            made.update({(model.name, method): reference for method, reference in calls.items()})
    return made


def _prepare(model: PlannedModel, plan: BuildPlan, environment: Environment, calls: Mapping[str, Reference]) -> None:
    folder = Path(plan.build_dir, "models")
    if model.package_file:
        system.copy_if_changed(locate_package_file(model.package_file, environment), Path(model.file))
    record_file = folder / f"{model.name}.json"
    record = system.read_json(record_file)
    request = _request(model, plan, environment, calls)
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    if record.get("request") == digest and _is_current(record):
        return
    record_file.unlink(missing_ok=True)
    if model.factory is None:
        read_archive(Path(model.file))
    sources: Mapping[str, str] = {}
    if model.factory is not None or calls:
        preload = preload_variables(plan.runtimes or (), environment.variables) if plan.ops else {}
        child_environment = environment.with_variables(**preload)
        sources = _run_child(model, request, folder, child_environment, plan.libtorch)["sources"]
        if model.factory is not None:
            read_archive(Path(model.file))
    made = [model.file, *(str(file) for r in calls.values() for file in (r.arguments, r.expected))]
    given = [str(Path(plan.source_dir, spec)) for spec in model.example_inputs]
    new = {
        "request": digest,
        "sources": sources,
        "stamps": {name: system.stamp(Path(name)) for name in made + [g for g in given if Path(g).is_file()]},
    }
    system.write_json(record_file, new)


def _request(
    model: PlannedModel, plan: BuildPlan, environment: Environment, calls: Mapping[str, Reference]
) -> dict[str, Any]:
    libtorch = plan.libtorch
    return {
        "root": plan.source_dir,
        "factory": model.factory,
        "method": model.method,
        "example_inputs": list(model.example_inputs),
        "python_path": list(model.python_path),
        "site_dirs": torch_site_dirs(libtorch, environment),
        "seed": model.seed,
        "show_code": model.show_code,
        "output": model.file,
        "calls": [
            {"method": method, "arguments": str(r.arguments), "expected": str(r.expected)}
            for method, r in calls.items()
        ],
        "torch": libtorch.full_version,
        "overlay": str(plan.out_dir) if plan.ops else None,
        "libraries": {o.name: system.stamp(plan.out_dir / o.path) for o in plan.ops},
    }


def _run_child(
    model: PlannedModel, request: Mapping[str, Any], folder: Path, environment: Environment, libtorch: LibTorch
) -> Mapping[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    request_file, report_file = folder / f"{model.name}.request.json", folder / f"{model.name}.report.json"
    report_file.unlink(missing_ok=True)
    system.write_json(request_file, {**request, "report": str(report_file)})
    command = [str(environment.python.executable), str(CHILD), str(request_file)]
    log.say_command(command)
    with log.step(f"model {model.name}"):
        done = system.run(command, variables={**environment.variables, "PYTHONDONTWRITEBYTECODE": "1"})
        _check_child(done, report_file, model, environment, libtorch)
    report: Mapping[str, Any] = json.loads(report_file.read_text(encoding="utf-8"))
    torch_version = str(report["torch"])
    if report["kind"]:
        words = {"trace": "traced", "script": "scripted", "as it is": "saved as the factory made it"}[report["kind"]]
        note = (
            "; torch.jit is deprecated upstream, libtorch still loads what it makes" if report["deprecations"] else ""
        )
        log.say(f"-- model {model.name}: {words} by torch {torch_version}{note}")
    if torch_version.split("+")[0].split(".")[:2] != libtorch.series.split("."):
        log.warn(f"model {model.name}: made by torch {torch_version}, the app links libtorch {libtorch.full_version}")
    return report


def _check_child(
    done: system.Completed, report: Path, model: PlannedModel, environment: Environment, libtorch: LibTorch
) -> None:
    doing = f"factory {model.factory}" if model.factory else "Python's reference outputs"
    if done.returncode == 4:
        raise ModelError(
            f"model {model.name!r} needs torch in Python ({doing}), and {environment.python.executable} has none",
            cures=[
                f"pip install 'torch=={libtorch.version}'",
                "export the model beforehand and give its file instead of a factory",
            ],
        )
    if done.returncode < 0:
        raise ModelError(f"model {model.name!r}: {doing} was killed by signal {-done.returncode}")
    if done.returncode != 0 or not report.is_file():
        raise ModelError(f"model {model.name!r}: {doing} failed (exit code {done.returncode}; its own words are above)")


def locate_package_file(name: str, environment: Environment) -> Path:
    """``package:path`` → the file in an installed Python package, without importing it.

    :raises ModelError: no such package or file; says where we looked.
    """
    package, _, path = name.partition(":")
    folders = dict.fromkeys((*environment.python.search_path, *environment.python.site_packages))
    for folder in folders:
        candidate = folder.joinpath(*package.split("."), path)
        if candidate.is_file():
            return candidate
    raise ModelError(
        f"there is no file {path!r} of a Python package {package!r}",
        looked_in=[(str(f), "not there") for f in folders if f.is_dir()],
        cures=["install the package that holds it into this environment", "add it to build-system.requires"],
    )


def _is_current(record: Mapping[str, Any]) -> bool:
    """Are all files still as they were when the record was written?"""
    stamps, sources = record.get("stamps"), record.get("sources")
    if not isinstance(stamps, dict) or not isinstance(sources, dict):  # damaged
        return False
    stamps_hold = all(system.stamp(Path(name)) == stamp for name, stamp in stamps.items())
    return stamps_hold and all(_digest(Path(name)) == digest for name, digest in sources.items())


def _digest(path: Path) -> Optional[str]:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
