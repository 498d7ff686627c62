"""Archives that nobody made in good faith: each is refused with a sentence, at once, and nothing is left."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from torchscript_build.errors import LibTorchUnusableError
from torchscript_build.libtorch.fetch.unpack import unpack_libtorch

C10 = "torch/lib/libc10.so"


def tar(*members: tarfile.TarInfo, sizes: dict[int, bytes] | None = None) -> bytes:
    """A packed tar file; ``sizes``: number of a header → what stands in its size field."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    data = bytearray(stream.getvalue())
    for number, size in (sizes or {}).items():
        at = 512 * number
        data[at + 124 : at + 136] = size
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return gzip.compress(bytes(data))


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info


def archive(*names: str, method: int = zipfile.ZIP_STORED, content: bytes = b"x") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as opened:
        for name in names:
            info = zipfile.ZipInfo("a")
            info.filename, info.compress_type = name, method
            opened.writestr(info, content)
    return stream.getvalue()


def moved(data: bytes) -> bytes:
    """A zip file whose directory names a place far behind its end."""
    at = data.index(b"PK\x01\x02")
    return data[: at + 42] + struct.pack("<I", 2**32 - 2) + data[at + 46 :]


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a negative size": (lambda: tar(member("a"), member(C10), sizes={0: b"\xff" * 12}), "has a negative size"),
    "a negative size of a long name": (
        lambda: tar(member("x" * 150), sizes={0: b"\xff" * 11 + b"\x00"}),
        "damaged or cut off",
    ),
    "a huge sparse file": (
        lambda: tar(member("torch/lib/x", tarfile.GNUTYPE_SPARSE), sizes={0: b"\x80" + bytes(4) + b"\x7f" * 7}),
        "",
    ),
    "a header of gigabytes": (lambda: tar(member("a", b"x"), sizes={0: b"37777777777\0"}), "damaged or cut off"),
    "a size that is no number": (lambda: tar(member("a"), sizes={0: b"12monkeys\0\0\0"}), "damaged or cut off"),
    "no name": (lambda: archive("", C10), "is a file without a name"),
    "a name that is too long": (lambda: archive("x" * 300, C10), "has a name that no system takes"),
    "a path that is too long": (lambda: archive("a/" * 600, C10), "has a name of 1200 characters"),
    "very deep folders": (lambda: archive("a/" * 60 + "x", C10), "has a name that no system takes"),
    "a line break in a name": (lambda: archive("torch/a\nb", C10), "has a character that no file of libtorch has"),
    "a file that is also a folder": (lambda: archive(C10, f"{C10}/x"), "lies under a file"),
    "LZMA": (lambda: archive(C10, method=zipfile.ZIP_LZMA), "a method that no wheel uses (14)"),
    "bzip2": (lambda: archive(C10, method=zipfile.ZIP_BZIP2), "a method that no wheel uses (12)"),
    "a bomb": (
        lambda: archive(C10, method=zipfile.ZIP_DEFLATED, content=bytes(100 << 20)),
        "would unpack to more than",
    ),
    "a place that is none": (lambda: moved(archive(C10)), "damaged or cut off"),
    "an empty file": (lambda: b"", "neither a zip file, a wheel nor a .tar.gz"),
    "a packed tar file that is none": (lambda: gzip.compress(b"no tar at all" * 100), "damaged or cut off"),
    "a cut stream": (lambda: tar(member(C10, size=5000))[:-20], "damaged or cut off"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.timeout(60)
def test_it_is_refused(tmp_path: Path, case: str) -> None:
    make, wanted = CASES[case]
    with pytest.raises(LibTorchUnusableError) as caught:
        unpack_libtorch(io.BytesIO(make()), "it", tmp_path / "target")
    assert wanted in caught.value.problem
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size > 1 << 20]
    assert [p.name for p in tmp_path.iterdir()] in ([], ["target"])
