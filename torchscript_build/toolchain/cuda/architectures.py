"""For which CUDA architectures is compiled: what was asked for, else what libtorch itself was built for; pure.

The build machine's GPU decides nothing, unless somebody asks for ``native``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from torchscript_build.errors import SettingsError, ToolNotFoundError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.records import dataclass
from torchscript_build.system import Environment
from torchscript_build.toolchain.cuda.read import CudaToolkit
from torchscript_build.toolchain.cuda.tables import NAMED_ARCHITECTURES

VARIABLE = "TORCH_CUDA_ARCH_LIST"
CONDA_VARIABLE = "CF_TORCH_CUDA_ARCH_LIST"
"""What the activation of conda-forge's CUDA libtorch sets; a recipe is expected to copy it."""
SETTING = "cuda-architectures"
WORDS = ("all", "all-major", "native")


@dataclass(frozen=True)
class ArchitecturePlan:
    """For which architectures is compiled, and why."""

    cmake: tuple[str, ...]
    """CMake's ``CUDA_ARCHITECTURES``: ``"80-real"`` is code for 8.0, ``"90-virtual"`` PTX, ``"90"`` both."""
    source: str
    """Who said so."""
    notes: tuple[str, ...] = ()


class _Item(NamedTuple):
    """One architecture."""

    number: str
    """With its suffix: ``"90a"``."""
    real: bool
    ptx: bool


def plan_architectures(
    asked: Optional[str], environment: Environment, libtorch: LibTorch, toolkit: CudaToolkit
) -> ArchitecturePlan:
    """The architectures to compile for.

    Order: ``TORCH_CUDA_ARCH_LIST``; in a conda build ``CF_TORCH_CUDA_ARCH_LIST``; ``asked``; libtorch's own list. What
    somebody asked for must be known to nvcc; of libtorch's list, what nvcc does not know is left out with a note.

    :param asked: the setting: ``"8.0;9.0+PTX"``, names (``"Ampere"``), ``"all"``, ``"all-major"`` or ``"native"``.
    :raises SettingsError: the list means nothing or asks for what nvcc does not know; with every problem.
    :raises ToolNotFoundError: nothing is left of libtorch's list.
    """
    text, source = _asked_text(asked, environment)
    if text is None:
        return _from_libtorch(libtorch, toolkit)
    words = [w for w in re.split(r"[;,\s]+", text) if w]
    if len(words) == 1 and words[0].lower() in WORDS:
        return ArchitecturePlan(_word(words[0].lower(), toolkit, source), source)
    problems: list[str] = []
    items = [item for word in words for item in _parse(word, source, problems)]
    problems += _unknown(items, source, toolkit)
    if not items and not problems:
        problems.append(f"{source}: names no architecture")
    if problems:
        raise SettingsError(problems)
    return ArchitecturePlan(_render(items), source)


def _asked_text(asked: Optional[str], environment: Environment) -> tuple[Optional[str], str]:
    listed = environment.get(VARIABLE)
    if listed is not None:
        return listed, VARIABLE
    if environment.get("CONDA_BUILD") == "1" and CONDA_VARIABLE in environment.variables:
        copied = environment.variables[CONDA_VARIABLE]
        if not copied.strip():
            problem = (
                f"{CONDA_VARIABLE}: is empty in this conda build, though libtorch's CUDA package sets it; "
                f"set {VARIABLE} in the recipe, or require libtorch's CUDA variant in host"
            )
            raise SettingsError([problem])
        return copied, CONDA_VARIABLE
    return asked, SETTING


def _word(word: str, toolkit: CudaToolkit, source: str) -> tuple[str, ...]:
    """``all`` and ``all-major`` written out by what nvcc says, ``native`` as CMake's own word (3.24)."""
    if word == "native":
        return ("native",)
    known = toolkit.architectures
    if not known:
        raise SettingsError(
            [f"{source}: {word!r} cannot be written out: nvcc {toolkit.release} tells no architectures"]
        )
    if word == "all-major":
        known = tuple(a for a in known if a.endswith("0") or a == toolkit.architectures[0])
    return _render([_Item(a, True, a == known[-1]) for a in known])


