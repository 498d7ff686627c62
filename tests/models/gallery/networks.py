"""Networks: vision, language, audio, recurrent nets, and what makes libtorch write each file format."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gallery.base import Entry


class linear(Entry):
    @classmethod
    def make(cls):
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    @classmethod
    def sets(cls):
        yield (torch.rand(1, 4),)
        yield (torch.rand(7, 4),)


class divide(Entry):
    format = 4

    class Net(nn.Module):
        def forward(self, x: Tensor, by: int) -> Tensor:
            return x / by

    @classmethod
    def sets(cls):
        yield torch.rand(3), 2
        yield torch.arange(5), 3


class full(Entry):
    format = 5

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full([2, x.size(0)], 3)

    @classmethod
    def sets(cls):
        yield (torch.rand(3),)


class linspace(Entry):
    format = 8

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.linspace(0, 1, x.size(-1))

    @classmethod
    def sets(cls):
        yield (torch.rand(2, 5),)
        yield (torch.rand(9),)


class logspace(Entry):
    format = 9
    method = "trace"

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.logspace(0, 1, 5)

    @classmethod
    def sets(cls):
        yield (torch.rand(2, 5),)


class feed_forward(Entry):
    """The gelu of every transformer."""

    format = 10

    @classmethod
    def make(cls):
        return nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8), nn.GELU("tanh"))

    @classmethod
    def sets(cls):
        yield (torch.randn(2, 3, 8),)


class attention(Entry):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor):
            return self.attend(x, x, x)

    @classmethod
    def sets(cls):
        yield (torch.randn(1, 4, 8),)
        yield (torch.randn(3, 6, 8),)


class encoder(Entry):
    """A transformer's encoder, traced with one length and run with others."""

    method = "trace"

    @classmethod
    def make(cls):
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    @classmethod
    def sets(cls):
        yield (torch.randn(1, 4, 8),)
        yield (torch.randn(1, 7, 8),)


