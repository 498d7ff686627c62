"""The child with torch: values, complaints, what a factory does to its process, originals and what was exported."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from nobodys_machine import linux_torch, make_plan
from support import write

from torchscript_build.errors import ModelError
from torchscript_build.models.export import Made, prepare_models
from torchscript_build.models.forecast import read_archives
from torchscript_build.models.references import References, Wanted, prepare_references, wishes_of
from torchscript_build.plan.build_plan import BuildPlan, Wishes
from torchscript_build.settings.specs import ProjectSpec, ScriptModel
from torchscript_build.system import Environment

pytestmark = [pytest.mark.torch, pytest.mark.slow]

FACTORIES = """\
import os
import torch
from torch import nn

class Baked(nn.Module):
    def forward(self, x):
        if x.shape[0] > 2:
            return x * 2
        return x

def baked():
    return Baked()

class Broken(nn.Module):
    def forward(self, x):
        return no_such_name(x)

def broken():
    return Broken()

def empty():
    return nn.Linear(2, 2, device="meta")

class Dicts(nn.Module):
    def forward(self, x):
        return {"a": x, "b": x + 1}

def dicts():
    return Dicts()

class Counted(nn.Module):
    def forward(self, x):
        print("called in Python")
        return x + 1

def counted():
    return Counted()

class Methods(nn.Module):
    @torch.jit.export
    def encode(self, x):
        return x + 1

def methods():
    return Methods()

class Wide(nn.Module):
    def forward(self, x):
        return x + torch.ones(2)

def wide():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(3)
    torch.set_num_interop_threads(5)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("high")
    torch.backends.mkldnn.set_flags(False)
    return Wide()

class Forces(nn.Module):
    def forward(self, x):
        return self.inner(x)
    def inner(self, x):
        return x

class Graded(nn.Module):
    def forward(self, x):
        y = x.clone().requires_grad_(True)
        if not (y * 2).requires_grad:
            raise RuntimeError("needs gradients")
        return y * 2

def graded():
    return Graded()

class Slope(nn.Module):
    def forward(self, x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad((x ** 3).sum(), x)[0]

def slope():
    return Slope()

class Unseeded(nn.Module):
    def forward(self, x):
        if torch.jit.is_scripting():
            return x
        else:
            return x + int.from_bytes(os.urandom(4), "little")

def unseeded():
    return Unseeded()

def no_sets():
    return iter(())

def text():
    return "a module"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "factories.py", FACTORIES)
    return tmp_path


def plan_of(root: Path, *models: ScriptModel) -> BuildPlan:
    spec = ProjectSpec(models=models)
    return make_plan(spec, root=root, build_base=root / "build", libtorch=linux_torch(layout="archive"))


def model(name: str, **fields: Any) -> ScriptModel:
    return ScriptModel(name=name, factory=f"factories:{name}", python_path=(".",), **fields)


def exported(plan: BuildPlan, machine: Environment) -> dict[str, Made]:
    return dict(prepare_models(plan, machine, names=[m.name for m in plan.models], libraries={}))


def references(plan: BuildPlan, machine: Environment, method: str = "forward") -> dict[str, References]:
    names = [m.name for m in plan.models]
    wanted = {name: Wanted((method,), 1e-5, 1e-5) for name in names}
    made = exported(plan, machine)
    return dict(prepare_references(plan, machine, wanted, made, read_archives(plan, names)))


