"""Operators of the benchmark."""

from . import _torchscript_ops  # noqa: F401
