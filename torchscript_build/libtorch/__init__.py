"""Finding a libtorch and reading every fact about it, without importing torch."""

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.places import locate_fetched
from torchscript_build.libtorch.read import read_libtorch
from torchscript_build.libtorch.requirement import Requirement
from torchscript_build.libtorch.search import (
    Finding,
    SearchResult,
    find_libtorch,
    search_libtorch,
)

__all__ = [
    "Finding",
    "LibTorch",
    "Requirement",
    "SearchResult",
    "find_libtorch",
    "locate_fetched",
    "read_libtorch",
    "search_libtorch",
]
