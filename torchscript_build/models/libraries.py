"""The last word on a C library: Python loads it, opens its models, and compares what it gives with its own outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.errors import ModelError, ParityError
from torchscript_build.models.compare import WIDEN, Verdict, exported_verdict, table
from torchscript_build.models.export import Made
from torchscript_build.models.forecast import CURES, Missing
from torchscript_build.models.jobs import Job, check_report, run_jobs
from torchscript_build.models.references import Case, References
from torchscript_build.plan.build_plan import BuildPlan, PlannedLibrary
from torchscript_build.settings.specs import CLibrary
from torchscript_build.system import Environment
from torchscript_build.toolchain.sanitizers import preload_variables

CHILD = Path(__file__).with_name("child") / "library.py"
RECORD = "libraries.json"
NOT_LOADED = 3
"""``tsl_status``: templates/library/library.h."""


def prove_opens(
    plan: BuildPlan,
    environment: Environment,
    libraries: Mapping[str, CLibrary],
    built: Mapping[str, Path],
    missing: Sequence[Missing],
) -> None:
    """Let each library open each of its models, in a Python without torch, if one of them has changed since it did.

    :param missing: the forecast; it makes the better message.
    :raises ModelError: a library cannot open a model.
    """
    record_file = Path(plan.build_dir, RECORD)
    record = system.read_json(record_file)
    proven = dict(record)
    for library in (c for c in plan.libraries if c.name in built):
        later = libraries[library.name].external_ops
        if later and not isinstance(later, Mapping):
            log.say(f"-- {library.name} was not asked to open its models: {', '.join(later)} is loaded at run time")
            continue
        files = [Path(plan.model(m.name).file) for m in library.models]
        stamps = [system.stamp(f) for f in (built[library.name], *files, *_linked_files(plan, library))]
        if proven.get(library.name) == stamps:
            continue
        report = _ask(plan, environment, library, built[library.name], files)
        if "said" not in report:
            why = report.get("unloaded", "the process ended unexpectedly")
            log.warn(f"C library {library.name!r} was to open its models and cannot be loaded here: {why}")
            continue
        for model, said in zip(library.models, report["said"]):
            if said is not None:
                raise _open_failure(library, model.name, said, missing)
        proven[library.name] = stamps
    if proven != record:
        system.write_json(record_file, proven)


def compare_libraries(
    plan: BuildPlan,
    environment: Environment,
    libraries: Mapping[str, CLibrary],
    built: Mapping[str, Path],
    compared: Mapping[str, Sequence[str]],
    references: Mapping[str, References],
    made: Mapping[str, Made],
    *,
    again: bool,
) -> None:
    """Compare libraries with Python; one that agreed is called again only when something has changed, or on request.

    :param compared: library name → its models that are compared.
    :raises ParityError: names every call that differs, after the table.
    """
    record_file = Path(plan.build_dir, RECORD)
    for name, models in compared.items():
        library = next(c for c in plan.libraries if c.name == name)
        spec, key = libraries[name], f"{name} compared"
        stamps = _compared_stamps(plan, library, spec, built[name], models, references)
        agreed = system.read_json(record_file)
        if not again and agreed.get(key) == stamps:
            continue
        with log.step(f"compare {name} with Python"):
            verdicts = [
                verdict
                for model in models
                for verdict in _verdicts(plan, environment, spec, library, built[name], references[model], made[model])
            ]
        for line in table(spec.like_app(), verdicts, {m: references[m].no_original for m in models}):
            log.say(line)
        bad = [v for v in verdicts if v.problem]
        if bad:
            lines = [f"  - {v.case.model}.{v.case.method}, {v.case.label}: {v.problem}" for v in bad]
            cures = [WIDEN] if any(v.is_values for v in bad) else []
            raise ParityError("\n".join([f"C library {name!r}: its outputs differ from Python's", *lines]), cures=cures)
        system.write_json(record_file, {**agreed, key: stamps})


def _verdicts(
    plan: BuildPlan,
    environment: Environment,
    spec: CLibrary,
    library: PlannedLibrary,
    file: Path,
    references: References,
    made: Made,
) -> list[Verdict]:
    cases = [case for case in references.cases if case.error is None]
    told = iter(_call(plan, environment, spec, library, file, cases, made) if cases else ())
    verdicts = []
    for case in references.cases:
        exported, problem, is_values = exported_verdict(case)
        if case.error is not None:
            verdicts.append(Verdict(spec.name, case, exported, "-", problem, is_values))
            continue
        native, own_problem, own_values = _native_verdict(next(told, {}))
        verdicts.append(Verdict(spec.name, case, exported, native, problem or own_problem, is_values or own_values))
    return verdicts


def _call(
    plan: BuildPlan,
    environment: Environment,
    spec: CLibrary,
    library: PlannedLibrary,
    file: Path,
    cases: Sequence[Case],
    made: Made,
) -> Sequence[Mapping[str, Any]]:
    model = plan.model(cases[0].model)
    request = {
        "library": str(file),
        "prefix": library.prefix,
        "libtorch": str(plan.libtorch.library_dirs[0]),
        "model": model.file,
        "cases": [
            {"method": c.method, "arguments": str(c.arguments), "expected": str(c.expected), "grad": c.grad}
            for c in cases
        ],
        "process": dataclasses.asdict(made.process),
        "rtol": spec.rtol,
        "atol": spec.atol,
    }
    job = Job("library", model, request)
    report = run_jobs(plan, environment, [job])[0]
    check_report(job, report)
    if "apart" in report:
        log.warn(f"C library {spec.name!r} is not compared with Python: {report['apart']}")
        return [{"left": report["apart"]}] * len(cases)
    calls: Sequence[Mapping[str, Any]] = report["calls"]
    for case, call in zip(cases, calls):
        if "left" in call:
            which = f"{case.model}.{case.method}, {case.label},"
            log.warn(f"C library {spec.name!r}: {which} is not compared: {call['left']}")
    return calls


def _native_verdict(call: Mapping[str, Any]) -> tuple[str, Optional[str], bool]:
    """Exported model against library, as ``exported_verdict``."""
    if "left" in call:
        return "not compared", None, False
    if "error" in call or not call:
        return "fails", f"the library fails: {call.get('error', 'it was not called')}", False
    difference = call["difference"]
    if not difference["place"]:
        return f"{difference['largest']:.2g}", None, False
    words = f"{difference['place']}: {difference['words']}"
    return "differs", f"the library differs from the exported model: {words}", difference["kind"] == "values"


def _ask(
    plan: BuildPlan, environment: Environment, library: PlannedLibrary, file: Path, models: Sequence[Path]
) -> Mapping[str, Any]:
    """Let a child process open models; what it reports."""
    folder = Path(plan.build_dir, "models")
    request_file, report_file = folder / f"{library.name}.open.json", folder / f"{library.name}.opened.json"
    system.remove_tree(report_file)
    request = {
        "library": str(file),
        "prefix": library.prefix,
        "models": list(map(str, models)),
        "report": str(report_file),
    }
    system.write_json(request_file, request)
    command = [str(environment.python.executable), str(CHILD), str(request_file)]
    log.say_command(command)
    preload = preload_variables(plan.runtimes or (), environment.variables)
    done = system.run(command, variables={**environment.variables, **preload, "PYTHONIOENCODING": "utf-8"}, echo=False)
    report = system.read_json(report_file)
    return report or {"unloaded": f"the process ended with {done.returncode}: {done.output.strip()[-500:]}"}


def _open_failure(library: PlannedLibrary, model: str, said: Sequence[Any], missing: Sequence[Missing]) -> ModelError:
    status, text = said
    names = [m.name for m in missing if (m.app, m.model) == (library.name, model)]
    words = f"C library {library.name!r} cannot open its model {model!r}: {text}"
    if status != NOT_LOADED or not names:
        return ModelError(words)
    return ModelError(f"{words}\n  {', '.join(names)}: neither libtorch's, nor in what it links", cures=CURES)


def _linked_files(plan: BuildPlan, library: PlannedLibrary) -> list[Path]:
    linked = plan.linked_ops(library)
    return [plan.out_dir / o.path for o in plan.ops if o.name in linked]


def _compared_stamps(
    plan: BuildPlan,
    library: PlannedLibrary,
    spec: CLibrary,
    file: Path,
    models: Sequence[str],
    references: Mapping[str, References],
) -> list[Any]:
    """Everything that a comparison depends on."""
    cases = [case for model in models for case in references[model].cases]
    files = [file, *(Path(plan.model(m).file) for m in models), *_linked_files(plan, library)]
    files += [f for c in cases for f in (c.arguments, c.expected)]
    return [
        {str(f): system.stamp(f) for f in files},
        [[c.model, c.method, c.label, c.error] for c in cases],
        [spec.rtol, spec.atol, plan.libtorch.full_version],
    ]
