"""What is known about CUDA's releases and about torch's headers under nvcc, as data with its sources."""

from __future__ import annotations

from typing import NamedTuple, Optional

Version = tuple[int, ...]


class HostCompilers(NamedTuple):
    """The newest host compilers that nvcc takes, from one release on, up to the next row."""

    release: Version
    gcc: int
    clang: int


HOST_COMPILERS: tuple[HostCompilers, ...] = (
    # Read in crt/host_config.h of 11.8, 12.8 and 13.0, which refuses newer ones; the others from the tables
    # CUDA_GCC_VERSIONS and CUDA_CLANG_VERSIONS in torch 2.15's torch/utils/cpp_extension.py and, below 11.0, from
    # NVIDIA's installation guides. A toolkit's own host_config.h is believed before this table.
    HostCompilers((9, 0), 6, 3),
    HostCompilers((9, 2), 7, 5),
    HostCompilers((10, 1), 8, 8),
    HostCompilers((11, 0), 9, 9),
    HostCompilers((11, 1), 10, 10),
    HostCompilers((11, 2), 10, 11),
    HostCompilers((11, 4), 11, 12),
    HostCompilers((11, 6), 11, 13),
    HostCompilers((11, 8), 11, 14),
    HostCompilers((12, 0), 12, 14),
    HostCompilers((12, 2), 12, 15),
    HostCompilers((12, 3), 13, 15),
    HostCompilers((12, 4), 13, 16),
    HostCompilers((12, 5), 13, 17),
    HostCompilers((12, 7), 13, 18),
    HostCompilers((12, 8), 14, 19),
    HostCompilers((13, 0), 15, 20),
)
NEWEST_TABLED: Version = (13, 0)


def host_compilers(release: Version) -> Optional[HostCompilers]:
    """The limits by the table; ``None`` for a release newer than the table, of which nothing is known."""
    if release[:2] > NEWEST_TABLED:
        return None
    return next((row for row in reversed(HOST_COMPILERS) if row.release <= release[:2]), None)


ARCHITECTURES: tuple[tuple[Version, str], ...] = (
    # For releases whose nvcc has no --list-gpu-arch (it came with 11.1); from `nvcc --help` as documented.
    ((9, 0), "30 32 35 37 50 52 53 60 61 62 70"),
    ((9, 2), "30 32 35 37 50 52 53 60 61 62 70 72"),
    ((10, 0), "30 32 35 37 50 52 53 60 61 62 70 72 75"),
    ((11, 0), "35 37 50 52 53 60 61 62 70 72 75 80"),
    ((11, 1), "35 37 50 52 53 60 61 62 70 72 75 80 86"),
)


def tabled_architectures(release: Version) -> tuple[str, ...]:
    """What an nvcc that does not tell itself compiles for."""
    rows = [names for first, names in ARCHITECTURES if first <= release[:2]]
    return tuple(rows[-1].split()) if rows else ()


NAMED_ARCHITECTURES: dict[str, str] = {
    # The names that TORCH_CUDA_ARCH_LIST knows: _get_cuda_arch_flags in torch 2.15's torch/utils/cpp_extension.py.
    "Kepler+Tesla": "3.7",
    "Kepler": "3.5+PTX",
    "Maxwell+Tegra": "5.3",
    "Maxwell": "5.0;5.2+PTX",
    "Pascal": "6.0;6.1+PTX",
    "Volta+Tegra": "7.2",
    "Volta": "7.0+PTX",
    "Turing": "7.5+PTX",
    "Ampere+Tegra": "8.7",
    "Ampere": "8.0;8.6+PTX",
    "Ada": "8.9+PTX",
    "Hopper": "9.0+PTX",
    "Blackwell+Tegra": "11.0",
    "Blackwell": "10.0;10.3;12.0;12.1+PTX",
}


class Flag(NamedTuple):
    """An option that torch's headers want from nvcc."""

    text: str
    reason: str


NVCC_FLAGS: tuple[Flag, ...] = (
    # COMMON_NVCC_FLAGS in torch/utils/cpp_extension.py (the same five from 1.8.1 to 2.15); the two of the first word
    # --expt- also in share/cmake/Caffe2/public/cuda.cmake of every release. A kernel over ATen's and c10's headers
    # compiles without any of them (torch 2.13, nvcc 13.0); whoever follows torch's documentation expects them.
    Flag("--expt-relaxed-constexpr", "constexpr functions of the host, such as c10's and Eigen's, in device code"),
    Flag("--expt-extended-lambda", "__device__ lambdas, as gpu_kernel of ATen/native/cuda/Loops.cuh takes them"),
    Flag("-D__CUDA_NO_HALF_OPERATORS__", "c10::Half brings its own operators; CUDA's make calls ambiguous"),
    Flag("-D__CUDA_NO_HALF_CONVERSIONS__", "the same for conversions"),
    Flag("-D__CUDA_NO_BFLOAT16_CONVERSIONS__", "the same for c10::BFloat16"),
    Flag("-D__CUDA_NO_HALF2_OPERATORS__", "the same for pairs"),
)


class Header(NamedTuple):
    """A header that torch's own include, and what has it."""

    name: str
    wheel: str
    """The wheel for CUDA 13; for CUDA 12 with ``-cu12`` behind."""
    conda: str


TORCH_HEADERS: tuple[Header, ...] = (
    # What ATen/cuda/CUDAContextLight.h and c10/cuda include, 1.8.1 to 2.15; cusolverDn.h from 1.13 on.
    Header("cuda_runtime_api.h", "nvidia-cuda-runtime", "cuda-cudart-dev"),
    Header("crt/host_config.h", "nvidia-cuda-crt", "cuda-crt-dev_linux-64"),
    Header("cusparse.h", "nvidia-cusparse", "libcusparse-dev"),
    Header("cublas_v2.h", "nvidia-cublas", "libcublas-dev"),
    Header("cublasLt.h", "nvidia-cublas", "libcublas-dev"),
    Header("cusolverDn.h", "nvidia-cusolver", "libcusolver-dev"),
    Header("thrust/complex.h", "nvidia-cuda-cccl", "cuda-cccl"),
)
"""``curand_kernel.h`` and ``cufft.h`` are for those who include them."""
