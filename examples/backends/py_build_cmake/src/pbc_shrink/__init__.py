"""The operator ``torch.ops.pbc_shrink.shrink``."""

from pathlib import Path

import torch

torch.ops.load_library(Path(__file__).parent / "lib" / "libpbc_shrink.so")

shrink = torch.ops.pbc_shrink.shrink
