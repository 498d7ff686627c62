"""The installed class and program: python -m pytest tests"""

import io
import json
import subprocess
from pathlib import Path

import pytest
import running_stats
import torch
from running_stats.model import Normalizer, calibrated

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

PROGRAM = Path(running_stats.__file__).parent / "bin" / "normalize"


def test_same_as_the_statistics_of_all_rows_together() -> None:
    stats = torch.classes.running_stats.RunningStats(4)
    rows = torch.randn(50, 4) * 3 + 1000
    for part in rows.split([1, 20, 0, 29]):
        stats.push(part)
    assert stats.count() == 50
    torch.testing.assert_close(stats.mean(), rows.mean(0))
    torch.testing.assert_close(stats.std(), rows.double().std(0, unbiased=False).float())


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"wants rows of shape \(N, 4\), not \[2, 3\]"):
        torch.classes.running_stats.RunningStats(4).push(torch.ones(2, 3))


def test_nothing_seen_is_not_a_number() -> None:
    assert torch.classes.running_stats.RunningStats(2).std().isnan().all()


def test_state_survives_saving_and_loading() -> None:
    model = torch.jit.script(Normalizer(2))
    model.observe(torch.tensor([[1.0, 5.0], [3.0, 5.5]]))
    buffer = io.BytesIO()
    torch.jit.save(model, buffer)
    buffer.seek(0)
    loaded = torch.jit.load(buffer)
    torch.testing.assert_close(loaded(torch.ones(1, 2)), model(torch.ones(1, 2)))
    assert loaded.observe(torch.ones(3, 2)) == 5
    assert model.observe(torch.ones(1, 2)) == 3


def test_program_has_what_the_model_saw_before_it_was_saved() -> None:
    command = [str(PROGRAM), "--input", "arange:5x3", "--json", "--first", "100"]
    output = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["output"]
    expected = calibrated()(torch.arange(15.0).reshape(5, 3))
    torch.testing.assert_close(torch.tensor(output["values"]).reshape(output["shape"]), expected)
