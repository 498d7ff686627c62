"""torch's heaviest headers: which sources do with less of them, and where precompiling one pays.

One operator with ``torch/extension.h`` takes 20 s of CPU time (GCC 12, -O3, torch 2.13), 11 s for Python's part,
``torch::nn``, ``optim``, ``data`` and ``jit``, 2.4 s for operators of ATen that it does not name, 1.3 s for autograd,
0.9 s for x86's intrinsics. What is left takes 5 s, the operator included. A precompiled header without the first takes
21 s and 520 MB to make, and then 3 to 4 s to use, one with Python's part 26 s and 6 s: it pays only where sources need
more than they name.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Optional

from torchscript_build.plan.build_plan import BuildPlan, PlannedOps
from torchscript_build.plan.planned_headers import NamedParts, PlannedHeaders
from torchscript_build.records import dataclass

UMBRELLAS: Mapping[str, str] = {
    "torch/extension.h": "28 s and 1.6 GB a file; torch/library.h and the ATen/ops headers that are used take 8 s",
    "torch/torch.h": "22 s and 1.4 GB a file; torch/library.h and the ATen/ops headers that are used take 8 s",
    "torch/all.h": "22 s and 1.4 GB a file; torch/library.h and the ATen/ops headers that are used take 8 s",
    "torch/script.h": "12 s and 1.4 GB a file; torch/library.h and the ATen/ops headers that are used take 8 s",
    "torch/types.h": "8 s and 0.8 GB a file; torch/library.h and the ATen/ops headers that are used take 6 s",
    "ATen/ATen.h": "8 s and 0.8 GB a file; torch/library.h and the ATen/ops headers that are used take 6 s",
}
"""The headers that have a lean form in templates/ops, themselves or in what they include, and what they cost whole: CPU
time and memory of one operator (GCC 12, -O2, torch 2.13)."""

PRECOMPILABLE = (*UMBRELLAS, "torch/library.h")

LEAN_RELEASES = ((2, 1), (2, 16))
"""The releases that the lean forms are known to fit: from, and up to but not including."""

FILES_PER_PROCESSOR = 5
"""From how many files for each processor on, which need more than they name, a precompiled header is faster, the time
to make it counted."""

_MISSING = re.compile(
    r"\berror\b.*(not a member|no member|not (been )?declared|undeclared|does not name|unknown type|incomplete type"
    r"|no matching|No such file)"
)
"""What GCC, Clang and Microsoft's compiler say where a name is missing."""
_FAILED = re.compile(r"^FAILED: .*?([^/\\\s]+)\.(?:o|obj)\b|([^/\\\s]+)\.o\] Error", re.MULTILINE)
"""The source in what Ninja and make say of a compilation that failed."""


@dataclass(frozen=True)
class HeaderUse:
    """What one source includes of torch's heavy headers."""

    header: Optional[str] = None
    """The one of ``PRECOMPILABLE`` that comes first, if nothing before it could change what it means."""
    umbrella: Optional[str] = None
    """The one of ``UMBRELLAS`` that it includes."""
    lean: bool = False
    """It names nothing that the lean form of that lacks."""
    python: bool = False
    """It names something of Python's."""
    named: Optional[NamedParts] = None
    """What it names of ATen, where its words tell."""


def plan_headers(
    uses: Mapping[str, HeaderUse], sources: Sequence[str], *, precompile: Optional[int], is_module: bool = False
) -> PlannedHeaders:
    """The decision for one library; a precompiled header means the same in all sources that share it.

    Without torch's casters, pybind would compile a module that takes no tensor. So a source gets Python's part where
    it, or what it includes, names something of Python's, and elsewhere Python's own header is out of its reach: what
    that judgement from text overlooks is no module that fails when it is called, but a compilation that fails, and is
    done again with the whole header. A precompiled header cannot forbid anything to a single source, so that there all
    of a module's sources get it.

    :param precompile: how many sources that need more than they name must share a header for it to be precompiled;
        ``None``: never.
    """
    counts = Counter(use.header for use in uses.values() if use.header)
    header = min(counts, key=lambda h: (-counts[h], h)) if counts else None
    in_need = sum(use.header == header and use.named is None for use in uses.values())
    if header is None or precompile is None or in_need < precompile:
        lean = tuple(s for s, use in uses.items() if use.lean)
        return PlannedHeaders(
            lean=lean,
            python=tuple(s for s in lean if uses[s].python),
            named=tuple((s, named) for s in lean if (named := uses[s].named)),
            heavy=tuple((s, use.umbrella) for s, use in uses.items() if use.umbrella),
        )
    sharing = tuple(s for s, use in uses.items() if use.header == header)
    all_lean = all(uses[s].lean for s in sharing)
    python = sharing if is_module or any(uses[s].python for s in sharing) else ()
    return PlannedHeaders(
        lean=sharing if all_lean else (),
        python=python if all_lean else (),
        precompiled=header,
        without_precompiled=tuple(s for s in sources if s not in sharing),
    )


def with_whole_headers(plan: BuildPlan, output: str) -> Optional[BuildPlan]:
    """After a failed build: the plan with torch's whole headers for the sources that a name was missing in.

    :param output: what the build tool printed.
    :returns: ``None`` where the lean headers cannot be the reason.
    """
    if not _MISSING.search(output):
        return None
    failed = {match[1] or match[2] for match in _FAILED.finditer(output)}

    def replaced(ops: PlannedOps) -> PlannedOps:
        headers = ops.headers
        whole = {s for s in headers.lean if os.path.basename(s) in failed}
        if whole and headers.precompiled:
            whole = set(headers.lean)
        lean, python = (tuple(s for s in part if s not in whole) for part in (headers.lean, headers.python))
        named = tuple(pair for pair in headers.named if pair[0] not in whole)
        return dataclasses.replace(ops, headers=dataclasses.replace(headers, lean=lean, python=python, named=named))

    changed = dataclasses.replace(plan, ops=tuple(map(replaced, plan.ops)))
    return None if changed == plan else changed
