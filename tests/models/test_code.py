"""What a model's code names, as TorchScript's printer writes it."""

from __future__ import annotations

import pytest

from torchscript_build.models.code import NamedDevice, parse_code


@pytest.mark.parametrize(
    ("code", "operators"),
    [
        ("return ops.my_ops.warp(x, ops.other.fold(y))", {"my_ops::warp", "other::fold"}),
        ("_0 = __torch__.torchvision.ops.misc.Conv2dNormActivation", set()),
        ("  block : __torch__.ops.my.Block", set()),
        ("  block : __torch__.my.ops.___torch_mangle_3.ops.Block", set()),
        ("y = (self.ops.first).forward(x)", set()),
        ("y = (x).ops.first.forward(x)", set()),
        ("y = torch.ops.first(x)", set()),
        ('print("ops.fake.op(x)", x)', set()),
        ('print("a\\"ops.fake.op(x)", ops.real.op(x))', {"real::op"}),
        ("y = ops.aten.add(x, ops.prim.NumToTensor(1))", set()),
        ("ops0.fake.op", set()),
        ("y = ops.my_ops.warp.overload(x)", {"my_ops::warp"}),
    ],
)
def test_operators_are_chains_that_begin_with_ops(code: str, operators: set[str]) -> None:
    assert parse_code(code).operators == operators


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        ("  stack : __torch__.torch.classes.my_ops.Stack", {"my_ops::Stack"}),
        ("  s = __torch__.torch.classes.rnn.CellParamsBase.__new__(x)", {"rnn::CellParamsBase"}),
        ("  m : List[__torch__.torch.classes.my.A]", {"my::A"}),
        ("  m : __torch__.torch.nn.modules.Linear", set()),
        ("  m : __torch__.mine.torch.classes.my.A", set()),
        ('  m = "__torch__.torch.classes.my.A"', set()),
    ],
)
def test_custom_classes(code: str, classes: set[str]) -> None:
    assert parse_code(code).classes == classes


def test_devices_with_their_lines() -> None:
    code = 'def forward(self):\n  a = torch.device("cuda:0")\n  b = torch.device(_0)\n  print("torch.device(")\n'
    assert parse_code(code).devices == (NamedDevice("cuda:0", 2, 'a = torch.device("cuda:0")'),)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("_0 = torch.autograd.grad([y], [x])", True),
        ("torch.autograd.backward(y)", True),
        ("y = torch.add(x, 1)", False),
        ('print("torch.autograd.grad(x)")', False),
    ],
)
def test_the_use_of_autograd(code: str, expected: bool) -> None:
    assert parse_code(code).uses_autograd is expected
