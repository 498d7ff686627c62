"""A scripted model for the program: python -m tagger_sdk.model FILE"""

import sys

import torch
from torch import nn

import tagger_sdk  # noqa: F401


class SmoothTrend(nn.Module):
    """The trend of a series after smoothing, as a tag's number."""

    def forward(self, values: torch.Tensor) -> int:
        smooth = torch.cumsum(values, 0) / torch.arange(1, values.size(0) + 1)
        return torch.ops.tagger.trend(smooth)


if __name__ == "__main__":
    torch.jit.save(torch.jit.script(SmoothTrend()), sys.argv[1])
