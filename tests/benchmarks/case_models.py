"""Cases of ready models: their bytes, and what one change of a project costs."""

from __future__ import annotations

from pathlib import Path

from . import projects
from .bench import Bench
from .case_builds import read_logs
from .case_demo import run_steps
from .figures import AtMost, Holds, Outcome, Row, Sample
from .measure import Finished, alternate, say

GIGABYTE = 10**9


def model_bytes(bench: Bench) -> Outcome:
    """How often the bytes of a large model are read and written: by builds, and by pip wheel."""
    bench.app()  # so that the runner is compiled
    size = GIGABYTE // 10 if bench.quick else GIGABYTE
    model = large_model(bench, size)
    project = projects.write_app(projects.fresh(bench.work / "bytes"), "bench-bytes", model)
    build = bench.setup_ours("build_ts_app")
    first, noop = bench.run_ours(build, project), bench.run_ours(build, project)
    packed = bench.run_ours(bench.pip_wheel(projects.fresh(bench.work / "bytes-wheels")), project)

    def row(what: str, number: int, limit: float) -> Row:
        told = [Sample(number / size)]
        return Row("bytes", f"model of {size / GIGABYTE:g} GB: {what}", told, target=AtMost(limit), unit="times")

    rows = [
        row("read by build_ts_app", first.read, 2.05),
        row("written by build_ts_app", first.written, 1.05),
        row("read by a build with nothing to do", noop.read, 0.05),
        row("read by pip wheel, zip and all", packed.read, 2.05),
        row("written by pip wheel, which compresses it", packed.written, 1.05),
    ]
    for folder in (project, bench.work / "bytes-wheels"):
        projects.fresh(folder)
    return Outcome(rows)


def change(bench: Bench) -> Outcome:
    """A changed C++ source, and a changed model, in a project of a runner, a program of its own and a large model."""
    bench.app()  # so that the runner is compiled
    size = GIGABYTE // 10 if bench.quick else GIGABYTE
    model, other = large_model(bench, size), large_model(bench, size + 4096)
    project = projects.write_mixed(projects.fresh(bench.work / "change"), model)
    plain = projects.write_mixed(projects.fresh(bench.work / "change-plain"), bench.model)
    build = bench.setup_ours("build_ts_app")
    bench.run_ours(build, plain)
    projects.append_line(plain / "cpp/main.cpp", "// edit\n")
    headers = bench.run_ours(build, plain).read  # and all else that is read for a model of a few kilobytes
    bench.run_ours(build, project)
    read: list[Sample] = []
    made: list[Sample] = []
    configured: list[str] = []

    def source() -> Sample:
        projects.append_line(project / "cpp/main.cpp", f"// edit {len(read)}\n")
        done: Finished = bench.run_ours(build, project)
        read.append(Sample(max(done.read - headers, 0) / size))
        return done.sample

    def weights() -> Sample:
        projects.replace(project / "small.pt", (other, model)[len(made) % 2])
        before = read_logs(project)
        done = bench.run_ours(build, project)
        made.append(Sample(len(set(read_logs(project).splitlines()) - set(before.splitlines()))))
        configured.extend(name for name in run_steps(bench, project) if name == "configure")
        return done.sample

    sources, models = alternate(bench.rounds, source, weights, label="change")
    return Outcome(
        [
            Row("change", "a changed C++ source only", sources),
            Row("change", "a changed C++ source only: the model read", read, target=AtMost(0.05), unit="times"),
            Row("change", f"a changed model only ({size / GIGABYTE:g} GB)", models),
            Row(
                "change",
                "a changed model only: what CMake and ninja made",
                made,
                target=Holds("nothing"),
                unit="files",
                holds=not configured and not any(s.value for s in made),
            ),
        ]
    )


def large_model(bench: Bench, size: int) -> Path:
    """A model's file of about so many bytes."""
    file = bench.work / f"large-{size}.pt"
    if not file.is_file():
        say(f"  making a model of {size} bytes")
        bench.run_theirs([bench.peers.python, projects.SCRIPTS / "make_large.py", file, size], bench.work)
    return file
