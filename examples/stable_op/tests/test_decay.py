"""The installed operator: python -m pytest tests"""

import decay_ops  # noqa: F401
import pytest
import torch

decay = torch.ops.decay_ops.decay


def test_each_step_forgets_half() -> None:
    moved = decay(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), 0.5)
    torch.testing.assert_close(moved, torch.tensor([[1.0, 0.5, 0.25], [1.0, 1.5, 1.75]]))


def test_a_rate_of_nought_is_a_sum() -> None:
    signal = torch.rand(2, 3, 7, dtype=torch.float64)
    torch.testing.assert_close(decay(signal.transpose(0, 1), 0.0), signal.transpose(0, 1).cumsum(-1))


def test_all_that_torch_wants_of_an_operator() -> None:
    for signal in (torch.rand(3, 4), torch.rand(5, dtype=torch.float64, requires_grad=True), torch.rand(0, 2)):
        torch.library.opcheck(decay, (signal, 0.3))


def test_gradient_is_right() -> None:
    assert torch.autograd.gradcheck(decay, (torch.rand(2, 5, dtype=torch.float64, requires_grad=True), 0.3))


@pytest.mark.parametrize(
    ("signal", "rate", "words"),
    [
        (torch.tensor(1.0), 0.5, "not a single number"),
        (torch.ones(3), 1.5, "a rate from 0 to 1"),
        (torch.ones(3).int(), 0.5, "float32 or float64"),
    ],
)
def test_wrong_input_is_refused(signal: torch.Tensor, rate: float, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        decay(signal, rate)
