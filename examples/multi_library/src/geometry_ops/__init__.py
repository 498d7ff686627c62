"""Operators on points; importing the package makes ``torch.ops.geometry`` available."""

from . import _torchscript_ops  # noqa: F401
