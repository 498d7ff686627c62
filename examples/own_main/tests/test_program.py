"""The installed program against the same descent in Python: python -m pytest tests"""

import re
import subprocess
from pathlib import Path

import own_main_demo
import torch
from own_main_demo.model import himmelblau

PACKAGE = Path(own_main_demo.__file__).parent
PROGRAM = PACKAGE / "bin" / "minimize"


def run(*arguments: str) -> "list[list[float]]":
    """What the program reports: lists of step, x, y and value."""
    text = subprocess.run([str(PROGRAM), *arguments], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    return [[float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", line)] for line in text.splitlines()]


def test_same_way_down_as_in_python() -> None:
    function = himmelblau()
    point = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    expected = []
    for step in range(61):
        value = function(point)
        if step % 20 == 0:
            expected.append([step, *point.tolist(), value.item()])
        (gradient,) = torch.autograd.grad(value, point)
        with torch.no_grad():
            point -= 0.01 * gradient
    torch.testing.assert_close(torch.tensor(run()), torch.tensor(expected), rtol=1e-6, atol=1e-6)


def test_another_model_and_number_of_steps() -> None:
    assert [line[0] for line in run(str(PACKAGE / "models" / "himmelblau.pt"), "20")] == [0, 20]


def test_missing_model_is_a_plain_error() -> None:
    done = subprocess.run([str(PROGRAM), "absent.pt"], capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert re.match(r"minimize: error: .*absent\.pt", done.stderr)
