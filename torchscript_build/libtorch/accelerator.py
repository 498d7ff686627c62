"""Which accelerator a libtorch was built for, and what its files tell about CUDA and cuDNN."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from torchscript_build.errors import LibTorchUnusableError
from torchscript_build.libtorch.layout import Layout
from torchscript_build.libtorch.versions import Metadata, PythonPart, read_text

DEVICE_LIBRARIES = (("cuda", "torch_cuda"), ("rocm", "torch_hip"), ("xpu", "torch_xpu"))
"""Backend → the library that only its builds have."""


RUNTIME_REQUIREMENT = r"(?:nvidia-cuda-runtime(?:-cu\d+)?|cuda-toolkit)(?:\[[^]]*\])? ?\(?==(\d+\.\d+)"
"""The requirement in a wheel's metadata that has CUDA's own version."""


class Accelerator(NamedTuple):
    """The facts about devices; ``witnesses`` as in ``LibTorch``."""

    backend: str
    cuda_version: Optional[str]
    cudnn_version: Optional[str]
    cuda_architectures: tuple[str, ...]
    witnesses: Mapping[str, str]


def read_accelerator(
    layout: Layout,
    names: Sequence[str],
    local_version: Optional[str],
    python: Optional[PythonPart],
    metadata: Sequence[Metadata],
) -> Accelerator:
    """Backend, CUDA, cuDNN and CUDA architectures.

    :param names: the libraries that are there, without prefix and suffix.
    :raises LibTorchUnusableError: it was built for a device whose library is missing.
    """
    backend, witness = _backend(layout, names, python)
    witnesses = {"backend": witness}
    if backend != "cuda":
        return Accelerator(backend, None, None, (), witnesses)
    runtime_files = _listing(layout.runtime)
    cuda = _cuda_version(layout, runtime_files, local_version, python, metadata)
    config = layout.include / "ATen" / "cuda" / "CUDAConfig.h"
    text = read_text(config)
    without_cudnn = "#define AT_CUDNN_ENABLED() 0" in (text or "")
    cudnn = None if without_cudnn else _cudnn(layout, runtime_files, metadata)
    architectures = parse_architectures(text or "")
    if cuda:
        witnesses["cuda_version"] = cuda[1]
    if cudnn:
        witnesses["cudnn_version"] = cudnn[1]
    if architectures:
        witnesses["cuda_architectures"] = f"NVCC_FLAGS_EXTRA in {config}"
    return Accelerator(backend, cuda[0] if cuda else None, cudnn[0] if cudnn else None, architectures, witnesses)


def _backend(layout: Layout, names: Sequence[str], python: Optional[PythonPart]) -> tuple[str, str]:
    for backend, library in DEVICE_LIBRARIES:
        if library in names:
            return backend, str(layout.library(library))
    claims = []
    if layout.cmake is not None:
        file = layout.cmake / "Caffe2" / "Caffe2Config.cmake"
        if re.search(r"^\s*set\(CAFFE2_USE_CUDA (?:ON|1|TRUE)\)", read_text(file) or "", re.M):
            claims.append(("torch_cuda", "CUDA", str(file)))
    if python is not None:
        for library, device, value in (
            ("torch_cuda", "CUDA", python.cuda),
            ("torch_hip", "ROCm", python.hip),
            ("torch_xpu", "XPU", python.xpu),
        ):
            if value:
                claims.append((library, device, str(python.source)))
    if claims:
        library, device, source = claims[0]
        raise LibTorchUnusableError(
            f"{layout.root} was built with {device} (says {source}), but {layout.library(library)} is missing",
            cures=["install this libtorch anew"],
        )
    missing = ", ".join(layout.library(library).name for _, library in DEVICE_LIBRARIES)
    return "cpu", f"{layout.libraries} has none of {missing}"


def parse_cuda_tag(text: str) -> Optional[str]:
    """``"cu102"`` → ``"10.2"``, ``"cu130"`` → ``"13.0"``; ``None`` for anything else."""
    match = re.match(r"cu(\d{1,2})(\d)(?!\d)", text)
    return f"{match[1]}.{match[2]}" if match else None


def parse_architectures(cuda_config: str) -> tuple[str, ...]:
    """CUDA architectures from ``NVCC_FLAGS_EXTRA``, in its order; PTX alone gets the suffix ``+PTX``."""
    line = re.search(r'#define NVCC_FLAGS_EXTRA "([^"]*)"', cuda_config)
    if not line:
        return ()
    real: dict[str, bool] = {}
    for kind, number in re.findall(r"code=\[?(sm|compute)_(\d+[a-z]?)", line[1]):
        real[number] = real.get(number, False) or kind == "sm"
    return tuple(number if binary else f"{number}+PTX" for number, binary in real.items())


def _cuda_version(
    layout: Layout,
    runtime_files: Sequence[str],
    local_version: Optional[str],
    python: Optional[PythonPart],
    metadata: Sequence[Metadata],
) -> Optional[tuple[str, str]]:
    """The CUDA release and its witness, most trusted first."""
    if python is not None and python.cuda:
        return _two(python.cuda), str(python.source)
    from_local = parse_cuda_tag(local_version or "")
    if from_local:
        return from_local, f"local version +{local_version}"
    for one in metadata:
        for requirement in one.requirements:
            match = re.match(RUNTIME_REQUIREMENT, requirement)
            if match:
                return match[1], f"{requirement.partition(';')[0].strip()} in {one.source}"
    for record in layout.conda_records:
        match = re.search(r"cuda_?(\d{2})\.?(\d)", os.path.basename(record))
        if match:
            return f"{match[1]}.{match[2]}", record
    for name in runtime_files:
        match = re.fullmatch(r"libcudart(?:-[0-9a-f]+)?\.so\.(\d+\.\d+)(?:\.\d+)*|cudart64_(\d{2})_?(\d)\.dll", name)
        # From CUDA 11 on the file name tells the ABI (11.0), not the release.
        if match and match[1] and int(match[1].split(".")[0]) < 11:
            return match[1], str(layout.runtime / name)
        if match and match[2] and int(match[2]) < 11:
            return f"{match[2]}.{match[3]}", str(layout.runtime / name)
    return _cuda_major(layout, runtime_files)


def _cuda_major(layout: Layout, runtime_files: Sequence[str]) -> Optional[tuple[str, str]]:
    """The last resort: the CUDA series, from the name of the runtime library that c10_cuda wants."""
    for name in runtime_files:
        match = re.match(r"libcudart(?:-[0-9a-f]+)?\.so\.(\d+)|cudart64_(\d+)\.dll", name)
        if match:
            return (match[1] or match[2]), str(layout.runtime / name)
    file = layout.library("c10_cuda")
    try:
        data = file.read_bytes() if layout.platform == "linux" else b""
    except OSError:
        return None
    found = re.search(rb"libcudart\.so\.(\d+)", data)
    return (found[1].decode(), f"libcudart.so.{found[1].decode()} NEEDED by {file}") if found else None


def _cudnn(layout: Layout, runtime_files: Sequence[str], metadata: Sequence[Metadata]) -> Optional[tuple[str, str]]:
    """The cuDNN release and its witness: the exact one it asks for, else the one that lies with it."""
    for one in metadata:
        for requirement in one.requirements:
            match = re.match(r"nvidia-cudnn-cu\d+ ?\(?==([\d.]+)", requirement)
            if match:
                return match[1], f"{requirement.partition(';')[0].strip()} in {one.source}"
    for record in layout.conda_records:
        match = re.search(r"cudnn([\d.]+\d)", os.path.basename(record))
        if match:
            return match[1], record
    if layout.package is not None:
        header = layout.package.parent / "nvidia" / "cudnn" / "include" / "cudnn_version.h"
        numbers = dict(re.findall(r"#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) +(\d+)", read_text(header) or ""))
        if len(numbers) == 3:
            return "{MAJOR}.{MINOR}.{PATCHLEVEL}".format(**numbers), str(header)
        folder = layout.package.parent / "nvidia" / "cudnn" / "lib"
        beside = _cudnn_file(folder, _listing(folder))
        if beside:
            return beside
    return _cudnn_file(layout.runtime, runtime_files)


def _cudnn_file(folder: Path, names: Sequence[str]) -> Optional[tuple[str, str]]:
    for name in names:
        match = re.fullmatch(r"libcudnn(?:-[0-9a-f]+)?\.so\.([\d.]+)|cudnn64_(\d+)\.dll", name)
        if match:
            return match[1] or match[2], str(folder / name)
    return None


def _listing(folder: Path) -> list[str]:
    """The files of a folder that are about CUDA, sorted: a conda prefix has thousands of others."""
    try:
        return sorted(name for name in os.listdir(folder) if "cud" in name)
    except OSError:
        return []


def _two(version: str) -> str:
    """``"12.4.1"`` → ``"12.4"``."""
    return ".".join(version.split(".")[:2])
