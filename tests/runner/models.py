"""Models for the runner's tests. TorchScript compiles this source, so it stays an ordinary module."""

# No "from __future__ import annotations": TorchScript reads the annotations of NamedTuple fields.
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

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


class Color(Enum):
    RED = 1
    BLUE = 2


class Mode(Enum):
    FAST = "f"
    SAFE = "s"


@torch.jit.script
class Box:
    def __init__(self, size: int, corner: torch.Tensor) -> None:
        self.size = size
        self.corner = corner


class Kinds(torch.nn.Module):
    """Each method returns what it is given, or says what it has got."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def anything(self, x: Any) -> Any:
        return x

    @torch.jit.export
    def name(self, x: Any) -> str:
        if isinstance(x, list[int]):
            return "list[int]"
        if isinstance(x, list[float]):
            return "list[float]"
        if isinstance(x, list[Optional[int]]):
            return "list[Optional[int]]"
        if isinstance(x, list[list[int]]):
            return "list[list[int]]"
        if isinstance(x, list[torch.Tensor]):
            return "list[Tensor]"
        if isinstance(x, dict[str, int]):
            return "dict[str, int]"
        if isinstance(x, dict[str, list[float]]):
            return "dict[str, list[float]]"
        if isinstance(x, tuple[int, str]):
            return "tuple[int, str]"
        return "something else"

    @torch.jit.export
    def an_int(self, x: int) -> int:
        return x

    @torch.jit.export
    def a_float(self, x: float) -> float:
        return x

    @torch.jit.export
    def a_bool(self, x: bool) -> bool:
        return x

    @torch.jit.export
    def a_complex(self, x: complex) -> complex:
        return x

    @torch.jit.export
    def a_string(self, x: str) -> str:
        return x

    @torch.jit.export
    def a_device(self, x: torch.device) -> torch.device:
        return x

    @torch.jit.export
    def ints(self, x: list[int]) -> list[int]:
        return x

    @torch.jit.export
    def a_list(self, x: list[Any]) -> list[Any]:
        return x

    @torch.jit.export
    def a_union(self, x: Union[float, str, list[int]]) -> Union[float, str, list[int]]:
        return x

    @torch.jit.export
    def optional(self, x: Optional[dict[str, list[float]]]) -> Optional[dict[str, list[float]]]:
        return x

    @torch.jit.export
    def a_tuple(self, x: tuple[int, float]) -> tuple[int, float]:
        return x

    @torch.jit.export
    def point(self, x: Point) -> Point:
        return x

    @torch.jit.export
    def points(self, x: dict[str, Point]) -> dict[str, Point]:
        return x

    @torch.jit.export
    def color(self, x: Color) -> Color:
        return x

    @torch.jit.export
    def mode(self, x: Mode) -> Mode:
        return x

    @torch.jit.export
    def box(self, x: Box) -> Box:
        return x

    @torch.jit.export
    def future(self, x: torch.jit.Future[int]) -> int:
        return torch.jit.wait(x) + 1

    @torch.jit.export
    def of_dtype(self, x: int) -> torch.Tensor:
        return torch.ones(2, dtype=x)


class Forces(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_(True)
        force = torch.autograd.grad([(x**3).sum()], [x])[0]
        assert force is not None
        return force


class Stateful(torch.nn.Module):
    seen: list[torch.Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.seen = []
        self.total = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        if len(self.seen) > 3:
            self.seen.pop(0)
        self.total = self.total + torch.stack(self.seen).sum()
        return self.total


class Default(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros([2]) + torch.rand([1]) * 0


class Process(torch.nn.Module):
    """What the process makes of the smallest numbers, and an operator that is not deterministic."""

    def forward(self, x: torch.Tensor):
        return torch.zeros([1]), x + x, x.put(torch.tensor([0]), x[:1])


class Random(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class OnCuda(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.zeros([1], device="cuda:0")


def save_all(folder: Path) -> None:
    for model in (Linear(), Echo(), Nested(), Sum(), Raises(), Prints(), Training(), Grad(), Kinds()):
        _save(model, folder)
    for model in (Forces(), Stateful(), Default(), Process(), Random(), OnCuda()):
        _save(model, folder)


def _save(model: torch.nn.Module, folder: Path) -> None:
    name = type(model).__name__.lower()
    torch.jit.save(torch.jit.script(model), folder / f"{name}.pt", _extra_files={"labels.txt": b"cat"})
