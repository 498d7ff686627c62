"""The installed program against the module that it was traced from: python -m pytest tests"""

import json
import subprocess
from pathlib import Path

import pytest
import resnet18_demo
import torch
from resnet18_demo.model import resnet18

PROGRAM = Path(resnet18_demo.__file__).parent / "bin" / "resnet18"


def run(*arguments: str) -> torch.Tensor:
    """The program's output, a tensor."""
    command = [str(PROGRAM), *arguments, "--json", "--first", "1000000"]
    output = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["output"]
    return torch.tensor(output["values"]).reshape(output["shape"])


@pytest.mark.parametrize("shape", [(1, 3, 224, 224), (2, 3, 96, 64)], ids=["as-traced", "another-shape"])
def test_same_logits_as_in_python(shape: "tuple[int, ...]") -> None:
    torch.manual_seed(0)  # the default of a model's `seed`
    with torch.no_grad():
        expected = resnet18().eval()(torch.full(shape, 0.5))
    output = run("--input", f"full:0.5:{'x'.join(map(str, shape))}")
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
