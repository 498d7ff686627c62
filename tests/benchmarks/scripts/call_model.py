"""Latency of a model's call in Python, as JSON: ``call_model.py MODEL ROWS COLUMNS WARMUP CALLS MODE``.

The mode is ``inference_mode`` or ``no_grad``.
"""

import json
import sys
from time import perf_counter_ns

import torch


def main() -> None:
    """One thread, as the runner with ``--threads 1``; each call is timed by itself, as the runner does."""
    path, rows, columns, warmup, calls, mode = sys.argv[1:]
    torch.set_num_threads(1)
    module = torch.jit.load(path)
    x = torch.ones(int(rows), int(columns))
    times = []
    with getattr(torch, mode)():
        for _ in range(int(warmup)):
            module(x)
        before = perf_counter_ns()
        for _ in range(int(calls)):
            module(x)
            now = perf_counter_ns()
            times.append(now - before)
            before = now
    times.sort()
    print(json.dumps({"p50": times[(len(times) + 1) // 2 - 1] / 1e6, "mean": sum(times) / len(times) / 1e6}))


if __name__ == "__main__":
    main()
