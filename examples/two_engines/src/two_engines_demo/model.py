"""A small classifier."""

import torch
from torch import nn


class Classifier(nn.Module):
    """Scores of a batch, and how many rows it has."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))

    def forward(self, x: torch.Tensor) -> "tuple[torch.Tensor, int]":
        return torch.softmax(self.layers(x / 16), dim=-1), x.shape[0]


def classifier() -> nn.Module:
    return Classifier()
