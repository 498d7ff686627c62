"""What was found of CUDA, as far as a build needs it."""

from __future__ import annotations

from typing import Optional

from torchscript_build.records import dataclass


@dataclass(frozen=True)
class CudaFacts:
    """What a build needs to know of the CUDA toolkit, and of cuDNN where a target wants it."""

    root: str
    nvcc: str
    version: str
    architectures: tuple[str, ...]
    """For ``CMAKE_CUDA_ARCHITECTURES``: ``("80-real", "90")``."""
    include_dirs: tuple[str, ...] = ()
    """Of the toolkit and of the wheels that complete it; for C++ sources, too."""
    library_dirs: tuple[str, ...] = ()
    """Where CUDA's libraries lie on this machine."""
    runtime_dirs: tuple[str, ...] = ()
    """Where they lie beside an installed torch, relative to its site-packages: ``nvidia/cu13/lib``."""
    flags: tuple[str, ...] = ()
    """What torch's headers want from nvcc."""
    cudnn_include_dir: Optional[str] = None
    cudnn_library: Optional[str] = None
