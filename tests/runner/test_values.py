"""Values survive between Python and the program, of every kind and in every direction."""

from __future__ import annotations

import collections
import dataclasses
import pickle
import warnings
from typing import Any

import numpy
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch.jit is deprecated, nested tensors are a prototype
    import models

    NESTED = torch.nested.nested_tensor([torch.ones(1)])

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.filterwarnings("ignore::UserWarning")]

PLAIN = ("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")
FLOATS = ("float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128")
EIGHT_BITS = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
DTYPES = tuple(name for name in PLAIN + FLOATS + EIGHT_BITS if hasattr(torch, name))


def bits(tensor: torch.Tensor) -> list[int]:
    return tensor.resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8).tolist()


def pattern(dtype: str, *shape: int) -> torch.Tensor:
    """Every byte there is, so also NaN, infinities and subnormal numbers."""
    kind = getattr(torch, dtype)
    size = torch.empty(1, dtype=kind).element_size()
    count = torch.Size(shape).numel() * size
    generator = torch.Generator().manual_seed(len(dtype))
    data = torch.randint(0, 2 if dtype == "bool" else 256, (count,), dtype=torch.uint8, generator=generator)
    return data.view(kind).reshape(shape)


def same(left: Any, right: Any) -> bool:
    """Equal, NaN included, with the same types; a list is no tuple."""
    if isinstance(left, torch.Tensor):
        if not isinstance(right, torch.Tensor) or left.dtype != right.dtype or left.layout != right.layout:
            return False
        if left.is_quantized:
            return left.qscheme() == right.qscheme() and torch.equal(left, right)
        if left.layout is torch.sparse_coo:
            left, right = left.coalesce(), right.coalesce()
            parts = ("indices", "values")
        elif left.layout in (torch.sparse_csr, torch.sparse_bsr):
            parts = ("crow_indices", "col_indices", "values")
        elif left.layout in (torch.sparse_csc, torch.sparse_bsc):
            parts = ("ccol_indices", "row_indices", "values")
        else:
            return left.shape == right.shape and bits(left) == bits(right)
        return left.shape == right.shape and all(same(getattr(left, p)(), getattr(right, p)()) for p in parts)
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return repr(left) == repr(right)


@pytest.fixture
def carry(runner: Any, save: Any) -> Any:
    """What the program writes of what Python wrote; it reads both of them again, and they are the same to it."""

    def carried(value: Any, method: str, model: str = "kinds") -> Any:
        save("in.pt", value)
        runner("--method", method, "--input", "in.pt", "--output", "out.pt", model=model)
        runner("--method", method, "--input", "out.pt", "--expect", "out.pt", model=model)
        runner("--method", method, "--input", "out.pt", "--expect", "in.pt", model=model)
        return torch.load(runner.folder / "out.pt", weights_only=True)

    return carried


SHAPES = {"scalar": (), "empty": (0, 3), "hollow": (2, 0, 3), "matrix": (3, 5)}


@pytest.mark.parametrize("shape", SHAPES)
def test_tensors_of_each_dtype(carry: Any, shape: str) -> None:
    tensors = [pattern(dtype, *SHAPES[shape]) for dtype in DTYPES]
    assert [same(*pair) for pair in zip(carry(tensors, "same", "echo"), tensors)] == [True] * len(DTYPES)


def layouts() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(4, 6)
    z = torch.randn(4, dtype=torch.complex64)
    blocks = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2))
    return {
        "slice": x[1:, ::2],
        "transposed": x.t(),
        "channels_last": torch.randn(1, 3, 2, 2).to(memory_format=torch.channels_last),
        "expanded": torch.randn(3, 1).expand(3, 4),
        "conjugated": z.clone().conj(),
        "negated": z.clone().conj().imag,
        "both": torch.view_as_complex(torch.view_as_real(z.clone()).neg()),
        "parameter": torch.nn.Parameter(x),
        "leaf": torch.ones(2, requires_grad=True),
        "coo": torch.sparse_coo_tensor([[0, 0, 1], [1, 1, 2]], [1.0, 2.0, 3.0], (2, 3), is_coalesced=False),
        "coalesced": x.relu().to_sparse(),
        "none_set": torch.zeros(2, 3).to_sparse(),
        "hybrid": torch.randn(2, 3, 4).to_sparse(1),
        "csr": x.relu().to_sparse_csr(),
        "csc": x.relu().to_sparse_csc(),
        "bsr": blocks.to_sparse_bsr((2, 2)),
        "bsc": blocks.to_sparse_bsc((2, 2)),
        "sparse_complex": torch.eye(3, dtype=torch.complex128).to_sparse(),
        "sparse_bool": torch.eye(3, dtype=torch.bool).to_sparse(),
        "qint8": torch.quantize_per_tensor(x, 0.1, 3, torch.qint8),
        "quint8": torch.quantize_per_tensor(x, 0.05, 128, torch.quint8),
        "qint32": torch.quantize_per_tensor(x, 0.001, 0, torch.qint32),
        "channels": torch.quantize_per_channel(x, torch.rand(4) + 0.1, torch.arange(4), 0, torch.qint8),
        "quantized_slice": torch.quantize_per_tensor(x, 0.1, 3, torch.quint8)[:, 1:3],
    }