class causal(Entry):
    class Net(nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    @classmethod
    def sets(cls):
        yield tuple(torch.randn(1, 2, 5, 4) for _ in range(3))


class vision_transformer(Entry):
    method = "trace"

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 16, 8, stride=8)
            self.token = nn.Parameter(torch.zeros(1, 1, 16))
            self.place = nn.Parameter(torch.randn(1, 17, 16))
            layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu", norm_first=True)
            self.encode = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(16, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
            return self.head(self.encode(x)[:, 0])

    @classmethod
    def sets(cls):
        yield (torch.rand(1, 3, 32, 32),)
        yield (torch.rand(3, 3, 32, 32),)


class residual(Entry):
    """A block of a ResNet, batch norms and all."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.norm_one, self.norm_two = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            y = functional.relu(self.norm_one(self.one(x)))
            return functional.relu(x + self.norm_two(self.two(y)))

    @classmethod
    def sets(cls):
        yield (torch.rand(2, 4, 8, 8),)
        yield (torch.rand(1, 4, 5, 9),)


class misc(Entry):
    """Class names that look like operators: ``__torch__.gallery.ops.misc.ConvNormActivation``."""

    @classmethod
    def make(cls):
        from gallery.ops.misc import ConvNormActivation

        return ConvNormActivation(3, 4)

    @classmethod
    def sets(cls):
        yield (torch.rand(1, 3, 6, 6),)


class depthwise(Entry):
    method = "trace"

    @classmethod
    def make(cls):
        parts = (nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Hardswish(), nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1))
        return nn.Sequential(*parts)

    @classmethod
    def sets(cls):
        yield (torch.rand(1, 4, 8, 8),)


class unet(Entry):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up, self.out = (
                nn.Conv2d(1, 4, 3, padding=1),
                nn.ConvTranspose2d(4, 4, 2, 2),
                nn.Conv2d(5, 1, 1),
            )

        def forward(self, x: Tensor) -> Tensor:
            y = functional.max_pool2d(torch.relu(self.down(x)), 2)
            y = functional.interpolate(self.up(y), size=[x.size(2), x.size(3)], mode="bilinear", align_corners=False)
            return self.out(torch.cat([x, y], 1))

    @classmethod
    def sets(cls):
        yield (torch.rand(1, 1, 8, 8),)
        yield (torch.rand(2, 1, 9, 7),)


class grid(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor, theta: Tensor) -> Tensor:
            field = functional.affine_grid(theta, [1, 1, 4, 4], align_corners=False)
            return functional.grid_sample(x, field, align_corners=False)

    @classmethod
    def sets(cls):
        yield torch.rand(1, 1, 6, 6), torch.eye(2, 3).unsqueeze(0)


class lstm(Entry):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True)

        def forward(self, x: Tensor):
            return self.net(x)

    @classmethod
    def sets(cls):
        yield (torch.randn(1, 4, 3),)
        yield (torch.randn(2, 9, 3),)


class gru(Entry):
    method = "trace"

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.GRU(3, 5)

        def forward(self, x: Tensor, h: Tensor):
            return self.net(x, h)

    @classmethod
    def sets(cls):
        yield torch.randn(4, 1, 3), torch.zeros(1, 1, 5)
        yield torch.randn(7, 1, 3), torch.ones(1, 1, 5)


class packed(Entry):
    """Sequences of different lengths, packed inside."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.LSTM(3, 5, batch_first=True)

        def forward(self, x: Tensor, lengths: Tensor):
            sequence = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            out, _ = self.net(sequence)
            return nn.utils.rnn.pad_packed_sequence(out, batch_first=True)

    @classmethod
    def sets(cls):
        yield torch.randn(2, 5, 3), torch.tensor([5, 3])
        yield torch.randn(3, 4, 3), torch.tensor([1, 4, 2])


class cells(Entry):
    """A loop over time in the model's own code."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            state = (torch.zeros(x.size(1), 4), torch.zeros(x.size(1), 4))
            outputs: list[Tensor] = []
            for step in range(x.size(0)):
                state = self.cell(x[step], state)
                outputs.append(state[0])
            return torch.stack(outputs)

    @classmethod
    def sets(cls):
        yield (torch.randn(3, 2, 3),)
        yield (torch.randn(6, 1, 3),)


class boxes(Entry):
    """Detection without a library: boxes are suppressed by a loop."""

    format = 4

    class Net(nn.Module):
        def forward(self, boxes: Tensor, scores: Tensor) -> Tensor:
            order = scores.argsort(descending=True)
            kept: list[int] = []
            while order.numel() > 0:
                best = int(order[0])
                kept.append(best)
                rest = order[1:]
                low, high = (
                    torch.maximum(boxes[best, :2], boxes[rest, :2]),
                    torch.minimum(boxes[best, 2:], boxes[rest, 2:]),
                )
                inner = (high - low).clamp(min=0).prod(1)
                area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
                order = rest[inner / (area[best] + area[rest] - inner) < 0.5]
            return torch.tensor(kept, dtype=torch.int64)  # TorchScript gives an empty list another dtype

    @classmethod
    def sets(cls):
        corners = torch.rand(6, 2)
        yield torch.cat([corners, corners + torch.rand(6, 2)], 1), torch.rand(6)
        yield torch.zeros(0, 4), torch.zeros(0)


class spectrum(Entry):
    """An audio front end: a short-time Fourier transform, and back."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("window", torch.hann_window(16))

        def forward(self, x: Tensor):
            window = self.window
            waves = torch.stft(x, 16, 8, window=window, return_complex=True)
            back = torch.istft(waves, 16, 8, window=window, length=x.size(-1))
            return waves.abs().square().log1p(), waves, back

    @classmethod
    def sets(cls):
        yield (torch.randn(1, 64),)
        yield (torch.randn(2, 100),)


class mel(Entry):
    format = 8

    class Net(nn.Module):
        def forward(self, power: Tensor) -> Tensor:
            bank = torch.linspace(0, 1, 9).unsqueeze(0).expand(4, 9)
            return torch.matmul(bank, power).clamp(min=1e-10).log10()

    @classmethod
    def sets(cls):
        yield (torch.rand(9, 5),)


class embedding(Entry):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.bag = nn.Embedding(10, 4, padding_idx=0), nn.EmbeddingBag(10, 4, mode="mean")

        def forward(self, tokens: Tensor):
            return self.words(tokens), self.bag(tokens)

    @classmethod
    def sets(cls):
        yield (torch.tensor([[1, 2, 0]]),)
        yield (torch.randint(0, 10, (3, 5)),)


class branches(Entry):
    """Scripting keeps what tracing would bake in."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:
                return x * 2
            return x - 1

    @classmethod
    def sets(cls):
        yield (torch.ones(3),)
        yield (-torch.ones(3),)


class sorting(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor):
            values, places = x.topk(2)
            return values, places, torch.unique(x, return_counts=True), x.cumsum(0)

    @classmethod
    def sets(cls):
        yield (torch.tensor([3.0, 1.0, 3.0, 2.0]),)
