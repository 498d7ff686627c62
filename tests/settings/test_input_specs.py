"""Input specs of models: what means nothing is told before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_projects import read_project, write_project

from torchscript_build.errors import SettingsError
from torchscript_build.settings.input_specs import wrong_spec

GOOD = (
    *("ones:1x3", "ones:", "zeros:2,3:int64", "rand:5x5:bfloat16", "randn:1:half", "arange:8", "arange:2x8:uint8"),
    *("full:-1:20", "full:2.5:3:float64", "randint:10:1x3", "ones:1:float8_e4m3fn"),
    *("int:3", "float:0.5", "bool:true", "str:a:b", "ints:1,2,3", "floats:", "strs:a,b", "bools:true,False"),
    *("3", "0.5", "-1e-3", "true", "none", "[ones:1;int:2]", "(ones:1x2;[1;2];none)", "[]"),
    *("data.npy", "in/x.pt", "file:weights.bin", "args:all.pt", "demo.inputs:make", "inputs:make.more", "onnx:make"),
)


@pytest.mark.parametrize("spec", GOOD)
def test_what_means_something(spec: str) -> None:
    assert wrong_spec(spec) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("one:1x3", "did you mean ones:1x3?"),
        ("zreos:2", "did you mean zeros:2?"),
        ("ones:1*3", "'1*3' is no shape; one is 1x3x224x224"),
        ("ones:[1,3]", "'[1,3]' is no shape"),
        ("ones:1x-3", "'1x-3' is no shape"),
        ("ones:1x3:flaot32", "'flaot32' is no type of torch's; did you mean float32?"),
        ("full:1x3", "'1x3' is no number"),
        ("randint:1x3", "'1x3' is no whole number"),
        ("int:0.5", "'0.5' is no whole number"),
        ("bool:yes", "'yes' is not true or false"),
        ("ints:1,x", "'x' is no whole number"),
        ("[ones:1;two]", "'two' is neither a spec"),
        (
            "torch.ones(1,3)",
            "'torch.ones(1,3)' is neither a spec (ones:1x3, int:3, data.npy) nor package.module:function",
        ),
        ("1x3", "'1x3' is neither a spec"),
        ("data.csv", "'data.csv' is neither a spec"),
        ("[" * 2000 + "]" * 2000, "an input is nested more than 100 deep"),
        ("", "'' is neither a spec"),
    ],
)
def test_what_means_nothing(spec: str, words: str) -> None:
    assert words in (wrong_spec(spec) or "")


def test_each_is_one_problem_with_its_setting(tmp_path: Path) -> None:
    settings = """\
    [[tool.torchscript-build.model]]
    name = "net"
    factory = "demo.net:make"
    example-inputs = ["ones:1*3"]
    check-inputs = { forward = [["ones:2x3"], ["one:2x3"]], encode = "make" }
    """
    with pytest.raises(SettingsError) as failed:
        read_project(write_project(tmp_path, settings))
    assert failed.value.problems == (
        "model 'net': example-inputs: 'ones:1*3': '1*3' is no shape; one is 1x3x224x224",
        f"model 'net': check-inputs: {wrong_spec('one:2x3')}",
        "model 'net': check-inputs must look like 'package.module:function', not 'make'",
    )
