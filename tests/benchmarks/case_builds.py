"""Cases of builds: configuring, first and further apps, operator libraries, and what one change costs."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from torchscript_build.build.ninja_log import edges_of_run
from torchscript_build.log import Edge

from . import projects
from .bench import Bench, configure_command
from .figures import AtMost, AtMostRatio, Holds, Outcome, Row, Sample, fit_line, median_cpu, quantity
from .measure import BenchmarkError, Finished, alternate, read_available, run, say

CLASSIC = "the tutorial, Release"
EXTENSION = "BuildExtension"


def configure(bench: Bench) -> Outcome:
    """Configuring from nothing: CMake on our project and on the tutorial's; and our whole step, as it is reported."""
    project = projects.write_app(projects.fresh(bench.work / "configure"), "bench-configure", bench.model)
    tutorial = projects.write_tutorial(bench.work / "configure-tutorial")
    bench.app()  # so that the runner is compiled, and the compiler known
    report = project / "report.json"
    steps: list[Sample] = []
    unknown: list[Sample] = []

    def ours() -> Sample:
        shutil.rmtree(project / "build", ignore_errors=True)
        done = bench.run_ours(bench.setup_ours("build_ts_app", "--report", str(report)), project)
        found = {s["name"]: s["seconds"] for s in json.loads(report.read_text(encoding="utf-8"))["steps"]}
        steps.append(Sample(found["configure"]))
        unknown.append(again(done.output, known=False).sample)
        return again(done.output, known=True).sample

    def again(output: str, *, known: bool) -> Finished:
        command = configure_command(output, known=known)
        tree = Path(command[command.index("-B") + 1])
        query = Path(".cmake/api/v1/query")
        other = projects.fresh(project / "tree")
        shutil.copytree(tree / query, other / query)
        for file in tree.glob("CMakeFiles/[0-9]*/*.cmake") if known else ():
            copy = other / file.relative_to(tree)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        command[command.index("-B") + 1] = str(other)
        return bench.run_ours(command, project)

    def empty() -> Sample:
        folder = projects.write_empty(projects.fresh(bench.work / "configure-empty"))
        return bench.run_theirs(["cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja"], folder).sample

    samples, theirs, nothing = alternate(
        bench.rounds, ours, lambda: bench.configure_tutorial(tutorial).sample, empty, label="configure"
    )
    return Outcome(
        [
            Row("configure", "configure: CMake, the compiler known", samples, CLASSIC, theirs, AtMostRatio(0.5)),
            Row("configure", "configure: CMake, the compiler new", unknown, CLASSIC, theirs, AtMostRatio(0.5)),
            Row("configure", "configure: CMake, the compiler new", unknown, "an empty C++ project", nothing),
            Row("configure", "configure: the whole step, compiler known", steps, CLASSIC, theirs, AtMostRatio(0.5)),
        ]
    )


def apps(bench: Bench) -> Outcome:
    """A runner app with nothing in the cache, then the app of another project; the tutorial's program."""
    tutorial = projects.write_tutorial(bench.work / "apps-tutorial")
    cache = bench.work / "apps-cache"
    following: list[Sample] = []
    wheels: list[Sample] = []

    def build(name: str) -> Sample:
        project = projects.write_app(projects.fresh(bench.work / name), f"bench-{name}", bench.model)
        return bench.run_ours(bench.setup_ours("build_ts_app"), project, cache=cache).sample

    def first() -> Sample:
        projects.fresh(cache)
        sample = build("first")
        following.append(build("next"))
        project = projects.write_app(projects.fresh(bench.work / "packed"), "bench-packed", bench.model)
        wheels.append(bench.run_ours(bench.pip_wheel(project / "wheels"), project, cache=cache).sample)
        return sample

    sides = [first, lambda: bench.build_tutorial(tutorial)]
    samples = alternate(bench.rounds, *sides, label="apps")
    wheel = "next app, another project: the whole pip wheel --no-build-isolation"
    return Outcome(
        [
            Row("apps", "first build ever of a runner app", samples[0], CLASSIC, samples[1], AtMostRatio(0.75)),
            Row("apps", "next app, another project", following, CLASSIC, samples[1], AtMostRatio(0.15)),
            Row("apps", wheel, wheels, CLASSIC, samples[1], AtMostRatio(0.12)),
            Row("apps", wheel, wheels, target=AtMost(2.5)),
        ]
    )


def many_apps(bench: Bench) -> Outcome:
    """The cost of each further app in one project."""
    bench.app()  # so that the runner is compiled
    counts = (1, 4) if bench.quick else (1, 2, 4, 8, 16)

    def build(count: int) -> Sample:
        project = projects.fresh(bench.work / f"apps-{count}")
        projects.write_app(project, "bench-many", bench.model, count=count)
        return bench.run_ours(bench.setup_ours("build_ts_app"), project).sample

    samples = alternate(bench.rounds, *(lambda count=count: build(count) for count in counts), label="many-apps")
    by_count = dict(zip(counts, samples))
    line = fit_line([(count, median_cpu(s) or 0.0) for count, s in by_count.items()])
    what = f"N apps in one project, N = {', '.join(map(str, counts))}"
    medians = ", ".join(f"{count}: {quantity(median_cpu(s), 's')}" for count, s in by_count.items())
    cost = f"{quantity(line.intercept, 's')} and {quantity(line.slope, 's')} an app"
    return Outcome(
        [
            Row(
                "many-apps",
                f"{what}: CPU of each further app",
                [Sample(line.slope)],
                target=AtMost(1.5),
                details={str(count): [vars(s) for s in found] for count, found in by_count.items()},
            ),
            Row(
                "many-apps",
                f"{what}: largest distance from the line",
                [Sample(100 * line.deviation)],
                target=AtMost(10),
                unit="%",
            ),
        ],
        [f"N apps in one project, CPU by N: {medians}; the line: {cost}"],
    )


