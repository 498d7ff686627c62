"""Use the library of eight sources, and print what comes out: ``check_ops.py FOLDER``, in which its package lies."""

import sys

import torch

sys.path.insert(0, sys.argv[1])
import bench_ops._C

x = torch.arange(12, dtype=torch.float32).reshape(3, 4)
ops = torch.ops.bench_ops
outputs = [
    ops.gelu_gate(x, x),
    ops.soft_clamp(x, 0.0, 5.0),
    ops.box_iou(x, x + 1),
    ops.nms(x, x[:, 0], 0.5),
    ops.shear(x, 0.5),
    ops.focal_loss(x, (x > 4).float(), 2.0, 0.25),
    ops.dice_loss(x, x),
    ops.rms_norm(x, x[0], 1e-5),
    ops.group_scale(x, 2, 1e-5),
    ops.masked_mean(x, x > 4, 1),
    ops.top_mean(x, 2),
    ops.pad_sequences([x[0], x[1, :2]], -1.0),
    ops.segment_sum(x, torch.tensor([0, 1, 0]), 2),
    bench_ops._C.stack_rows([x[0], x[1]], 3),
]
print(bench_ops._C.describe(x), *(float(output.sum()) for output in outputs))
