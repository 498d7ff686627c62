"""The processor that a shared library is made for, by the head of its file."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from torchscript_build.errors import LibTorchUnusableError

ELF_MACHINES = {62: "x86_64", 183: "aarch64", 3: "i686", 40: "armv7l", 21: "ppc64le", 22: "s390x", 243: "riscv64"}
MACH_MACHINES = {0x01000007: "x86_64", 0x0100000C: "arm64"}
PE_MACHINES = {0x8664: "AMD64", 0xAA64: "ARM64", 0x14C: "x86"}

REINSTALL = "install this libtorch anew"


def read_machine(path: Path, platform: str) -> str:
    """The processor that a shared library was made for, in the words of ``platform.machine()`` on its platform.

    :raises LibTorchUnusableError: the file is no whole 64-bit library of that platform.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise LibTorchUnusableError(f"{path} cannot be read: {error.strerror}", cures=[REINSTALL]) from error
    if platform == "linux":
        problem, machine = _elf(head, size)
    elif platform == "darwin":
        problem, machine = _mach(head)
    else:
        problem, machine = _pe(head)
    if problem:
        raise LibTorchUnusableError(f"{path} {problem}", cures=[REINSTALL])
    return machine


def _elf(head: bytes, size: int) -> tuple[str, str]:
    """Problem and machine of an ELF file by its header; the section table at the end of the file must be there."""
    if not head:
        return "is empty", ""
    if head[:4] != b"\x7fELF":
        if head.startswith(b"version https://git-lfs"):
            return "is a Git LFS pointer, not a shared library", ""
        kind = "is a text file" if b"\0" not in head else "is not an ELF file"
        return f"{kind}, not a shared library", ""
    if len(head) < 64:
        return "is truncated", ""
    if head[4] != 2:
        return "is a 32-bit library; libtorch is 64-bit", ""
    if head[5] != 1:
        return "is a big-endian library", ""
    kind_, machine = struct.unpack_from("<HH", head, 16)
    if kind_ != 3:
        return "is an ELF file, but not a shared library", ""
    ph_offset, sh_offset = struct.unpack_from("<QQ", head, 32)
    ph_size, ph_count, sh_size, sh_count = struct.unpack_from("<HHHH", head, 54)
    needed = max(ph_offset + ph_size * ph_count, sh_offset + sh_size * sh_count)
    if size < needed:
        return f"is truncated: {size} bytes of at least {needed}", ""
    return "", ELF_MACHINES.get(machine, f"ELF machine {machine}")


def _mach(head: bytes) -> tuple[str, str]:
    """Problem and machine of a Mach-O file."""
    if head[:4] == b"\xca\xfe\xba\xbe":
        return "", "universal2"
    if head[:4] != b"\xcf\xfa\xed\xfe" or len(head) < 32:
        return "is not a 64-bit Mach-O library", ""
    (cpu,) = struct.unpack_from("<I", head, 4)
    return "", MACH_MACHINES.get(cpu, f"Mach-O processor {cpu}")


def _pe(head: bytes) -> tuple[str, str]:
    """Problem and machine of a Windows DLL."""
    if head[:2] != b"MZ" or len(head) < 64:
        return "is not a DLL", ""
    (offset,) = struct.unpack_from("<I", head, 60)
    if head[offset : offset + 4] != b"PE\0\0":
        return "is not a DLL", ""
    (machine,) = struct.unpack_from("<H", head, offset + 4)
    return "", PE_MACHINES.get(machine, f"PE machine {machine:#x}")


def same_machine(one: str, other: str) -> bool:
    """Do two names mean one processor (``AMD64`` and ``x86_64``, ``arm64`` and ``aarch64``)?"""
    return _canonical(one) == _canonical(other) or "universal2" in (one, other)


def _canonical(machine: str) -> str:
    name = machine.lower()
    return {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}.get(name, name)
