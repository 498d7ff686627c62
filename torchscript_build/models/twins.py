"""Compares the forms of one model that an app carries: TorchScript and ``.pt2``, on the same inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from torchscript_build.models.references import Case, References
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Completed

CALLS = ("--benchmark", "20", "--warmup", "3")
HEADINGS = ("model", "inputs", "TorchScript/.pt2", "eager", "TorchScript", ".pt2")


def twin_lines(
    plan: BuildPlan,
    models: Sequence[str],
    references: Mapping[str, References],
    arguments: Callable[[Case], list[str]],
    run: Callable[[Sequence[str]], Completed],
) -> list[str]:
    """A table with a row for each call that two forms have in common: how far they differ, and the time of each.

    :param arguments: a call → the program's options for it.
    :param run: starts the program with options.
    :returns: nothing where no model has a second form.
    """
    rows = []
    for name in models:
        other = plan.model(name).same_as
        if other is None or other not in models:
            continue
        partners = {(case.method, case.label): case for case in references[other].cases}
        for case in references[name].cases:
            partner = partners.get((case.method, case.label))
            if partner is not None and case.error is None and partner.error is None:
                rows.append(_row(other, case, partner, arguments, run))
    if not rows:
        return []
    rows = [HEADINGS, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return [
        "-- both forms of a model on the same inputs: largest difference, and the time of a call",
        *("   " + "  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows),
    ]


def _row(
    name: str,
    case: Case,
    partner: Case,
    arguments: Callable[[Case], list[str]],
    run: Callable[[Sequence[str]], Completed],
) -> tuple[str, ...]:
    options = arguments(case)
    options[options.index("--expect") + 1] = str(partner.expected)
    compared = read_report(run([*options, "--json"])).get("comparison", {})
    difference = f"{compared['max_absolute']:.2g}" if compared.get("match") else compared.get("message", "fails")
    eager = "-" if partner.milliseconds is None else f"{partner.milliseconds:.3f} ms"
    return name, case.label, difference, eager, _latency(partner, arguments, run), _latency(case, arguments, run)


def _latency(case: Case, arguments: Callable[[Case], list[str]], run: Callable[[Sequence[str]], Completed]) -> str:
    options = arguments(case)
    for name in ("--expect", "--rtol", "--atol"):
        at = options.index(name)
        del options[at : at + 2]
    report = read_report(run([*options, *CALLS, "--json"]))
    found = report.get("benchmark", {}).get("latency_ms", {}).get("p50")
    return "fails" if found is None else f"{found:.3f} ms"


def read_report(done: Completed) -> Mapping[str, Any]:
    """The runner's ``--json``, which is one line among what a model prints; empty where there is none."""
    for line in reversed(done.output.splitlines()):
        report = _parse(line) if line.startswith("{") else None
        if report is not None:
            return report
    return {}


def _parse(line: str) -> Optional[Mapping[str, Any]]:
    try:
        report = json.loads(line)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None
