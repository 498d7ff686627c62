"""The smallest script that exports the example and calls it once: ``export_resnet18.py SOURCES MODEL``."""

import sys

import torch

sys.path.insert(0, sys.argv[1])

from resnet18_demo.model import resnet18

torch.manual_seed(0)
module = resnet18().eval()
example = torch.ones(1, 3, 224, 224)
traced = torch.jit.trace(module, example)
traced.save(sys.argv[2])
with torch.no_grad():
    print(traced(example).flatten()[:5])
