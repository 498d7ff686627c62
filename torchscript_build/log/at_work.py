"""What a build tool does now, in the present tense: Ninja's and Make's words for its edges, as ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PRESENT = {"Building": "compiling", "Linking": "linking", "Generating": "generating"}
_SECONDS = len(" … 10000 s")


def running(ahead: Sequence[str], jobs: int) -> list[str]:
    """Which of the edges ahead run now, in Ninja's order of beginning them.

    A link waits for what it links; where more than one edge runs, it is therefore told only as the oldest of them.
    """
    return [edge for number, edge in enumerate(ahead) if number == 0 or not edge.startswith("Linking ")][:jobs]


def doing(edges: Sequence[str], count: str, width: int) -> str:
    """``compiling [2/5] ops.cpp, runtime.cpp``: as many names as fit, of those that are left out their number.

    :param width: of the line, on which the seconds will follow.
    """
    whole = [_told(edges, notes=notes) for notes in (True, False)]
    parts = [[f"{verbs[0]} [{count}] {names[0]}", *_others(verbs, names)] for verbs, names in whole]
    lines = [", ".join(told) for told in parts]
    lines += [", ".join([*parts[1][:kept], f"+{len(edges) - kept}"]) for kept in range(len(edges) - 1, 0, -1)]
    return next((line for line in lines if len(line) + _SECONDS < width), lines[-1])


def _told(edges: Sequence[str], *, notes: bool) -> tuple[list[str], list[str]]:
    """The verbs of edges and what they are about."""
    verbs, names = [], []
    for edge in edges:
        verb, _, rest = edge.partition(" ")
        name = re.sub(r"\.(?:o|obj)$", "", rest.rpartition(" ")[2].rpartition("/")[2])
        is_runner = notes and re.search(r"/ts_runner\w*\.dir/", rest)
        verbs.append(_PRESENT.get(verb, "making"))
        names.append(f"{name} (runner, once for this libtorch)" if is_runner else name)
    return verbs, names


def _others(verbs: Sequence[str], names: Sequence[str]) -> list[str]:
    """All but the first, each with its verb where it is another than before."""
    rows = zip(verbs, verbs[1:], names[1:])
    return [name if verb == before else f"{verb} {name}" for before, verb, name in rows]
