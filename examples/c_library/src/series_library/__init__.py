"""The package of the library, its header and its model; importing it makes the operator available."""

from . import _torchscript_ops  # noqa: F401
