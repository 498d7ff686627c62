"""Inputs that are nested, large or damaged beyond reason end with a sentence, soon and in little memory."""

from __future__ import annotations

import io
import os
import resource
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch
from children import run_child

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


def test_a_number_before_its_storage(runner: Any) -> None:
    data = edited(torch.zeros(3)[2], b"K\x02", b"J\x00\x00\x00\x80")
    error = refused(runner, "--input", pickled(runner, data, {"0": bytes(12)}))
    assert "a tensor's offset is negative" in error


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


CLASS = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
DEEP: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: method("(" * n + "x" + ")" * n),
    "calls": lambda n: method("torch.neg(" * n + "x" + ")" * n),
    "lists": lambda n: method("[" * n + "x" + "]" * n, "Any"),
    "signs": lambda n: method("-" * n + "x"),
    "a sum": lambda n: method("x" + " + x" * n),
    "attributes": lambda n: method("x" + ".T" * n),
    "indices": lambda n: method("x" + "[0]" * n),
    "conditions": lambda n: method("1 if True else " * n + "1", "int"),
    "types": lambda n: f"{CLASS}  def forward(self: __torch__.M, x: {'List[' * n}int{']' * n}) -> int:\n    return 1\n",
    "elifs": lambda n: method("x", before="    if True:\n      pass\n" + "    elif True:\n      pass\n" * n),
    "indentations": lambda n: method(
        "x", before="".join(f"{' ' * (4 + i)}if True:\n" for i in range(n)) + " " * (4 + n) + "pass\n"
    ),
    "functions": lambda n: method("__torch__.f0(x)") + functions(n),
    "classes": lambda n: (
        "".join(f"class C{i}(Module):\n  __parameters__ = []\n  a : __torch__.C{i + 1}\n" for i in range(n))
        + f"class C{n}(Module):\n  __parameters__ = []\n"
        + method("x").replace("forward(self: __torch__.M,", "forward(self: __torch__.M, c: __torch__.C0,")
    ),
}
"""Code that is nested so many times."""


def method(expression: str, gives: str = "Tensor", before: str = "") -> str:
    return f"{CLASS}  def forward(self: __torch__.M, x: Tensor) -> {gives}:\n{before}    return {expression}\n"


def functions(count: int) -> str:
    """Each calls the next."""
    named = "".join(f"def f{i}(x: Tensor) -> Tensor:\n  return __torch__.f{i + 1}(x)\n" for i in range(count))
    return f"{named}def f{count}(x: Tensor) -> Tensor:\n  return x\n"


def write_model(runner: Any, code: str, data: bytes = b"\x80\x02c__torch__\nM\nq\x00)\x81}b.") -> str:
    with zipfile.ZipFile(runner.folder / "m.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("version", b"3\n"), ("constants.pkl", b"\x80\x02)."), ("data.pkl", data)):
            archive.writestr(f"m/{name}", content)
        archive.writestr("m/code/__torch__.py", code)
    return "m.pt"


@pytest.mark.parametrize("kind", DEEP)
def test_code_that_is_nested_beyond_reason_never_reaches_libtorch(runner: Any, kind: str) -> None:
    depth = 2_000 if kind == "indentations" else 20_000
    error = runner.error("--info", model=write_model(runner, DEEP[kind](depth)), code=3)
    assert "nested more than 500 deep, which no model is" in error


@pytest.mark.parametrize("kind", [k for k in DEEP if k not in ("types", "classes", "attributes", "lists")])
def test_code_that_is_nested_as_far_as_that_is_taken(runner: Any, kind: str) -> None:
    runner("--info", model=write_model(runner, DEEP[kind](240)))


DEEP_DATA = {
    "lists": (b"]", b"a"),
    "tuples": (b"N", b"\x85"),
    "marks": (b"(", b"t"),
    "dicts": (b"}K\x01", b"s"),
    "itself": (b"]q\x01h\x01", b"a"),
    "objects": (b"h\x00)\x81}X\x01\x00\x00\x00a", b"sb"),
}


@pytest.mark.parametrize("kind", DEEP_DATA)
def test_data_that_is_nested_beyond_reason_never_reaches_libtorch(runner: Any, kind: str) -> None:
    first, then = DEEP_DATA[kind]
    data = b"\x80\x02c__torch__\nM\nq\x00)\x81}X\x01\x00\x00\x00a" + first * 200_000 + b"N" + then * 200_000 + b"sb."
    code = method("x").replace("  def", "  a : Any\n  def", 1)
    error = runner.error("--info", model=write_model(runner, code, data), code=3)
    assert "its record data.pkl is nested more than 500 deep" in error


@pytest.mark.parametrize(
    "claim",
    [b"X\xff\xff\xff\x7fa", b"\x8a\xff1", b"Nr\xff\xff\xff\xff0N", b"G1", b"c__torch__.A", b"c__torch__\nA"],
    ids=["X", "LONG", "PUT", "G", "GLOBAL", "GLOBAL in its second line"],
)
def test_data_that_claims_more_than_it_holds(runner: Any, claim: bytes) -> None:
    data = b"\x80\x02c__torch__\nM\nq\x00)\x81}X\x01\x00\x00\x00a" + claim
    error = refused(runner, "--info", "--model", write_model(runner, method("x"), data), code=3)
    assert "its record data.pkl is damaged: it claims more than it holds" in error


def test_where_code_came_from_that_has_no_end(runner: Any) -> None:
    """libtorch looks there when it reports an error."""
    name = write_model(runner, method("x"))
    with zipfile.ZipFile(runner.folder / name, "a") as archive:
        archive.writestr("m/code/__torch__.py.debug_pkl", b"\x80\x02c__torch__.A")
    error = refused(runner, "--info", "--model", name, code=3)
    assert "its record code/__torch__.py.debug_pkl is damaged: it claims more than it holds" in error


def test_what_the_models_maker_put_beside_the_code_is_not_looked_at(runner: Any) -> None:
    name = write_model(runner, method("x"))
    with zipfile.ZipFile(runner.folder / name, "a") as archive:
        archive.writestr("m/extra/notes.py", "(" * 10_000)
    runner("--info", model=name)


def test_texts_and_comments_are_not_nested(runner: Any) -> None:
    text = "'" + "(" * 2000 + "\\\\' + \"" + "[" * 2000 + '\\""'
    code = method("x", before=f"    # {'(' * 2000}\n    text = {text}\n")
    runner("--info", model=write_model(runner, code))


def test_a_crash_of_libtorch_while_it_reads_a_model_is_a_sentence(runner: Any) -> None:
    """libtorch 2.13 follows a null pointer where a list is given for Any."""
    error = runner.error("--info", model=write_model(runner, method("[x]", "Any")), code=3)
    assert error == (
        "test-app: error: libtorch crashed while it read m.pt\n"
        "hint: the file is damaged, has code that this libtorch cannot take, or program and libtorch do not fit "
        "together"
    )


def test_a_pipe_or_device_is_no_file(runner: Any) -> None:
    os.mkfifo(runner.folder / "pipe")
    for name in ("pipe", "/dev/zero"):
        words = f"test-app: error: {name} is a pipe or a device: a file is wanted"
        assert runner.error("--info", model=name, code=2) == words
        assert runner.error("--input", f"file:{name}", code=2) == words
        assert runner.error("--input", "ones:3", "--expect", name, code=2) == words
