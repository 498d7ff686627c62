"""Every form of --input, and the check against the method's schema."""

from __future__ import annotations

import numpy
import pytest
import torch

pytestmark = [pytest.mark.compile, pytest.mark.torch]


MADE = [
    ("ones:2x1", "float32", [2, 1], [1, 1]),
    ("zeros:2:int64", "int64", [2], [0, 0]),
    ("zeros:2:bool", "bool", [2], [False, False]),
    ("arange:2x3", "float32", [2, 3], [0, 1, 2, 3, 4]),
    ("full:0.5:2", "float32", [2], [0.5, 0.5]),
    ("ones:", "float32", [], [1]),
    ("ones::float64", "float64", [], [1]),
    ("ones:0x3", "float32", [0, 3], []),
    ("ones:1,2", "float32", [1, 2], [1, 1]),
    ("ones:1:half", "float16", [1], [1]),
    ("ones:1:torch.bfloat16", "bfloat16", [1], [1]),
    ("ones:1:complex64", "complex64", [1], [[1, 0]]),
    ("ones:1:float8_e5m2", "float8_e5m2", [1], [1]),
]


def test_made_tensors(runner):
    specs = ";".join(spec for spec, _, _, _ in MADE)
    made = runner.output("--method", "same", "--input", f"[{specs}]", model="echo")["items"]
    assert [(item["dtype"], item["shape"], item["values"]) for item in made] == [row[1:] for row in MADE]


@pytest.mark.parametrize(
    ("spec", "make"),
    [
        ("rand:2x2", lambda: torch.rand(2, 2)),
        ("rand:4:float64", lambda: torch.rand(4, dtype=torch.float64)),
        ("randn:3:float16", lambda: torch.randn(3, dtype=torch.float16)),
        ("randint:1000:4", lambda: torch.randint(1000, (4,))),
    ],
)
def test_random_tensors_have_the_values_of_python(runner, spec, make):
    torch.manual_seed(7)
    expected = make()
    values = runner.output("--seed", 7, "--input", spec, model="echo")["values"]
    assert values == pytest.approx(expected.flatten().tolist(), rel=1e-6)


def test_npy_dtypes(runner, save):
    codes = ["?", "u1", "i1", "i2", "i4", "i8", "u2", "f2", "f4", "f8", "c8", "c16"]
    arrays = [numpy.array([[0, 1], [2, 3]], dtype=code) for code in codes]
    files = [save(f"{i}.npy", array) for i, array in enumerate(arrays)]
    runner("--method", "same", "--input", f"[{';'.join(files)}]", "--output", "y.pt", model="echo")
    for array, tensor in zip(arrays, torch.load(runner.folder / "y.pt", weights_only=True)):
        assert tensor.numpy().dtype == array.dtype
        numpy.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("dtype", ["?", "i8", "f2", "c16"])
def test_npy_round_trip(runner, save, dtype):
    array = numpy.array([[0, 1], [2, 3]], dtype=dtype)
    runner("--input", save("x.npy", array), "--output", "y.npy", model="echo")
    result = numpy.load(runner.folder / "y.npy")
    assert result.dtype == array.dtype
    numpy.testing.assert_array_equal(result, array)


def test_npy_in_fortran_order(runner, save):
    array = numpy.asfortranarray(numpy.arange(24, dtype="f4").reshape(2, 3, 4))
    runner("--input", save("x.npy", array), "--output", "y.npy", model="echo")
    numpy.testing.assert_array_equal(numpy.load(runner.folder / "y.npy"), array)


@pytest.mark.parametrize("shape", [(), (0, 3), (1,)])
def test_npy_with_a_special_shape(runner, save, shape):
    assert runner.output("--input", save("x.npy", numpy.ones(shape)), model="echo")["shape"] == list(shape)


def test_npy_format_version_2(runner):
    with open(runner.folder / "x.npy", "wb") as file:
        numpy.lib.format.write_array(file, numpy.ones(2, "f4"), version=(2, 0))
    assert runner.output("--input", "x.npy", model="echo")["values"] == [1, 1]


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (numpy.ones(2, ">f4"), "big-endian"),
        (numpy.array(["a"]), "dtype '<U1' cannot be read"),
        (numpy.zeros(1, [("a", "f4")]), "structured arrays"),
    ],
)
def test_npy_that_is_no_tensor(runner, save, array, problem):
    assert problem in runner.error("--input", save("x.npy", array), model="echo", code=2)


def test_truncated_npy(runner, save):
    path = runner.folder / save("x.npy", numpy.ones(100))
    path.write_bytes(path.read_bytes()[:-1])
    assert "truncated .npy file" in runner.error("--input", "x.npy", model="echo", code=2)


def test_npy_with_an_impossible_shape(runner, save):
    path = runner.folder / save("x.npy", numpy.ones((2, 2)))
    path.write_bytes(path.read_bytes().replace(b"(2, 2), }" + b" " * 20, b"(9999999999, 9999999999), }  "))
    assert "the shape is too large" in runner.error("--input", "x.npy", model="echo", code=2)


def test_not_a_npy(runner):
    (runner.folder / "x.npy").write_text("hello")
    assert "not a .npy file" in runner.error("--input", "x.npy", model="echo", code=2)


def test_pt_with_a_tensor(runner, save):
    values = runner.output("--input", save("x.pt", torch.arange(6.0)[::2]), model="echo")["values"]
    assert values == [0, 2, 4]


def test_pt_with_a_list_of_tensors(runner, save):
    save("xs.pt", [torch.ones(2), torch.zeros(1)])
    items = runner.output("--method", "tensors", "--input", "xs.pt", model="echo")["items"]
    assert [item["values"] for item in items] == [[1, 1], [0]]


