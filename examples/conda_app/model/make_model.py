"""Makes smooth.pt: python make_model.py"""

from pathlib import Path

import torch
from torch import nn


class Smooth(nn.Module):
    """Exponential smoothing: each value is drawn towards the smoothed one before it."""

    def forward(self, series: torch.Tensor, weight: float) -> torch.Tensor:
        smoothed = torch.empty_like(series)
        last = series[0]
        for i in range(series.size(0)):
            last = weight * series[i] + (1.0 - weight) * last
            smoothed[i] = last
        return smoothed


if __name__ == "__main__":
    torch.jit.script(Smooth()).save(str(Path(__file__).with_name("smooth.pt")))
