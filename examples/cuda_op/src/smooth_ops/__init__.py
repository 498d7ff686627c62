"""Signal operators; importing the package makes ``torch.ops.smooth_ops.moving_average`` available."""

from . import _torchscript_ops  # noqa: F401
