"""Malformed models, tensors and texts for a runner."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from .mutate import mutated, odd_zip

TEXTS = (
    "ones:1x3", "zeros:", "rand:1x99999999999999999999", "full:1e999:2", "randint:9:2x2", "int:9999999999999999999999",
    "ints:1,2,,3", "floats:nan,inf", "bools:true,maybe", "strs:a,b", "[ones:1;(int:1;none)]", "(", "]", "[" * 50,
    "arange:-1", "ones:0x0x0", "ones:" + "1x" * 500 + "1", "ones:99999999x99999999", "file:/dev/zero", "file:/dev/null",
    "args:nothing", "none", "x.npy", "x.pt", "{a=1}", "str:\u202e", "int:1e5", "ones:1x3:float99",
)  # fmt: skip


def malformed_input(chance: random.Random, model: Path, folder: Path) -> list[str]:
    """A runner's arguments; files that they name lie in the folder."""
    kind = chance.randrange(8)
    if kind == 0:
        data = model.read_bytes()
        (folder / "m.pt").write_bytes(mutated(data, chance) if chance.random() < 0.7 else odd_zip(chance))
        return ["--model", str(folder / "m.pt"), *chance.choice((["--info"], ["--input", "ones:1x3"]))]
    if kind == 1:
        (folder / "x.npy").write_bytes(mutated(_npy(), chance))
        return ["--model", str(model), "--input", str(folder / "x.npy")]
    if kind == 2:
        (folder / "x.pt").write_bytes(mutated(_tensor(chance), chance))
        return ["--model", str(model), "--input", str(folder / "x.pt")]
    if kind == 3:
        (folder / "e.pt").write_bytes(mutated(_tensor(chance), chance))
        return ["--model", str(model), "--input", "ones:1x3", "--expect", str(folder / "e.pt")]
    if kind in (4, 5):
        data = _deep_model(chance) if kind == 4 else _remade(model, chance)
        (folder / "m.pt").write_bytes(data)
        return ["--model", str(folder / "m.pt"), *chance.choice((["--info"], ["--input", "ones:1x3"]))]
    if kind == 6:
        nested = chance.choice(("[", "(", "[(")) * chance.choice((10, 1000, 40_000))
        many = "ints:" + "1," * chance.choice((10, 60_000))
        return ["--model", str(model), "--input", chance.choice((nested, many[:120_000]))]
    words = [chance.choice(TEXTS) for _ in range(chance.choice((1, 2, 3)))]
    if chance.random() < 0.5:
        raw = mutated(words[0].encode(), chance).replace(b"\0", b"")[:100_000]
        words[0] = raw.decode("utf-8", "surrogateescape")
    return ["--model", str(model), *(part for word in words for part in ("--input", word))]


CLASS = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
DEEP = (
    ("(", "x", ")"), ("[", "x", "]"), ("torch.neg(", "x", ")"), ("-", "x", ""), ("not ", "x", ""), ("x+", "x", ""),
    ("", "x", ".T"), ("", "x", "[0]"), ("", "x", "()"), ("x if x else ", "x", ""), ("x and ", "x", ""),
    ("{x:", "x", "}"),
)  # fmt: skip
DEEP_PICKLES = (
    (b"]", b"a"),
    (b"N", b"\x85"),
    (b"(", b"t"),
    (b"}K\x01", b"s"),
    (b"]q\x01h\x01", b"a"),
    (b"h\x00)\x81", b"b"),
)


def _deep_model(chance: random.Random) -> bytes:
    """A model whose code, or whose data, is nested beyond reason."""
    depth = chance.choice((10, 400, 600, 3000, 100_000))
    before, middle, after = chance.choice(DEEP)
    expression = before * depth + middle + after * depth if chance.random() < 0.5 else "x"
    code = f"{CLASS}  a : Any\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return {expression}\n"
    if chance.random() < 0.2:
        code = "".join(f"def f{i}(x: Tensor) -> Tensor:\n  return __torch__.f{i + 1}(x)\n" for i in range(depth)) + code
    first, then = chance.choice(DEEP_PICKLES)
    value = first * depth + then * depth if expression == "x" else b"N"
    data = b"\x80\x02c__torch__\nM\nq\x00)\x81}X\x01\x00\x00\x00a" + value + b"sb."
    return _archive({"version": b"3\n", "constants.pkl": b"\x80\x02).", "data.pkl": data, "code/__torch__.py": code})


def _remade(model: Path, chance: random.Random) -> bytes:
    """A whole archive, with one record that is malformed."""
    with zipfile.ZipFile(model) as archive:
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    name = chance.choice([n for n in records if n.endswith((".py", ".pkl", "version"))])
    return _archive({**records, name: mutated(records[name], chance)}, chance.choice((0, 8)))


def _archive(records: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in records.items():
            archive.writestr(zipfile.ZipInfo("x/" + name), content, method)
    return stream.getvalue()


def _npy() -> bytes:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<3f", 1, 2, 3)


def _tensor(chance: random.Random) -> bytes:
    """What torch.save writes for a tensor, or for nested lists."""
    if chance.random() < 0.3:
        depth = chance.choice((3, 1000, 100_000))
        pickled = b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."
    else:
        pickled = (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
            b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x03tQK\x00K\x01K\x03\x86K\x03K\x01\x86\x89ccollections\n"
            b"OrderedDict\n)RtR."
        )
    whole = _archive({"data.pkl": pickled, "data/0": struct.pack("<3f", 1, 2, 3), "version": b"3\n"}, 0)
    return whole if chance.random() < 0.9 else bytes(chance.choice((10, 5000)))
