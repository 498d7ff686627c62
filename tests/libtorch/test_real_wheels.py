"""Real wheels from the index: the documented matrix of facts.

Each wheel is downloaded, of it only the few files that are read are unpacked, and its download is removed. With
``TORCHSCRIPT_BUILD_TEST_CACHE`` naming a folder, what was unpacked is kept there for the next run.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import zipfile
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
from children import run_child

from torchscript_build.libtorch import LibTorch, find_libtorch
from torchscript_build.system import Environment

pytestmark = pytest.mark.network

OLD, NEW, NO = False, True, None
X86 = "manylinux1_x86_64"
X86_28 = "manylinux_2_28_x86_64"
ARM = "manylinux2014_aarch64"
ARM_28 = "manylinux_2_28_aarch64"

A102 = "37 50 60 70"
A11 = "37 50 60 70 75 80 86"
A12 = "50 60 70 75 80 86 90"
A128 = "70 75 80 86 90 100 120"
A13 = "75 80 86 90 100 120"


class Wheel(NamedTuple):
    """Which wheel to take, and what must be found in it."""

    version: str
    python: str
    platform: str
    local: Optional[str]
    abi: Optional[bool]
    standard: int
    cuda: Optional[str] = None
    cudnn: Optional[str] = None
    architectures: str = ""


WHEELS = (
    Wheel("1.8.1", "38", X86, "cu102", OLD, 14, "10.2", None, A102),
    Wheel("1.9.1", "38", X86, "cu102", OLD, 14, "10.2", None, A102),
    Wheel("1.10.2", "38", X86, "cu102", OLD, 14, "10.2", None, A102),
    Wheel("1.11.0", "38", X86, "cu102", OLD, 14, "10.2", None, A102),
    Wheel("1.12.1", "38", X86, "cu102", OLD, 14, "10.2", None, A102),
    Wheel("1.13.1", "38", X86, "cu117", OLD, 14, "11.7", "8.5.0.96", A11),
    Wheel("2.0.1", "39", X86, "cu117", OLD, 17, "11.7", "8.5.0.96", A11),
    Wheel("2.1.2", "39", X86, "cu121", OLD, 17, "12.1", "8.9.2.26", A12),
    Wheel("2.2.2", "39", X86, "cu121", OLD, 17, "12.1", "8.9.2.26", A12),
    Wheel("2.3.1", "39", X86, "cu121", OLD, 17, "12.1", "8.9.2.26", A12),
    Wheel("2.4.1", "39", X86, "cu121", OLD, 17, "12.1", "9.1.0.70", A12),
    Wheel("2.5.1", "39", X86, "cu124", OLD, 17, "12.4", "9.1.0.70", A12),
    Wheel("2.6.0", "39", X86, "cu124", OLD, 17, "12.4", "9.1.0.70", A12),
    Wheel("2.7.1", "310", X86_28, "cu126", NEW, 17, "12.6", "9.5.1.17", A12),
    Wheel("2.8.0", "310", X86_28, "cu128", NEW, 17, "12.8", "9.10.2.21", A128),
    Wheel("2.9.1", "310", X86_28, "cu128", NEW, 17, "12.8", "9.10.2.21", A128),
    Wheel("2.10.0", "310", X86_28, "cu128", NEW, 17, "12.8", "9.10.2.21", A128),
    Wheel("2.11.0", "311", X86_28, "cu130", NEW, 17, "13.0", "9.19.0.56", A13),
    Wheel("2.12.1", "311", X86_28, "cu130", NEW, 20, "13.0", "9.20.0.48", A13),
    Wheel("2.13.0", "311", X86_28, "cu130", NEW, 20, "13.0", "9.20.0.48", A13),
    Wheel("2.14.1", "311", X86_28, "cu130", NEW, 20, "13.0", "9.24.0.43", A13),
    Wheel("2.15.0", "311", X86_28, "cu132", NEW, 20, "13.2", "9.26.0.51", A13),
    Wheel("1.8.1", "38", ARM, None, OLD, 14),
    Wheel("2.1.2", "39", ARM, None, OLD, 17),
    Wheel("2.5.1", "39", ARM, None, OLD, 17),
    Wheel("2.6.0", "39", ARM_28, "cpu", NEW, 17),
    Wheel("2.10.0", "310", ARM_28, "cpu", NEW, 17),
    Wheel("1.8.1", "38", "win_amd64", "cpu", NO, 14),
    Wheel("2.15.0", "311", "win_amd64", "cpu", NO, 20),
    Wheel("2.15.0", "311", "macosx_14_0_arm64", None, NO, 20),
)

READ = (
    "torch/version.py",
    "torch/share/cmake/",
    "torch/include/torch/script.h",
    "torch/include/torch/library.h",
    "torch/include/torch/headeronly/version.h",
    "torch/include/torch/csrc/api/include/torch/",
    "torch/include/ATen/ATen.h",
    "torch/include/ATen/cuda/CUDAConfig.h",
    "torch/include/c10/util/Exception.h",
    "torch/lib/",
)
"""What is unpacked, besides the metadata."""

MOST_BYTES = 8 << 20
"""Of a bigger library only the head is unpacked, and a hole of its size."""


def unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if info.is_dir() or not (info.filename.startswith(READ) or info.filename.endswith("dist-info/METADATA")):
                continue
            target = folder / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, open(target, "wb") as file:
                if info.file_size <= MOST_BYTES:
                    shutil.copyfileobj(source, file)
                else:
                    file.write(source.read(4096))
                    file.truncate(info.file_size)


def download(wheel: Wheel, folder: Path) -> None:
    """Put a wheel's files into a folder, all or nothing."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", f"{wheel.python[0]}.{wheel.python[1:]}", "--implementation", "cp"]
    command += ["--abi", f"cp{wheel.python}", "--platform", wheel.platform, "-d", str(part), f"torch==={wheel.version}"]
    # === keeps a local version of another index (2.13.0+cpu) from being taken for PyPI's 2.13.0.
    run_child(command, check=True)
    (file,) = part.glob("torch-*.whl")
    unpack(file, part)
    file.unlink()
    part.rename(folder)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("TORCHSCRIPT_BUILD_TEST_CACHE")
    folder = Path(named) / "wheels" if named else tmp_path_factory.mktemp("wheels")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda w: f"{w.version}-{w.platform}")
