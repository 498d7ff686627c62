"""Makes a TorchScript file of about so many bytes, all of them noughts: ``make_large.py FILE BYTES``."""

import sys

import torch
from torch import nn


class Large(nn.Module):
    """Adds its first weight."""

    def __init__(self, bytes_: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(bytes_ // 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weights[:1]


torch.jit.script(Large(int(sys.argv[2]))).save(sys.argv[1])