def test_pt_with_a_dict_of_ints_where_floats_are_wanted(runner, save):
    save("m.pt", {"a": 1, "b": 2.5})
    output = runner.output("--method", "mapping", "--input", "m.pt", model="echo")
    assert output["items"] == [{"key": "a", "value": 1}, {"key": "b", "value": 2.5}]


def test_args_supply_all_positional_arguments(runner, save):
    save("all.pt", (torch.ones(2), torch.ones(2), 3))
    assert runner.output("--input", "args:all.pt", model="sum")["values"] == [6, 6]


def test_args_with_a_named_argument(runner, save):
    save("all.pt", (torch.ones(2), torch.ones(2)))
    assert runner.output("--input", "args:all.pt", "--input", "scale=5", model="sum")["values"] == [10, 10]


def test_args_must_be_a_tuple(runner, save):
    save("x.pt", torch.ones(2))
    assert "must hold a tuple, not float32 [2]" in runner.error("--input", "args:x.pt", model="sum", code=2)


@pytest.mark.parametrize("text", ["x", "[1, 2"])
def test_pt_that_is_no_archive(runner, text):
    (runner.folder / "x.pt").write_text(text)
    assert "x.pt is not a .pt file: the file is not a zip archive" in runner.error("--input", "x.pt", code=2)


def test_pt_that_is_a_model(runner):
    assert "is a TorchScript model" in runner.error("--input", runner.models / "echo.pt", code=2)


def test_missing_file(runner):
    assert "x.npy: No such file or directory" in runner.error("--input", "x.npy", code=2)


def test_file_prefix_for_names_that_look_like_something_else(runner, save):
    save("x=1 \u00e4.npy", numpy.ones(1, "f4"))
    assert runner.output("--input", "file:x=1 \u00e4.npy", model="echo")["values"] == [1]


def test_plain_values(runner):
    specs = ["int:3", "float:0.5", "bool:true", "str:a=b;c", "none"]
    inputs = [word for spec in specs for word in ("--input", spec)]
    assert runner.output("--method", "plain", *inputs, model="echo")["items"] == [3, 0.5, True, "a=b;c", None]


def test_bare_values(runner):
    specs = ["-7", "1e-3", "true", "str:", "4"]
    inputs = [word for spec in specs for word in ("--input", spec)]
    assert runner.output("--method", "plain", *inputs, model="echo")["items"] == [-7, 0.001, True, "", 4]


def test_an_int_is_taken_where_a_float_is_wanted(runner):
    output = runner.output("--method", "plain", "--input", "f=2", model="echo")
    assert output["items"][1] == 2.0


def test_missing_arguments_take_their_defaults(runner):
    assert runner.output("--method", "plain", model="echo")["items"] == [1, 2.5, False, "hi", None]


def test_named_arguments(runner):
    output = runner.output("--input", "y=full:2:1", "--input", "x=ones:1", "--input", "scale=0.5", model="sum")
    assert output["values"] == [1.5]


@pytest.mark.parametrize(
    ("method", "spec", "items"),
    [
        ("ints", "ints:1,2,3", [1, 2, 3]),
        ("ints", "ints:", []),
        ("floats", "floats:0.1,2", [0.1, 2.0]),
        ("floats", "ints:1,2", [1.0, 2.0]),
        ("strings", "strs:a,b", ["a", "b"]),
        ("ints", "[1;2]", [1, 2]),
    ],
)
def test_lists(runner, method, spec, items):
    assert runner.output("--method", method, "--input", spec, model="echo")["items"] == items


def test_lists_and_tuples_of_specs(runner):
    output = runner.output("--method", "tensors", "--input", "[ones:1x2;full:3:1]", model="echo")
    assert [item["values"] for item in output["items"]] == [[1, 1], [3]]
    output = runner.output("--method", "pair", "--input", "(4;ones:1)", model="echo")
    assert output["items"][0] == 4


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("what", "not understood"),
        ("ones:1xx2", "'1xx2' is not a shape"),
        ("ones:-1", "'-1' is not a shape"),
        ("ones:2:float99", "'float99' is not a dtype"),
        ("int:x", "'x' is not an integer"),
        ("int:99999999999999999999", "is not an integer"),
        ("bool:maybe", "is not true or false"),
        ("randint:0:2", "no upper bound"),
        ("rand:2:int64", "--input rand:2:int64"),
        ("ints:1,a", "'a' is not an integer"),
    ],
)
def test_bad_specs(runner, spec, problem):
    assert problem in runner.error("--input", spec, code=2)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ([], "forward() needs an input for argument 'x'"),
        (["ones:1"] * 4, "forward() takes 3 inputs, but got 4"),
        (["ones:1", "z=ones:1", "y=ones:1"], "forward() has no argument 'z'"),
        (["ones:1", "x=ones:1", "y=ones:1"], "forward() got two inputs for argument 'x'"),
        (["x=ones:1", "x=ones:1", "y=ones:1"], "forward() got two inputs for argument 'x'"),
        (["ones:1", "ones:1", "str:a"], "argument 'scale' must be float, not str"),
        (["ones:1", "2"], "argument 'y' must be Tensor, not int"),
        (["ones:1", "ones:1", "ones:2"], "argument 'scale' must be float, not float32 [2]"),
    ],
)
def test_inputs_are_checked_before_the_model_runs(runner, inputs, problem):
    arguments = [word for spec in inputs for word in ("--input", spec)]
    error = runner.error(*arguments, model="sum", code=2)
    assert problem in error
    assert "hint: schema: forward(Tensor x, Tensor y, float scale=1.) -> Tensor" in error


def test_a_list_with_a_wrong_element(runner):
    error = runner.error("--method", "ints", "--input", "[1;str:a]", model="echo", code=2)
    assert "argument 'values' must be List[int]" in error
