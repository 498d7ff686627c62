"""Operators on series of numbers: ``torch.ops.series_ops.longest_rise``."""

import torch

from . import _torchscript_ops  # noqa: F401


def longest_rise(series: torch.Tensor) -> int:
    """The length of the longest run of rising values."""
    return int(torch.ops.series_ops.longest_rise(series))
