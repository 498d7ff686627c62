"""The installed program against the modules in Python: python -m pytest tests"""

import json
import subprocess
from pathlib import Path
from typing import Any

import control_flow_demo
import pytest
import torch
from control_flow_demo.model import gate, shrink

PROGRAM = Path(control_flow_demo.__file__).parent / "bin" / "control-flow"


def run(*arguments: str) -> Any:
    """The program's output: a tensor, or a list of the tuple's items."""
    command = [str(PROGRAM), *arguments, "--json", "--first", "1000"]
    output = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["output"]
    return [value(item) for item in output["items"]] if output["type"] == "tuple" else value(output)


def value(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return torch.tensor(item["values"], dtype=torch.float32).reshape(item["shape"])


@pytest.mark.parametrize(("number", "shape"), [(1.0, [10]), (-1.0, [10, 20])], ids=["positive", "negative"])
def test_gate_goes_the_same_way_as_in_python(number: float, shape: "list[int]") -> None:
    torch.manual_seed(0)  # the default of a model's `seed`
    with torch.no_grad():
        expected = gate()(torch.full((20,), number))
    assert list(expected.shape) == shape
    torch.testing.assert_close(run("--input", f"full:{number}:20"), expected)


@pytest.mark.parametrize("limit", [100.0, 1.0, 0.1, 0.001])
def test_shrink_takes_as_many_rounds_as_in_python(limit: float) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        expected, expected_rounds = shrink()(torch.ones(8), limit)
    output, rounds = run("--model", "shrink", "--input", "ones:8", "--input", str(limit))
    assert rounds == expected_rounds
    torch.testing.assert_close(output, expected)
