"""``migrate`` on models of different kinds: its verdicts, reasons and places."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from children import run_child
from support import write

pytestmark = [pytest.mark.torch, pytest.mark.slow]

MODELS = """\
import torch
from torch import nn


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x + 1
        return x - 1


class Operator(nn.Module):
    def forward(self, x):
        return torch.ops.judged.twice(x)


class Scaled(nn.Module):
    def forward(self, x, k: int):
        return x * k, x.shape[0]


class Forces(nn.Module):
    def forward(self, x):
        x = x.detach().requires_grad_(True)
        (found,) = torch.autograd.grad([(x**2).sum()], [x])
        return found


class Remembers(nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


class Writes(nn.Module):
    def forward(self, x):
        return x.add_(1) * 2


def strided():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, stride=2), nn.AdaptiveAvgPool2d(1))


class Skips(nn.Module):  # as a U-Net: both sizes must be even
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, x):
        return torch.cat([x, self.up(self.down(x))], 1)


class Textual(nn.Module):
    def forward(self, x):
        return x * 2, "done"


class Numeric(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy() * 2)


class Sides(nn.Module):
    @torch.jit.export
    def encode(self, x):
        return x * 2

    def forward(self, x):
        return x


def quantized():
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4)), {nn.Linear})


library = torch.library.Library("judged", "DEF")
library.define("twice(Tensor x) -> Tensor")
library.impl("twice", lambda x: x * 2, "CPU")


def plain():
    return nn.Linear(16, 4)


def scripted():
    return torch.jit.script(nn.Linear(16, 4))


def function():
    def scale(x, y):
        return torch.softmax(x @ y, -1)

    return scale
"""
PACKED = "torch.classes.quantized.LinearPackedParamsBase"
INPUTS = {
    "plain": ["ones:1x16"],
    "function": ["randn:3x4", "randn:4x5"],
    "scripted": ["ones:2x16"],
    "Branch": ["randn:3x4"],
    "Operator": ["randn:3x4"],
    "Scaled": ["randn:3x4", "int:3"],
    "Forces": ["randn:3x4"],
    "strided": ["rand:2x3x32x32"],
    "Skips": ["rand:2x1x8x12"],
    "Textual": ["ones:2"],
    "Numeric": ["ones:2"],
    "Sides": ["ones:2"],
    "quantized": ["rand:2x8"],
    "Remembers": ["ones:2"],
    "Writes": ["ones:2"],
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("judged")
    write(folder / "judged_models.py", MODELS)
    entries = [
        f'[[tool.torchscript-build.model]]\nname = "{name}"\nfactory = "judged_models:{name}"\n'
        f"example-inputs = {json.dumps(inputs)}\n"
        for name, inputs in INPUTS.items()
    ]
    app = '[[tool.torchscript-build.app]]\nname = "judged"\nmodels = ["plain"]\ninstall = false\n'
    project = '[project]\nname = "judged"\nversion = "1"\n[tool.setuptools]\npy-modules = []\n'
    write(folder / "pyproject.toml", "\n".join([project, *entries, app]))
    command = [sys.executable, "-m", "torchscript_build", "migrate", "--no-compile", "--json"]
    done = run_child(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout[done.stdout.index("\n[") :])
    return {verdict["model"]: verdict for verdict in found}


def test_sizes_that_vary_are_found(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["plain"]["dynamic_shapes"] == {"input": {"0": "input0"}}
    assert "the example has size 1" in verdicts["plain"]["notes"][0]
    assert verdicts["function"]["dynamic_shapes"] == {"x": {"0": "x0", "1": "x1"}, "y": {"0": "x1", "1": "y1"}}


def test_a_scripted_module_is_exported_with_the_sizes_of_its_example(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["scripted"]["verdict"] == "exports as it is, with the sizes of its example"


def test_a_branch_is_named_with_its_line(verdicts: dict[str, dict[str, Any]]) -> None:
    words = "blocked: a branch, loop or size depends on values of tensors (judged_models.py:7)"
    assert verdicts["Branch"]["verdict"] == words


def test_an_operator_without_a_fake_kernel_is_named_with_the_function_to_write(
    verdicts: dict[str, dict[str, Any]],
) -> None:
    assert verdicts["Operator"]["blocked"]["write"] == (
        '@torch.library.register_fake("judged::twice")\ndef _(x):\n    return x.new_empty(x.shape)  # its shape, dtype'
    )


def test_what_is_compiled_in_is_noted(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["Scaled"]["notes"] == ["compiled in, since they are no tensors: k = 3"]
    assert verdicts["Scaled"]["exports"]


def test_a_model_that_computes_gradients_is_found_out_and_keeps_torchscript(
    verdicts: dict[str, dict[str, Any]],
) -> None:
    words = "blocked: it computes gradients itself, for which torch.export records nothing (judged_models.py:25)"
    assert verdicts["Forces"]["verdict"] == words


def test_sizes_have_the_bounds_that_the_model_has(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["strided"]["dynamic_shapes"] == {"input": {"0": "input0", "2": "input2=6..", "3": "input3=6.."}}


def test_sizes_with_another_condition_stay_fixed(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["Skips"]["dynamic_shapes"] == {"x": {"0": "x0"}}
    why = "x2 must satisfy (2*(x.2 // 2)) == x.2; x3 must satisfy (2*(x.3 // 2)) == x.3"
    assert sorted(verdicts["Skips"]["why_fixed"].split("; ")) == why.split("; ")


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ("Textual", "blocked: its outputs have text among them, which AOTInductor does not give"),
        ("Numeric", "blocked: it computes with numpy, of which torch.export records nothing (judged_models.py:62)"),
        ("quantized", f"blocked: it holds an object of {PACKED}, which torch.export does not record"),
    ],
)
def test_what_holds_a_model_back(verdicts: dict[str, dict[str, Any]], model: str, verdict: str) -> None:
    assert verdicts[model]["verdict"] == verdict
    assert verdicts[model]["blocked"]["cure"]


def test_methods_that_are_left_behind(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["Sides"]["notes"] == ["a package has forward only; left behind: encode"]


def test_state_that_is_no_buffer_shows_in_the_second_call(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["Remembers"]["verdict"] == (
        "blocked: it keeps state that is no buffer, which torch.export compiles in: its second call differs "
        "(output: 2 of 2 values differ, the first is number 0: 2 and 3)"
    )


def test_a_model_that_writes_into_its_inputs_exports(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["Writes"]["exports"]
