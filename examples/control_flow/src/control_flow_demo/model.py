"""Two modules that tracing alone would get wrong: it keeps one branch, and one number of rounds."""

import torch
from torch import nn


class Gate(nn.Module):
    """The classic tutorial's module: which way it goes depends on the sign of the input's sum."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(rows, columns))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return self.weight.mv(x)
        return self.weight + x


class Shrink(nn.Module):
    """A traced layer in a scripted loop, which runs until the result is small enough."""

    def __init__(self, size: int) -> None:
        super().__init__()
        layer = nn.Sequential(nn.Linear(size, size, bias=False), nn.Tanh())
        self.layer = torch.jit.trace(layer, torch.ones(size))

    def forward(self, x: torch.Tensor, limit: float) -> tuple[torch.Tensor, int]:
        rounds = 0
        while x.norm() > limit:
            x = self.layer(x)
            rounds += 1
        return x, rounds


def gate() -> nn.Module:
    """Vectors (20) to vectors (10), or to matrices (10, 20)."""
    return Gate(10, 20)


def shrink() -> torch.jit.ScriptModule:
    """Vectors (8) and the length to reach, to a vector (8) and the number of rounds. It is scripted already."""
    return torch.jit.script(Shrink(8))
