"""A running sum that forgets; importing the package makes ``torch.ops.decay_ops.decay`` available."""

from . import _torchscript_ops  # noqa: F401
