"""The package that the library, its header and its model are installed in; importing it makes the operator available."""

from . import _torchscript_ops  # noqa: F401