def _parse(word: str, source: str, problems: list[str]) -> Iterator[_Item]:
    """One word of a list: a compute capability or a name, each with ``+PTX`` or without."""
    match = re.fullmatch(r"(\d{1,2})\.(\d)([af]?)(\+PTX)?", word, re.IGNORECASE)
    if match:
        yield _Item(f"{match[1]}{match[2]}{match[3].lower()}", True, match[4] is not None)
        return
    names = {name.lower(): text for name, text in NAMED_ARCHITECTURES.items()}
    bare = word[: -len("+PTX")] if word.upper().endswith("+PTX") else word
    text = names.get(word.lower()) or names.get(bare.lower())
    if text is not None:
        for one in text.split(";"):
            yield from _parse(one, source, problems)
        return
    number = re.fullmatch(r"(?:sm_|compute_)?(\d{1,2})(\d)([af]?)(?:-real|-virtual)?", word)
    if number:
        hint = f"; did you mean {number[1]}.{number[2]}{number[3]}?"
    elif word.lower() in WORDS:
        hint = "; it stands alone"
    else:
        close = difflib.get_close_matches(word, [*NAMED_ARCHITECTURES, *WORDS], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
    problems.append(f"{source}: {word!r} is no compute capability (8.6, 9.0+PTX) and no name (Ampere){hint}")


def _unknown(items: Sequence[_Item], source: str, toolkit: CudaToolkit) -> Iterator[str]:
    known = toolkit.architectures
    for item in items if known else ():
        base = item.number.rstrip("af")
        if base in known:
            continue
        nearest = min(known, key=lambda a: (abs(int(a) - int(base)), -int(a)))
        what = "dropped" if int(base) < int(known[0]) else "does not know"
        yet = " yet" if int(base) > int(known[-1]) else ""
        yield (
            f"{source}: nvcc {toolkit.release} {what} {_dotted(base)}{yet}; it knows {_dotted(known[0])} to "
            f"{_dotted(known[-1])}, the nearest is {_dotted(nearest)}"
        )


def _from_libtorch(libtorch: LibTorch, toolkit: CudaToolkit) -> ArchitecturePlan:
    source = libtorch.witnesses.get("cuda_architectures", f"libtorch {libtorch.full_version}")
    if not libtorch.cuda_architectures:
        raise ToolNotFoundError(
            f"libtorch {libtorch.full_version} in {libtorch.root} does not tell its CUDA architectures",
            cures=[f"set {VARIABLE}, for example to '8.0;9.0+PTX'", f"set {SETTING} in the settings"],
        )
    items: list[_Item] = []
    left_out: list[_Item] = []
    for text in libtorch.cuda_architectures:
        number, _, ptx = text.partition("+")
        item = _Item(number, not ptx, bool(ptx))
        kept = not toolkit.architectures or number.rstrip("af") in toolkit.architectures
        (items if kept else left_out).append(item)
    if not items:
        known = toolkit.architectures
        raise ToolNotFoundError(
            f"nvcc {toolkit.release} knows none of the architectures of libtorch {libtorch.full_version} "
            f"({', '.join(_dotted(i.number) for i in left_out)}); it knows {_dotted(known[0])} to {_dotted(known[-1])}",
            cures=[
                f"use a CUDA {libtorch.cuda_version or ''} toolkit, with which libtorch was built".replace("  ", " "),
                f"set {VARIABLE}",
            ],
        )
    notes = []
    if left_out:
        names = ", ".join(_dotted(i.number) for i in left_out)
        notes.append(
            f"left out of libtorch's architectures, because nvcc {toolkit.release} does not know them: {names}"
        )
    highest = max(items, key=_value)
    if any(_value(i) > _value(highest) for i in left_out) and not highest.ptx:
        items[items.index(highest)] = highest._replace(ptx=True)
        notes.append(f"{_dotted(highest.number)} is there as PTX, too, for the newer GPUs among them")
    return ArchitecturePlan(_render(items), source, tuple(notes))


def _value(item: _Item) -> int:
    return int(item.number.rstrip("af"))


def _render(items: Sequence[_Item]) -> tuple[str, ...]:
    """CMake's words, each architecture once."""
    merged: dict[str, _Item] = {}
    for item in items:
        old = merged.get(item.number, item)
        merged[item.number] = _Item(item.number, item.real or old.real, item.ptx or old.ptx)
    return tuple(
        item.number + ("" if item.real and item.ptx else "-real" if item.real else "-virtual")
        for item in sorted(merged.values(), key=lambda i: (_value(i), i.number))
    )


def _dotted(number: str) -> str:
    """``"90a"`` → ``"9.0a"``."""
    digits = number.rstrip("af")
    return f"{digits[:-1]}.{digits[-1]}{number[len(digits) :]}"