def ops(bench: Bench) -> Outcome:
    """The operator library of eight sources, from nothing, and the memory that it takes."""
    peaks: dict[str, list[Sample]] = {"ours": [], EXTENSION: [], "scikit-build-core": []}
    available: list[Sample] = []

    def ours() -> Sample:
        project = projects.write_ops(projects.fresh(bench.work / "ops"), bench.ops_settings)
        variables = bench.our_variables(projects.fresh(bench.work / "ops-cache"))
        available.append(Sample(read_available() / 1e9))
        return build("ours", bench.setup_ours("build_ts_ops"), project, variables)

    def extension() -> Sample:
        project = projects.write_extension(projects.fresh(bench.work / "extension"))
        return build(EXTENSION, bench.setup_theirs, project, bench.peers.variables())

    def scikit() -> Sample:
        project = projects.write_scikit(projects.fresh(bench.work / "scikit"))
        pip = [bench.peers.python, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", "wheels", "."]
        variables = bench.peers.variables(CMAKE_PREFIX_PATH=bench.their_torch["prefix"])
        return build("scikit-build-core", pip, project, variables)

    def build(who: str, command: list[Any], project: Path, variables: dict[str, str]) -> Sample:
        done = run(command, cwd=project, variables=variables, watch_memory=True)
        peaks[who].append(Sample((done.peak or 0) / 1e9))
        say(f"    {who}: {quantity(done.sample.value, 's')}, {quantity(done.sample.cpu, 's')} of CPU")
        return done.sample

    samples = alternate(bench.ops_rounds, ours, extension, scikit, label="ops")
    check_same(bench)
    bench.done.update(("ops", "extension"))
    what = "operator library of eight sources, cold"
    memory = "peak memory of that build"
    return Outcome(
        [
            Row("ops", what, samples[0], EXTENSION, samples[1], AtMostRatio(0.2)),
            Row("ops", what, samples[0], "scikit-build-core", samples[2]),
            Row("ops", memory, peaks["ours"], "available at its start", available, AtMostRatio(1.0), unit="GB"),
            Row("ops", memory, peaks["ours"], EXTENSION, peaks[EXTENSION], unit="GB"),
            Row("ops", memory, peaks["ours"], "scikit-build-core", peaks["scikit-build-core"], unit="GB"),
        ],
        [f"settings of our operator library: {', '.join(bench.ops_settings)}"] if bench.ops_settings else [],
    )


def check_same(bench: Bench) -> None:
    """Do the three libraries of eight sources compute the same? Only then they were the same work.

    :raises BenchmarkError: they do not.
    """
    check = projects.SCRIPTS / "check_ops.py"
    unpacked = projects.fresh(bench.work / "scikit-unpacked")
    with zipfile.ZipFile(next((bench.work / "scikit/wheels").glob("*.whl"))) as wheel:
        wheel.extractall(unpacked)
    staged = next((bench.work / "ops/build").glob("lib*"))
    outputs = {
        "ours": bench.run_ours([bench.ours.python, check, staged], bench.work).output,
        EXTENSION: bench.run_theirs([bench.peers.python, check, bench.work / "extension"], bench.work).output,
        "scikit-build-core": bench.run_theirs([bench.peers.python, check, unpacked], bench.work).output,
    }
    if len(set(outputs.values())) > 1:
        raise BenchmarkError("\n".join(["the eight sources compute:", *(f"{k}: {v}" for k, v in outputs.items())]))


def one_source(bench: Bench) -> Outcome:
    """One edited source of eight."""
    library, extension = bench.ops(), bench.extension()
    edges: list[list[Edge]] = []

    def ours() -> Sample:
        projects.change_source(library, len(edges))
        before = read_logs(library)
        done = bench.run_ours(bench.setup_ours("build_ts_ops"), library)
        edges.append(edges_of_run(before, read_logs(library), began=0.0))
        return done.sample

    def theirs() -> Sample:
        projects.change_source(extension, len(edges))
        return bench.run_theirs(bench.setup_theirs, extension).sample

    samples, peer = alternate(bench.ops_rounds, ours, theirs, label="one-source")
    what = "one changed source of eight"
    only = all(sorted(edge.kind for edge in run) == ["compile", "link"] for run in edges)
    made = [[output for edge in run for output in edge.outputs] for run in edges]
    return Outcome(
        [
            Row("one-source", what, samples, EXTENSION, peer),
            Row(
                "one-source",
                f"{what}: what ninja made",
                [Sample(len(outputs)) for outputs in made],
                target=Holds("it and one link"),
                unit="files",
                holds=only,
                details={"outputs": made},
            ),
        ],
        [f"one changed source of eight: ninja made {', '.join(Path(o).name for o in made[-1]) or 'nothing'}"],
    )


def read_logs(project: Path) -> str:
    """Ninja's log of a project of ours.

    :raises BenchmarkError: there is none.
    """
    logs = sorted((project / "build").rglob(".ninja_log"))
    if not logs:
        raise BenchmarkError(f"no .ninja_log below {project / 'build'}")
    return "".join(log.read_text(encoding="utf-8") for log in logs)
