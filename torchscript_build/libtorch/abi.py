"""Which libstdc++ ABI libtorch speaks, from the symbols of its library c10."""

from __future__ import annotations

import mmap
from pathlib import Path

ERROR_CONSTRUCTOR = b"_ZN3c105ErrorC1ENS_14SourceLocationE"
"""``c10::Error::Error(c10::SourceLocation, std::string)``, up to its string."""
OLD_STRING = b"Ss\0"
NEW_STRING = b"NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE\0"
"""How the two ABIs of libstdc++ write ``std::string``. Counting ``__cxx11`` names would not do: libraries of the old
ABI export hundreds of them, too, which libstdc++'s own templates left there."""


def read_sentinels(path: Path) -> tuple[bool, bool]:
    """Does libc10.so know ``c10::Error`` with the old string, and with the new one?

    Found in every Linux wheel from 1.8.1 to 2.15, as exactly one of the two. One pass over the mapped file.
    """
    old = new = False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(ERROR_CONSTRUCTOR)
        while at != -1:
            at += len(ERROR_CONSTRUCTOR)
            old = old or data[at : at + len(OLD_STRING)] == OLD_STRING
            new = new or data[at : at + len(NEW_STRING)] == NEW_STRING
            at = data.find(ERROR_CONSTRUCTOR, at)
    return old, new


def symbol_name(cxx11_abi: bool) -> str:
    """The sentinel of an ABI, as a witness names it."""
    return (ERROR_CONSTRUCTOR + (NEW_STRING if cxx11_abi else OLD_STRING)[:-1]).decode()