def test_a_trace_that_baked_a_branch_in_is_caught_and_told_with_the_line(
    root: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(
        root, model("baked", method="trace", example_inputs=("ones:2",), check_inputs=(("ones:2",), ("ones:5",)))
    )
    exported(plan, machine)
    out = capsys.readouterr().out
    assert "factories.py:7: TracerWarning: Converting a tensor to a Python boolean might cause the trace" in out
    assert "\n    if x.shape[0] > 2:\n" in out
    cases = references(plan, machine)["baked"].cases
    assert [(c.label, c.difference and c.difference["words"]) for c in cases] == [
        ("example", ""),
        ("check 1", ""),
        ("check 2", "5 of 5 values differ, the first is number 0: 2 and 1"),
    ]


def test_a_model_without_data_is_told_which_weight(root: Path, machine: Environment) -> None:
    with pytest.raises(ModelError) as caught:
        exported(plan_of(root, model("empty")), machine)
    assert str(caught.value) == (
        "model 'empty': what factory factories:empty gave cannot be exported: ValueError: weight has no data: it is on "
        "the device meta"
    )


def test_the_export_is_the_same_with_and_without_a_comparison(
    root: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(root, model("dicts", method="trace", example_inputs=("ones:2",)))
    exported(plan, machine)
    out = capsys.readouterr().out
    assert "-- model dicts: traced with strict=False by torch" in out
    stamp = Path(plan.model("dicts").file).stat().st_mtime_ns
    found = references(plan, machine)["dicts"]
    assert Path(plan.model("dicts").file).stat().st_mtime_ns == stamp
    assert found.cases[0].difference == {"place": "", "words": "", "largest": 0.0, "kind": ""}
    capsys.readouterr()
    references(plan, machine)
    assert capsys.readouterr().out == ""


def test_torch_checks_a_trace_by_calling_again_unless_we_compare_it_anyway(
    root: Path, machine: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(root, model("counted", method="trace", example_inputs=("ones:2",)))
    prepare_models(plan, machine, names=["counted"], libraries={}, compared=["counted"])
    assert capfd.readouterr().out.count("called in Python") == 1
    Path(plan.model("counted").file).unlink()
    prepare_models(plan, machine, names=["counted"], libraries={})
    assert capfd.readouterr().out.count("called in Python") > 1


def test_an_export_that_fails_says_why_with_the_users_line(root: Path, machine: Environment) -> None:
    with pytest.raises(ModelError) as caught:
        exported(plan_of(root, model("broken")), machine)
    text = str(caught.value)
    assert text.startswith("model 'broken': torch.jit.script cannot compile what factories:broken gave: RuntimeError: ")
    assert "no_such_name" in text.splitlines()[0]
    assert text.splitlines()[1:] == [
        "  do this:",
        '    - rewrite what TorchScript does not know, or say method = "trace" with example-inputs',
    ]
    with pytest.raises(ModelError) as caught:
        exported(plan_of(root, model("text")), machine)
    assert str(caught.value) == (
        "model 'text': factory factories:text gave something else: TypeError: it returned str, "
        "not a torch.nn.Module or a function"
    )


def test_a_class_without_forward_has_code_and_methods(
    root: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(root, model("methods", show_code=True, check_inputs={"encode": (("ones:2",),)}))
    exported(plan, machine)
    assert "def encode(self" in capsys.readouterr().out
    (case,) = references(plan, machine)["methods"].cases
    assert (case.method, case.label, case.error) == ("encode", "check 1", None)


def test_what_a_factory_does_to_its_process(
    root: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = model("dicts", method="trace", example_inputs=("ones:2",))
    plan = plan_of(root, model("wide", example_inputs=("ones:2",)), plain)
    made = exported(plan, machine)
    assert made["wide"] == Made(Wishes(False, "float64", None, True, 3, 5, "warn", "high"))
    assert made["dicts"] == Made()
    out = capsys.readouterr().out
    head, tail = "-- model wide: its factory changes the", "; the app does so, too (setting:"
    assert f"{head} default dtype of the process from float32 to float64{tail} default-dtype)\n" in out
    assert f"{head} deterministic algorithms of the process from off to warn{tail} deterministic)\n" in out
    assert f"{head} flush-denormal of the process from False to True{tail} flush-denormal)\n" in out
    assert f"to 3{tail} threads)\n" in out
    assert f"to 5{tail} interop-threads)\n" in out
    assert f"{head} float32 matmul precision of the process from highest to high{tail} matmul-precision)\n" in out
    assert f"{head} oneDNN of the process from True to False, which no model file carries" in out
    calm = {
        "default_dtype": "float32",
        "flush_denormal": False,
        "threads": 0,
        "deterministic": "off",
        "matmul_precision": "highest",
    }
    by_settings = plan_of(root, model("wide", example_inputs=("ones:2",), interop_threads=4, **calm))
    assert exported(by_settings, machine)["wide"] == Made(Wishes(default_dtype="float32", interop_threads=4))
    found = references(plan, machine)
    assert {name: r.cases[0].error for name, r in found.items()} == {"wide": None, "dicts": None}
    import torch

    assert torch.load(found["wide"].cases[0].expected).dtype == torch.float64


def test_gradients_are_found_to_be_needed(root: Path, machine: Environment) -> None:
    plan = plan_of(root, model("graded", example_inputs=("ones:2",)))
    (case,) = references(plan, machine)["graded"].cases
    assert (case.grad, case.error) == (True, None)
    made = exported(plan, machine)
    assert wishes_of(plan, made, read_archives(plan, ["graded"]))["graded"].grad is True


def test_a_model_that_differentiates_itself_can_be_traced(root: Path, machine: Environment) -> None:
    """torch's own check of a trace runs without gradients, and fails."""
    plan = plan_of(root, model("slope", method="trace", example_inputs=("full:2:3",)))
    (case,) = references(plan, machine)["slope"].cases
    assert case.error is None
    import torch

    assert torch.load(case.expected).tolist() == [12, 12, 12]


def test_an_original_that_is_random_beyond_every_seed(root: Path, machine: Environment) -> None:
    plan = plan_of(root, model("unseeded", example_inputs=("ones:2",)))
    (case,) = references(plan, machine)["unseeded"].cases
    assert case.repeats is False


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            {"example_inputs": ("lamp",)},
            "its example inputs cannot be made: ValueError: example input 'lamp' is ",
        ),
        (
            {"check_inputs": "factories:no_sets"},
            "its check inputs cannot be made: ValueError: there is not one set",
        ),
        (
            {"check_inputs": "factories:missing"},
            "its check inputs cannot be made: AttributeError: module 'factories'",
        ),
    ],
)
def test_inputs_that_cannot_be_made_are_not_the_factorys_failure(
    root: Path, machine: Environment, inputs: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelError) as caught:
        references(plan_of(root, model("baked", **inputs)), machine)
    assert str(caught.value).startswith(f"model 'baked': {words}")


def test_values_are_made_plain() -> None:
    import collections
    import enum

    import numpy
    import torch

    from torchscript_build.models.child.values import plain

    class Colour(enum.Enum):
        RED = 1

    pair = collections.namedtuple("pair", "x y")
    value = (pair(1, 2), collections.OrderedDict(a=Colour.RED), torch.Size([2]), numpy.float64(0.5), None)
    assert plain(torch, value) == ((1, 2), {"a": 1}, (2,), 0.5, None)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, about nested and quantized tensors
def test_what_cannot_be_carried_is_a_sentence() -> None:
    import numpy
    import torch

    from torchscript_build.models.child.values import NotCarried, plain

    scales = torch.ones(1), torch.zeros(1)
    refused = {
        "a value of the type object": object(),
        "a value of the type set": {3},
        "a value of the type ndarray": numpy.ones(2),
        "a nested tensor": torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]),
        "a tensor without data (on the device meta)": torch.ones(1, device="meta"),
        "a tensor of dtype quint4x2": torch.quantize_per_channel(torch.ones(1, 2), *scales, 0, torch.quint4x2),
    }
    for words, value in refused.items():
        with pytest.raises(NotCarried) as caught:
            plain(torch, [value])
        assert str(caught.value) == f"{words} cannot be carried to C++"


