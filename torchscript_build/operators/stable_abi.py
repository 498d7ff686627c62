"""Does a library keep to torch's stable ABI? Decided from the symbols that it wants and the libraries that it needs.

A library that calls torch through the stable C ABI alone (``torch/csrc/stable/*``, ``torch/headeronly/*``) runs with
every release from some one on. What else it wants of libtorch is C++, which each release may change.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Optional

from torchscript_build.operators.stable_symbols import NEWEST, SYMBOLS
from torchscript_build.records import dataclass
from torchscript_build.toolchain.programs import parse_version

_SINCE = {name: release for release, names in SYMBOLS.items() for name in names.split()}
OLDEST = next(iter(SYMBOLS))
"""The first release with torch/csrc/stable."""
_TORCHS = re.compile(r"(?<![\w:])(?:at|c10|torch|caffe2)::")
"""What is C++ of libtorch's, in a demangled name."""
_C_NAME = re.compile(r"(?:aoti_)?torch_\w+")
_PYTHON_SIDE = re.compile(r"_?THP\w+")
"""libtorch_python's."""
_CUDA_RUNTIME = re.compile(r"libcudart\.so\.(\d+)")
_BOUND = re.compile(r"libtorch_python\.|torch_python\.dll")

REPLACEMENTS: Sequence[tuple[str, str]] = (
    (r"^torch::(CppFunction|Library|library|detail::TorchLibraryInit)\b", "STABLE_TORCH_LIBRARY, torch::stable::…"),
    (r"\bc10::(Error|detail::torchCheck|detail::torchInternalAssert|ValueError|IndexError)", "STD_TORCH_CHECK"),
    (r"\bc10::cuda::(getCurrentCUDAStream|CUDAStream)", "torch::stable::accelerator::getCurrentStream"),
    (r"\bc10::(cuda::(CUDAGuard|set_device)|impl::.*Guard)", "torch::stable::accelerator::DeviceGuard"),
    (r"\bc10::cuda::c10_cuda_check_implementation", "STD_CUDA_CHECK"),
    (r"\bat::(internal::|get_num_threads|parallel_for|in_parallel_region)", "torch::stable::parallel_for"),
    (r"\bat::_ops::(\w+)::", 'torch::stable::{0} where there is one, else torch_call_dispatcher("aten::{0}", …)'),
    (r"\bat::TensorBase::|\bat::Tensor::|\bc10::TensorImpl|\bc10::UndefinedTensorImpl", "torch::stable::Tensor"),
    (r"\bc10::Scalar", "double or int64_t in the schema's place"),
    (r"\bc10::(StorageImpl|GetAllocator|Allocator)", "torch::stable::empty, torch::stable::from_blob"),
    (r"\btorch::autograd::", "an autograd formula in Python (torch.library.register_autograd)"),
    (r"\btorch::class_|\bc10::.*ClassType|\bc10::ivalue", "nothing: TorchScript classes are not part of it"),
)
"""Pairs (what an unstable name looks like, what to write in its place), after torch/csrc/stable of release 2.15."""


@dataclass(frozen=True)
class Unstable:
    """Something that a library wants of libtorch and that releases may change."""

    symbol: str
    """As the linker knows it."""
    name: str
    """Demangled."""
    replacement: Optional[str] = None
    """What of the stable ABI does the same, where that is known."""
    sources: tuple[str, ...] = ()
    """The sources that want it, where that is known."""


@dataclass(frozen=True)
class Verdict:
    """What was found out about one library."""

    lowest: Optional[str]
    """The oldest release that has all it wants of the stable ABI: ``2.10``; ``None``: it wants nothing of it."""
    because: tuple[str, ...]
    """The functions that need that release."""
    unstable: tuple[Unstable, ...]
    python: bool
    """It needs libtorch_python."""
    cuda: Optional[str]
    """The major of the CUDA runtime that it links: ``13``; that is another's in other builds of torch."""

    @property
    def is_stable(self) -> bool:
        """Does it run with every release from ``lowest`` on?"""
        return not self.unstable and not self.python


def audit(undefined: Iterable[str], needed: Sequence[str]) -> Verdict:
    """The verdict on a library.

    :param undefined: the symbols that it wants from others, as ``ElfInfo`` has them.
    :param needed: the names of the libraries that it needs.
    """
    unstable = []
    used = {}
    for symbol in sorted(undefined):
        if symbol in _SINCE:
            used[symbol] = _SINCE[symbol]
            continue
        name = demangle(symbol)
        if _TORCHS.search(name) if name != symbol else _C_NAME.fullmatch(symbol) or _PYTHON_SIDE.fullmatch(symbol):
            unstable.append(Unstable(symbol, name, replacement_of(name)))
    lowest = max(used.values(), key=parse_version) if used else None
    runtimes = [found[1] for found in map(_CUDA_RUNTIME.match, needed) if found]
    return Verdict(
        lowest,
        tuple(name for name, release in used.items() if release == lowest),
        tuple(unstable),
        python=any(_BOUND.match(name) for name in needed),
        cuda=runtimes[0] if runtimes else None,
    )


def replacement_of(name: str) -> Optional[str]:
    """What of the stable ABI does what an unstable name does, if that is known."""
    for pattern, words in REPLACEMENTS:
        found = re.search(pattern, name)
        if found:
            return words.format(*found.groups())
    if _C_NAME.fullmatch(name):
        return f"nothing in the stable ABI of releases up to {NEWEST}"
    return None


def describe_unstable(verdict: Verdict) -> list[str]:
    """A line for each thing that releases may change, with who wants it and what could stand in its place."""
    lines = ["  - it needs libtorch_python"] if verdict.python else []
    for one in verdict.unstable:
        sources = f" ({', '.join(one.sources)})" if one.sources else ""
        instead = f": write {one.replacement}" if one.replacement else ""
        lines.append(f"  - {one.name}{sources}{instead}")
    return lines


@lru_cache(maxsize=1)
def _demangler() -> Optional[ctypes.CDLL]:
    for library in ("libstdc++.so.6", "libc++abi.so.1", "libc++abi.dylib"):
        try:
            found = ctypes.CDLL(library)
            found.__cxa_demangle.restype = ctypes.c_void_p
        except (OSError, AttributeError):
            continue
        return found
    return None


def demangle(symbol: str) -> str:
    """A symbol's C++ name; the symbol itself where it is none, or this machine has no C++ runtime."""
    library = _demangler() if symbol.startswith("_Z") else None
    if library is None:
        return symbol if not symbol.startswith("_Z") else _plainly(symbol)
    status = ctypes.c_int()
    text = library.__cxa_demangle(symbol.encode(), None, None, ctypes.byref(status))
    if not text:
        return _plainly(symbol)
    try:
        return ctypes.string_at(text).decode()
    finally:
        ctypes.CDLL(None).free(ctypes.c_void_p(text))


def _plainly(symbol: str) -> str:
    """The names in a mangled one, so that it can still be judged: ``_ZN3c105ErrorD1Ev`` → ``c10::Error``."""
    names: list[str] = []
    rest = symbol
    while True:
        found = re.search(r"(?<!\d)(\d+)(?=[A-Za-z_])", rest)
        if not found:
            return "::".join(names) + ("::" if len(names) == 1 else "") or symbol
        length = int(found[1])
        names.append(rest[found.end() : found.end() + length])
        rest = rest[found.end() + length :]
