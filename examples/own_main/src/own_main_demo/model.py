"""Himmelblau's function: four minima, all of value 0; one of them is at (3, 2)."""

import torch
from torch import nn


class Himmelblau(nn.Module):
    """Points (2) to values."""

    def forward(self, point: torch.Tensor) -> torch.Tensor:
        x, y = point.unbind()
        return (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2


def himmelblau() -> nn.Module:
    return Himmelblau()
