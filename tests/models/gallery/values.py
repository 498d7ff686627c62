"""Every kind of value, in and out."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Any, Dict, List, NamedTuple, Optional, Tuple  # noqa: UP035 - TorchScript reads them

import torch
from torch import Tensor, nn
from torch.jit import Future
from torch.nn.utils.rnn import PackedSequence

from gallery.base import Entry


class dicts_by_trace(Entry):
    """A mapping as output of a traced model, as every Hugging Face model has it."""

    method = "trace"

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3, 2)

        def forward(self, x: Tensor):
            return OrderedDict(logits=self.net(x), hidden=x + 1)

    @classmethod
    def sets(cls):
        yield (torch.rand(1, 3),)
        yield (torch.rand(4, 3),)


class nested(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Dict[str, List[Tuple[Tensor, int]]]:  # noqa: UP006
            none: List[Tuple[Tensor, int]] = []  # noqa: UP006
            return {"a": [(x, 1), (x + 1, 2)], "b": none}

    @classmethod
    def sets(cls):
        yield (torch.rand(2),)


class Prediction(NamedTuple):
    label: int
    score: Tensor


class named(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Prediction:
            return Prediction(int(x.argmax()), x.softmax(0))

    @classmethod
    def sets(cls):
        yield (torch.rand(4),)


class named_in(Entry):
    class Net(nn.Module):
        def forward(self, given: Prediction) -> Tensor:
            return given.score * given.label

    @classmethod
    def sets(cls):
        yield (Prediction(3, torch.rand(4)),)


class Colour(Enum):
    RED = 1
    GREEN = 2


class members(Entry):
    """Members of an enum, in and out; Python shows them only where the class has been compiled."""

    class Net(nn.Module):
        def forward(self, colour: Colour, other: Optional[Colour]) -> Tuple[Colour, List[Colour], bool]:  # noqa: UP006
            return colour, [colour, Colour.RED], other is None

    @classmethod
    def sets(cls):
        yield Colour.GREEN, None
        yield Colour.RED, Colour.GREEN


@torch.jit.script
class Counter:
    def __init__(self, count: int):
        self.count = count
        self.names = ["a"]


class scripted_class(Entry):
    class Net(nn.Module):
        def forward(self, given: Counter) -> Counter:
            return Counter(given.count + 1)

    @classmethod
    def sets(cls):
        yield (Counter(3),)


class sequences(Entry):
    """A PackedSequence, in and out."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.GRU(3, 4)

        def forward(self, given: PackedSequence) -> Tuple[PackedSequence, Tensor]:  # noqa: UP006
            return self.net(given)

    @classmethod
    def sets(cls):
        yield (nn.utils.rnn.pack_sequence([torch.rand(4, 3), torch.rand(2, 3)]),)


class futures(Entry):
    class Net(nn.Module):
        def twice(self, x: Tensor) -> Tensor:
            return x * 2

        def forward(self, xs: List[Tensor]) -> List[Future[Tensor]]:  # noqa: UP006
            return [torch.jit.fork(self.twice, x) for x in xs]

    @classmethod
    def sets(cls):
        yield ([torch.rand(2), torch.rand(3)],)


class optional(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor, mask: Optional[Tensor] = None, scale: float = 2.0) -> Optional[Tensor]:
            if mask is None:
                return None
            return x * mask * scale

    @classmethod
    def sets(cls):
        yield (torch.rand(2), None)
        yield (torch.rand(2), torch.ones(2))
        yield (torch.rand(2), torch.ones(2), 0.5)


class containers(Entry):
    class Net(nn.Module):
        def forward(self, xs: List[Tensor], by: Dict[str, float], pair: Tuple[int, str]):  # noqa: UP006
            total = torch.zeros(2)
            for x in xs:
                total = total + x * by["a"]
            return total, pair[0] + 1, pair[1] + "!", sorted(by.keys())

    @classmethod
    def sets(cls):
        yield [torch.rand(2), torch.rand(2)], {"a": 2.0, "b": 1.0}, (3, "größe ✓")
        yield [torch.rand(2)], {"a": 1.0}, (-1, "")


class scalars(Entry):
    class Net(nn.Module):
        def forward(self, i: int, f: float, b: bool, s: str):
            return i * 2, f / 2, not b, s.upper(), None

    @classmethod
    def sets(cls):
        yield 3, 1.5, True, "abc"
        yield -(2**40), float("inf"), False, "tab\tnew\nline"


class many_dtypes(Entry):
    class Net(nn.Module):
        def forward(self, x: Tensor):
            return x.to(torch.float64), x.to(torch.int8), x.to(torch.int16), x > 0.5, x.to(torch.uint8), x.long()

    @classmethod
    def sets(cls):
        yield (torch.rand(3) * 9,)
        yield (torch.rand(0),)


class anything(Entry):
    """An ``Any`` argument: the type is what Python finds."""

    class Net(nn.Module):
        def forward(self, x: Any) -> str:
            if isinstance(x, int):
                return "int"
            if isinstance(x, str):
                return "str"
            if isinstance(x, Tensor):
                return "Tensor"
            return "else"

    @classmethod
    def sets(cls):
        yield (1,)
        yield ("a",)
        yield (torch.ones(1),)
