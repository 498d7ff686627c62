"""What five people get wrong: each ends in one screen of a terminal, whose last lines say what to type."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from children import clean_variables
from small_projects import write_project
from support import stub
from terminal import in_terminal, left_over, terminal_variables, widest

MODEL = """\
[[tool.torchscript-build.model]]
name = "net"
factory = "demo.model:build"
example-inputs = ["ones:1x3"]

[[tool.torchscript-build.app]]
name = "net"
models = ["net"]
verify = true
"""
FACTORY = """\
import torch


def build():
    return torch.nn.Linear(3, 2)
"""


def screen(project: Path, **more: str) -> list[str]:
    """What is left on a terminal by a build that fails; its last line first."""
    variables = terminal_variables(clean_variables(**more))
    code, sent = in_terminal([sys.executable, "setup.py", "build_ts_app"], project, variables)
    lines = left_over(sent)
    assert code == 1
    assert len(lines) <= 30, sent
    assert "Traceback" not in sent
    assert widest(sent) <= 100, sent
    return [re.sub(r"\x1b\[[\d;]*[mK]", "", line) for line in reversed(lines) if line]


def test_a_wrong_table_name(tmp_path: Path) -> None:
    project = write_project(tmp_path / "p", MODEL.replace("torchscript-build.app", "torchscript-build.apps"))
    assert screen(project)[0].endswith("did you mean [[tool.torchscript-build.app]]?")
    project = write_project(tmp_path / "q", MODEL.replace("torchscript-build", "torchscript_build"))
    last = " ".join(line.strip() for line in reversed(screen(project)[:2]))
    assert last.endswith("our table is called [tool.torchscript-build]; write it so in pyproject.toml")


@pytest.mark.compile
def test_no_compiler(tmp_path: Path, fake_torch: Path) -> None:
    project = write_project(tmp_path / "p", '[[tool.torchscript-build.app]]\nname = "a"\nsources = ["a.cpp"]\n')
    (project / "a.cpp").write_text("int main() {}\n")
    for name in ("cmake", "ninja"):
        stub(tmp_path / "bin" / name, "exit 1")
    last = screen(project, PATH=str(tmp_path / "bin"), TORCHSCRIPT_BUILD_LIBTORCH=str(fake_torch))
    assert "    - set CXX to a C++ compiler" in last[:2]
    assert any(line.startswith("    - apt install g++") for line in last[:4])


@pytest.mark.compile
def test_the_wrong_torch(tmp_path: Path, fake_torch: Path) -> None:
    project = write_project(tmp_path / "p", '[tool.torchscript-build]\nlibtorch-version = ">=99"\n' + MODEL)
    last = screen(project, PYTHONPATH=str(fake_torch.parent))
    assert "    - pip install 'torch>=99'" in last[:6]


@pytest.mark.torch
@pytest.mark.compile
def test_a_misspelt_function(tmp_path: Path) -> None:
    files = {"demo/model.py": FACTORY}
    project = write_project(tmp_path / "p", MODEL.replace("model:build", "model:biuld"), files=files)
    assert " ".join(reversed(screen(project)[:2])).endswith("has no attribute 'biuld'; did you mean build?")


@pytest.mark.torch
@pytest.mark.compile
def test_a_wrong_shape(tmp_path: Path) -> None:
    files = {"demo/model.py": FACTORY}
    project = write_project(tmp_path / "p", MODEL.replace("ones:1x3", "ones:1x4"), files=files)
    last = " ".join(line.strip() for line in reversed(screen(project, CACHE=os.devnull)[:5]))
    assert "mat1 and mat2 shapes cannot be multiplied" in last
    assert "example-inputs" in last
