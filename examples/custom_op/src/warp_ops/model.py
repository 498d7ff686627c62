"""A scripted model that uses the operator."""

import torch
from torch import nn

import warp_ops  # noqa: F401


class Straighten(nn.Module):
    """Shears an image one way and the other until it has moved by ``steps`` pixels a row."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, image: torch.Tensor, steps: int) -> torch.Tensor:
        for i in range(steps):
            image = torch.ops.warp_ops.shear(image, 1.0 if i % 2 == 0 else -0.5) * self.gain
        return image


def straighten() -> nn.Module:
    """The model that pyproject.toml names."""
    return Straighten()
