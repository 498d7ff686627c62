"""Models of packages that we did not write, and which are code only: a transformer, an audio front end, E(3) layers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from small_projects import write_project

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.network, pytest.mark.timeout(3600)]

PACKAGES = (
    *("x-transformers==2.31.10", "einops==0.8.2", "einx==0.4.3", "loguru==0.7.3", "torch-einops-utils==0.2.0"),
    *("nnAudio==0.3.4", "e3nn==0.6.0", "opt-einsum==3.4.0", "opt-einsum-fx==0.1.4"),
    *("scipy", "sympy", "mpmath", "frozendict"),
)
FACTORIES = """\
import torch

def text():
    from x_transformers import Decoder, TransformerWrapper
    return TransformerWrapper(num_tokens=50, max_seq_len=32, attn_layers=Decoder(dim=32, depth=2, heads=4))

def tokens():
    return (torch.randint(0, 50, (1, 16)),)

def more_tokens():
    yield (torch.randint(0, 50, (3, 16)),)

def mel():
    from nnAudio.features import MelSpectrogram
    return MelSpectrogram(sr=8000, n_fft=256, n_mels=16, hop_length=128, verbose=False)

def equivariant():
    from e3nn import o3
    from e3nn.util.jit import script
    return script(o3.Linear("2x0e+1x1o", "1x0e+1x1o"))
"""
SETTINGS = """\
[[tool.torchscript-build.model]]
name = "text"
factory = "demo.model:text"
method = "trace"
example-inputs = ["demo.model:tokens"]
check-inputs = "demo.model:more_tokens"

[[tool.torchscript-build.model]]
name = "mel"
factory = "demo.model:mel"
method = "trace"
example-inputs = ["rand:1x8000"]
check-inputs = [["rand:2x8000"], ["rand:1x12000"]]

[[tool.torchscript-build.model]]
name = "equivariant"
factory = "demo.model:equivariant"
example-inputs = ["rand:5x5"]
check-inputs = [["rand:2x5"]]

[[tool.torchscript-build.app]]
name = "real"
models = ["text", "mel", "equivariant"]
verify = true
"""


def test_models_of_real_packages(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(packages), *PACKAGES]
    run_child(command, check=True)
    project = write_project(tmp_path / "project", SETTINGS, files={"demo/model.py": FACTORIES})
    done = run_python("setup.py", "build_ts_app", cwd=project, variables=clean_variables(PYTHONPATH=str(packages)))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^   (\w+) +forward +(example|check \d) +\S+ +([\d.e-]+)$", done.stdout, re.MULTILINE)
    assert [(model, label) for model, label, _ in rows] == [
        ("text", "example"),
        ("text", "check 1"),
        ("mel", "example"),
        ("mel", "check 1"),
        ("mel", "check 2"),
        ("equivariant", "example"),
        ("equivariant", "check 1"),
    ]
    assert all(float(largest) < 1e-4 for *_, largest in rows)


DETECTOR = """\
import torch

class Detector(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Conv2d(3, 5, 3)

    def forward(self, x):
        y = self.net(x).flatten(2)[0].t()
        boxes = torch.cat([y[:, :2], y[:, :2] + y[:, 2:4].abs()], 1)
        keep = torch.ops.torchvision.nms(boxes, y[:, 4], 0.5)
        return boxes[keep], keep

def detector():
    return Detector()

def sets():
    yield (torch.rand(1, 3, 8, 8),)
    yield (torch.rand(1, 3, 12, 9),)
"""
DETECTING = """\
[[tool.torchscript-build.model]]
name = "detector"
factory = "demo.model:detector"
check-inputs = "demo.model:sets"

[[tool.torchscript-build.app]]
name = "detect"
models = ["detector"]
external-ops = { torchvision = "torchvision:_C.so" }
verify = true
"""


def test_a_detector_with_the_operators_of_an_installed_package(tmp_path: Path) -> None:
    import torch

    packages = tmp_path / "packages"
    run_child(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(packages), "torchvision==0.28.0"],
        check=True,
    )
    project = write_project(tmp_path / "project", DETECTING, files={"demo/model.py": DETECTOR})
    done = run_python("setup.py", "build_ts_app", cwd=project, variables=clean_variables(PYTHONPATH=str(packages)))
    if torch.version.cuda is None:  # what the index has is for torch with CUDA
        assert done.returncode == 1
        assert "_C.so cannot be loaded into Python's torch: OSError: Could not load this library" in done.stderr
        assert "cannot open shared object file" in done.stderr.splitlines()[-1]
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert "_C.so of torchvision: linked with libtorch_python.so, of which it uses nothing" in done.stdout
    rows = re.findall(r"^   detector +forward +check \d +0 +([\d.e-]+)$", done.stdout, re.MULTILINE)
    assert len(rows) == 2
