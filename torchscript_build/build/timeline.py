"""When what ran: a build's steps and its compilers as a trace for a viewer, and the most expensive of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Union

from torchscript_build.log import Edge, Step

STEPS_LANE = 0
EXPENSIVE_COUNT = 5
WORTH_TELLING = 0.05
"""Seconds; less would be told as 0.0."""


def assign_lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """A lane, from 0 on, for each span (start, end): the first one that is free when it starts."""
    lanes: list[int] = [0] * len(spans)
    free_at: list[float] = []
    for index in sorted(range(len(spans)), key=lambda i: spans[i]):
        start, end = spans[index]
        lane = next((i for i, free in enumerate(free_at) if free <= start), len(free_at))
        free_at[lane:] = [end, *free_at[lane + 1 :]]
        lanes[index] = lane
    return lanes


def render_trace(steps: Iterable[Step], edges: Iterable[Edge]) -> dict[str, Any]:
    """The trace event format of Chrome's viewer, which Perfetto reads, too; times in whole microseconds.

    Our own steps have one lane, in which one may stand within another; what the build tool ran has as many lanes as ran
    at once.
    """
    steps = sorted(steps, key=lambda s: (s.start, -s.seconds))
    edges = sorted(edges, key=lambda e: (e.start, e.seconds, e.name))
    zero = min([*(s.start for s in steps), *(e.start for e in edges)], default=0.0)
    spans = [_span(e, zero) for e in edges]
    lanes = [1 + lane for lane in assign_lanes(spans)]
    names = {STEPS_LANE: "steps", **{lane: f"compiler {lane}" for lane in sorted(set(lanes))}}
    events = [_metadata("process_name", STEPS_LANE, {"name": "torchscript-build"})]
    for lane, name in names.items():
        events.append(_metadata("thread_name", lane, {"name": name}))
        events.append(_metadata("thread_sort_index", lane, {"sort_index": lane}))
    for step in steps:
        events.append(_complete(step.name, "step", STEPS_LANE, _span(step, zero), {"succeeded": step.succeeded}))
    for edge, lane, span in zip(edges, lanes, spans):
        events.append(_complete(edge.name, edge.kind, lane, span, {"outputs": list(edge.outputs)}))
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def most_expensive(
    steps: Sequence[Step], edges: Sequence[Edge], count: int = EXPENSIVE_COUNT
) -> list[tuple[str, float]]:
    """Names and seconds of what took longest, the longest first.

    A step that is made of others, as a build is of compilations, is left out in their favour.
    """
    parts: list[Union[Step, Edge]] = [*steps, *edges]
    whole = [s for s in steps if any(p is not s and _is_within(p, s) for p in parts)]
    leaves = [p for p in parts if not any(p is w for w in whole)]
    return [(p.name, p.seconds) for p in sorted(leaves, key=lambda p: (-p.seconds, p.start))[:count]]


def describe_expensive(steps: Sequence[Step], edges: Sequence[Edge], seconds: float) -> list[str]:
    """Lines for the end of a build that took so many seconds."""
    found = [(name, took) for name, took in most_expensive(steps, edges) if took >= WORTH_TELLING]
    heading = f"-- the most expensive steps of {seconds:.1f} s:"
    return [heading, *(f"--   {name}: {s:.1f} s" for name, s in found)] if found else []


def _is_within(part: Union[Step, Edge], whole: Step) -> bool:
    return whole.start <= part.start and part.start + part.seconds <= whole.start + whole.seconds


def _span(part: Union[Step, Edge], zero: float) -> tuple[int, int]:
    """Rounded at both ends, so that what is apart, or within, stays so."""
    return round((part.start - zero) * 1e6), round((part.start + part.seconds - zero) * 1e6)


def _complete(name: str, kind: str, lane: int, span: tuple[int, int], facts: dict[str, Any]) -> dict[str, Any]:
    start, end = span
    return {"name": name, "cat": kind, "ph": "X", "ts": start, "dur": end - start, "pid": 1, "tid": lane, "args": facts}


def _metadata(what: str, lane: int, facts: dict[str, Any]) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 1, "tid": lane, "args": facts}
