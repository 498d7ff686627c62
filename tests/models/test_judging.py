"""``migrate`` on models of different kinds: its verdicts, reasons and places."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from support import run_child, write

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
INPUTS = {
    "plain": ["ones:1x16"],
    "function": ["randn:3x4", "randn:4x5"],
    "scripted": ["ones:2x16"],
    "Branch": ["randn:3x4"],
    "Operator": ["randn:3x4"],
    "Scaled": ["randn:3x4", "int:3"],
    "Forces": ["randn:3x4"],
    "Remembers": ["ones:2"],
    "Writes": ["ones:2"],
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("judged")
    write(folder / "judged_models.py", MODELS)
    entries = [
        f'[[tool.torchscript-build.model]]\nname = "{name}"\nfactory = "judged_models:{name}"\n'
        f"example-inputs = {json.dumps(inputs)}\n" + ("grad = true\n" if name == "Forces" else "")
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


def test_a_model_that_computes_gradients_keeps_torchscript(verdicts: dict[str, dict[str, Any]]) -> None:
    assert not verdicts["Forces"]["exports"]


def test_state_that_is_no_buffer_shows_in_the_second_call(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["Remembers"]["verdict"] == (
        "blocked: it keeps state that is no buffer, which torch.export compiles in: its second call differs "
        "(output: 2 of 2 values differ, the first is number 0: 2 and 3)"
    )


def test_a_model_that_writes_into_its_inputs_exports(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["Writes"]["exports"]
