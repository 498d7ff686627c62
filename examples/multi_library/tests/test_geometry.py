"""The installed operators and program: python -m pytest tests"""

import re
import subprocess
from pathlib import Path

import geometry_ops
import pytest
import torch
from geometry_ops.model import matcher

PACKAGE = Path(geometry_ops.__file__).parent
POINTS = torch.tensor([[0.0, 0.0], [3.0, 4.0], [9.0, 0.5], [-1.0, 1.5]])


def test_distances_are_those_of_cdist() -> None:
    others = torch.randn(5, 2)
    squares = torch.ops.geometry.squared_distances(POINTS, others)
    torch.testing.assert_close(squares.sqrt(), torch.cdist(POINTS, others))


def test_distances_have_gradients() -> None:
    points, others = (torch.rand(n, 3, dtype=torch.float64, requires_grad=True) for n in (2, 4))
    assert torch.autograd.gradcheck(torch.ops.geometry.squared_distances, (points, others))


def test_nearest_of_the_second_library() -> None:
    assert torch.ops.geometry.nearest(POINTS, torch.tensor([[9.0, 9.0], [0.0, 0.0]])).tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("operator", ["squared_distances", "nearest"])
def test_points_of_different_spaces_are_refused(operator: str) -> None:
    with pytest.raises(RuntimeError, match=r"not \[4, 2\] and \[1, 3\]"):
        getattr(torch.ops.geometry, operator)(POINTS, torch.zeros(1, 3))


def test_program_agrees_with_python() -> None:
    numbers = [str(v) for v in POINTS.flatten().tolist()]
    command = [str(PACKAGE / "bin" / "match-points"), *numbers]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.splitlines()
    nearest, distance = matcher()(POINTS)
    found = [re.search(r"landmark (\d+) at distance ([\d.]+), origin at distance ([\d.]+)$", line) for line in lines]
    assert [int(match[1]) for match in found] == nearest.tolist()
    torch.testing.assert_close(torch.tensor([float(match[2]) for match in found]), distance, rtol=1e-3, atol=1e-4)
    origin = POINTS.norm(dim=1)
    torch.testing.assert_close(torch.tensor([float(match[3]) for match in found]), origin, rtol=1e-3, atol=1e-4)
