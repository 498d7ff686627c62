"""Image operators; importing the package makes ``torch.ops.warp_ops.shear`` available."""

from . import _torchscript_ops  # noqa: F401
