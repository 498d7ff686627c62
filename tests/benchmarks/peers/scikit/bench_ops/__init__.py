"""Operators of the benchmark."""

import torch  # noqa: F401

from . import _C  # noqa: F401
