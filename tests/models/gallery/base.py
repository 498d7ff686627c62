"""What an entry of the gallery is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch

ENTRIES: list[type[Entry]] = []
"""All of them, in the order in which they stand in the sources."""


class Entry:
    """One model: its name is the class's, its factory ``make``, its inputs ``sets``."""

    method: ClassVar[str] = "script"
    """How it is exported."""
    format: ClassVar[int] = 3
    """The archive's file format that torch 2.13 writes for it."""
    settings: ClassVar[dict[str, Any]] = {}
    """Further settings of the model."""
    app: ClassVar[str] = "gallery"
    """The app that carries it."""
    calls: ClassVar[str] = ""
    """The method that is called, where it is not ``forward``."""
    original: ClassVar[bool] = True
    """Is there an original to compare the exported model with?"""

    def __init_subclass__(cls) -> None:
        ENTRIES.append(cls)

    @classmethod
    def make(cls) -> Any:
        """The factory; by default the nested class ``Net`` without arguments."""
        return cls.Net()  # type: ignore[attr-defined]

    @classmethod
    def sets(cls) -> Iterator[tuple[Any, ...]]:
        """Sets of inputs, the first of which serves for tracing, too."""
        raise NotImplementedError

    @classmethod
    def example(cls) -> tuple[Any, ...]:
        torch.manual_seed(1)
        return next(iter(cls.sets()))