def test_a_wheels_facts(wheel: Wheel, cache: Path) -> None:
    folder = cache / f"{wheel.version}-{wheel.platform}"
    if not folder.exists():
        download(wheel, folder)
    environment = Environment.current()
    start = time.perf_counter()
    found = find_libtorch(folder, environment=environment)
    print(row(found, time.perf_counter() - start))
    assert found.root == folder / "torch"
    assert (found.version, found.local_version) == (wheel.version, wheel.local)
    assert (found.cxx11_abi, found.cxx_standard) == (wheel.abi, wheel.standard)
    assert (found.backend, found.cuda_version) == ("cuda" if wheel.cuda else "cpu", wheel.cuda)
    assert found.cudnn_version == wheel.cudnn
    assert found.cuda_architectures == tuple(wheel.architectures.split())
    platforms = {"manylinux": "linux", "win": "win32", "macosx": "darwin"}
    assert found.platform == next(p for start, p in platforms.items() if wheel.platform.startswith(start))
    assert wheel.platform.endswith(found.machine.lower())


def row(found: LibTorch, seconds: float) -> str:
    """One line of the table that ``-s`` shows."""
    abi = {True: "new", False: "old", None: "-"}[found.cxx11_abi]
    cuda = f"{found.cuda_version or '-':5} {found.cudnn_version or '-':10} {' '.join(found.cuda_architectures)}"
    head = f"{found.full_version:14} {found.platform:7} {found.machine:8} {abi:4} C++{found.cxx_standard}"
    return f"\n{seconds * 1e3:5.1f} ms  {head} {cuda}"
