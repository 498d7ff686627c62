"""Reads what TorchScript's printer wrote: which operators and custom classes a model's code names, and which devices.

The printer's language is Python's without comments. An operator outside of aten is a chain of names that begins with
``ops`` (``ops.my_ops.warp(x)``), and no variable can be called so: the printer renames it. A custom class is the chain
``__torch__.torch.classes.my_ops.Stack``; other chains below ``__torch__`` are classes of the model, whatever they are
called. Source: ``torch/csrc/jit/serialization/python_print.cpp`` (``reserved_names``) and real files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchscript_build.records import dataclass

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | (?P<chain>[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*)
    | (?P<member>\.\s*[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*)
    | (?P<number>\d[\w.]*)""",
    re.DOTALL | re.VERBOSE,
)
_CUSTOM_CLASS = ("__torch__", "torch", "classes")
_TORCHS_OWN = ("aten", "prim")
_AUTOGRAD = (("torch", "autograd"), ("ops", "aten", "grad"), ("ops", "aten", "backward"))


@dataclass(frozen=True)
class NamedDevice:
    """A device that stands in the code as a constant: tracing puts it there."""

    device: str
    """``"cuda:0"``."""
    line: int
    """In its file, from 1."""
    text: str
    """The line, without the spaces around it."""


@dataclass(frozen=True)
class NamedInCode:
    """What one file of code names."""

    operators: frozenset[str] = frozenset()
    """Operators outside of aten and prim: ``"my_ops::warp"``."""
    classes: frozenset[str] = frozenset()
    """Custom classes: ``"my_ops::Stack"``."""
    devices: tuple[NamedDevice, ...] = ()
    uses_autograd: bool = False
    """Does it call ``torch.autograd.grad`` or ``backward``?"""


def parse_code(text: str) -> NamedInCode:
    """What a file of an archive's ``code`` folder names."""
    operators: set[str] = set()
    classes: set[str] = set()
    devices: list[NamedDevice] = []
    uses_autograd = False
    after_device = False
    for kind, word, at in _tokens(text):
        if kind == "string":
            if after_device:
                devices.append(_device(text, at, word[1:-1]))
            after_device = False
            continue
        chain = tuple(part.strip() for part in word.split(".")) if kind == "chain" else ()
        after_device = chain == ("torch", "device")
        if len(chain) >= 3 and chain[0] == "ops" and chain[1] not in _TORCHS_OWN:
            operators.add(f"{chain[1]}::{chain[2]}")
        elif chain[:3] == _CUSTOM_CLASS and len(chain) >= 5:
            classes.add(f"{chain[3]}::{chain[4]}")
        uses_autograd = uses_autograd or any(chain[: len(call)] == call for call in _AUTOGRAD)
    return NamedInCode(frozenset(operators), frozenset(classes), tuple(devices), uses_autograd)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Kind, words and place of each string, chain of names, member of an expression, and number."""
    for match in _TOKEN.finditer(text):
        yield match.lastgroup or "", match[0], match.start()


def _device(text: str, at: int, device: str) -> NamedDevice:
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    return NamedDevice(device, text.count("\n", 0, at) + 1, text[begin : end if end >= 0 else None].strip())
