"""Comparing with reference outputs."""

from __future__ import annotations

import numpy
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = [pytest.mark.compile, pytest.mark.torch]


def nested(scale: float = 1.0):
    x = torch.ones(2)
    return (x, [1, 2, 3], {"boxes": x * 2 * scale}, (x + 1, "a"), None, "h\u00e9\n")


def test_match(runner, save):
    save("y.npy", numpy.array([[6.0, 15.0]], "f4"))
    stdout = runner("--input", "ones:1x3", "--expect", "y.npy").stdout
    assert stdout.endswith("outputs match (largest difference 0, relative 0)\n")


def test_match_within_tolerances(runner, save):
    save("y.npy", numpy.array([[6.5, 15.0]], "f4"))
    stdout = runner("--input", "ones:1x3", "--expect", "y.npy", "--atol", 0.6).stdout
    assert "outputs match (largest difference 0.5, relative 0.0769231)" in stdout


def test_mismatch(runner, save):
    save("y.npy", numpy.array([[6.0, 15.1]], "f4"))
    error = runner.error("--input", "ones:1x3", "--expect", "y.npy", code=5)
    assert "outputs differ: output 1 of 2 values differ, largest difference 0.1" in error
    assert "at [0, 1] (15, expected 15.1)" in error


def test_wider_tolerances_are_for_models_that_round(runner, save):
    """Not for one that draws random numbers, nor for one that keeps state."""
    widen = "\nhint: --rtol and --atol widen what is taken as equal"
    linear = ("--input", "ones:1x3", "--expect", save("y.npy", numpy.array([[6.0, 15.1]], "f4")))
    assert runner.error(*linear, code=5).endswith(widen)
    infinite = ("--input", "ones:1x3", "--expect", save("i.npy", numpy.array([[6.0, numpy.inf]], "f4")))
    assert runner.error(*infinite, code=5).endswith(widen)
    random = ("--input", "ones:3", "--seed", 1, "--expect", save("x.npy", numpy.ones(3, "f4")))
    assert "\nhint: its outputs differ from call to call: " in runner.error(*random, model="random", code=5)
    stateful = ("--input", "ones:2", "--expect", save("s.npy", numpy.array([100.0], "f4")))
    assert "\nhint: its outputs differ from call to call: " in runner.error(*stateful, model="stateful", code=5)


def test_match_of_nested_outputs(runner, save):
    runner("--input", "ones:2", "--expect", save("y.pt", nested()), model="nested")


def test_mismatch_names_the_place(runner, save):
    error = runner.error("--input", "ones:2", "--expect", save("y.pt", nested(1.5)), model="nested", code=5)
    assert 'output[2]["boxes"] 2 of 2 values differ, largest difference 1 at [0] (2, expected 3)' in error


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (torch.ones(3), "is float32 [2], expected float32 [3]"),
        (torch.ones(2, dtype=torch.float64), "is float32 [2], expected float64 [2]"),
        ([torch.ones(2)], "is float32 [2], expected list of 1"),
        (torch.tensor([1.0, float("nan")]), "1 of 2 values differ, largest difference inf at [1] (1, expected nan)"),
        (torch.tensor([1.0, float("inf")]), "1 of 2 values differ"),
    ],
)
def test_mismatch_of_structure_dtype_shape_and_special_values(runner, save, expected, message):
    error = runner.error("--input", "ones:2", "--expect", save("y.pt", expected), model="echo", code=5)
    assert f"outputs differ: output {message}" in error


def test_nan_equals_nan(runner, save):
    save("x.npy", numpy.array([numpy.nan, numpy.inf]))
    save("y.pt", torch.tensor([-torch.nan, torch.inf], dtype=torch.float64))
    runner("--input", "x.npy", "--expect", "y.pt", model="echo")


def test_missing_and_surplus_keys(runner, save):
    save("x.pt", {"a": 1.0, "b": 2.0})
    save("y.pt", {"a": 1.0, "c": 2.0})
    error = runner.error("--method", "mapping", "--input", "x.pt", "--expect", "y.pt", model="echo", code=5)
    assert 'output["c"] is missing' in error


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
def test_default_tolerances_are_those_of_assert_close(runner, save, dtype):
    rtol, atol = torch.testing._comparison.default_tolerances(dtype)
    exact = torch.ones(1, dtype=torch.complex128)
    spec = f"ones:1:{str(dtype).removeprefix('torch.')}"
    for factor, code in ((0.5, 0), (2.0, 5)):
        wide = exact + factor * (rtol + atol)
        save("y.pt", wide.to(dtype) if dtype.is_complex else wide.real.to(dtype))
        runner("--input", spec, "--expect", "y.pt", model="echo", code=code)


def test_whole_numbers_are_compared_exactly(runner, save):
    save("x.pt", torch.tensor([2**62 + 1]))
    save("y.pt", torch.tensor([2**62]))
    error = runner.error("--input", "x.pt", "--expect", "y.pt", model="echo", code=5)
    assert "1 of 1 value" in error


def test_json(runner, save):
    save("y.npy", numpy.array([[6.0, 15.5]], "f4"))
    match = runner.json("--input", "ones:1x3", "--expect", "y.npy", "--rtol", 0.1)["comparison"]
    assert match == {"match": True, "max_absolute": 0.5, "max_relative": pytest.approx(0.5 / 15.5)}
    differ = runner.json("--input", "ones:1x3", "--expect", "y.npy", code=5)["comparison"]
    assert (differ["match"], differ["place"]) == (False, "output")
    assert (differ["kind"], differ["tolerable"], differ["different"], differ["compared"]) == ("value", True, 1, 2)


KINDS = [
    (torch.ones(2) * 2, "value", True),
    (torch.ones(3), "shape", False),
    (torch.ones(2, dtype=torch.float64), "dtype", False),
    (torch.ones(2).to_sparse(), "layout", False),
    ([torch.ones(2)], "structure", False),
]


@pytest.mark.parametrize(("expected", "kind", "tolerable"), KINDS, ids=[kind for _, kind, _ in KINDS])
def test_tolerances_are_proposed_only_where_they_can_help(runner, save, expected, kind, tolerable):
    arguments = ("--input", "ones:2", "--expect", save("y.pt", expected))
    comparison = runner.json(*arguments, model="echo", code=5)["comparison"]
    assert (comparison["kind"], comparison["tolerable"]) == (kind, tolerable)
    assert ("hint: --rtol and --atol" in runner.error(*arguments, model="echo", code=5)) is tolerable


def test_tolerances_are_not_proposed_for_whole_numbers(runner, save):
    arguments = ("--input", save("x.pt", torch.tensor([1])), "--expect", save("y.pt", torch.tensor([2])))
    assert "hint" not in runner.error(*arguments, model="echo", code=5)


def test_what_the_runner_wrote(runner):
    runner("--input", "ones:2", "--output", "y.pt", model="nested")
    runner("--input", "ones:2", "--expect", "y.pt", model="nested")


def test_missing_reference(runner):
    assert "y.pt: No such file" in runner.error("--input", "ones:1x3", "--expect", "y.pt", code=2)
