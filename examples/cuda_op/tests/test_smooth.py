"""The installed operator and program: python -m pytest tests"""

import json
import subprocess
from pathlib import Path

import pytest
import smooth_ops
import torch
from smooth_ops.model import trend

PROGRAM = Path(smooth_ops.__file__).parent / "bin" / "trend"


def test_mean_of_the_neighbours_that_are_there() -> None:
    signal = torch.tensor([[0.0, 3.0, 6.0, 0.0]])
    torch.testing.assert_close(torch.ops.smooth_ops.moving_average(signal, 1), torch.tensor([[1.5, 3.0, 3.0, 3.0]]))


def test_radius_of_nothing_changes_nothing() -> None:
    signal = torch.rand(3, 5)
    torch.testing.assert_close(torch.ops.smooth_ops.moving_average(signal, 0), signal)


@pytest.mark.parametrize(("signal", "words"), [(torch.ones(3), "1 dimensions"), (torch.ones(2, 2).int(), "Int")])
def test_wrong_input_is_refused(signal: torch.Tensor, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        torch.ops.smooth_ops.moving_average(signal, 1)


def test_cuda_implementation_is_there_where_torch_has_cuda() -> None:
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key("smooth_ops::moving_average", "CUDA")
    assert has_kernel == (torch.version.cuda is not None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_both_implementations_agree() -> None:
    signal = torch.rand(7, 1001)
    for radius in (0, 1, 10, 2000):
        on_gpu = torch.ops.smooth_ops.moving_average(signal.cuda(), radius).cpu()
        torch.testing.assert_close(on_gpu, torch.ops.smooth_ops.moving_average(signal, radius))


def test_program_agrees_with_python() -> None:
    command = [str(PROGRAM), "--input", "arange:2x8", "--input", "int:2", "--json", "--first", "100"]
    output = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["output"]
    with torch.no_grad():
        expected = trend()(torch.arange(16, dtype=torch.float32).reshape(2, 8), 2)
    torch.testing.assert_close(torch.tensor(output["values"]).reshape(output["shape"]), expected)
