"""Cases of single commands: finding libtorch, starting and calling programs, no-ops, imports, and the wheel."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from .bench import INPUT, SHAPE, Bench
from .figures import AtMost, AtMostAbove, AtMostRatio, Holds, Outcome, Row, Sample
from .import_times import Imported, describe, parse_import_times
from .measure import Finished, alternate, run
from .projects import SCRIPTS


def find(bench: Bench) -> Outcome:
    """Finding libtorch, in a fresh interpreter and in one that runs; what our import costs."""
    python, work = bench.ours.python, bench.work

    def ours(code: str) -> Sample:
        return bench.run_ours([python, "-c", code], work).sample

    def theirs() -> Sample:
        return bench.run_theirs([bench.peers.python, "-c", "import torch"], work).sample

    call = "from torchscript_build import find_libtorch; find_libtorch()"
    fresh, torch = alternate(bench.rounds * 2, lambda: ours(call), theirs, label="find")
    imports, bare = alternate(
        bench.rounds * 4, lambda: ours("import torchscript_build"), lambda: ours("pass"), label="find (import)"
    )
    calls = [
        json.loads(bench.run_ours([python, SCRIPTS / "time_find.py", "20"], work).output) for _ in range(bench.rounds)
    ]
    first = [Sample(c["first"]) for c in calls]
    further = [Sample(seconds) for c in calls for seconds in c["further"]]
    return Outcome(
        [
            Row(
                "find",
                "find_libtorch() in a fresh interpreter",
                fresh,
                "import torch",
                torch,
                AtMostRatio(0.03),
            ),
            Row("find", "find_libtorch(), first call in a process", first, target=AtMost(0.010)),
            Row("find", "find_libtorch(), further calls", further, target=AtMost(0.010)),
            Row("find", "import torchscript_build", imports, "bare interpreter", bare, AtMostAbove(0.030)),
        ]
    )


def noop(bench: Bench) -> Outcome:
    """Builds with nothing to do."""
    app, ops, extension = bench.app(), bench.ops(), bench.extension()
    build_app, build_ops = bench.setup_ours("build_ts_app"), bench.setup_ours("build_ts_ops")
    apps, libraries, theirs, bare = alternate(
        bench.rounds * 2,
        lambda: bench.run_ours(build_app, app).sample,
        lambda: bench.run_ours(build_ops, ops).sample,
        lambda: bench.run_theirs(bench.setup_theirs, extension).sample,
        lambda: bench.run_ours([bench.ours.python, "-c", "import setuptools"], bench.work).sample,
        label="noop",
    )
    peer, plain = "BuildExtension's no-op", "import setuptools"
    return Outcome(
        [
            Row("noop", "no-op build_ts_app", apps, peer, theirs, AtMostRatio(0.06)),
            Row("noop", "no-op build_ts_app", apps, plain, bare, AtMostAbove(0.15)),
            Row("noop", "no-op build_ts_ops, eight sources", libraries, peer, theirs, AtMostRatio(0.06)),
            Row("noop", "no-op build_ts_ops, eight sources", libraries, plain, bare, AtMostAbove(0.15)),
        ]
    )


def start(bench: Bench) -> Outcome:
    """From a process's start to its first output."""
    runner, tutorial = bench.installed_runner(), bench.tutorial()
    script = [bench.peers.python, SCRIPTS / "run_model.py", bench.model, *SHAPE]

    def first_output(*command: object, theirs: bool = False) -> Sample:
        variables = bench.peers.variables() if theirs else bench.our_variables()
        return first_output_of(run(command, cwd=bench.work, variables=variables, watch_output=True))

    ours, python, classic = alternate(
        bench.rounds * 5,
        lambda: first_output(runner, "--input", INPUT),
        lambda: first_output(*script, theirs=True),
        lambda: first_output(tutorial, bench.model, *SHAPE, theirs=True),
        label="start",
    )
    what = "runner: process start to first output"
    return Outcome(
        [
            Row("start", what, ours, "Python, torch.jit.load", python, AtMostRatio(0.22)),
            Row("start", what, ours, "the tutorial's program", classic, AtMostRatio(0.95)),
        ]
    )


def first_output_of(done: Finished) -> Sample:
    """Wall time until the first byte; CPU time of the whole process, which alone the system tells."""
    return Sample(done.first_output if done.first_output is not None else done.sample.value, done.sample.cpu)


