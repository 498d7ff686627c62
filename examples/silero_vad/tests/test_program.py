"""The installed program against the archive in Python, and against what was spoken: python -m pytest tests"""

import json
import subprocess
from pathlib import Path

import numpy
import pytest
import silero_vad_demo
import torch

PACKAGE = Path(silero_vad_demo.__file__).parent
SPEECH = Path(__file__).parents[1] / "speech.npy"
CHUNK = 512
SILENCE_BEFORE, SPOKEN, SILENCE_AFTER = slice(0, 10), slice(13, 36), slice(40, 44)
"""Of the chunks of the recording."""


def run(*arguments: str) -> torch.Tensor:
    """The program's output, a tensor."""
    command = [str(PACKAGE / "bin" / "silero-vad"), *arguments, "--json", "--first", "1000"]
    output = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["output"]
    return torch.tensor(output["values"]).reshape(output["shape"])


@pytest.fixture(scope="module")
def probabilities() -> torch.Tensor:
    return run("--method", "audio_forward", "--input", str(SPEECH), "--input", "16000")


def test_same_probabilities_as_in_python(probabilities: torch.Tensor) -> None:
    model = torch.jit.load(PACKAGE / "models" / "silero_vad.pt")
    expected = model.audio_forward(torch.from_numpy(numpy.load(SPEECH)), 16000)
    torch.testing.assert_close(probabilities, expected, rtol=1e-4, atol=1e-5)


def test_speech_is_told_from_silence(probabilities: torch.Tensor) -> None:
    chunks = probabilities[0]
    assert chunks[SILENCE_BEFORE].max() < 0.1
    assert chunks[SPOKEN].min() > 0.9
    assert chunks[SILENCE_AFTER].max() < 0.1


def test_state_is_kept_from_chunk_to_chunk(probabilities: torch.Tensor, tmp_path: Path) -> None:
    numpy.save(tmp_path / "alone.npy", numpy.load(SPEECH)[20 * CHUNK : 21 * CHUNK])
    alone = run("--input", str(tmp_path / "alone.npy"), "--input", "16000")
    assert alone.shape == (1, 1)
    assert abs(float(alone) - float(probabilities[0, 20])) > 1e-3
