"""Runs jobs in a child process with torch, and turns what fails in it into errors with their cause."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.errors import ModelError
from torchscript_build.plan.build_plan import BuildPlan, PlannedModel
from torchscript_build.records import dataclass
from torchscript_build.system import Environment
from torchscript_build.toolchain.python_torch import torch_site_dirs
from torchscript_build.toolchain.sanitizers import preload_variables

CHILD = Path(__file__).with_name("child") / "__main__.py"
NO_TORCH = 4


@dataclass(frozen=True)
class Job:
    """Something to be done with torch for one model."""

    kind: str
    """See child/job.py."""
    model: PlannedModel
    request: Mapping[str, Any]
    """What this kind of job wants to know."""


class TorchProcess:
    """A Python with torch, started by the first jobs and kept for further ones; ended with the ``with`` block.

    :param yields: does something run beside it, when it starts, that takes longer?
    """

    def __init__(
        self, plan: BuildPlan, environment: Environment, *, yields: Callable[[], bool] = lambda: False
    ) -> None:
        self._plan = plan
        self._environment = environment
        self._yields = yields
        self._stack = contextlib.ExitStack()
        self._server: Optional[system.Server] = None

    def __enter__(self) -> TorchProcess:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def run(self, jobs: Sequence[Job]) -> list[Mapping[str, Any]]:
        """Do jobs one after the other, each in a fresh copy of the process.

        :returns: the report of each that was done; fewer than jobs where one failed.
        :raises ModelError: there is no torch.
        """
        if not jobs:
            return []
        plan, environment = self._plan, self._environment
        folder = Path(plan.build_dir, "models")
        reports = [folder / f"{job.model.name}.{job.kind}.report.json" for job in jobs]
        request_file, outcome_file = folder / "request.json", folder / "outcome.json"
        for file in (*reports, outcome_file):
            file.unlink(missing_ok=True)
        site_dirs = torch_site_dirs(plan.libtorch, environment)
        request = {
            "site_dirs": site_dirs,
            "outcome": str(outcome_file),
            "jobs": [
                {**_common(job, plan, site_dirs), **job.request, "report": str(report)}
                for job, report in zip(jobs, reports)
            ],
        }
        system.write_json(request_file, request)
        code = self._start().ask(str(request_file))
        outcome = system.read_json(outcome_file)
        if code == NO_TORCH:
            raise _no_torch(jobs[0].model, plan, environment, outcome.get("no_torch"))
        if "codes" not in outcome:
            raise ModelError(f"the child process that runs torch ended with exit code {code}, unexpectedly")
        told = [system.read_json(report) for report in reports[: len(outcome["codes"])]]
        return [
            report if "doing" not in report and report else {**report, "code": code}
            for report, code in zip(told, outcome["codes"])
        ]

    def _start(self) -> system.Server:
        if self._server is None:
            plan, variables = self._plan, self._environment.variables
            command = [str(self._environment.python.executable), str(CHILD)]
            log.say_command(command)
            preload = preload_variables(plan.runtimes or (), variables) if plan.ops else {}
            own = {**variables, **preload, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
            own["PYTHONHASHSEED"] = variables.get("PYTHONHASHSEED") or "0"  # torch writes constants in a set's order
            self._server = self._stack.enter_context(system.serving(command, variables=own, yields=self._yields()))
        return self._server


def run_jobs(
    plan: BuildPlan, environment: Environment, jobs: Sequence[Job], torch: Optional[TorchProcess] = None
) -> list[Mapping[str, Any]]:
    """As ``TorchProcess.run``; in a process for these jobs alone where none is given."""
    if torch is not None:
        return torch.run(jobs)
    with TorchProcess(plan, environment) as torch:
        return torch.run(jobs)


def check_report(job: Job, report: Mapping[str, Any]) -> None:
    """:raises ModelError: the job failed; says why."""
    name = job.model.name
    if "problem" in report:
        raise ModelError(f"model {name!r}: {report['problem']}", cures=_cures(report["problem"]))
    if "code" in report:
        code, doing = report["code"], report.get("doing", "starting")
        how = f"was killed by signal {-code}" if code < 0 else f"ended by itself (exit code {code})"
        raise ModelError(f"model {name!r}: {doing}: the process {how}")


def _cures(problem: str) -> list[str]:
    if "Unknown builtin op" in problem or "Unknown type name '__torch__.torch.classes" in problem:
        return ["name the library that has the operator: ops, or external-ops with its file, in the app's settings"]
    if "'_OpNamespace'" in problem or "RuntimeError: object has no attribute " in problem:
        return [
            "import what loads the operator in the factory's module: from . import _torchscript_ops, for the project's",
            "or name a library from elsewhere in external-ops, in the app's settings",
        ]
    if "Torch not compiled with CUDA enabled" in problem:
        return ["make the model on the CPU: the program puts it and its inputs where --device says"]
    if re.search(r"factory \S+ failed: TypeError: \w+\(\) missing \d+ required", problem):
        return ["a factory is called without arguments: give them defaults, or name a function that has none"]
    if "outputs of traced functions" in problem or "output from traced functions" in problem:
        return ["let the model return tensors, tuples, lists and dicts of them alone (Hugging Face: use_cache = False)"]
    if "Dictionary inputs to traced functions must have consistent type" in problem:
        return ["let the model return a tuple, or a dict of tensors only (Hugging Face: return_dict = False)"]
    if "torch.jit.trace a dynamo-optimized function" in problem:
        return ["let the factory return the module as it is without torch.compile"]
    if "to be on the same device" in problem:
        cure = (
            "take the device from an input (x.device), and keep tensors with register_buffer: models are exported on "
            "the CPU, and run where --device says"
        )
        return [cure]
    if problem.startswith("torch.jit.trace cannot trace"):
        return [
            "the model itself runs with these inputs, and tracing cannot follow what it does there: change that line",
            'or say method = "script", or method = "aoti", which torchscript-build migrate tries',
        ]
    if "does not run with its example-inputs" in problem:
        return ["give example-inputs with the number, shapes and dtypes that it takes"]
    if problem.startswith("torch.jit.script cannot compile"):
        return ['rewrite what TorchScript does not know, or say method = "trace" with example-inputs']
    if "No working C++ compiler" in problem or "InvalidCxxCompiler" in problem:
        return ["install a C++ compiler, which AOTInductor needs: apt install g++, or conda install cxx-compiler"]
    if "has no fake kernel" in problem:
        return ["write the function that is printed above: torchscript-build migrate says it, too"]
    return []


def _common(job: Job, plan: BuildPlan, site_dirs: Sequence[str]) -> dict[str, Any]:
    model = job.model
    return {
        "kind": job.kind,
        "root": plan.source_dir,
        "python_path": list(model.python_path),
        "site_dirs": list(site_dirs),
        "overlay": str(plan.out_dir) if plan.ops else None,
        "ignored": [plan.build_dir],
        "seed": model.seed,
        "factory": model.factory,
    }


def _no_torch(model: PlannedModel, plan: BuildPlan, environment: Environment, reason: object) -> ModelError:
    doing = f"factory {model.factory}" if model.factory else "Python's reference outputs"
    python = environment.python.executable
    if reason is not None:
        return ModelError(
            f"model {model.name!r} needs torch in Python ({doing}), and {python} cannot import it: {reason}"
        )
    return ModelError(
        f"model {model.name!r} needs torch in Python ({doing}), and {python} has none",
        cures=[
            f"pip install 'torch=={plan.libtorch.version}'",
            "export the model beforehand and give its file instead of a factory",
        ],
    )
