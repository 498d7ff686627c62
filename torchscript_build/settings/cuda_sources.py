"""Which sources are for CUDA."""

from __future__ import annotations

from typing import Union

from torchscript_build.settings.specs import OpLibrary, TorchScriptApp


def needs_cuda(target: Union[OpLibrary, TorchScriptApp]) -> bool:
    """Does it have sources for CUDA, ``.cu`` or others?"""
    return bool(target.cuda_sources) or any(map(is_cuda_source, target.sources))


def is_cuda_source(name: str) -> bool:
    """Is a source compiled by nvcc?"""
    return name.endswith(".cu")
