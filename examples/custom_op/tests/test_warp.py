"""The installed operator and program: python -m pytest tests"""

import json
import subprocess
from pathlib import Path

import pytest
import torch
import warp_ops
from warp_ops.model import straighten

PROGRAM = Path(warp_ops.__file__).parent / "bin" / "straighten"


def test_rows_move_by_their_number() -> None:
    image = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    moved = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(torch.ops.warp_ops.shear(image, 1.0), moved)


def test_schema_is_the_operators_docstring() -> None:
    assert torch.ops.warp_ops.shear.__doc__ == "warp_ops::shear(Tensor image, float amount) -> Tensor"


def test_half_a_pixel_is_the_mean_of_two() -> None:
    image = torch.tensor([[0.0, 0.0], [2.0, 4.0]])
    torch.testing.assert_close(torch.ops.warp_ops.shear(image, 0.5), torch.tensor([[0.0, 0.0], [1.0, 3.0]]))


@pytest.mark.parametrize("amount", [0.0, 0.3, 1.0, -1.7, 9.0])
def test_gradient_is_right(amount: float) -> None:
    image = torch.rand(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(torch.ops.warp_ops.shear, (image, amount))


def test_works_on_parts_of_tensors() -> None:
    image = torch.rand(6, 8)
    torch.testing.assert_close(
        torch.ops.warp_ops.shear(image.t()[1:], 0.5), torch.ops.warp_ops.shear(image.t()[1:].contiguous(), 0.5)
    )


def test_shapes_are_known_without_data() -> None:
    assert torch.ops.warp_ops.shear(torch.empty(3, 4, device="meta"), 1.0).shape == (3, 4)


@pytest.mark.parametrize(("image", "words"), [(torch.ones(3), "1 dimensions"), (torch.ones(2, 2).int(), "Int")])
def test_wrong_input_is_refused(image: torch.Tensor, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        torch.ops.warp_ops.shear(image, 1.0)


def test_program_agrees_with_python() -> None:
    command = [str(PROGRAM), "--input", "arange:4x6", "--input", "int:3", "--json", "--first", "100"]
    output = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["output"]
    with torch.no_grad():
        expected = straighten()(torch.arange(24, dtype=torch.float32).reshape(4, 6), 3)
    torch.testing.assert_close(torch.tensor(output["values"]).reshape(output["shape"]), expected)
