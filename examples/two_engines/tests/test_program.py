"""The installed program against the model in Python, in both forms: python -m pytest tests"""

import json
import subprocess
from pathlib import Path

import pytest
import torch
import two_engines_demo
from two_engines_demo.model import classifier

PROGRAM = Path(two_engines_demo.__file__).parent / "bin" / "two-engines"


def run(*arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("model", ["classify", "classify-pt2"])
@pytest.mark.parametrize("rows", [1, 2, 64])
def test_both_forms_say_the_same_as_python(model: str, rows: int) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        expected, count = classifier()(torch.ones(rows, 16))
    done = run("--model", model, "--input", f"ones:{rows}x16", "--json", "--first", "1000")
    scores, number = json.loads(done.stdout)["output"]["items"]
    assert number == count
    torch.testing.assert_close(torch.tensor(scores["values"]).reshape(rows, 4), expected)


def test_a_package_refuses_what_it_was_not_compiled_for() -> None:
    done = run("--model", "classify-pt2", "--input", "ones:65x16", code=2)
    assert "argument 'x' must be float32 [batch, 16], of batch from 1 to 64, not float32 [65, 16]" in done.stderr
