"""Whether a model changes itself when it is called, read from its code as TorchScript writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from children import run_child
from support import write

pytestmark = pytest.mark.compile

RUNNER = Path(__file__).parents[2] / "templates" / "apps" / "runner"
MAIN = """
#include <iostream>
#include <iterator>
#include <string>
#include "engines/state.h"

int main() {
  const std::string code((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  std::cout << (runner::keeps_state(code) ? "yes" : "no");
}
"""
HEAD = 'class Net(Module):\n  __parameters__ = ["weight", ]\n  __buffers__ = []\n  weight : Tensor\n  training : bool\n'
FORWARD = "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    write(folder / "main.cpp", MAIN)
    sources = [str(folder / "main.cpp"), str(RUNNER / "engines/state.cpp")]
    run_child(["g++", "-std=c++14", f"-I{RUNNER}", *sources, "-o", str(folder / "state")], check=True)
    return folder / "state"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("", "no"),
        (HEAD + FORWARD + "    weight = self.weight\n    return torch.add(x, weight)\n", "no"),
        (HEAD + FORWARD + "    self.count = torch.add(self.count, 1)\n    return x\n", "yes"),
        (HEAD + FORWARD + "    (self.inner).count = 1\n    return x\n", "yes"),
        # What a batch norm does when it trains.
        (HEAD + FORWARD + "    self.num_batches_tracked = torch.add(n, 1)\n    return x\n", "no"),
        (HEAD + FORWARD + '    same = torch.eq(mode, "a.b = c")\n    return x\n', "no"),
        # In place: an attribute's values, those of a view of one, and those of a tensor of the call's own.
        (HEAD + FORWARD + "    n = self.n\n    _0 = torch.add_(n, 1)\n    return x\n", "yes"),
        (HEAD + FORWARD + "    n0 = inner.n\n    _0 = torch.copy_(torch.select(n0, 0, 0), x)\n    return x\n", "yes"),
        (HEAD + FORWARD + "    n = self.n\n    _1 = torch.slice(n, 0, 1)\n    _2 = torch.copy_(_1, x)\n", "yes"),
        (HEAD + FORWARD + "    w = self.w\n    y = torch.mul(x, w)\n    return torch.relu_(y)\n", "no"),
        (HEAD + FORWARD + "    w = self.w\n    return torch.relu_(torch.mul(w, x))\n", "no"),
        (HEAD + FORWARD + "    n = self.n\n" + FORWARD + "    _0 = torch.add_(n, 1)\n", "no"),  # another n
        (HEAD + FORWARD + "    m = self.mask\n    return torch.__and__(m, x)\n", "no"),
        (HEAD + FORWARD + "    num_batches_tracked = self.n\n    _2 = torch.add_(num_batches_tracked, 1)\n", "no"),
        # A list of the call's own, and one that is kept.
        (HEAD + FORWARD + "    parts = annotate(List[Tensor], [])\n    _0 = torch.append(parts, x)\n", "no"),
        (HEAD + "  seen : List[Tensor]\n" + FORWARD + "    _0 = torch.append(self.seen, x)\n", "yes"),
        (HEAD + "  sizes : List[int]\n" + FORWARD + "    return torch.reshape(x, self.sizes)\n", "no"),
        (HEAD + "  cache : Dict[str, Tensor]\n" + FORWARD + '    torch._set_item(self.cache, "a", x)\n', "yes"),
        # An object of somebody's class, and weights that libtorch keeps in one.
        (HEAD + "  stats : __torch__.torch.classes.running.Stats\n" + FORWARD + "    return x\n", "yes"),
        (HEAD + "  packed : __torch__.torch.classes.quantized.LinearPackedParamsBase\n" + FORWARD, "no"),
    ],
)
def test_what_changes_itself(code: str, answer: str, program: Path) -> None:
    assert run_child([str(program)], input=code, capture_output=True, encoding="utf-8").stdout == answer
