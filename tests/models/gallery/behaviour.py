"""What models do beside computing: quantization, dtypes, state, randomness, autograd, methods, the process."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from gallery.base import Entry


def quietly(convert):
    """torch.ao is on its way out, and says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert()


class dynamic(Entry):
    """Weights of linear and recurrent layers in int8: the class rnn.CellParamsBase."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            out, _ = self.net(x)
            return self.head(out)

    @classmethod
    def make(cls):
        kinds = {nn.LSTM, nn.Linear}
        return quietly(lambda: torch.ao.quantization.quantize_dynamic(cls.Net().eval(), kinds, dtype=torch.qint8))

    @classmethod
    def sets(cls):
        yield (torch.randn(4, 1, 3),)


def statically(engine: str) -> nn.Module:
    """A small network, calibrated and converted for an engine."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
            self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.conv(self.before(x)))
            return self.after(self.head(torch.flatten(x, 1)))

    def convert() -> nn.Module:
        torch.backends.quantized.engine = engine
        net = Net().eval()
        net.qconfig = torch.ao.quantization.get_default_qconfig(engine)
        torch.ao.quantization.prepare(net, inplace=True)
        net(torch.rand(8, 1, 4, 4))
        return torch.ao.quantization.convert(net)

    return quietly(convert)


class static(Entry):
    @classmethod
    def make(cls):
        return statically("fbgemm")

    @classmethod
    def sets(cls):
        yield (torch.rand(2, 1, 4, 4),)


class qnnpack(Entry):
    """The engine is the process's: the app has to switch it, too, for this model."""

    @classmethod
    def make(cls):
        return statically("qnnpack")

    @classmethod
    def sets(cls):
        yield (torch.rand(2, 1, 4, 4),)


class doubles(Entry):
    """The default dtype is the process's; no file carries it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) + torch.ones(3) * torch.rand(3)

    @classmethod
    def make(cls):
        torch.set_default_dtype(torch.float64)
        return cls.Net()

    @classmethod
    def sets(cls):
        yield (torch.arange(6, dtype=torch.float64).reshape(2, 3),)


class tiny(Entry):
    """Numbers too small for full precision are zero, one thread computes them, and determinism is wanted."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x

    @classmethod
    def make(cls):
        torch.set_flush_denormal(True)
        torch.set_num_threads(3)
        torch.use_deterministic_algorithms(True)
        return cls.Net()

    @classmethod
    def sets(cls):
        yield (torch.tensor([1e-310, 1.0], dtype=torch.float64),)


class half(Entry):
    @classmethod
    def make(cls):
        return nn.Linear(4, 3).half()

    @classmethod
    def sets(cls):
        yield (torch.rand(2, 4).half(),)


class bfloat16(Entry):
    @classmethod
    def make(cls):
        return nn.Sequential(nn.Linear(4, 3), nn.SiLU()).bfloat16()

    @classmethod
    def sets(cls):
        yield (torch.rand(2, 4).bfloat16(),)


class images(Entry):
    """Bytes in, floats out."""

    format = 4

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.permute(0, 3, 1, 2).to(torch.float32) / 255 - 0.5) / 0.25

    @classmethod
    def sets(cls):
        yield (torch.randint(0, 256, (1, 4, 4, 3), dtype=torch.uint8),)


class waves(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor):
            f = torch.fft.rfft(x)
            return f, torch.fft.irfft(f * torch.complex(torch.tensor(0.0), torch.tensor(1.0)))

    @classmethod
    def sets(cls):
        yield (torch.randn(2, 8),)


class counter(Entry):
    """State: every call begins with the model as it was saved."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("sum", torch.zeros(3))
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.sum += x
            self.calls += 1
            return self.sum * self.calls

    @classmethod
    def sets(cls):
        yield (torch.rand(3),)
        yield (torch.rand(3),)


class gradients(Entry):
    """Gradients of the weights: they add up, but in each call they begin with none."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            self.net(x).sum().backward()
            gradient = self.net.weight.grad
            assert gradient is not None
            return gradient * 1

    @classmethod
    def sets(cls):
        yield (torch.randn(5, 3),)
        yield (torch.randn(2, 3),)


class noise(Entry):
    """Random numbers, seeded on all sides just before the call."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x + torch.randn_like(x), 0.5, training=True) * torch.rand(1)

    @classmethod
    def sets(cls):
        yield (torch.rand(4),)
        yield (torch.rand(2, 3),)


class forces(Entry):
    """Autograd inside, as molecular models have it."""

    app = "forces"

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3, 1)

        def forward(self, x: Tensor):
            x.requires_grad_(True)
            energy = self.net(x).tanh().sum()
            gradient = torch.autograd.grad([energy], [x])[0]
            assert gradient is not None
            return energy, -gradient

    @classmethod
    def sets(cls):
        yield (torch.randn(5, 3),)
        yield (torch.randn(2, 3),)


class saliency(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.clone().detach().requires_grad_(True)
            (y * y).sum().backward()
            gradient = y.grad
            assert gradient is not None
            return gradient

    @classmethod
    def sets(cls):
        yield (torch.randn(3),)


class methods(Entry):
    """Several methods, and no forward among them."""

    calls = "encode"

    class Net(nn.Module):
        @torch.jit.export
        def encode(self, x: Tensor) -> Tensor:
            return x * 2

        @torch.jit.export
        def decode(self, x: Tensor) -> Tensor:
            return self.encode(x) - 1

    @classmethod
    def sets(cls):
        yield (torch.rand(3),)
        yield (torch.rand(2, 2),)


class function(Entry):
    """A function, scripted by the factory."""

    original = False

    @classmethod
    def make(cls):
        def softplus(x: Tensor, limit: float) -> Tensor:
            return torch.where(x > limit, x, torch.log1p(torch.exp(x)))

        return torch.jit.script(softplus)

    @classmethod
    def sets(cls):
        yield torch.randn(5), 1.0


class traced_function(Entry):
    """A function, to be traced."""

    method = "trace"

    @classmethod
    def make(cls):
        return lambda x: torch.sin(x) + 1

    @classmethod
    def sets(cls):
        yield (torch.rand(3),)
        yield (torch.rand(2, 4),)


class frozen(Entry):
    original = False

    @classmethod
    def make(cls):
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
        return torch.jit.freeze(torch.jit.script(net))

    @classmethod
    def sets(cls):
        yield (torch.rand(1, 1, 5, 5),)