def latency(bench: Bench) -> Outcome:
    """One call of a small model, on one thread: nearly all of it is overhead."""
    runner = bench.installed_runner()
    warmup, calls = ("200", "2000") if bench.quick else ("500", "20000")
    details: dict[str, list[float]] = {}

    def ours() -> Sample:
        options = ["--threads", "1", "--warmup", warmup, "--benchmark", calls, "--json"]
        done = bench.run_ours([runner, "--input", INPUT, *options], bench.work)
        times = json.loads(done.output)["benchmark"]["latency_ms"]
        return median_and_mean("runner", times)

    def theirs(mode: str) -> Sample:
        script = [bench.peers.python, SCRIPTS / "call_model.py", bench.model, *SHAPE, warmup, calls, mode]
        return median_and_mean(mode, json.loads(bench.run_theirs(script, bench.work).output))

    def median_and_mean(who: str, milliseconds: dict[str, float]) -> Sample:
        details.setdefault(f"{who}: mean seconds", []).append(milliseconds["mean"] / 1000)
        return Sample(milliseconds["p50"] / 1000)

    samples = alternate(
        bench.rounds, ours, lambda: theirs("inference_mode"), lambda: theirs("no_grad"), label="latency"
    )
    what = "runner: one call of a small model"
    return Outcome(
        [
            Row(
                "latency", what, samples[0], "module(x), inference_mode", samples[1], AtMostRatio(0.5), details=details
            ),
            Row("latency", what, samples[0], "module(x), no_grad", samples[2], AtMostRatio(0.5)),
        ]
    )


def library(bench: Bench) -> Outcome:
    """One call of a C library, against the runner's own call of the same small model, on one thread."""
    prefix = bench.library()
    warmup, calls = ("200", "2000") if bench.quick else ("500", "20000")

    def ours() -> Sample:
        done = bench.run_ours([prefix / "bin/call_library", *SHAPE, warmup, calls], bench.work)
        return Sample(json.loads(done.output)["p50"] / 1000)

    def runner() -> Sample:
        options = ["--threads", "1", "--warmup", warmup, "--benchmark", calls, "--json"]
        done = bench.run_ours([prefix / "bin/bench-library-1", "--input", INPUT, *options], bench.work)
        return Sample(json.loads(done.output)["benchmark"]["latency_ms"]["p50"] / 1000)

    called, own = alternate(bench.rounds * 2, ours, runner, label="library")
    what = "C library: one call of a small model, and the free of its result"
    return Outcome([Row("library", what, called, "the runner's own call", own, AtMostRatio(1.1))])


def wheel(bench: Bench) -> Outcome:
    """The size of an app's wheel without its model, and what is in it."""
    file = bench.wheel()
    size, members, foreign = weigh(file)
    return Outcome(
        [
            Row(
                "wheel",
                "wheel of an app without its model",
                [Sample(size / 1000)],
                target=AtMost(300),
                unit="KB",
                details={"members": members},
            ),
            Row(
                "wheel",
                "members of torch in that wheel",
                [Sample(len(foreign))],
                target=Holds("none"),
                unit="files",
                holds=not foreign,
                details={"members of torch": foreign},
            ),
        ]
    )


def weigh(wheel: Path) -> tuple[int, dict[str, int], list[str]]:
    """Bytes without models, the compressed size of each member, and the members that are torch's."""
    with zipfile.ZipFile(wheel) as archive:
        members = {info.filename: info.compress_size for info in archive.infolist()}
    models = sum(size for name, size in members.items() if name.endswith(".pt"))
    foreign = [n for n in members if n.startswith("torch/") or n.rpartition("/")[2].startswith(("libtorch", "libc10"))]
    return wheel.stat().st_size - models, members, foreign


def imports(bench: Bench) -> Outcome:
    """What is imported, and what that costs."""
    importing = [bench.ours.python, "-X", "importtime", "-c", "import torchscript_build"]
    building = [bench.ours.python, "-X", "importtime", *bench.setup_ours("build_ts_app")[1:]]
    sides = {"import torchscript_build": (importing, bench.work), "no-op build_ts_app": (building, bench.app())}
    rows, notes = [], []
    for what, (command, cwd) in sides.items():
        bench.run_ours(command, cwd)  # so that bytecode is there
        runs = [parse_import_times(bench.run_ours(command, cwd).errors) for _ in range(bench.rounds)]
        totals = [Sample(sum(m.own for m in modules) / 1e6) for modules in runs]
        middle: list[Imported] = sorted(runs, key=lambda modules: sum(m.own for m in modules))[len(runs) // 2]
        details = {m.name: m.own for m in middle}
        rows.append(Row("imports", f"{what}: all imports (-X importtime)", totals, details={"microseconds": details}))
        notes += describe(what, middle)
    return Outcome(rows, notes)