def test_tensors_of_each_layout(carry: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensors = layouts()
        results = carry(list(tensors.values()), "same", "echo")
        wrong = [name for (name, tensor), result in zip(tensors.items(), results) if not same(tensor.detach(), result)]
    assert wrong == []


def test_two_views_of_one_storage(carry: Any) -> None:
    x = torch.arange(10.0)
    assert same(carry([x[:5], x[3:], x], "same", "echo"), [x[:5], x[3:], x])


PYTHON_VALUES = {
    "none": None,
    "bools": [True, False],
    "ints": [0, -1, 255, 256, 65536, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63)],
    "floats": [0.0, -0.0, 1e-320, 1.5, float("inf"), float("-inf"), float("nan")],
    "complex": [1j, -2.5 + 0j, complex("nan"), complex(0.0, -0.0)],
    "strings": ["", "a\0b", "\"'\\\n\t\r", "h\u00e9llo \U0001f600", "x" * 70000],
    "tuple": (1, ("a", [2.0, 3.0]), {"k": (None, True)}),
    "dict": {"a": [1, 2], "b": [3]},
    "int_keys": {3: "x", -1: "y"},
    "float_keys": {0.5: 1},
    "bool_keys": {True: 1.5},
    "device": [torch.device("cpu"), torch.device("cuda:1"), torch.device("meta")],
    "tensors": {"x": torch.ones(2), "y": torch.zeros(0)},
    "repeated": [[1, 2]] * 3,
}


@pytest.mark.parametrize("name", PYTHON_VALUES)
def test_values_of_python(carry: Any, name: str) -> None:
    value = PYTHON_VALUES[name]
    assert same(carry(value, "anything"), value)


