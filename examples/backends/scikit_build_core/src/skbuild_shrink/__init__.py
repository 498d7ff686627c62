"""The operator ``torch.ops.skbuild_shrink.shrink``."""

from pathlib import Path

import torch

torch.ops.load_library(Path(__file__).parent / "lib" / "libskbuild_shrink.so")

shrink = torch.ops.skbuild_shrink.shrink
