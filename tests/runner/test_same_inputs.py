"""Example inputs of a model mean the same in Python as on the runner's command line, and to the settings' check.

Three read them, and none can call another: the program, the child that imports nothing of ours, and the settings, which
know no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchscript_build.models.child.inputs import parse_input
from torchscript_build.settings.input_specs import wrong_spec

pytestmark = [pytest.mark.compile, pytest.mark.torch]

TENSORS = (
    *("ones:2x3", "zeros:2:int64", "arange:2x2", "ones:", "full:0.5:3", "full:2:1x2:int32"),
    *("rand:3", "randn:2x2", "randint:7:4", "rand:2:float64", "randint:5:2:float32", "randn:3:float16"),
)


def test_tensors(runner: Any) -> None:
    import torch

    runner("--seed", 3, "--method", "same", "--input", f"[{';'.join(TENSORS)}]", "--output", "y.pt", model="echo")
    theirs = torch.load(runner.folder / "y.pt", weights_only=True)
    torch.manual_seed(3)
    ours = [parse_input(torch, spec, "") for spec in TENSORS]
    torch.testing.assert_close(theirs, ours, rtol=0, atol=0)
    assert [wrong_spec(spec) for spec in TENSORS] == [None] * len(TENSORS)


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        *(("int:3", 3), ("-2", -2), ("float:0.25", 0.25), ("1e3", 1000.0), ("bool:true", True), ("false", False)),
        *(("none", None), ("str:a:b", "a:b"), ("ints:1,2", [1, 2]), ("floats:", []), ("strs:a,b", ["a", "b"])),
        *(("[int:1;[str:x;none]]", [1, ["x", None]]), ("(1;(2;3))", (1, (2, 3))), ("1", 1)),
    ],
)
def test_plain_values(spec: str, value: Any) -> None:
    import torch

    made = parse_input(torch, spec, "")
    assert made == value
    assert type(made) is type(value)
    assert wrong_spec(spec) is None


@pytest.mark.parametrize("spec", ["bool:maybe", "ones:2xtwo", "nothing"])
def test_nonsense_is_refused(spec: str, tmp_path: Path) -> None:
    import torch

    with pytest.raises(ValueError, match=r"."):
        parse_input(torch, spec, str(tmp_path))
    assert wrong_spec(spec) is not None


ODD = (
    *("ones:0x3", "ones:2,3", "ones:2:torch.float32", "ones:2:half", "ones:2:qint8", "ones:2:float8_e4m3fn"),
    *("ones:2:uint16", "ones:2:cfloat", "ones:2:chalf", "ones:2:long", "ones:2:nope", "ones:-1", "ones:x", "ones:2x"),
    *("full:inf:2", "full:nan:2", "full::2", "randint:1.5:2", "randint:5", "int:1_000", "int:0x10", "int:3.5", "int:"),
    *(
        "float:nan",
        "float:-inf",
        "float:1e400",
        "bool:yes",
        "str:",
        "ints:1,,2",
        "bools:true,0",
        "nan",
        "[]",
        "()",
        "[ones:2",
    ),
    *("foo", "one:2", "rand:2 x 3", " ones:2", "int: 3", "ones:2:float32:x", "foo:bar:baz", ""),
)


@pytest.mark.parametrize("spec", ODD)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_settings_refuse_what_the_child_refuses_and_nothing_else(spec: str) -> None:
    import torch

    try:
        parse_input(torch, spec, "")
    except Exception:  # noqa: BLE001 - torch raises what it likes
        assert wrong_spec(spec) is not None
    else:
        assert wrong_spec(spec) is None
