"""Bytes and archives that nobody wrote in good faith, made from good ones by a seeded random."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Sequence

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = (b"\0", b"\n", b"\xff\xfe", b"../", b"/", b"\\", b"[", b"{", b'"', b"9" * 40, b"\xed\xb3\xbf", b"\xe2\x80\xae")
SIZES = (b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777\0", b"-0000000001\0", b"\x80" + bytes(11))
"""Of a tar file's member: minus one, 2^88 − 1, 8 GB, text that is none, zero."""
NAMES = ("", "a", "a/b", "../x", "/x", "a/" * 60 + "x", "x" * 300, "a\0b", "C:x", "a\\b", "model/code/x.py", "\udcff")


def mutated(data: bytes, chance: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A few random changes of some bytes."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(out) + 1)
        kind = chance.randrange(8)
        if kind == 0 and out:
            out[at % len(out)] = chance.randrange(256)
        elif kind == 1:
            del out[at : at + chance.choice((1, 4, 100, 10_000))]
        elif kind == 2:
            out[at:at] = chance.choice(WORDS) * chance.choice((1, 1, 1, 50, 5000))
        elif kind == 3:
            width, letter = chance.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
            number = chance.choice(NUMBERS) & (2 ** (8 * width) - 1)
            out[at : at + width] = struct.pack("<" + letter, number)
        elif kind == 4:
            out[at:at] = out[at : at + chance.choice((16, 512, 4096))]
        elif kind == 5:
            del out[at:]
        elif kind == 6 and others:
            other = chance.choice(others)
            out[at:] = other[chance.randrange(len(other) + 1) :]
        elif out:
            out[at % len(out)] ^= 1 << chance.randrange(8)
    return bytes(out)


def odd_zip(chance: random.Random, good: Sequence[str] = ()) -> bytes:
    """A zip file that is whole, with odd names, kinds, methods and sizes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
        for _ in range(chance.randrange(12)):
            name = chance.choice((*NAMES, *good))
            info = zipfile.ZipInfo()
            info.filename = name.encode("utf-8", "replace").decode()
            info.external_attr = chance.choice((0, 0o100644, 0o120777, 0o040755, 0o020666)) << 16
            info.compress_type = chance.choice((0, 0, 8, 8, 12, 14))
            content = bytes(chance.choice((0, 5, 100_000))) or b"3\n"
            archive.writestr(info, content)
    data = bytearray(stream.getvalue())
    for at in _places(bytes(data), b"PK\x01\x02"):
        if chance.random() < 0.2:  # declared sizes, in the directory
            data[at + 20 : at + 28] = struct.pack("<II", *(chance.choice(NUMBERS) & 0xFFFFFFFF for _ in "ab"))
    return bytes(data)


def _places(data: bytes, word: bytes) -> list[int]:
    found, at = [], data.find(word)
    while at >= 0:
        found.append(at)
        at = data.find(word, at + 1)
    return found


def odd_tar(chance: random.Random, good: Sequence[str] = ()) -> bytes:
    """A packed tar file with odd names, kinds and sizes; negative ones as well."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=chance.choice((0, 1, 2))) as archive:
        for _ in range(chance.randrange(1, 10)):
            info = tarfile.TarInfo(chance.choice((*NAMES[1:-1], *good)))
            info.type = chance.choice((b"0", b"0", b"0", b"1", b"2", b"3", b"5", b"S", b"L", b"x", b"g"))
            info.linkname = chance.choice(NAMES[:5])
            content = bytes(chance.choice((0, 10, 600)))
            info.size = len(content)
            try:
                archive.addfile(info, io.BytesIO(content))
            except (ValueError, UnicodeError):
                continue
    data = bytearray(stream.getvalue())
    for at in range(0, len(data) - 512, 512):
        if chance.random() < 0.3 and any(data[at : at + 100]):
            data[at + 124 : at + 136] = chance.choice(SIZES)
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return gzip.compress(bytes(data), 1)
