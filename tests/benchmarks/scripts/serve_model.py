"""One of several Python processes that call a model at the same time: ``serve_model.py MODEL CALLS``, as JSON.

It warms up, says so, waits for a line, and then calls; so all of them call at the same time.
"""

import json
import sys
from time import perf_counter

import torch

torch.set_num_threads(1)
module = torch.jit.load(sys.argv[1])
image = torch.ones(1, 3, 224, 224)
with torch.inference_mode():
    for _ in range(3):
        module(image)
    print("ready", flush=True)
    sys.stdin.readline()
    before = perf_counter()
    for _ in range(int(sys.argv[2])):
        module(image)
print(json.dumps({"seconds": perf_counter() - before}))
