"""What was built, on a GPU: programs, a C library, models that were made there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from children import clean_variables, run_child
from real_cuda import build_with_cuda, cuda_python
from small_projects import write_project

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.compile, pytest.mark.cuda, pytest.mark.gpu]


def said(command: list[object], *, code: int = 0) -> str:
    """What a program prints, on both streams."""
    done = run_child(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_an_operator_on_the_gpu_equals_the_cpu(tmp_path: Path) -> None:
    program = build_with_cuda(EXAMPLES / "cuda_op", tmp_path / "cuda_op", "trend")
    command = [program, "--input", "rand:5x1001", "--input", "int:7", "--seed", "3"]
    said([*command, "--output", tmp_path / "cpu.npy"])
    said([*command, "--device", "cuda", "--expect", tmp_path / "cpu.npy", "--atol", "1e-5"])


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resnet18") / "project"
    return build_with_cuda(EXAMPLES / "resnet18", folder, "resnet18")


def test_a_model_on_the_gpu_equals_the_cpu(resnet18: Path, tmp_path: Path) -> None:
    command = [resnet18, "--input", "rand:4x3x224x224", "--seed", "1"]
    said([*command, "--output", tmp_path / "cpu.npy"])
    near = ["--expect", tmp_path / "cpu.npy", "--rtol", "1e-3", "--atol", "1e-3"]
    assert "outputs match" in said([*command, "--device", "cuda", *near])
    assert "outputs match" in said([*command, "--device", "cuda:0", "--freeze", "--optimize", *near])


def test_many_calls_on_the_gpu(resnet18: Path) -> None:
    command = [resnet18, "--input", "rand:1x3x224x224", "--device", "cuda", "--benchmark", "20"]
    assert "throughput" in said(command)
    assert "by 4 threads" in said([*command, "--concurrency", "4"])


def test_a_device_that_is_not_there(resnet18: Path) -> None:
    command = [resnet18, "--input", "rand:1x3x224x224"]
    assert "CUDA devices" in said([*command, "--device", "cuda:99"], code=4)


def test_a_bundle_without_python(resnet18: Path, tmp_path: Path) -> None:
    project = next(p for p in resnet18.parents if (p / "setup.py").exists())
    command = [cuda_python(), "-m", "torchscript_build", "bundle", tmp_path / "bundle"]
    run_child(command, cwd=project, env=clean_variables(), check=True)
    moved = tmp_path / "elsewhere"
    (tmp_path / "bundle").rename(moved)
    program = ["env", "-i", moved / "bin" / "resnet18", "--input", "ones:1x3x224x224", "--device", "cuda"]
    assert said(program).startswith("output: float32 [1, 1000]")


def test_a_c_library_takes_and_gives_memory_of_the_gpu(tmp_path: Path) -> None:
    library = build_with_cuda(EXAMPLES / "c_library", tmp_path / "project", "libseries.so")
    words = said([cuda_python(), Path(__file__).with_name("on_gpu.py"), library])
    assert words.startswith("4: device cuda:")


MADE_THERE = """\
import torch


class Affine(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x):
        return self.linear(x) + torch.ones(4, device=DEVICE)


def build():
    torch.manual_seed(0)
    return Affine().cuda()


def inputs():
    return torch.rand(2, 8, device="cuda")
"""
SETTINGS = """\
[[tool.torchscript-build.model]]
name = "traced"
factory = "demo.model:build"
method = "trace"
example-inputs = ["demo.model:inputs"]

[[tool.torchscript-build.model]]
name = "scripted"
factory = "demo.model:build"
example-inputs = ["rand:2x8"]

[[tool.torchscript-build.app]]
name = "affine"
models = ["traced", "scripted"]
verify = true
"""


def made_there(tmp_path: Path, device: str) -> str:
    code = MADE_THERE.replace("DEVICE", device)
    project = write_project(tmp_path / "project", SETTINGS, files={"demo/__init__.py": "", "demo/model.py": code})
    done = run_child(
        [cuda_python(), "setup.py", "build_ts_app"],
        cwd=project,
        env=clean_variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode == 0) == (device == "x.device"), done.stdout
    return done.stdout


def test_a_model_that_was_made_on_the_gpu_is_exported_on_the_cpu(tmp_path: Path) -> None:
    words = made_there(tmp_path, "x.device")
    for name in ("traced", "scripted"):
        assert f"-- model {name}: moved from cuda:0 to the CPU; the app puts it where --device says" in words
    assert "largest differences" in words


def test_code_that_names_the_gpu_is_told_what_to_write(tmp_path: Path) -> None:
    words = made_there(tmp_path, "'cuda'")
    assert "model 'traced': torch.jit.trace cannot trace what demo.model:build gave" in words
    assert "take the device from an input (x.device)" in words


def test_the_doctor_sees_the_gpu() -> None:
    words = said([cuda_python(), "-m", "torchscript_build", "doctor"])
    assert "✓ GPU             GPU 0: " in words
