"""What a runner does, in Python: ``run_model.py MODEL ROWS COLUMNS``."""

import sys

import torch

module = torch.jit.load(sys.argv[1])
with torch.no_grad():
    output = module(torch.ones(int(sys.argv[2]), int(sys.argv[3])))
print(output.flatten()[:5], flush=True)
