"""What the sources of a library get in the place of torch's heavy headers: plain data of the plan."""

from __future__ import annotations

from typing import Optional

from torchscript_build.records import dataclass

LEFT_OUT = ("autograd", "factories", "intrinsics", "profiler", "variables")
"""The parts that a folder templates/ops/lean_without_… stands for."""


@dataclass(frozen=True)
class NamedParts:
    """What one source names of the parts that lean headers can still leave out."""

    operators: tuple[str, ...] = ()
    """The headers of ATen's operators, by their names: ``zeros`` for ``ATen/ops/zeros.h``."""
    without: tuple[str, ...] = ()
    """Those of ``LEFT_OUT`` that it does not name."""


@dataclass(frozen=True)
class PlannedHeaders:
    """What the sources of a library get in the place of torch's heavy headers."""

    lean: tuple[str, ...] = ()
    """Sources that get the lean ``torch/extension.h``."""
    python: tuple[str, ...] = ()
    """Those of them that get Python's part of it."""
    named: tuple[tuple[str, NamedParts], ...] = ()
    """Those of them that get no more of ATen than they name."""
    precompiled: Optional[str] = None
    """The header that is compiled once for all sources that begin with it."""
    without_precompiled: tuple[str, ...] = ()
    """The other sources, where there is one."""
    heavy: tuple[tuple[str, str], ...] = ()
    """Pairs (source, header) of those that include a heavy header, lean or not."""
