"""What of the operator is written in Python: its shape without data, and its gradient."""

import torch


@torch.library.register_fake("decay_ops::decay")
def fake(signal, rate):
    """The output's shape and type, for torch.export and torch.compile."""
    return torch.empty_like(signal, memory_format=torch.contiguous_format)


def keep_rate(ctx, inputs, output):
    """The gradient depends on the rate only."""
    ctx.rate = inputs[1]


def gradient(ctx, grad):
    """The same running sum, from the end to the beginning."""
    return torch.ops.decay_ops.decay(grad.flip(-1), ctx.rate).flip(-1), None


torch.library.register_autograd("decay_ops::decay", gradient, setup_context=keep_rate)
