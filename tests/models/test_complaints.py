"""Tracebacks of what fails in the user's code: with the user's lines, and with none of torch's or ours."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import write

from torchscript_build.models.child.complaints import print_traceback
from torchscript_build.models.child.export import meant
from torchscript_build.models.jobs import _cures

TORCH = """\
def call(function):
    try:
        return function()
    except ValueError:
        return function()  # as torch.jit.trace asks Python again
"""
MODEL = """\
def forward(): raise ValueError("the lamp is out")
def careful():
    try:
        forward()
    except ValueError as error:
        raise KeyError("lamp") from error
"""


@pytest.fixture
def torch(tmp_path: Path) -> Any:
    """A module whose call is two frames of torch's."""
    file = write(tmp_path / "site/torch/__init__.py", TORCH)
    return loaded(file)


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return loaded(write(tmp_path / "model.py", MODEL))


def loaded(file: Path) -> Any:
    names: dict[str, Any] = {"__file__": str(file)}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    return SimpleNamespace(**names)


def told(torch: Any, function: Any, capsys: pytest.CaptureFixture[str], root: str = "/nowhere") -> str:
    try:
        torch.call(function)
    except Exception as error:  # noqa: BLE001 - as the child has it
        # pytest's own frame is no part of the user's code
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        print_traceback(error, torch, root)
    return capsys.readouterr().err


def test_the_users_lines_only(torch: Any, model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(torch, model.forward, capsys)
    assert "site/torch" not in text
    assert text.count(f'File "{tmp_path}/model.py", line 1, in forward') == 2
    assert text.endswith("ValueError: the lamp is out\n")
    assert told(torch, model.forward, capsys, str(tmp_path)).count('  File "model.py", line 1, in forward\n') == 2


def test_a_cause_comes_before_what_it_led_to(torch: Any, model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(torch, model.careful, capsys)
    assert text.index("ValueError: the lamp is out\n") < text.index("KeyError: 'lamp'\n")


def test_where_torch_itself_complains_the_sentence_is_enough(torch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(torch, functools.partial(json.loads, "x"), capsys) == ""


def test_a_message_of_many_lines_is_shown_in_part(torch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError) as failed:
        raise RuntimeError("\n".join(map(str, range(80))))
    failed.value.__traceback__ = None
    print_traceback(failed.value, torch, "/nowhere")
    assert capsys.readouterr().err.splitlines()[-2:] == ["11", "… (80 lines)"]


class Module:
    pass


class Net(Module):
    pass


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (None, "; does it end with return?"),
        (Net, "; return Net(), a module of that class"),
        ({"weight": 1.0}, "; these are weights: make the module, and load them into it (load_state_dict)"),
        ({"weight": "1"}, ""),
        ({}, ""),
        (str, ""),
        ("a module", ""),
    ],
)
def test_what_a_factory_was_meant_to_give(made: Any, words: str) -> None:
    stand_in = SimpleNamespace(nn=SimpleNamespace(Module=Module), Tensor=float)
    assert meant(stand_in, made) == words


@pytest.mark.parametrize(
    ("problem", "cure"),
    [
        (
            "torch.jit.script cannot compile what demo:make gave: RuntimeError: object has no attribute scale: File",
            "import what loads the operator in the factory's module",
        ),
        (
            "what demo:make gave does not run with its example-inputs: AttributeError: '_OpNamespace' 'my_ops' object",
            "import what loads the operator in the factory's module",
        ),
        ("factory demo:make failed: AssertionError: Torch not compiled with CUDA enabled", "make the model on the CPU"),
        (
            "factory demo:make failed: TypeError: make() missing 1 required positional argument: 'n'",
            "a factory is called without arguments",
        ),
    ],
)
def test_known_failures_have_a_cure(problem: str, cure: str) -> None:
    assert _cures(problem)[0].startswith(cure)
