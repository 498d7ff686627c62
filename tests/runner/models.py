"""Models for the runner's tests. TorchScript compiles this source, so it stays an ordinary module."""

# No "from __future__ import annotations": TorchScript reads the annotations of NamedTuple fields.
from pathlib import Path
from typing import NamedTuple, Optional

import torch


class Linear(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.register_buffer("count", torch.zeros(4, dtype=torch.int64))
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
            self.linear.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class Echo(torch.nn.Module):
    """Each method returns what it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def plain(
        self, i: int = 1, f: float = 2.5, b: bool = False, s: str = "hi", n: Optional[int] = None
    ) -> tuple[int, float, bool, str, Optional[int]]:
        return i, f, b, s, n

    @torch.jit.export
    def ints(self, values: list[int]) -> list[int]:
        return values

    @torch.jit.export
    def floats(self, values: list[float]) -> list[float]:
        return values

    @torch.jit.export
    def strings(self, values: list[str]) -> list[str]:
        return values

    @torch.jit.export
    def tensors(self, values: list[torch.Tensor], scale: float = 1.0) -> list[torch.Tensor]:
        return [value * scale for value in values]

    @torch.jit.export
    def same(self, values: list[torch.Tensor]) -> list[torch.Tensor]:
        return values

    @torch.jit.export
    def mapping(self, values: dict[str, float]) -> dict[str, float]:
        return values

    @torch.jit.export
    def pair(self, values: tuple[int, torch.Tensor]) -> tuple[int, torch.Tensor]:
        return values


class Point(NamedTuple):
    x: torch.Tensor
    label: str


class Nested(torch.nn.Module):
    def forward(
        self, x: torch.Tensor
    ) -> tuple[torch.Tensor, list[int], dict[str, torch.Tensor], Point, Optional[int], str]:
        return x, [1, 2, 3], {"boxes": x * 2}, Point(x + 1, "a"), None, "h\u00e9\n"


class Sum(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return (x + y) * scale


class Raises(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.numel() > 0:
            raise ValueError("this model never works")
        return x


class Prints(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("hello from the model")
        return x


class Training(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> bool:
        return self.training


class Grad(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> bool:
        return torch.is_grad_enabled()


def save_all(folder: Path) -> None:
    for model in (Linear(), Echo(), Nested(), Sum(), Raises(), Prints(), Training(), Grad()):
        name = type(model).__name__.lower()
        torch.jit.save(torch.jit.script(model), folder / f"{name}.pt", _extra_files={"labels.txt": b"cat"})
