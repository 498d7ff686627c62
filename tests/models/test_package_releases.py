"""Packages that a release compiled, run by the program that is built for it; by hand: ``pytest -m network``."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import clean_variables, run_child
from small_projects import write_project

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.torch, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
RELEASES = ("2.6.0", "2.10.0", "2.14.1", "2.15.0")
"""The first whose loader works, the newest, and two between them."""
MODELS = """\
import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.layers = nn.Sequential(*layers, nn.Linear(8, 4))

    def forward(self, x: torch.Tensor):
        return torch.softmax(self.layers(x), -1), x.shape[0]


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encode = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, tokens: torch.Tensor):
        return self.encode(self.words(tokens)).mean(1)


class Dicts(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, k: int, pair: "tuple[torch.Tensor, torch.Tensor]"):
        y = torch.relu(self.linear(x)) * k
        return {"y": y + pair[0], "rest": pair[1].sum()}


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x: torch.Tensor):
        self.seen.add_(x.sum(0))
        return x + self.seen


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(8, 8).to(torch.bfloat16)

    def forward(self, x: torch.Tensor):
        return self.net(x.to(torch.bfloat16)).tanh()


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.LSTM(3, 5, batch_first=True)

    def forward(self, x: torch.Tensor):
        out, (h, c) = self.net(x)
        return out, h


class Noise(nn.Module):
    def forward(self, x: torch.Tensor):
        return x + torch.rand_like(x) * torch.randn(3)
"""
CLASSES = {
    "Classifier": (["rand:2x3x16x16"], '{ x = { 0 = "batch=1..64" } }', [["rand:5x3x16x16"]]),
    "Text": (["randint:50:2x7"], '{ tokens = { 0 = "batch", 1 = "length" } }', [["randint:50:3x12"]]),
    "Dicts": (["rand:3x8", "int:2", "(rand:3x4;ones:2)"], "", []),
    "Counts": (["rand:2x4"], "", []),
    "Half": (["rand:2x8"], "", []),
    "Recurrent": (["rand:2x6x3"], "", []),
    "Noise": (["rand:2x3"], "", []),
}
"""Name → example-inputs, dynamic-shapes, check-inputs. What has sizes that vary has a TorchScript form, too."""


def settings() -> str:
    lines, names = [], []
    for name, (inputs, shapes, checks) in CLASSES.items():
        given = [f'factory = "demo.model:{name}"', f"example-inputs = {inputs}", f"check-inputs = {checks}"]
        if shapes:
            lines += ["[[tool.torchscript-build.model]]", f'name = "{name}"', *given]
            given = [f'same-as = "{name}"', f"dynamic-shapes = {shapes}"]
        lines += ["[[tool.torchscript-build.model]]", f'name = "{name}-pt2"', 'method = "aoti"', *given]
        names += [*([name] if shapes else []), f"{name}-pt2"]
    app = ["[[tool.torchscript-build.app]]", 'name = "app"', f"models = {names}", "verify = true"]
    return "\n".join([*lines, *app, "rtol = 1e-4", "atol = 1e-4"]) + "\n"


@pytest.fixture
def python(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A Python with a release: from the folder ``TORCHSCRIPT_BUILD_TEST_ENVIRONMENTS``, or made for this test."""
    there = Path(os.environ.get("TORCHSCRIPT_BUILD_TEST_ENVIRONMENTS", tmp_path), request.param, "bin/python")
    if there.exists():
        yield there
        return
    environment = tmp_path / "environment"
    run_child([sys.executable, "-m", "venv", str(environment)], check=True)
    made = environment / "bin/python"
    variables = {**os.environ, "PIP_CONFIG_FILE": os.devnull}  # a mirror may have older releases only
    install = [str(made), "-m", "pip", "install", "-q", "--no-cache-dir"]
    run_child([*install, f"torch=={request.param}", "cmake", "ninja", str(ROOT)], check=True, env=variables)
    yield made
    shutil.rmtree(environment, ignore_errors=True)  # some gigabytes


@pytest.mark.parametrize("python", RELEASES, indirect=True)
def test_packages_compiled_and_run_by_a_release(python: Path, tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", settings(), files={"demo/model.py": MODELS})
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    command = [str(python), "setup.py", "build_ts_app"]
    variables = clean_variables(PATH=path)
    done = run_child(command, cwd=project, env=variables, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^   (\w+)-pt2 +forward +(example|check 1) +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    wanted = [
        (name, call) for name, (*_, checks) in CLASSES.items() for call in ("example", "check 1")[: 1 + len(checks)]
    ]
    assert [row[:2] for row in rows] == wanted
    assert max(float(number) for row in rows for number in row[2:]) < 1e-4
    twins = done.stdout.partition("-- both forms of a model")[2]
    assert re.findall(r"^   (\w+) +(example|check 1) ", twins, re.MULTILINE) == wanted[:4]
