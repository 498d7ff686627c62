"""Handmade ``.pt2`` packages: what AOTInductor writes, without a model in it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

FOLDER = "p/data/aotinductor/model"
COMMAND = "// Compile cmd\n// g++ x.cpp -O3 -march=native -mavx2 -mfma -mf16c -o x.o\n// Link cmd\n// g++ x.o\n"
METADATA = {"AOTI_DEVICE_KEY": "cpu", "AOTI_PLATFORM": "linux", "AOTI_MACHINE": "x86_64", "AOTI_CPU_ISA": "AVX2"}
SIGNATURE = {
    "torch": "2.13.0+cpu",
    "arguments": ["x"],
    "extensions": ["avx2", "fma"],
    "inputs": [{"dtype": "float32", "shape": [["batch", 1, 64], 8]}],
    "outputs": [{"dtype": "float32", "shape": [["batch", 1, 64], 4]}],
    "parameters": [2, 36, 144],
    "buffers": [0, 0, 0],
}


def elf_head(machine: int = 62) -> bytes:
    """The beginning of a shared library, and nothing more."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + machine.to_bytes(2, "little") + bytes(44)


def write_package(
    file: Path,
    *,
    library: Optional[bytes] = None,
    metadata: Optional[Mapping[str, str]] = METADATA,
    signature: Optional[Mapping[str, Any]] = SIGNATURE,
    source: str = COMMAND,
    nodes: tuple[str, ...] = (),
) -> Path:
    """A package with these parts; ``nodes`` are the targets of operators that it calls by name."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{FOLDER}/c1.wrapper.cpp", source)
        archive.writestr(f"{FOLDER}/c1.wrapper.so", elf_head() if library is None else library)
        if metadata is not None:
            archive.writestr(f"{FOLDER}/c1.wrapper_metadata.json", json.dumps(metadata))
        if nodes:
            entries = [{"name": "n", "node": {"target": target}} for target in nodes]
            archive.writestr(f"{FOLDER}/c1.wrapper.json", json.dumps({"nodes": entries}))
        archive.writestr("p/archive_format", "pt2")
        if signature is not None:
            archive.writestr("p/extra/torchscript-build.json", json.dumps(signature))
    return file
