"""Cases of the demo, as a user sees it: the whole wait, the export in it, and what is asked for afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from . import projects
from .bench import Bench
from .figures import AtMostAbove, AtMostRatio, Holds, Outcome, Row, Sample
from .measure import alternate, run

BY_HAND = "the tutorial's steps by hand"
IMAGE = ("1", "3", "224", "224")
COMPARISON = ("compute reference outputs", "compare", "run")
"""What the steps begin with that are the comparison itself."""


def demo(bench: Bench) -> Outcome:
    """The first build_ts_app --run of examples/resnet18, against the tutorial's own steps in sequence."""
    cache, tutorial = bench.work / "demo-cache", projects.write_tutorial(bench.work / "demo-tutorial")

    def ours() -> Sample:
        project = projects.write_demo(projects.fresh(bench.work / "demo"))
        projects.fresh(cache)
        return bench.run_ours(bench.setup_ours("build_ts_app", "--run"), project, cache=cache).sample

    def theirs() -> Sample:
        exported = bench.run_theirs(export_command(bench, tutorial), tutorial).sample
        built = bench.build_tutorial(tutorial)
        program = [tutorial / "build/tutorial", tutorial / "resnet18.pt", *IMAGE]
        return exported + built + bench.run_theirs(program, tutorial).sample

    samples, peer = alternate(bench.rounds, ours, theirs, label="demo")
    target = AtMostRatio(0.55, cpu=0.75)
    return Outcome([Row("demo", "demo: first build_ts_app --run of resnet18", samples, BY_HAND, peer, target)])


def export(bench: Bench) -> Outcome:
    """Our child that exports and computes references, alone, against the smallest script that does the same."""
    bench.app()  # so that the runner is compiled
    folder = bench.work / "export"

    def ours() -> Sample:
        project = projects.write_demo(projects.fresh(folder), verify=True)
        steps = run_steps(bench, project, alone=True)
        return Sample(sum(s for name, s in steps.items() if name.startswith(("export", COMPARISON[0]))))

    def theirs() -> Sample:
        return Sample(bench.run_theirs(export_command(bench, bench.work), bench.work).sample.value)

    samples, peer = alternate(bench.rounds, ours, theirs, label="export")
    what = "export of resnet18, and what Python makes of it"
    return Outcome([Row("export", what, samples, "the smallest script", peer, AtMostRatio(1.1))])


def again(bench: Bench) -> Outcome:
    """Adding --verify to a build that is finished."""
    bench.app()  # so that the runner is compiled
    folder = bench.work / "again"
    exported: list[str] = []
    comparison: list[Sample] = []

    def ours() -> Sample:
        project = projects.write_demo(projects.fresh(folder))
        bench.run_ours(bench.setup_ours("build_ts_app"), project)
        report = project / "report.json"
        sample = bench.run_ours(bench.setup_ours("build_ts_app", "--verify", "--report", str(report)), project).sample
        steps = read_steps(report)
        exported.extend(name for name in steps if name.startswith("export"))
        comparison.append(Sample(sum(s for name, s in steps.items() if name.startswith(COMPARISON))))
        return Sample(sample.value)

    (samples,) = alternate(bench.rounds, ours, label="again")
    what = "--verify of a finished build"
    return Outcome(
        [
            Row("again", what, samples, "the comparison itself", comparison, AtMostAbove(1.0)),
            Row(
                "again",
                f"{what}: what is exported again",
                [Sample(len(exported))],
                target=Holds("nothing"),
                unit="models",
                holds=not exported,
            ),
        ]
    )


def export_command(bench: Bench, folder: Path) -> Sequence[object]:
    """The smallest script, which writes the model into a folder."""
    script, sources = projects.SCRIPTS / "export_resnet18.py", projects.DEMO / "src"
    return [bench.peers.python, script, sources, folder / "resnet18.pt"]


def run_steps(bench: Bench, project: Path, *, alone: bool = False) -> dict[str, float]:
    """Build, and tell what each step took.

    :param alone: nothing is compiled while models are made.
    """
    report = project / "report.json"
    build = bench.setup_ours("build_ts_app", "--report", str(report))
    run(build, cwd=project, variables={**bench.our_variables(), **({"MAX_JOBS": "1"} if alone else {})})
    return read_steps(report)


def read_steps(report: Path) -> dict[str, float]:
    """Step → seconds."""
    return {s["name"]: s["seconds"] for s in json.loads(report.read_text(encoding="utf-8"))["steps"]}
