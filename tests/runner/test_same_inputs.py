"""Example inputs of a model mean the same in Python as on the runner's command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchscript_build.models.child.inputs import parse_input

pytestmark = [pytest.mark.compile, pytest.mark.torch]

TENSORS = (
    *("ones:2x3", "zeros:2:int64", "arange:2x2", "ones:", "full:0.5:3", "full:2:1x2:int32"),
    *("rand:3", "randn:2x2", "randint:7:4", "rand:2:float64", "randint:5:2:float32", "randn:3:float16"),
)


def test_tensors(runner: Any) -> None:
    import torch

    runner("--seed", 3, "--method", "same", "--input", f"[{';'.join(TENSORS)}]", "--output", "y.pt", model="echo")
    theirs = torch.load(runner.folder / "y.pt", weights_only=True)
    torch.manual_seed(3)
    ours = [parse_input(torch, spec, "") for spec in TENSORS]
    torch.testing.assert_close(theirs, ours, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        *(("int:3", 3), ("-2", -2), ("float:0.25", 0.25), ("1e3", 1000.0), ("bool:true", True), ("false", False)),
        *(("none", None), ("str:a:b", "a:b"), ("ints:1,2", [1, 2]), ("floats:", []), ("strs:a,b", ["a", "b"])),
        *(("[int:1;[str:x;none]]", [1, ["x", None]]), ("(1;(2;3))", (1, (2, 3))), ("1", 1)),
    ],
)
def test_plain_values(spec: str, value: Any) -> None:
    import torch

    made = parse_input(torch, spec, "")
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize("spec", ["bool:maybe", "ones:2xtwo", "nothing"])
def test_nonsense_is_refused(spec: str, tmp_path: Path) -> None:
    import torch

    with pytest.raises(ValueError, match=r"."):
        parse_input(torch, spec, str(tmp_path))
