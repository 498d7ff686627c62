"""Cases of a program under load: many calls at the same time, and the memory that they take."""

from __future__ import annotations

import json
import os

from . import projects
from .bench import Bench
from .case_demo import export_command
from .figures import AtMostRatio, Holds, Outcome, Row, Sample, median_value
from .measure import alternate, run


def load(bench: Bench) -> Outcome:
    """ResNet-18 called from as many threads as there are cores, against as many Python processes."""
    runner, cores = bench.installed_runner(), len(os.sched_getaffinity(0))
    model = bench.work / "resnet18.pt"
    bench.run_theirs(export_command(bench, bench.work), bench.work)
    calls = "5" if bench.quick else "40"
    peaks: tuple[list[Sample], list[Sample]] = ([], [])

    def ours() -> Sample:
        words = ["--model", model, "--input", "ones:1x3x224x224", "--threads", "1", "--warmup", "3", "--json"]
        command = [runner, *words, "--concurrency", str(cores), "--benchmark", calls]
        done = run(command, cwd=bench.work, variables=bench.our_variables(), watch_memory=True)
        peaks[0].append(Sample((done.peak or 0) / 1e9))
        return Sample(1 / json.loads(done.output)["benchmark"]["calls_per_second"])

    def theirs() -> Sample:
        command = [bench.peers.python, projects.SCRIPTS / "serve_models.py", model, calls, cores]
        done = run(command, cwd=bench.work, variables=bench.peers.variables(), watch_memory=True)
        peaks[1].append(Sample((done.peak or 0) / 1e9))
        return Sample(1 / json.loads(done.output)["calls_per_second"])

    samples, peer = alternate(bench.rounds, ours, theirs, label="load")
    what, name = f"resnet18, --concurrency {cores}", f"{cores} Python processes"
    limit = (median_value(peaks[1]) or 0.0) / cores + model.stat().st_size / 1e9
    fits = (median_value(peaks[0]) or 0.0) <= limit
    memory = Holds(f"≤ 1/{cores} and the model")
    return Outcome(
        [
            Row("load", f"{what}: seconds by call", samples, name, peer, AtMostRatio(1.0)),
            Row("load", f"{what}: memory", *(peaks[0], name, peaks[1]), memory, unit="GB", holds=fits),
        ]
    )
