"""The trace of a build: lanes, its format, what was most expensive; and that of a real build."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from children import run_python
from small_projects import ANSWER_CPP, write_project

from torchscript_build.build.timeline import assign_lanes, describe_expensive, most_expensive, render_trace
from torchscript_build.log import Edge, Step


def compiled(name: str, start: float, seconds: float) -> Edge:
    return Edge(name, "compile", start, seconds, (f"{name}.o",))


BUILD = [
    Step("configure", 100.0, 1.5, True),
    Step("build", 102.0, 30.0, True),
    Step("verify", 132.0, 0.25, False),
]
EDGES = [compiled("a", 102.5, 20.0), compiled("b", 102.5, 10.0), compiled("c", 112.5, 19.0)]


@pytest.mark.parametrize(
    ("spans", "lanes"),
    [
        ([], []),
        ([(0, 1), (1, 2), (2, 3)], [0, 0, 0]),
        ([(0, 3), (1, 2), (1, 4)], [0, 1, 2]),
        ([(0, 2), (0, 5), (2, 3), (4, 6)], [0, 1, 0, 0]),
        ([(4, 6), (0, 5)], [1, 0]),
        ([(1, 1), (1, 1), (1, 2)], [0, 0, 0]),
    ],
)
def test_lanes(spans: list[tuple[float, float]], lanes: list[int]) -> None:
    assert assign_lanes(spans) == lanes


def test_lanes_are_no_more_than_ran_at_once() -> None:
    spans = [(float(i % 7), float(i % 7 + i % 5)) for i in range(200)]
    at_once = max(sum(s <= t < e for s, e in spans) for t in range(12))
    lanes = assign_lanes(spans)
    assert max(lanes) + 1 == at_once
    for lane in set(lanes):
        own = sorted(span for span, where in zip(spans, lanes) if where == lane)
        assert all(first[1] <= second[0] for first, second in zip(own, own[1:]))


def test_the_trace_event_format() -> None:
    trace = render_trace(BUILD, EDGES[:2])
    assert json.loads(json.dumps(trace)) == trace
    metadata = [e for e in trace["traceEvents"] if e["ph"] == "M"]
    assert {(e["name"], e["tid"]): e["args"] for e in metadata} == {
        ("process_name", 0): {"name": "torchscript-build"},
        ("thread_name", 0): {"name": "steps"},
        ("thread_sort_index", 0): {"sort_index": 0},
        ("thread_name", 1): {"name": "compiler 1"},
        ("thread_sort_index", 1): {"sort_index": 1},
        ("thread_name", 2): {"name": "compiler 2"},
        ("thread_sort_index", 2): {"sort_index": 2},
    }
    complete = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert [(e["cat"], e["name"], e["ts"], e["dur"], e["tid"], e["args"]) for e in complete] == [
        ("step", "configure", 0, 1_500_000, 0, {"succeeded": True}),
        ("step", "build", 2_000_000, 30_000_000, 0, {"succeeded": True}),
        ("step", "verify", 32_000_000, 250_000, 0, {"succeeded": False}),
        ("compile", "b", 2_500_000, 10_000_000, 1, {"outputs": ["b.o"]}),
        ("compile", "a", 2_500_000, 20_000_000, 2, {"outputs": ["a.o"]}),
    ]
    assert {e["pid"] for e in trace["traceEvents"]} == {1}


def test_a_trace_of_nothing() -> None:
    assert [e["ph"] for e in render_trace([], [])["traceEvents"]] == ["M"] * 3


def test_neighbours_do_not_overlap_when_rounded() -> None:
    steps = [Step(str(i), 0.1 + i * 0.0000017, 0.0000017, True) for i in range(50)]
    events = [e for e in render_trace(steps, [])["traceEvents"] if e["ph"] == "X"]
    assert all(a["ts"] + a["dur"] <= b["ts"] for a, b in zip(events, events[1:]))


def test_a_step_made_of_others_gives_way_to_them() -> None:
    assert most_expensive(BUILD, EDGES, 3) == [("a", 20.0), ("c", 19.0), ("b", 10.0)]
    assert most_expensive(BUILD, [], 2) == [("build", 30.0), ("configure", 1.5)]
    runner = [Step("configure", 1.0, 2.0, True), Step("compile the runner", 0.5, 9.0, True)]
    assert most_expensive(runner, []) == [("configure", 2.0)]


def test_the_five_lines() -> None:
    edges = [*EDGES, compiled("d", 120.0, 0.125), compiled("e", 121.0, 3.0)]
    assert describe_expensive(BUILD, edges, 32.25) == [
        "-- the most expensive steps of 32.2 s:",
        "--   a: 20.0 s",
        "--   c: 19.0 s",
        "--   b: 10.0 s",
        "--   e: 3.0 s",
        "--   configure: 1.5 s",
    ]
    assert describe_expensive([], [], 11.0) == []


# --- real builds ---------------------------------------------------------------------------------------------------

APPS = """\
[[tool.torchscript-build.app]]
name = "first"
sources = ["answer.cpp", "one.cpp", "two.cpp"]

