"""Loads built operator libraries in a child process with torch: the proof that they load, and their schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
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
        system.remove_tree(record_file)
        record = {"stamps": stamps, **_run_child(plan, libraries, environment)}
        if "skipped" in record:
            log.say(f"-- operator libraries were not loaded for a check: {record['skipped']}")
        else:
            _check_dangling(record)
            system.write_json(record_file, record)
    if plan.runtimes:
        log.say(f"-- to load what was built with sanitize: {preload_line(plan.runtimes)}")
    return _schemas(record)


def _check_dangling(record: Mapping[str, Any]) -> None:
    """Kernels for operators that nobody has defined.

    In a namespace of the project's own that is a mistake; others may be another package's, which is not loaded here.

    :raises VerificationError: names them.
    """
    own = {schema.partition("::")[0] for schemas in record["schemas"].values() for schema in schemas}
    dangling = record.get("dangling", ())
    mistaken = [name for name in dangling if name.partition("::")[0] in own]
    if mistaken:
        raise VerificationError(
            f"TORCH_LIBRARY_IMPL has kernels for {', '.join(mistaken)}, which no TORCH_LIBRARY of the project defines"
        )
    for name in dangling:
        log.warn(
            f"TORCH_LIBRARY_IMPL has a kernel for {name}, which neither libtorch nor the project defines: a misspelt "
            "namespace, unless another package defines it"
        )


def broken_promises(
    promised: Mapping[str, Sequence[str]], texts: Mapping[str, Collection[str]], schemas: Schemas
) -> list[str]:
    """Namespaces that a library promises and, loaded, has not registered anything in.

    :param texts: library name → the namespaces in its sources' text, which may hold classes without any operator.
    """
    problems = []
    for name, namespaces in promised.items():
        if name not in schemas:
            continue
        found = {schema.partition("::")[0] for schema in schemas[name]}
        for namespace in namespaces:
            if namespace not in found and namespace not in texts.get(name, ()):
                problems.append(
                    f"operator library {name!r} promises the namespace {namespace!r}, but it registers no operator in "
                    f"it when it is loaded (it registers: {', '.join(sorted(found)) or 'none'})"
                )
    return problems


def read_schemas(plan: BuildPlan) -> Schemas:
    """What the libraries registered when they were last loaded; empty where that is not known."""
    return _schemas(system.read_json(Path(plan.build_dir, RECORD)))


def _schemas(record: Mapping[str, Any]) -> Schemas:
    """A record's schemas; one that was damaged has none."""
    found = record.get("schemas")
    known = found.items() if isinstance(found, dict) else ()
    return {name: schemas for name, schemas in known if isinstance(schemas, list)}


def check_imports(plan: BuildPlan, project: str, modules: Mapping[str, Path], environment: Environment) -> None:
    """Import the Python modules of a CMake project in a child process with torch, if one has changed.

    :param modules: path in the install tree → the file.
    :raises VerificationError: the loader cannot load one, or Python finds no module in it.
    """
    record_file = Path(plan.build_dir, f"imports-{project}.json")
    stamps = {name: system.stamp(path) for name, path in modules.items()}
    if system.read_json(record_file).get("stamps") == stamps:
        return
    system.remove_tree(record_file)
    report = _run_child(plan, {}, environment, imports=modules)
    if "skipped" in report:
        log.say(f"-- {project}: its Python modules were not imported for a check: {report['skipped']}")
        return
    failed = {n: report["imports"][str(p)] for n, p in modules.items() if report["imports"].get(str(p))}
    # Others may come from Python code that the module imports, and that is not there yet.
    sure = [f"{n}: {words}" for n, words in failed.items() if _LOADER.search(words)]
    if sure:
        raise VerificationError(
            f"{project}: Python cannot import what it installs:\n" + "\n".join(f"  - {words}" for words in sure),
            cures=[_PYTHON_PART] if any(re.search(r"\b_Z\w*(type_caster|THP)|\bTHP", words) for words in sure) else [],
        )
    for name, words in failed.items():
        log.warn(f"{project}: {name} could not be imported for a check: {words}")
    system.write_json(record_file, {"stamps": stamps})


_PYTHON_PART = (
    "link libtorch_python, which pybind needs to pass tensors and TORCH_LIBRARIES does not hold: "
    "target_link_libraries(… ${TORCH_PYTHON_LIBRARY})"
)
_LOADER = re.compile(r"undefined symbol|cannot open shared object|dynamic module does not define|wrong ELF class")


def _run_child(
    plan: BuildPlan,
    libraries: Mapping[str, Path],
    environment: Environment,
    imports: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, Any]:
    request_file, report_file = Path(plan.build_dir, "load.request.json"), Path(plan.build_dir, "load.report.json")
    system.remove_tree(report_file)
    built = [o for o in plan.ops if o.name in libraries]
    request = {
        "libraries": [{"name": o.name, "file": str(libraries[o.name]), "module": o.python_module} for o in built],
        "imports": [{"name": p.name.split(".")[0], "file": str(p)} for p in imports.values()],
        "site_dirs": torch_site_dirs(plan.libtorch, environment),
        "torch": plan.libtorch.full_version,
        "report": str(report_file),
    }
    system.write_json(request_file, request)
    with log.step("import the Python modules" if imports else "load the operator libraries"):
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
