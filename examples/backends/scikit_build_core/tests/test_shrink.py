import torch
from skbuild_shrink import shrink


def test_values_are_moved_towards_zero() -> None:
    assert shrink(torch.tensor([-3.0, 0.5, 2.0]), 1.0).tolist() == [-2.0, 0.0, 1.0]


def test_it_is_what_torch_has() -> None:
    x = torch.linspace(-2, 2, 9)
    assert torch.equal(shrink(x, 0.5), torch.nn.functional.softshrink(x, 0.5))
