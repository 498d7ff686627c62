"""Apps are compiled while their models are made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from children import clean_variables, run_python
from small_projects import ANSWER_CPP, write_project
from support import stub, write
from tiny_torch import STAND_IN_TORCH, copy_torch

FACTORY = """\
import glob, os, time, torch
def objects(): return glob.glob("build/torchscript/**/answer.cpp.o", recursive=True)
def waits():
    \"\"\"As long as it takes until the app's object file is there.\"\"\"
    until = time.monotonic() + 1500
    while not objects() and time.monotonic() < until: time.sleep(0.1)
    print("compiled meanwhile:", bool(objects()))
    return torch.nn.Module()
def sees():
    print("compiled before:", bool(objects()))
    return torch.nn.Module()
"""
SETTINGS = """\
[[tool.torchscript-build.model]]
name = "net"
factory = "demo.model:{factory}"
method = "script"

[[tool.torchscript-build.app]]
name = "answer"
sources = ["answer.cpp"]
models = ["net"]
"""


@pytest.fixture
def variables(fake_torch: Path, tmp_path: Path) -> dict[str, str]:
    """A machine whose libtorch is the tiny one, and whose Python has the stand-in beside it."""
    site = tmp_path / "site"
    copy_torch(fake_torch, site / "torch")
    write(site / "torch/__init__.py", "print('torch is imported')\n" + STAND_IN_TORCH)
    return clean_variables(PYTHONPATH=str(site), XDG_CACHE_HOME=str(tmp_path / "cache"), MAX_JOBS="2")


def build(tmp_path: Path, variables: dict[str, str], factory: str) -> str:
    project = write_project(
        tmp_path / "project",
        SETTINGS.format(factory=factory),
        files={"answer.cpp": "#warning be warned\n" + ANSWER_CPP, "demo/model.py": FACTORY},
    )
    done = run_python("setup.py", "build_ts_app", cwd=project, variables=variables)
    return done.stdout + done.stderr


@pytest.mark.compile
def test_an_app_is_compiled_while_its_model_is_made(tmp_path: Path, variables: dict[str, str]) -> None:
    output = build(tmp_path, variables, "waits")
    assert "compiled meanwhile: True" in output
    assert "program answer\n" in output
    assert output.count("torch is imported") == 1
    assert output.count("warning: #warning be warned") == 1


@pytest.mark.compile
def test_with_one_job_one_thing_follows_the_other(tmp_path: Path, variables: dict[str, str]) -> None:
    output = build(tmp_path, {**variables, "MAX_JOBS": "1"}, "sees")
    assert "compiled before: False" in output
    assert "program answer\n" in output


@pytest.mark.compile
def test_a_compiler_that_fails_meanwhile_is_told_of_once(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_project(
        tmp_path / "project",
        SETTINGS.format(factory="sees"),
        files={"answer.cpp": "#include <nowhere.h>\n", "demo/model.py": FACTORY},
    )
    done = run_python("setup.py", "build_ts_app", cwd=project, variables=variables)
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("fatal error: nowhere.h") == 2  # as it came, and in the error's excerpt


@pytest.mark.compile
def test_a_model_that_fails_ends_the_compiler(tmp_path: Path, variables: dict[str, str]) -> None:
    started = tmp_path / "started"
    waits = f'case "$*" in *answer.cpp.o*) echo $$ > {started}; sleep 1500;; esac'
    compiler = stub(tmp_path / "bin/c++", waits, f'exec {shutil.which("c++")} "$@"')
    factory = f"""\
import os, time
def fails():
    while not os.path.exists({str(started)!r}): time.sleep(0.1)
    1 / 0
"""
    project = write_project(
        tmp_path / "project",
        SETTINGS.format(factory="fails"),
        files={"answer.cpp": ANSWER_CPP, "demo/model.py": factory},
    )
    done = run_python("setup.py", "build_ts_app", cwd=project, variables={**variables, "CXX": str(compiler)})
    assert done.returncode != 0
    assert "factory demo.model:fails failed: ZeroDivisionError" in done.stdout + done.stderr
    assert not os.path.exists(f"/proc/{started.read_text().strip()}")
