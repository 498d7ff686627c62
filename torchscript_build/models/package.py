"""Looks into ``.pt2`` packages of AOTInductor without torch: what they need of a machine, and of libtorch.

A package is a zip with machine code (``data/aotinductor/<model>/*.so``), its source, at whose end the command stands
that compiled it, and ``*_metadata.json``; what torchscript-build made also has ``extra/torchscript-build.json``.
Source: ``torch/csrc/inductor/aoti_package/model_package_loader.cpp`` and packages of real releases.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from torchscript_build.records import dataclass

FIRST_RELEASE = (2, 6)
"""The first libtorch whose headers have the loader for packages."""
FOLDER = "/aotinductor/"
RECORD = "/extra/torchscript-build.json"
MOST_TEXT = 64 << 20
_MACHINES = {62: "x86_64", 183: "aarch64"}
_ISA = {
    "AVX512": ("avx512f", "avx512dq", "avx512vl", "avx512bw", "fma"),
    "VNNI": ("avx512vnni",),
    "AVX2": ("avx2", "fma", "f16c"),
    "AMX": ("amx-tile",),
}
_V2 = ("popcnt", "sse3", "sse4.1", "sse4.2", "ssse3")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
_V4 = (*_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
LEVELS: Mapping[str, Sequence[str]] = {"x86-64": (), "x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4}
"""What the levels of x86-64 have. Source: the psABI's table of micro-architecture levels."""


@dataclass(frozen=True)
class Package:
    """What a package says of itself."""

    device: str = ""
    platform: str = ""
    """``linux``, ``darwin``, ``win32``; empty: not known."""
    machine: str = ""
    torch: str = ""
    """The release that compiled it; empty: not known."""
    extensions: tuple[str, ...] = ()
    """What it needs of the processor, as far as that is known, in gcc's names."""
    is_native: bool = False
    """Was it compiled for its maker's processor, of which it is not known what that has?"""
    operators: tuple[str, ...] = ()
    """Operators that are not torch's own: ``"my_ops::warp"``."""

    @property
    def level(self) -> Optional[str]:
        """The lowest level of x86-64 that has all it needs; ``None``: none of them has."""
        return next((name for name, has in LEVELS.items() if set(self.extensions) <= set(has)), None)

    def words(self) -> str:
        """What it needs, in a few words."""
        level = f"the processor level {self.level}" if self.level else ", ".join(self.extensions)
        known = "its maker's processor" if self.is_native else level
        return f"{self.platform or 'its platform'} on {self.machine or 'its machine'}, {known}"


def is_package(names: Sequence[str]) -> bool:
    """Are these the names of a package's records?"""
    return any(FOLDER in f"/{name}" for name in names)


def read_package(archive: zipfile.ZipFile) -> Package:
    """What a package says of itself; what it does not say stays empty.

    :raises ValueError: a part of it is damaged.
    """
    found: dict[str, Any] = {}
    extensions: set[str] = set()
    operators: set[str] = set()
    is_native, metadata, signature = False, {}, {}
    for info in archive.infolist():
        name = f"/{info.filename}"
        if name.endswith((".so", ".pyd", ".dll")) and FOLDER in name:
            with archive.open(info) as file:
                found["platform"], found["machine"] = _target(file.read(20))
        elif info.file_size > MOST_TEXT or not (FOLDER in name or name.endswith(RECORD)):
            continue
        elif name.endswith(RECORD):
            signature = _mapping(archive.read(info))
        elif name.endswith("_metadata.json"):
            metadata = _mapping(archive.read(info))
        elif name.endswith(".json") and "_flags" not in name:
            operators |= set(_operators(_mapping(archive.read(info))))
        elif name.endswith(".cpp"):
            options = _options(archive.read(info).decode("utf-8", "replace"))
            is_native = is_native or "arch=native" in options
            extensions |= {o for o in options if "=" not in o}
    isa = str(metadata.get("AOTI_CPU_ISA", ""))
    for word in ("AVX512", "VNNI", "AMX", *(() if "AVX512" in isa else ("AVX2",))):
        extensions |= set(_ISA[word] if word in isa else ())
    extensions |= set(signature.get("extensions", ()))
    return Package(
        device=str(metadata.get("AOTI_DEVICE_KEY", "")),
        platform=found.get("platform", ""),
        machine=str(metadata.get("AOTI_MACHINE") or found.get("machine", "")),
        torch=str(signature.get("torch", "")),
        extensions=tuple(sorted(extensions)),
        is_native=is_native and not signature,
        operators=tuple(sorted(operators)),
    )


def _mapping(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    return value if isinstance(value, dict) else {}


def _target(head: bytes) -> tuple[str, str]:
    if head[:4] == b"\x7fELF":
        return "linux", _MACHINES.get(int.from_bytes(head[18:20], "little"), "another machine")
    if head[:4] == b"\xcf\xfa\xed\xfe":
        return "darwin", "x86_64" if head[4] == 7 else "arm64"
    return ("win32", "") if head[:2] == b"MZ" else ("", "")


def _options(source: str) -> list[str]:
    """The options for the processor of the command at the end of a source: ``avx512f``, ``arch=native``."""
    _, marker, command = source.rpartition("// Compile cmd")
    line = command.lstrip("\r\n").partition("\n")[0] if marker else ""
    return re.findall(r" -m(\S+)", line)


def _operators(nodes: Mapping[str, Any]) -> list[str]:
    entries = nodes.get("nodes")
    targets = [
        str(entry["node"].get("target", ""))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("node"), dict)
    ]
    names = [target.partition(".")[0] for target in targets if "::" in target]
    return [name for name in names if name.split("::")[0] not in ("aten", "prims")]
