"""A scripted model with two methods, a custom operator and nested results."""

import torch
from torch import nn

import series_library  # noqa: F401


class Trend(nn.Module):
    """Scales series, and tells in words how often each rises."""

    def forward(self, series: torch.Tensor, scale: float) -> dict[str, torch.Tensor]:
        return {"scaled": series * scale, "mean": series.mean(dim=1)}

    @torch.jit.export
    def describe(self, series: torch.Tensor, names: list[str]) -> tuple[str, list[int]]:
        rises: list[int] = torch.ops.series_ops.rises(series).tolist()
        words = [f"{name} rises {count} times" for name, count in zip(names, rises)]
        return ", ".join(words), rises


def trend() -> nn.Module:
    """The model that pyproject.toml names."""
    return Trend()


def series_with_names() -> "list[tuple[torch.Tensor, list[str]]]":
    """Inputs of ``describe`` for the comparison."""
    return [(torch.tensor([[1.0, 2.0, 3.0], [4.0, 2.0, 6.0]]), ["a", "b"])]
