"""Write the small model that runners and Python load: ``make_model.py FILE``."""

import sys

import torch
from torch import nn


def main() -> None:
    """A scripted network of three linear layers, 16 values to 4."""
    torch.manual_seed(0)
    layers = [nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)]
    torch.jit.script(nn.Sequential(*layers).eval()).save(sys.argv[1])


if __name__ == "__main__":
    main()
