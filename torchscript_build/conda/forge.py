"""What conda-forge has: other names of Python packages, CUDA builds, and the compilers of each."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torchscript_build.records import dataclass

CONDA_NAMES: Mapping[str, str] = {
    "build": "python-build",
    "msgpack": "msgpack-python",
    "opencv-python": "py-opencv",
    "opencv-python-headless": "py-opencv",
    "tables": "pytables",
    "torch": "pytorch",
    "typing-extensions": "typing_extensions",
}
"""Python packages that have another name at conda-forge."""


@dataclass(frozen=True)
class Variant:
    """One build of a package, as conda-forge's pinning zips these versions."""

    cuda: str
    """A version, or ``None``."""
    glibc: str
    compiler: str
    """GCC's series; CUDA takes no newer ones."""


# conda-forge-pinning-feedstock, August 2026: recipe/conda_build_config.yaml and migrations/cuda130.yaml
CPU_VARIANT = Variant("None", "2.17", "15")
CUDA_VARIANTS = (Variant("12.9", "2.17", "14"), Variant("13.0", "2.28", "15"))
CUDA_FLAG = 'linux and os.environ.get("CF_CUDA_ENABLED", "False") == "True"'
"""The selector under which conda-forge's pinning has CUDA."""


def normalized_name(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def conda_name(name: str) -> str:
    """A Python package's name at conda-forge."""
    return CONDA_NAMES.get(normalized_name(name), normalized_name(name))
