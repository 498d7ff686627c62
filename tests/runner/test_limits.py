"""Inputs that are nested, large or damaged beyond reason end with a sentence, soon and in little memory."""

from __future__ import annotations

import io
import resource
import zipfile
from typing import Any

import pytest
import torch
from support import run_child

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.filterwarnings("ignore:Sparse:UserWarning")]

MOST = 2_000_000_000
"""Bytes of address space: the program itself maps about one gigabyte of libtorch."""


def pickled(runner: Any, data: bytes, storages: dict[str, bytes] | None = None) -> str:
    """A file of torch.save with other contents."""
    with zipfile.ZipFile(runner.folder / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/version", b"3\n")
        for key, content in (storages or {}).items():
            archive.writestr(f"x/data/{key}", content)
    return "x.pt"


def refused(runner: Any, *arguments: str, code: int = 2) -> str:
    """The error, of a program that may not take much memory."""
    result = run_child(
        [str(runner.program), "--model", "kinds", "--method", "anything", *arguments],
        cwd=runner.folder,
        env={"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST)),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert result.returncode == code, (result.returncode, result.stderr[:300])
    return result.stderr


def test_many_items(runner: Any) -> None:
    spec = "ints:" + ",".join("1" for _ in range(60_001))
    assert len(runner.output("--method", "ints", "--input", spec, "--first", 3, model="kinds")["items"]) == 60_001
    assert (
        "list of 60001"
        in run_child(
            [str(runner.program), "--model", "kinds", "--method", "ints", "--input", spec],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST)),
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
    )


@pytest.mark.parametrize("brackets", ["[]", "()"])
def test_many_brackets(runner: Any, brackets: str) -> None:
    error = refused(runner, "--input", brackets[0] * 30_000 + brackets[1] * 30_000)
    assert "is nested more than 100 deep" in error
    assert len(error) < 400


NESTED = [
    (b"]" * 200_000 + b"a" * 199_999 + b".", "nested more than 500 deep"),
    (b"N" + b"\x85" * 200_000 + b".", "nested more than 500 deep"),
    (b"]q\0h\0a.", "nested more than 500 deep"),  # a list that holds itself
    (
        b"]q\0" + b"".join(b"]q%c" % (i + 1) + b"(" + b"h%c" % i * 10 + b"e" for i in range(30)) + b".",
        "more than 2000000",
    ),
    (b"(" * 100_000 + b".", "its stack is empty"),
    (b"N" * 3_000_000 + b".", "more than 2000000"),
]


@pytest.mark.parametrize(("data", "reason"), NESTED, ids=["lists", "tuples", "itself", "laughs", "marks", "many"])
def test_nested_files(runner: Any, data: bytes, reason: str) -> None:
    assert reason in refused(runner, "--input", pickled(runner, b"\x80\x02" + data))


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x02", b".", b"a.", b"\x80\x09N.", b"h\7.", b"X\xff\xff\xff\x7fab", b"cos\n"]
)
def test_damaged_files(runner: Any, data: bytes) -> None:
    assert "x.pt" in refused(runner, "--input", pickled(runner, data))


def test_nothing_is_executed(runner: Any) -> None:
    data = b"\x80\x02cos\nsystem\nX\x0d\0\0\0touch witness\x85R."
    error = refused(runner, "--input", pickled(runner, data))
    assert "argument 'x' is an object of class os.system, whose type cannot be inferred" in error
    assert not (runner.folder / "witness").exists()


def edited(value: Any, old: bytes, new: bytes) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with zipfile.ZipFile(buffer) as archive:
        data = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    assert old in data
    return data.replace(old, new)


X = torch.zeros(2, 3)
SIZE = b"K\x02K\x03\x86"
SHAPES = [
    (SIZE, b"K\x02K\x04\x86", "a tensor lies outside of its storage"),
    (SIZE, b"J\xff\xff\xff\xffK\x03\x86", "a tensor's size is negative"),
    (SIZE, b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", "a tensor claims more elements than can be"),
    (SIZE, b"K\x02\x85", "a tensor lacks strides"),
    (b"K\x03K\x01\x86", b"J\xff\xff\xff\xffK\x01\x86", "a tensor's size is negative"),
    (b"K\x03K\x01\x86", b"J\xff\xff\xff\x7fK\x01\x86", "a tensor lies outside of its storage"),
    (b"K\x03K\x01\x86", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01\x86", "a tensor lies outside of its storage"),
    (b"FloatStorage", b"WhatsStorage", "which cannot be read"),
]


@pytest.mark.parametrize(("old", "new", "reason"), SHAPES)
def test_tensors_that_are_not_in_their_storage(runner: Any, old: bytes, new: bytes, reason: str) -> None:
    assert reason in refused(runner, "--input", pickled(runner, edited(X, old, new), {"0": bytes(24)}))


def test_a_tensor_without_its_storage(runner: Any) -> None:
    assert "it lacks the record data/0" in refused(runner, "--input", pickled(runner, edited(X, SIZE, SIZE)))


def test_a_sparse_tensor_with_wrong_indices(runner: Any) -> None:
    value = torch.sparse_coo_tensor([[0, 1], [0, 1]], [1.0, 2.0], (2, 2))
    storages = {"0": b"".join(n.to_bytes(8, "little") for n in (0, 1, 0, 1 << 40)), "1": bytes(8)}
    assert "argument 'x': " in refused(runner, "--input", pickled(runner, edited(value, b"Size", b"Size"), storages))


def test_files_that_are_no_archives(runner: Any) -> None:
    for content in (b"x" * 5000, bytes(100_000), b"\x80\x02" + b"x" * 9000):
        (runner.folder / "x.pt").write_bytes(content)
        assert "x.pt is not a .pt file" in refused(runner, "--input", "x.pt")


def test_a_small_archive_that_claims_a_large_record(runner: Any) -> None:
    path = runner.folder / pickled(runner, b"\x80\x02N.", {"0": b"x"})
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    for field in (20, 24):
        content[entry + field : entry + field + 4] = (4_000_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    assert "the zip archive is damaged: its directory claims" in refused(runner, "--input", "x.pt")


def test_code_that_inflates_beyond_reason(runner: Any) -> None:
    with zipfile.ZipFile(runner.models / "linear.pt") as old, zipfile.ZipFile(runner.folder / "m.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        for part in range(5):
            new.writestr(f"linear/code/{part}.py", bytes(100_000_000), zipfile.ZIP_DEFLATED)
    error = runner.error(model="m.pt", code=3)
    assert "its compressed records claim to be far larger than code can be" in error