OTHER_VALUES = {
    "ordered": (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "default": (collections.defaultdict(int, {"a": 1}), {"a": 1}),
    "counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
    "size": (torch.Size([1, 2]), (1, 2)),
    "dtypes": ([torch.float16, torch.bool, torch.uint16], [5, 11, 27]),
    "layout": (torch.sparse_coo, 1),
    "numpy": (
        (
            numpy.float64(0.1),
            numpy.float32(0.5),
            numpy.int64(-3),
            numpy.uint8(7),
            numpy.bool_(True),
            numpy.complex128(1j),
        ),
        (0.1, 0.5, -3, 7, True, 1j),
    ),
    "bytes": (b"a\xc3\xa9", "a\u00e9"),
}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_what_python_passes_as_a_plainer_value(runner: Any, save: Any, name: str) -> None:
    value, plain = OTHER_VALUES[name]
    runner("--method", "anything", "--input", save("in.pt", value), "--output", "out.pt", model="kinds")
    assert same(torch.load(runner.folder / "out.pt", weights_only=True), plain)


@dataclasses.dataclass
class PlainBox:
    """Pickled like an instance of models.Box would be, if that could be pickled."""

    size: int
    corner: torch.Tensor


# Arguments as Python takes them: the oracle is the same method, called in Python.
TAKEN = [
    *(("an_int", v) for v in (3, True, torch.tensor(3), torch.tensor(2.5), torch.tensor([[3]]), numpy.int64(3))),
    *(("an_int", v) for v in (torch.float16, torch.sparse_csr)),
    *(("a_float", v) for v in (3, True, 2.5, torch.tensor(3), torch.tensor([2.5]), numpy.float32(3))),
    *(("a_bool", v) for v in (True, 3, 0, 2.0, None, torch.tensor([0.0]))),
    *(("a_complex", v) for v in (3, True, 2.0, 1j, torch.tensor(1j), torch.tensor(2))),
    *(("a_string", v) for v in ("a", b"a")),
    *(("a_device", v) for v in ("cpu", torch.device("cuda:1"))),
    *(("ints", v) for v in ([1], (1, 2), torch.Size([3]), [True], [torch.tensor(1)], [])),
    *(("a_list", v) for v in ([1, "a"], (1, [2.0]))),
    *(("a_union", v) for v in (2.0, "a", [1, 2])),
    *(("optional", v) for v in (None, {}, {"a": []}, {"a": [1, 2.5]}, collections.OrderedDict(a=[1]))),
    *(("a_tuple", v) for v in ((1, 2), [1, 2.5], (True, True))),
    *(("name", v) for v in ([1, 2], [1.0], [1, None], [[1], [2]], [torch.ones(1), torch.ones(2, 2)], (1, "a"))),
    *(("name", v) for v in ({"a": 1}, {"a": [1.0], "b": [2.0]}, 1, None)),
    ("of_dtype", torch.bfloat16),
    ("point", (torch.ones(1), "a")),
    ("point", models.Point(torch.ones(1), "a")),
    ("points", {"p": models.Point(torch.ones(1), "a")}),
    ("color", models.Color.BLUE),
    ("mode", models.Mode.SAFE),
]


def test_why_a_named_tuple_is_written_as_a_tuple(runner: Any, save: Any) -> None:
    """Its class is all that a pickle says of it, not the fields, and with weights_only torch.load takes no class."""
    save("point.pt", models.Point(torch.ones(1), "a"))
    with pytest.raises(pickle.UnpicklingError, match=r"Unsupported global: GLOBAL models\.Point"):
        torch.load(runner.folder / "point.pt", weights_only=True)
    runner("--method", "point", "--input", "point.pt", "--output", "out.pt", model="kinds")
    written = torch.load(runner.folder / "out.pt", weights_only=True)
    assert type(written) is tuple
    for file in ("point.pt", "out.pt"):  # and nothing is lost: a tuple becomes what the schema names
        runner("--method", "point", "--input", file, "--expect", "out.pt", model="kinds")
        runner("--method", "point", "--input", "out.pt", "--expect", file, model="kinds")


@pytest.fixture(scope="session")
def in_python(built_runner: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(models.Kinds())


@pytest.mark.parametrize(
    ("method", "value"), TAKEN, ids=lambda item: item if isinstance(item, str) else repr(item)[:30]
)
def test_arguments_are_taken_as_python_takes_them(
    runner: Any, save: Any, in_python: Any, method: str, value: Any
) -> None:
    expected = getattr(in_python, method)(value)
    if isinstance(expected, tuple):
        expected = tuple(expected)
    if method == "points":
        expected = {key: tuple(point) for key, point in expected.items()}
    save("in.pt", value)
    save("expected.pt", expected)
    runner("--method", method, "--input", "in.pt", "--expect", "expected.pt", "--output", "out.pt", model="kinds")
    written = runner("--method", method, "--input", "in.pt", "--expect", "out.pt", model="kinds").stdout
    assert "outputs match" in written


REFUSED = [
    ("an_int", 2.0, "argument 'x' must be int, not float 2"),
    ("an_int", None, "argument 'x' must be int, not None"),
    ("an_int", torch.ones(2), "argument 'x' must be int, not float32 [2]"),
    ("a_float", 1j, "argument 'x' must be float, not complex 0+1j"),
    ("a_bool", "a", "argument 'x' must be bool, not str \"a\""),
    ("ints", [1, 1.5], "argument 'x' must be List[int], not list of 2: [1] must be int, not float 1.5"),
    ("ints", "ab", "argument 'x' must be List[int], not str"),
    ("a_tuple", (1,), "argument 'x' must be Tuple[int, float], not tuple of 1"),
    ("a_device", "gpu", "argument 'x' must be a device (cpu, cuda, cuda:1 ...), not str \"gpu\""),
    ("anything", [], "argument 'x' is an empty list, whose type cannot be inferred"),
    ("anything", {}, "argument 'x' is an empty dict, whose type cannot be inferred"),
    ("anything", [1, 2.0], "argument 'x' holds items of different types, int and float"),
    ("anything", {"a": 1, "b": "c"}, "argument 'x' holds values of different types, int and str"),
    ("anything", {1, 2}, "in.pt cannot be read: it holds a set, which TorchScript does not have"),
    ("anything", numpy.ones(2), "in.pt cannot be read: it holds an array of NumPy"),
    ("anything", 2**64, "in.pt cannot be read: an int has more than 64 bits"),
    ("anything", torch.nn.Linear, "in.pt cannot be read: it holds torch.nn.modules.linear.Linear itself"),
    (
        "anything",
        NESTED,
        "in.pt cannot be read: it holds what torch._utils._rebuild",
    ),
    ("color", 7, "must be a member of __torch__.models.Color (RED, BLUE), not int 7"),
    ("box", {"size": 1}, "argument 'x' must have the attribute corner of __torch__.models.Box"),
    ("forward", [torch.ones(1)], "argument 'x' must be Tensor, not list of 1"),
]


@pytest.mark.parametrize(("method", "value", "message"), REFUSED, ids=[f"{m}-{str(v)[:20]}" for m, v, _ in REFUSED])
def test_arguments_that_do_not_fit(runner: Any, save: Any, method: str, value: Any, message: str) -> None:
    save("in.pt", value)
    assert message in runner.error("--method", method, "--input", "in.pt", model="kinds", code=2)


@pytest.mark.parametrize(
    ("method", "spec"), [("color", "str:BLUE"), ("color", "2"), ("mode", "str:SAFE"), ("mode", "str:s")]
)
def test_members_of_enums_by_name_or_value(runner: Any, method: str, spec: str) -> None:
    output = runner.output("--method", method, "--input", spec, model="kinds")
    expected = {"color": ("models.Color", "BLUE", 2), "mode": ("models.Mode", "SAFE", "s")}[method]
    assert (output["type"], output["class"], output["name"], output["value"]) == ("enum", *expected)


@pytest.mark.parametrize("value", [PlainBox(3, torch.ones(2)), {"corner": torch.ones(2), "size": 3}])
def test_objects_from_their_attributes(runner: Any, save: Any, value: Any) -> None:
    save("in.pt", value)
    arguments = ("--method", "box", "--input", "in.pt", "--output", "out.pt", "--expect", "in.pt")
    output = runner.output(*arguments, model="kinds")
    assert (output["type"], output["name"], output["names"]) == ("object", "models.Box", ["size", "corner"])
    written = torch.load(runner.folder / "out.pt", weights_only=True)
    assert same(written, {"size": 3, "corner": torch.ones(2)})
    runner("--method", "box", "--input", "out.pt", "--expect", "out.pt", model="kinds")


def test_a_future_is_made_of_its_value(runner: Any) -> None:
    assert runner.output("--method", "future", "--input", "4", model="kinds") == 5


def test_a_tensor_argument_may_be_none(runner: Any) -> None:
    assert runner.output("--input", "none", model="kinds") is None


def test_text_of_sparse_and_quantized_tensors(runner: Any, save: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save("s.pt", torch.tensor([[0.0, 2.5]]).to_sparse())
        save("q.pt", torch.quantize_per_tensor(torch.tensor([1.0]), 0.5, 0, torch.qint8))
    assert runner("--input", "s.pt", model="kinds").stdout.splitlines() == [
        "output: float32 [1, 2] sparse_coo",
        "output.indices: int64 [2, 1]",
        "  0  1",
        "output.values: float32 [1]",
        "  2.5",
    ]
    assert runner("--input", "q.pt", model="kinds").stdout == "output: qint8 [1] per_tensor_affine\n  1\n"
    output = runner.output("--input", "s.pt", model="kinds")
    assert (output["layout"], output["values"]["values"]) == ("sparse_coo", [2.5])


def test_numbers_of_eight_bits_are_shown_as_torch_shows_them(runner: Any, save: Any) -> None:
    for dtype in (name for name in EIGHT_BITS if name in DTYPES):
        every = torch.arange(256, dtype=torch.uint8).view(getattr(torch, dtype))
        values = runner.output("--input", save("x.pt", every), "--first", 256, model="kinds")["values"]
        assert [float(value) for value in values] == pytest.approx(every.double().tolist(), rel=1e-6, nan_ok=True), (
            dtype
        )
