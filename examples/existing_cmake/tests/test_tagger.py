"""The installed operators and program: python -m pytest tests"""

import subprocess
from pathlib import Path

import pytest
import tagger_sdk
import torch
from tagger_sdk.model import SmoothTrend

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.mark.parametrize(("values", "label"), [([1, 2], "rising"), ([3, 9, 1], "falling"), ([2, 0, 2], "level")])
def test_trend(values: "list[float]", label: str) -> None:
    tag = torch.ops.tagger.trend(torch.tensor(values, dtype=torch.float32))
    assert tag == torch.ops.tagger.tag_of(label)


def test_string_from_python_reaches_the_other_library() -> None:
    with pytest.raises(RuntimeError, match="there is no label 'sideways'"):
        torch.ops.tagger.tag_of("sideways")


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"two or more values, not a tensor of shape \[1\]"):
        torch.ops.tagger.trend(torch.ones(1))


@pytest.mark.parametrize("values", [["1", "5", "2"], ["4", "1", "1"], ["7", "7", "7"]])
def test_program_agrees_with_python(values: "list[str]", tmp_path: Path) -> None:
    model = torch.jit.script(SmoothTrend())
    torch.jit.save(model, tmp_path / "trend.pt")
    command = [str(tagger_sdk.PROGRAM), str(tmp_path / "trend.pt"), *values]
    label = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.strip()
    assert torch.ops.tagger.tag_of(label) == model(torch.tensor(list(map(float, values))))
