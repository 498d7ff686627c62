"""The settings that ``migrate --write`` adds, and what it says."""

from __future__ import annotations

import dataclasses
from typing import Any

from torchscript_build.models.child.sizes import conditions
from torchscript_build.models.migrate import Verdict, describe, with_twins
from torchscript_build.plan.build_plan import PlannedModel

MODEL = PlannedModel(
    name="net",
    file="/b/net.pt",
    factory="demo:net",
    method="script",
    example_inputs=("ones:2x8",),
    python_path=(),
    seed=0,
    show_code=False,
)
PROJECT = """\
[[tool.torchscript-build.model]]
name = "net"
factory = "demo:net"

[[tool.torchscript-build.app]]
name = "demo"
models = ["net"]

[[tool.torchscript-build.app]]
name = "other"
models = ["network"]
"""
TWIN = """
[[tool.torchscript-build.model]]
name = "net-pt2"
same-as = "net"
method = "aoti"
"""


def verdict(**report: Any) -> Verdict:
    return Verdict(MODEL, {"dynamic": {}, "why_fixed": None, "notes": [], **report})


def test_a_twin_is_added_to_the_models_and_to_the_apps_that_have_the_model() -> None:
    text, added = with_twins(PROJECT, [verdict()])
    assert added == ["net-pt2"]
    assert text == PROJECT.replace('models = ["net"]', 'models = ["net", "net-pt2"]') + TWIN


def test_a_twin_is_added_once() -> None:
    text, _ = with_twins(PROJECT, [verdict()])
    assert with_twins(text, [verdict()]) == (text, [])


def test_sizes_that_vary_are_written_with_their_bounds() -> None:
    dynamic = {"x": {"0": ["x0", 0, 2**62], "1": ["x1", 4, 512]}, "y": {"0": ["x0", 0, 2**62]}}
    text, _ = with_twins(PROJECT, [verdict(dynamic=dynamic)])
    assert text.endswith('dynamic-shapes = { x = { 0 = "x0", 1 = "x1=4..512" }, y = { 0 = "x0" } }\n')


def test_nothing_is_added_for_a_blocked_model_nor_for_one_without_a_factory() -> None:
    blocked = verdict(blocked={"kind": "other", "words": "no"})
    archive = dataclasses.replace(verdict(), model=dataclasses.replace(MODEL, factory=None))
    failed = verdict(measured={".pt2": {"error": "no"}})
    assert with_twins(PROJECT, [blocked, archive, failed]) == (PROJECT, [])


def test_a_blocked_model_is_told_with_the_place_the_way_out_and_what_to_write() -> None:
    blocked = {
        "kind": "x",
        "words": "it branches",
        "where": "demo.py:12",
        "cure": "torch.where",
        "write": "def _(x):\n  y",
    }
    assert describe([verdict(blocked=blocked)]) == (
        "net: blocked: it branches (demo.py:12)\n    way out: torch.where\n    write:\n        def _(x):\n          y"
    )


def test_what_was_measured_is_a_table() -> None:
    measured = {
        "eager": {"latency": 0.5},
        "TorchScript": {"build": 1.25, "size": 12345, "difference": 0.0, "problem": "", "latency": 0.25},
        ".pt2": {"error": "no compiler"},
    }
    assert describe([verdict(measured=measured)]) == (
        "net: exports as it is, with the sizes of its example\n"
        "                 difference  size     latency   build\n"
        "    eager        -           -        0.500 ms  -\n"
        "    TorchScript  0           0.01 MB  0.250 ms  1.2 s\n"
        "    .pt2: no compiler"
    )


def test_what_torch_says_of_sizes_that_cannot_vary_as_asked_is_short() -> None:
    said = """\
Constraints violated (h, w)! For more information, run with TORCH_LOGS="+dynamic".
  - Not all values of h = L['x'].size()[2] in the specified range h <= 64 satisfy the generated guard Mod(h, 2) == 0.
  - You marked w as dynamic but your code specialized it to be a constant (16).

The error above occurred when calling torch.export.export."""
    assert conditions(said) == (
        "Not all values of h = x.2 in the specified range h <= 64 satisfy the generated guard Mod(h, 2) == 0; "
        "You marked w as dynamic but your code specialized it to be a constant (16)"
    )
