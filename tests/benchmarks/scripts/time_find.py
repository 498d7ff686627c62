"""Seconds of ``find_libtorch()`` in one process, as JSON: the first call, then further ones."""

import json
import sys
from time import perf_counter

from torchscript_build import find_libtorch

times = []
for _ in range(1 + int(sys.argv[1])):
    before = perf_counter()
    find_libtorch()
    times.append(perf_counter() - before)
print(json.dumps({"first": times[0], "further": times[1:]}))
