"""The operator ``torch.ops.meson_shrink.shrink``."""

from pathlib import Path

import torch

torch.ops.load_library(Path(__file__).parent / "lib" / "libmeson_shrink.so")

shrink = torch.ops.meson_shrink.shrink
