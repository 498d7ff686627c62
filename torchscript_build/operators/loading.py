"""Loads built operator libraries in a child process with torch: the proof that they load, and their schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchscript_build import log, system
from torchscript_build.errors import VerificationError
from torchscript_build.plan.build_plan import BuildPlan, PlannedOps
from torchscript_build.system import Environment
from torchscript_build.toolchain.python_torch import torch_site_dirs
from torchscript_build.toolchain.sanitizers import preload_line, preload_variables

CHILD = Path(__file__).with_name("child.py")

RECORD = "operators.json"

Schemas = Mapping[str, Sequence[str]]
"""Library name → the schemas of its operators, ``"my_ops::add(Tensor a, Tensor b) -> Tensor"``, sorted."""


def load_libraries(plan: BuildPlan, libraries: Mapping[str, Path], environment: Environment) -> Schemas:
    """Load the plan's libraries in link order, if one has changed since the last time.

    Without a torch in Python that is the one built for, nothing is loaded and the result is empty.

    :param libraries: library name → its file in the build tree.
    :raises VerificationError: a library cannot be loaded.
    """
    if plan.runtimes is None:
        log.say(
            "-- operator libraries were not loaded for a check: the compiler does not tell where the runtime of "
            f"sanitize ({', '.join(plan.sanitize)}) is, which Python must preload: LD_PRELOAD=… python …"
        )
        return {}
    record_file = Path(plan.build_dir, RECORD)
    stamps = {name: system.stamp(path) for name, path in libraries.items()}
    record = system.read_json(record_file)
    if record.get("stamps") != stamps:
        record_file.unlink(missing_ok=True)
        record = {"stamps": stamps, **_run_child(plan, libraries, environment)}
        if "skipped" in record:
            log.say(f"-- operator libraries were not loaded for a check: {record['skipped']}")
        else:
            system.write_json(record_file, record)
    if plan.runtimes:
        log.say(f"-- to load what was built with sanitize: {preload_line(plan.runtimes)}")
    schemas: Schemas = record.get("schemas", {})
    return schemas


def read_schemas(plan: BuildPlan) -> Schemas:
    """What the libraries registered when they were last loaded; empty where that is not known."""
    schemas: Schemas = system.read_json(Path(plan.build_dir, RECORD)).get("schemas", {})
    return schemas


def _run_child(plan: BuildPlan, libraries: Mapping[str, Path], environment: Environment) -> dict[str, Any]:
    request_file, report_file = Path(plan.build_dir, "load.request.json"), Path(plan.build_dir, "load.report.json")
    report_file.unlink(missing_ok=True)
    built = [o for o in plan.ops if o.name in libraries]
    request = {
        "libraries": [{"name": o.name, "file": str(libraries[o.name]), "module": o.python_module} for o in built],
        "site_dirs": torch_site_dirs(plan.libtorch, environment),
        "torch": plan.libtorch.full_version,
        "report": str(report_file),
    }
    system.write_json(request_file, request)
    with log.step("load the operator libraries"):
        done = system.run(
            [environment.python.executable, CHILD, request_file],
            variables={
                **environment.variables,
                **preload_variables(plan.runtimes or (), environment.variables),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            echo=False,
        )
    if done.returncode != 0 or not report_file.is_file():
        raise VerificationError(_why(done.output, plan.ops))
    report: dict[str, Any] = json.loads(report_file.read_text(encoding="utf-8"))
    return report


def _why(output: str, libraries: Sequence[PlannedOps]) -> str:
    """The child's output → one sentence, with its own words below."""
    loading = re.findall(r"^loading (.*)$", output, re.MULTILINE)
    name = next((o.name for o in libraries if loading and Path(loading[-1]).name == o.file_name), "?")
    words = [line for line in output.splitlines() if line.strip() and not line.startswith("loading ")]
    essential = [w for w in words if "what():" in w or "Error" in w or "undefined symbol" in w] or words[-5:]
    return f"operator library {name!r} cannot be loaded into Python's torch\n" + "\n".join(
        f"  {w}" for w in essential[:8]
    )
