"""Running statistics; importing the package makes ``torch.classes.running_stats.RunningStats`` available."""

from . import _torchscript_ops  # noqa: F401
