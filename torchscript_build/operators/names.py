"""What a C++ source names of ATen, read from its words: the rest of ATen's headers it can do without.

``ATen/Functions.h`` has a header for each of 1,500 operators. All functions of one name are in one of them, whatever
their arguments, and what a source calls it has to name: an operator whose header is left out is one that no word of
the source stands for. So nothing is left to choose between fewer overloads, and what is overlooked does not compile.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.plan.planned_headers import NamedParts

_WORD = re.compile(r"\s*(?:(\.\.\.)|(\.|->)|\b(at|std)\s*::)?\s*\b([A-Za-z_]\w*)")
"""A word, and what before it says whose member it is."""
_ENDINGS = ("_symint", "_functional", "_outf", "_out", "_")
"""What ATen appends to an operator's name: ``add_``, ``add_out``, ``zeros_symint_outf``."""
_MAKES_NAMES = re.compile(r"##|%:%:|\?\?=")
_NEEDS_ALL = re.compile(r"\b(native|_ops|redispatch)\b|\btorch\s*::\s*(special|fft|nested|linalg)\b")
"""Namespaces whose functions are called otherwise than the headers that have them."""
_AUTOGRAD = re.compile(r"\bautograd\b|torch/csrc/")
_PROFILER = re.compile(r"[Pp]rofil|torch/csrc/")
_INTRINSIC = re.compile(
    r"__?(?!(attribute|asm|builtin_(?!ia32)|constant|cplusplus|cpp|declspec|device|forceinline|func|global|has_|host"
    r"|inline|noinline|restrict|shared|thread)_*)[a-z]\w*"
)
"""What may be one of x86intrin.h."""
_TORCH_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]((?:torch|ATen|caffe2)/[^>"\n]+)[>"]', re.MULTILINE)
_KNOWN_INCLUDE = re.compile(
    r"torch/(all|autograd|cuda|custom_class|enum|extension|library|mps|print|script|sparse|torch|types|utils|version|xpu)\.h|torch/headeronly/.+"
    r"|ATen/(ATen|AccumulateType|Config|Context|Device|DeviceGuard|DimVector|Dispatch|Dispatch_v2|ExpandUtils|Functions"
    r"|NumericUtils|OpMathType|Operators|Parallel|ScalarOps|Tensor|TensorAccessor|TensorGeometry|TensorIndexing|TensorIterator"
    r"|TensorOperators|TensorUtils|Version|WrapDimUtils)\.h"
    r"|ATen/core/(Generator|IListRef|List|Dict|Reduction|Scalar|ScalarType|Tensor|TensorAccessor|TensorBase|TensorBody"
    r"|grad_mode|ivalue|jit_type|dispatch/Dispatcher|op_registration/op_registration)\.h"
    r"|ATen/ops/\w+\.h|ATen/cpu/vec/.+"
)
"""torch's headers that call no operators, or those alone that templates/ops/lean_named/ATen/Functions.h has."""


def read_named_parts(text: str, torch_headers: Sequence[Path], *, python: bool = False) -> Optional[NamedParts]:
    """What a source names, without its comments and with all that it includes of the project.

    :param torch_headers: libtorch's include directories.
    :param python: it gets Python's part, too.
    :returns: ``None`` where its words do not tell.
    """
    if _MAKES_NAMES.search(text) or _NEEDS_ALL.search(text):
        return None
    if not all(_KNOWN_INCLUDE.fullmatch(name) for name in _TORCH_INCLUDE.findall(text)):
        return None
    known = next(filter(None, map(_read_operators, torch_headers)), None)
    if known is None:
        return None
    operators, factories = known
    words, free_words = set(), set()
    for pack, member, space, word in _WORD.findall(text):
        if pack or not member:
            words.add(word)
            if not space:
                free_words.add(word)
    named = {name for word in words for name in _operators_of(word) if name in operators}
    has_factories = any(name in factories for word in free_words for name in _operators_of(word))
    if has_factories:
        named |= factories & operators
    has_autograd = _AUTOGRAD.search(text) is not None
    left_out = {
        "autograd": not has_autograd,
        "factories": not has_factories,
        "intrinsics": not any(map(_INTRINSIC.fullmatch, free_words)),
        "profiler": not _PROFILER.search(text),
        "variables": not (has_autograd or has_factories or python),
    }
    return NamedParts(tuple(sorted(named)), tuple(part for part, is_out in left_out.items() if is_out))


def _operators_of(word: str) -> Iterator[str]:
    """The operators that may have a function of this name."""
    yield word
    if word.startswith("__dispatch_"):
        yield from _operators_of(word[len("__dispatch_") :])
    elif word.startswith("__") and "__" in word[2:]:
        yield word[2:].rpartition("__")[0]  # __and__, __lshift___out
    ending = next((e for e in _ENDINGS if word.endswith(e) and word != e), None)
    if ending:
        yield from _operators_of(word[: -len(ending)])


@functools.cache
def _read_operators(folder: Path) -> Optional[tuple[frozenset[str], frozenset[str]]]:
    """The operators that have a header, and the functions that torch has in the place of ATen's ones."""
    try:
        functions = (folder / "ATen/Functions.h").read_text(encoding="utf-8")
        factories = (folder / "torch/csrc/autograd/generated/variable_factories.h").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    operators = re.findall(r"^#include <ATen/ops/(\w+)\.h>", functions, re.MULTILINE)
    pairs = re.findall(r"^inline at::Tensor (\w+)\(|^using (\w+) =", factories, re.MULTILINE)
    names = {function or type for function, type in pairs}
    return frozenset(operators), frozenset(n for name in names for n in _operators_of(name))