[[tool.torchscript-build.app]]
name = "second"
sources = ["answer.cpp"]
"""
FILES = {"answer.cpp": ANSWER_CPP, "one.cpp": "int one() { return 1; }\n", "two.cpp": "int two() { return 2; }\n"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "my project", APPS, files=FILES)


def traced(project: Path, run_setup: Any, *arguments: str) -> list[dict[str, Any]]:
    done = run_setup(project, "build_ts_app", "--trace", "out/trace.json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "expensive" not in done.stdout
    trace = json.loads((project / "out/trace.json").read_text())
    return [event for event in trace["traceEvents"] if event["ph"] == "X"]


def named(events: list[dict[str, Any]], *kinds: str) -> list[str]:
    return sorted(e["name"] for e in events if e["cat"] in kinds)


def ends(event: dict[str, Any]) -> int:
    return int(event["ts"] + event["dur"])


@pytest.mark.compile
def test_a_real_build(project: Path, run_setup: Any) -> None:
    events = traced(project, run_setup)
    assert named(events, "link", "make") == ["link first", "link second"]
    assert named(events, "compile") == [
        "compile answer.cpp for first",
        "compile answer.cpp for second",
        "compile one.cpp for first",
        "compile two.cpp for first",
    ]
    steps = {e["name"]: e for e in events if e["cat"] == "step"}
    assert {"find libtorch and the tools", "configure", "build", "install apps", "verify apps", "stage"} <= set(steps)
    build = steps["build"]
    for event in events:
        if event["cat"] != "step":
            assert build["ts"] <= event["ts"] <= ends(event) <= ends(build), event
    for lane in {e["tid"] for e in events}:
        own = [e for e in events if e["tid"] == lane]
        assert all(ends(a) <= b["ts"] for a, b in zip(own, own[1:])), own


@pytest.mark.compile
def test_what_did_not_run_again_is_not_there(project: Path, run_setup: Any) -> None:
    traced(project, run_setup)
    unchanged = traced(project, run_setup)
    assert named(unchanged, "compile", "link", "configure", "make") == []
    assert named(unchanged, "step") == [
        *("build", "check the models", "find libtorch and the tools", "stage", "stage"),
    ]
    (project / "two.cpp").write_text("int two() { return 22; }\n")
    assert named(traced(project, run_setup), "compile", "link") == ["compile two.cpp for first", "link first"]


@pytest.mark.compile
def test_a_build_that_fails_has_a_trace(project: Path, run_setup: Any) -> None:
    (project / "two.cpp").write_text("int two() { return nothing; }\n")
    done = run_setup(project, "build_ts_app", "--trace", "trace.json", "--jobs", "1")
    assert done.returncode == 1
    events = [e for e in json.loads((project / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
    assert next(e for e in events if e["name"] == "build")["args"] == {"succeeded": False}
    assert "compile two.cpp for first" not in named(events, "compile")


@pytest.mark.compile
def test_a_report_has_the_steps_with_a_line(project: Path, run_setup: Any) -> None:
    done = run_setup(project, "build_ts_app", "--report", "report.json")
    steps = json.loads((project / "report.json").read_text())["steps"]
    assert [(step["name"], step["succeeded"]) for step in steps] == [("configure", True), ("build", True)]
    assert [f"-- {step['name']}: " in done.stdout for step in steps] == [True, True]


@pytest.mark.compile
def test_other_generators_have_our_own_steps(project: Path, run_setup: Any) -> None:
    events = traced(project, run_setup, "--generator", "Unix Makefiles")
    assert {e["cat"] for e in events} == {"step"}
    assert "build" in named(events, "step")


@pytest.mark.compile
def test_a_long_build_tells_what_took_longest(project: Path, variables: dict[str, str]) -> None:
    code = (
        "import sys; from torchscript_build.packaging import say; say.LONG = 0.0\n"
        "sys.argv = ['setup.py', 'build_ts_app']; exec(open('setup.py').read())\n"
    )
    done = run_python("-c", code, cwd=project, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    before, _, lines = done.stdout.partition("-- the most expensive steps of ")
    assert "-- build: " in before
    assert 4 < len(lines.splitlines()) <= 9
    assert ": 0.0 s" not in lines
    assert re.search(r"\n-- done in \d+\.\d s: program first, program second\n( {5}build/.+\n){2}$", done.stdout)
    assert "--   build: " not in lines
