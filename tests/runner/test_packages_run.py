"""A package that AOTInductor really compiled, run by the program."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import run_child
from conftest import Runner

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.slow]

COMPILE = """\
import sys

import torch
from torchscript_build.models.child import aoti


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x, k: int, pair: "tuple[torch.Tensor, torch.Tensor]"):
        y = torch.relu(self.linear(x)) * k
        return {"y": y + pair[0], "rest": (pair[1].sum(), x.shape[0])}


torch.manual_seed(0)
net = Net().eval()
args = (torch.randn(3, 8), 2, (torch.randn(3, 4), torch.ones(2)))
batch = torch.export.Dim("batch", min=1, max=64)
shapes = ({0: batch}, None, ({0: batch}, None))
program = aoti.program_of(torch, net, args, shapes)
about = {"names": aoti.names_of(net, 3), "symbols": {"x": {"0": "batch"}}}
aoti.compile_package(torch, program, sys.argv[1], about, "x86-64-v3")
args = (torch.ones(5, 8), 2, (torch.ones(5, 4), torch.ones(2)))
torch.save(args, sys.argv[1] + ".args.pt")
torch.save(net(*args)["y"].detach(), sys.argv[1] + ".y.pt")
torch.save({"y": net(*args)["y"].detach(), "rest": (torch.tensor(2.0), 5)}, sys.argv[1] + ".expected.pt")
"""
CALL = ("--input", "ones:5x8", "--input", "2", "--input", "(ones:5x4;ones:2)")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("package") / "net.pt2"
    run_child([sys.executable, "-W", "ignore", "-c", COMPILE, str(file)], check=True, stdout=subprocess.DEVNULL)
    return file


def test_a_call_gives_what_python_gives(runner: Runner, package: Path) -> None:
    report = runner.json("--input", f"args:{package}.args.pt", "--expect", f"{package}.expected.pt", model=str(package))
    assert report["comparison"]["match"]
    assert runner.output(*CALL, model=str(package)) == report["output"]


def test_arguments_have_names(runner: Runner, package: Path) -> None:
    named = ("--input", "pair=(ones:5x4;ones:2)", "--input", "x=ones:5x8", "--input", "k=2")
    assert runner.output(*named, model=str(package)) == runner.output(*CALL, model=str(package))


def test_what_it_tells_of_itself(runner: Runner, package: Path) -> None:
    report = runner.json("--info", model=str(package))
    assert report["type"] == "AOTInductor package"
    assert report["methods"] == [
        (
            "forward(x: float32 [batch, 8], k: 2, pair: (float32 [batch, 4], float32 [2]))"
            " -> float32 [batch, 4], float32 [], number"
        )
    ]
    assert report["parameters"] == {"tensors": 2, "elements": 36, "bytes": 144}
    assert "avx2" in report["needs"]
    assert "avx512f" not in report["needs"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("ones:5x9", "2", "(ones:5x4;ones:2)"), "argument 'x' must be float32 [batch, 8], not float32 [5, 9]"),
        (("ones:5x8:float64", "2", "(ones:5x4;ones:2)"), "argument 'x' must be float32 [batch, 8], not float64 [5, 8]"),
        (
            ("ones:65x8", "2", "(ones:65x4;ones:2)"),
            "argument 'x' must be float32 [batch, 8], of batch from 1 to 64, not float32 [65, 8]",
        ),
        (
            ("ones:5x8", "2", "(ones:6x4;ones:2)"),
            (
                "argument 'pair'[0] must be float32 [batch, 4], and batch is 5 in an argument before it, not "
                "float32 [6, 4]"
            ),
        ),
        (("ones:5x8", "3", "(ones:5x4;ones:2)"), "argument 'k' was compiled in as 2, so it cannot be int 3"),
        (("ones:5x8", "2", "ones:5x4"), "argument 'pair' must have 2 elements, not float32 [5, 4]"),
        (("ones:5x8", "2"), "needs an input for argument 'pair'"),
        (("ones:5x8", "2", "1", "1"), "takes 3 inputs, but got 4"),
        (("ones:5x8", "2", "pear=1"), "has no argument 'pear'"),
    ],
)
def test_inputs_that_it_was_not_compiled_for(runner: Runner, package: Path, call: tuple[str, ...], said: str) -> None:
    options = [word for spec in call for word in ("--input", spec)]
    told = runner.error(*options, model=str(package), code=2)
    assert told.startswith(f"test-app: error: forward() {said}\nhint: schema: forward(x: float32 [batch, 8], k: 2, ")


def test_threads_have_a_copy_each(runner: Runner, package: Path) -> None:
    report = runner.json(*CALL, "--benchmark", 5, "--concurrency", 2, model=str(package))
    assert (report["benchmark"]["calls"], report["benchmark"]["concurrency"]) == (5, 2)


def changed(package: Path, file: Path, change: Callable[[str, bytes], bytes], **more: bytes) -> str:
    """A copy of the package with other records."""
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
            if name.endswith(".wrapper.so") and more:
                target.writestr(name[:-3] + ".json", more["nodes"])
    return file.name


def test_a_package_of_a_newer_torch(runner: Runner, package: Path) -> None:
    def rename(name: str, data: bytes) -> bytes:
        return data.replace(b"aoti_torch_get_data_ptr", b"aoti_torch_get_data_xyz") if name.endswith(".so") else data

    said = runner.error(*CALL, model=changed(package, runner.folder / "m.pt2", rename), code=3)
    assert "m.pt2 was compiled by torch " in said
    assert ", and needs aoti_torch_get_data_xyz, which libtorch " in said


def test_an_operator_that_nobody_has_loaded(runner: Runner, package: Path) -> None:
    node: Any = (
        b'{"nodes": [{"name": "a", "node": {"target": "my_ops::warp", "inputs": [], "outputs": [], "metadata": {}}}]}'
    )
    said = runner.error(
        *CALL, model=changed(package, runner.folder / "m.pt2", lambda _, data: data, nodes=node), code=3
    )
    assert said == (
        "test-app: error: m.pt2: unknown operator my_ops::warp: no library with namespace my_ops is loaded\n"
        "hint: link the operator library of namespace my_ops into the program, or pass it with --ops FILE"
    )
