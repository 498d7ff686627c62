"""What is printed and written."""

from __future__ import annotations

import numpy
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = [pytest.mark.compile, pytest.mark.torch]


def test_text_of_a_tensor(runner):
    assert runner("--input", "ones:1x3").stdout == "output: float32 [1, 2]\n  6  15\n"


def test_text_shows_the_first_values(runner):
    assert runner("--input", "arange:9", model="echo").stdout.endswith("\n  0  1  2  3  4  ...\n")
    assert runner("--input", "arange:9", "--first", 2, model="echo").stdout.endswith("\n  0  1  ...\n")
    assert runner("--input", "arange:9", "--first", 0, model="echo").stdout == "output: float32 [9]\n"


def test_text_of_nested_outputs(runner):
    assert runner("--input", "ones:2", model="nested").stdout.splitlines() == [
        "output: tuple of 6",
        "output[0]: float32 [2]",
        "  1  1",
        "output[1]: list of 3",
        "  1  2  3",
        "output[2]: dict of 1",
        'output[2]["boxes"]: float32 [2]',
        "  2  2",
        "output[3]: tuple of 2",
        "output[3].x: float32 [2]",
        "  2  2",
        'output[3].label: str "a"',
        "output[4]: None",
        'output[5]: str "h\u00e9\\n"',
    ]


def test_json_of_nested_outputs(runner):
    def tensor(*values):
        return {"type": "tensor", "dtype": "float32", "shape": [2], "values": list(values)}

    assert runner.output("--input", "ones:2", model="nested")["items"] == [
        tensor(1, 1),
        {"type": "list", "items": [1, 2, 3]},
        {"type": "dict", "items": [{"key": "boxes", "value": tensor(2, 2)}]},
        {"type": "tuple", "names": ["x", "label"], "items": [tensor(2, 2), "a"]},
        None,
        "h\u00e9\n",
    ]


def test_json_tells_what_ran(runner):
    report = runner.json("--input", "ones:1x3")
    assert report["app"] == "test-app"
    assert report["version"] == "1.2.3"
    assert report["libtorch"] == torch.__version__.split("+")[0]
    assert report["model"] == str(runner.models / "linear.pt")
    assert report["method"] == "forward"
    assert report["device"] == "cpu"


def test_json_writes_non_finite_numbers_as_strings(runner, save):
    save("x.npy", numpy.array([numpy.nan, numpy.inf, -numpy.inf]))
    assert runner.output("--input", "x.npy", model="echo")["values"] == ["nan", "inf", "-inf"]


def test_json_keeps_the_full_precision(runner, save):
    array = numpy.array([1 / 3, 1e-300, 0.1])
    assert runner.output("--input", save("x.npy", array), model="echo")["values"] == array.tolist()


def test_half_precision_numbers(runner, save):
    tensor = torch.tensor([1.0, 65504.0, 6e-8, -0.333, float("inf")], dtype=torch.float16)
    values = runner.output("--input", save("x.pt", tensor), model="echo")["values"]
    assert [float(value) for value in values] == pytest.approx(tensor.tolist(), rel=1e-6)


def test_what_the_model_prints_does_not_spoil_the_json(runner):
    assert runner("--input", "ones:1", model="prints").stdout.startswith("hello from the model\noutput: ")
    assert runner.output("--input", "ones:1", model="prints")["values"] == [1]
    assert "hello from the model" in runner("--input", "ones:1", "--json", model="prints").stderr


def test_output_npy(runner):
    runner("--input", "ones:1x3", "--output", "y.npy")
    result = numpy.load(runner.folder / "y.npy")
    assert result.dtype == numpy.float32
    numpy.testing.assert_array_equal(result, [[6, 15]])


def test_output_npy_holds_a_single_tensor(runner):
    error = runner.error("--input", "ones:2", "--output", "y.npy", model="nested", code=1)
    assert "the output is a tuple" in error
    assert "--output FILE.pt" in error


def test_output_npy_has_no_bfloat16(runner):
    error = runner.error("--input", "ones:2:bfloat16", "--output", "y.npy", model="echo", code=1)
    assert ".npy files have no dtype bfloat16" in error


INTEGERS = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint32"]
FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


def test_output_pt_keeps_the_dtypes(runner):
    specs = ";".join(f"ones:2x3:{dtype}" for dtype in INTEGERS + FLOATS)
    runner("--method", "same", "--input", f"[{specs}]", "--output", "y.pt", model="echo")
    tensors = torch.load(runner.folder / "y.pt", weights_only=True)
    assert [str(tensor.dtype) for tensor in tensors] == [f"torch.{dtype}" for dtype in INTEGERS + FLOATS]
    for tensor in tensors:
        assert torch.equal(tensor.to(torch.complex128), torch.ones(2, 3, dtype=torch.complex128))


def test_output_pt_of_nested_outputs(runner):
    runner("--input", "ones:2", "--output", "y.pt", model="nested")
    x, numbers, mapping, point, nothing, text = torch.load(runner.folder / "y.pt", weights_only=True)
    assert x.tolist() == [1, 1]
    assert numbers == [1, 2, 3]
    assert mapping["boxes"].tolist() == [2, 2]
    assert (point[0].tolist(), point[1]) == ([2, 2], "a")
    assert nothing is None
    assert text == "h\u00e9\n"


def test_output_pt_of_large_and_small_numbers(runner):
    inputs = ["--input", "i=-9000000000", "--input", "f=-1e-300", "--input", "b=true", "--input", "n=-5"]
    runner("--method", "plain", *inputs, "--output", "y.pt", model="echo")
    expected = (-9000000000, -1e-300, True, "hi", -5)
    assert torch.load(runner.folder / "y.pt", weights_only=True) == expected


def test_output_that_cannot_be_written(runner):
    assert "cannot be written" in runner.error("--input", "ones:1x3", "--output", "no/where.pt", code=1)
