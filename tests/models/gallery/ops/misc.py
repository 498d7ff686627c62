"""A class whose name in an archive looks like an operator's."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNormActivation(nn.Module):
    """As in torchvision.ops.misc."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv, self.norm, self.activate = nn.Conv2d(before, after, 3), nn.BatchNorm2d(after), nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.norm(self.conv(x)))
