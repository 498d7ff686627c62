"""sanitize = […]: how things are compiled, and how a Python gets to load them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import clean_variables, run_python
from nobodys_machine import made_up
from small_projects import ANSWER_APP, read_project, write_project
from support import words

from torchscript_build.errors import SettingsError
from torchscript_build.operators.loading import load_libraries
from torchscript_build.system import Environment
from torchscript_build.toolchain.cxx import CxxCompiler
from torchscript_build.toolchain.sanitizers import locate_runtimes, preload_variables, with_sanitizers

RunSetup = Callable[..., Any]

USE_AFTER_FREE = """\
#include <torch/script.h>
int main() {
  int* p = new int[torch::answer()];
  delete[] p;
  return p[3];
}
"""
SHRINK = """\
#include <ATen/core/Tensor.h>
#include <torch/library.h>
at::Tensor same(const at::Tensor& x) { return x; }
TORCH_LIBRARY(demo_ops, library) { library.def("same(Tensor x) -> Tensor", &same); }
"""


def test_the_options_stand_after_the_users_own(tmp_path: Path) -> None:
    environment = made_up(tmp_path, CXXFLAGS="-Wall", ASAN_OPTIONS="x=1")
    changed = with_sanitizers(environment, ["address", "undefined"])
    assert changed.variables["CXXFLAGS"] == "-Wall -fsanitize=address,undefined -fno-omit-frame-pointer -g"
    assert changed.variables["LDFLAGS"] == "-fsanitize=address,undefined"
    assert changed.variables["ASAN_OPTIONS"] == "x=1"
    assert with_sanitizers(environment, []) is environment


def test_what_python_must_preload(machine: Environment) -> None:
    gcc = CxxCompiler(("g++",), "GNU", "12", "PATH")
    found = locate_runtimes(["address", "undefined"], gcc, machine)
    assert found is not None
    assert [os.path.basename(p).split(".so")[0] for p in found] == ["libasan", "libstdc++"]
    assert locate_runtimes(["undefined"], gcc, machine) == ()
    assert locate_runtimes(["address"], dataclasses.replace(gcc, command=("/nothing",)), machine) is None
    assert locate_runtimes(["leak"], dataclasses.replace(gcc, id="Clang"), machine) is None
    assert preload_variables(["/a.so", "/b.so"], {"LD_PRELOAD": "/c.so"}) == {"LD_PRELOAD": "/a.so /b.so /c.so"}
    assert preload_variables([], {"LD_PRELOAD": "/c.so"}) == {}


def test_unknown_sanitizers_and_pairs_that_exclude_each_other(tmp_path: Path) -> None:
    settings = '[tool.torchscript-build]\nsanitize = ["adress", "thread", "leak"]\n'
    with pytest.raises(SettingsError) as refused:
        read_project(write_project(tmp_path / "p", settings))
    assert words(refused.value.problems, "sanitize: there is no 'adress'", "'address'", "address, leak, thread")
    assert words(refused.value.problems, "sanitize: thread goes neither with address nor with leak")


@pytest.mark.compile
@pytest.mark.parametrize("build_type", ["Debug", "Release"])
def test_an_app_is_checked_while_it_runs(tmp_path: Path, run_setup: RunSetup, build_type: str) -> None:
    settings = '[tool.torchscript-build]\nsanitize = ["address", "undefined"]\n' + ANSWER_APP
    project = write_project(tmp_path / "p", settings, files={"answer.cpp": USE_AFTER_FREE})
    done = run_setup(project, "build_ts_app", "--run", "--build-type", build_type)
    assert done.returncode == 1
    assert "ERROR: AddressSanitizer: heap-use-after-free" in done.stdout
    assert "answer.cpp:5" in done.stdout
    (folder,) = (project / "build/torchscript").glob("torch*")
    assert folder.name.endswith(f"-{build_type.lower()}-address-undefined")


def test_without_a_runtime_the_load_check_is_left_out_and_told(
    tmp_path: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    from nobodys_machine import make_plan

    from torchscript_build.settings.specs import ProjectSpec

    plan = dataclasses.replace(make_plan(ProjectSpec()), sanitize=("address",), runtimes=None)
    assert load_libraries(plan, {}, machine) == {}
    said = capsys.readouterr().out
    assert "not loaded for a check: the compiler does not tell where the runtime of sanitize (address) is" in said


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
def test_an_operator_library_with_address_sanitizer_is_loaded_for_the_check(tmp_path: Path) -> None:
    settings = '[tool.torchscript-build]\nsanitize = ["address", "undefined"]\nbuild-type = "Debug"\n'
    settings += '[[tool.torchscript-build.ops]]\nname = "same"\nsources = ["same.cpp"]\n'
    project = write_project(tmp_path / "p", settings, files={"same.cpp": SHRINK})
    variables = clean_variables(MAX_JOBS="1")
    done = run_python("setup.py", "build_ts_ops", "--inplace", cwd=project, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(x for x in done.stdout.splitlines() if x.startswith("-- to load what was built with sanitize: "))
    loader = (project / "demo/_torchscript_ops.py").read_text()
    assert "demo_ops::same(Tensor x) -> Tensor" in loader
    code = "import torch, demo._torchscript_ops; print(torch.ops.demo_ops.same(torch.ones(2)).tolist())"
    bare = run_python("-c", code, cwd=project, variables=variables)
    assert bare.returncode != 0
    assert "ASan runtime does not come first" in bare.stderr
    preload = line.partition("LD_PRELOAD=")[2].partition("'")[2].partition("'")[0]
    told = {**variables, "LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0"}
    done = run_python("-c", code, cwd=project, variables=told)
    assert (done.returncode, done.stdout) == (0, "[1.0, 1.0]\n"), done.stderr