def test_what_python_passes_to_a_saved_model() -> None:
    import dataclasses
    import enum
    import pickle

    import torch

    from torchscript_build.models.child.values import stand_in

    class Colour(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class Box:
        colour: Colour
        sizes: list[int]

    (box,), table = pickle.loads(pickle.dumps(stand_in(torch, ((Box(Colour.RED, [3]),), {Colour.RED: 2}))))
    assert (box.colour.name, box.colour.value, box.sizes) == ("RED", 1, [3])
    assert [(key.name, value) for key, value in table.items()] == [("RED", 2)]


INTERPRETER = """\
The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/net.py", line 5, in forward
    return torch.zeros([2], device="cuda:0")
           ~~~~~~~~~~~ <--- HERE

Traceback of TorchScript, original code (most recent call last):
  File "net.py", line 3, in forward
        return torch.zeros(2, device="cuda:0")
               ~~~~~~~~~~~ <--- HERE
RuntimeError: {}"""


TRACED = """\
The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/net.py", line 5, in forward
    y = CONSTANTS.c0
    _1 = torch.add(x, y)
         ~~~~~~~~~ <--- HERE
    _2 = torch.mul(_1, y)
    return _2
RuntimeError: The size of tensor a (7) must match
"""
"""A trace whose places in the sources nobody knows: the code goes on below the line."""


def test_the_cause_of_a_failing_call_is_one_line_with_the_models_code() -> None:
    from torchscript_build.models.child.reference import _cause

    code = 'return torch.zeros(2, device="cuda:0")'
    backends = (
        "Could not run 'aten::empty' with arguments from the 'CUDA' backend. This could be because\nCPU: here\nFPGA"
    )
    for message, line in (
        (backends, f"Could not run 'aten::empty' with arguments from the 'CUDA' backend (in {code})"),
        ("mat1 and mat2 cannot be multiplied\n", f"mat1 and mat2 cannot be multiplied (in {code})"),
    ):
        assert _cause(INTERPRETER.format(message).splitlines()) == line
    assert _cause(["expected 2", "more"]) == "expected 2"
    assert _cause(TRACED.splitlines()) == "The size of tensor a (7) must match (in _1 = torch.add(x, y))"


def test_numbers_are_compared_as_python_does() -> None:
    import torch

    from torchscript_build.models.child.values import compare

    same = [(2, 2.0), (True, 1), (1.5, 1.5 + 0j), (torch.tensor(3), 3), (float("nan"), float("nan"))]
    assert [compare(torch, a, b, 1e-5, 1e-5).words for a, b in same] == [""] * 5
    other = [(2, 3), (2, 3.0), (True, False), (torch.tensor([3]), 3), ("1", 1), (2**62, 2**62 + 1)]
    assert [compare(torch, a, b, 1e-5, 1e-5).kind for a, b in other] == ["structure", "values", *["structure"] * 4]


def test_dtypes_are_numbers_for_cpp_and_dtypes_for_python() -> None:
    import torch

    from torchscript_build.models.child.values import NUMBERS, plain, revive, stand_in

    def dtype_of(x: torch.Tensor) -> int:
        return x.dtype  # type: ignore[return-value]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        number = torch.jit.script(dtype_of)

    names = ("uint8", "float16", "bfloat16", "bool", "complex64", "uint16", "float8_e5m2", "float8_e8m0fnu")
    for name in names:
        assert NUMBERS[f"torch.{name}"] == number(torch.zeros(1).to(getattr(torch, name)))
    assert plain(torch, (torch.channels_last, torch.sparse_csr)) == (2, 2)
    assert stand_in(torch, torch.float64) is torch.float64
    future = torch.futures.Future()
    future.set_result(3)
    (revived,) = revive(torch, stand_in(torch, [future]))
    assert revived.wait() == 3


@pytest.mark.parametrize(
    ("left", "right", "kind", "words"),
    [
        ([1.0, 2.0], [1.0, 2.5], "values", "1 of 2 values differ, the first is number 1: 2 and 2.5"),
        ([1.0], [1.0, 2.0], "structure", "shape (1,) and (2,)"),
        ([float("nan")], [float("nan")], "", ""),
        ([float("nan")], [1.0], "values", "1 of 1 values differ, the first is number 0: nan and 1"),
        ([float("inf")], [float("inf")], "", ""),
        ([1], [1.0], "structure", "dtype torch.int64 and torch.float32"),
    ],
)
def test_tensors_are_compared(left: list[float], right: list[float], kind: str, words: str) -> None:
    import torch

    from torchscript_build.models.child.values import compare

    found = compare(torch, torch.tensor(left), torch.tensor(right), 1e-5, 1e-5)
    assert (found.kind, found.words) == (kind, words)
