"""``torchscript-build eject``: what a C++ colleague gets builds elsewhere, without us, and does the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from children import clean_variables, run_child, run_python
from small_projects import write_project
from support import words, write
from tiny_torch import copy_torch

from torchscript_build.errors import SettingsError
from torchscript_build.generate.ejected import render_ejected
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, TorchScriptApp
from torchscript_build.system.elf import read_elf

RunSetup = Callable[..., Any]

SETTINGS = """\
[tool.torchscript-build]
cmake-args = ["-DUNUSED=1"]

[[tool.torchscript-build.ops]]
name = "adder"
sources = ["cpp/adder.cpp"]
include-dirs = ["cpp/include"]
definitions = ["WORD=a;b", "PLAIN=2"]

[[tool.torchscript-build.app]]
name = "answer"
sources = ["cpp/answer.cpp"]
include-dirs = ["cpp/include"]
ops = ["adder"]
link-libraries = ["libs/libthird.a", "fourth"]
link-dirs = ["more"]
"""
FILES = {
    "cpp/include/adder.h": "#pragma once\nint add(int a, int b);\nconst char* word();\n",
    "cpp/adder.cpp": (
        '#include "adder.h"\n#define TEXT(x) #x\n#define WRITE(x) TEXT(x)\n'
        "int add(int a, int b) { return a + b + PLAIN; }\nconst char* word() { return WRITE(WORD); }\n"
    ),
    "cpp/answer.cpp": (
        '#include <torch/script.h>\n#include <cstdio>\n#include "adder.h"\nint third();\nint fourth();\n'
        'int main() { std::printf("%d %s %s\\n", add(torch::answer(), third() + fourth()), word(), __FILE__); }\n'
    ),
}


def run(command: Sequence[str | Path], cwd: Path, variables: dict[str, str]) -> str:
    """A command that must succeed; what it prints."""
    done = run_child(
        command, cwd=cwd, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


@pytest.mark.compile
def test_the_ejected_project_is_whole_and_does_the_same(
    tmp_path: Path, run_setup: RunSetup, variables: dict[str, str], fake_torch: Path
) -> None:
    project = write_project(tmp_path / "project", SETTINGS, files=FILES)
    for folder, name in (("libs", "third"), ("more", "fourth")):
        (project / folder).mkdir()
        write(tmp_path / f"{name}.cpp", f"int {name}() {{ return 50; }}\n")
        run(["c++", "-fPIC", "-c", f"{name}.cpp"], tmp_path, variables)
        run(["ar", "rc", f"project/{folder}/lib{name}.a", f"{name}.o"], tmp_path, variables)
    done = run_python("-m", "torchscript_build", "eject", "../out", cwd=project, variables=variables)
    assert done.returncode == 0, done.stderr
    listed = [Path(line).relative_to("../out").as_posix() for line in done.stdout.splitlines()]
    assert listed == sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()
    )
    assert {"CMakeLists.txt", "CMakePresets.json", "README.md", "source/cpp/include/adder.h"} <= set(listed)
    for name in listed:
        content = (tmp_path / "out" / name).read_bytes()
        assert str(tmp_path).encode() not in content or name.endswith(".a"), name
        assert str(fake_torch).encode() not in content, name
        assert sysconfig.get_path("include").encode() not in content, name
        assert sys.prefix.encode() not in content, name

    built = run_setup(project, "build_ts_app", "--run")
    assert built.returncode == 0, built.stderr
    line = re.search(r"^142.*|^14[0-9] .*", built.stdout, re.MULTILINE)
    assert line is not None, built.stdout

    # Another machine: the project is gone, torch lies elsewhere, and Python has no headers.
    write(tmp_path / "FindPython3.cmake", "set(Python3_INCLUDE_DIRS _Python3_INCLUDE_DIR-NOTFOUND)\n")
    moved, torch = (tmp_path / "out").rename(tmp_path / "elsewhere"), copy_torch(fake_torch, tmp_path / "their/torch")
    shutil.rmtree(project)
    package = ["-m", "torchscript_build", "cmake-dir", "--libtorch", str(torch)]
    folder = run_python(*package, cwd=tmp_path, variables=variables).stdout.strip()
    run(["cmake", "--preset", "default", f"-DTorch_DIR={folder}", f"-DCMAKE_MODULE_PATH={tmp_path}"], moved, variables)
    run(["cmake", "--build", "build"], moved, variables)
    assert run([moved / "build/out/bin/answer"], moved, variables).strip() == line[0].replace("cpp/", "./cpp/").replace(
        "././", "./"
    )
    run(["cmake", "--install", "build", "--prefix", tmp_path / "installed"], moved, variables)
    assert list(read_elf(tmp_path / "installed/bin/answer").rpath) == ["$ORIGIN/../lib", str(torch / "lib")]


def test_what_cannot_be_ejected_is_told_at_once(machine: Any) -> None:
    from nobodys_machine import ROOT, make_plan

    module = OpLibrary(name="mod", package="demo", sources=("a.cpp",), python_module=True)
    gpu = OpLibrary(name="gpu", package="demo", sources=("a.cu",))
    far = TorchScriptApp(name="far", package="demo", sources=("../far.cpp",))
    with pytest.raises(SettingsError) as refused:
        render_ejected(make_plan(ProjectSpec(ops=(module, gpu), apps=(far,))))
    assert words(refused.value.problems, "'mod': a Python module has no place in a plain CMake project")
    assert words(refused.value.problems, "'gpu': CUDA sources and cuDNN are set up for this machine's toolkit")
    assert words(refused.value.problems, f"'far': {ROOT.parent}/far.cpp lies outside of the project")
    with pytest.raises(SettingsError, match="there is no app and no operator library"):
        render_ejected(make_plan(ProjectSpec()))


def test_the_presets_name_no_generator() -> None:
    from nobodys_machine import make_plan

    app = TorchScriptApp(name="app", package="demo", sources=("main.cpp",))
    presets = json.loads(render_ejected(make_plan(ProjectSpec(apps=(app,))))["CMakePresets.json"])
    assert "generator" not in presets["configurePresets"][0]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_project(tmp_path / "project", SETTINGS.partition("link-libraries")[0], files=FILES)
    write(tmp_path / "out/mine.txt", "mine")
    done = run_python("-m", "torchscript_build", "eject", "../out", cwd=project, variables=variables)
    assert done.returncode == 1
    assert "error: ../out is not empty, and nothing is overwritten" in done.stderr


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
def test_a_real_project_builds_with_torchs_own_package(tmp_path: Path) -> None:
    """A runner with its model and an operator library, as `torchscript-build new` makes it, compared."""
    import torch

    variables = clean_variables(MAX_JOBS="1", CMAKE_BUILD_PARALLEL_LEVEL="1")
    new = ["-m", "torchscript_build", "new", "project", "small"]
    assert run_python(*new, cwd=tmp_path, variables=variables).returncode == 0
    project = tmp_path / "small"
    done = run_python("-m", "torchscript_build", "eject", str(tmp_path / "out"), cwd=project, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (theirs,) = {Path(p) for p in re.findall(r"^ {5}(\S+/bin/\S+)$", run_app(project, variables), re.MULTILINE)}
    shutil.copytree(tmp_path / "out", tmp_path / "elsewhere")
    stock = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
    configured = run(["cmake", "--preset", "default", stock], tmp_path / "elsewhere", variables)
    assert "Found Torch: " in configured
    assert "(CPU, new C++ ABI)" not in configured  # that is our package
    run(["cmake", "--build", "build"], tmp_path / "elsewhere", variables)
    ours = tmp_path / "elsewhere/build/out/bin" / theirs.name
    (model,) = (tmp_path / "out/models").glob("*.pt")
    for arguments in (["--info"], ["--input", "ones:2x4"], ["--version"]):
        outputs = [run([program, "--model", model, *arguments], tmp_path, variables) for program in (theirs, ours)]
        assert outputs[0].replace(str(theirs), "PROGRAM") == outputs[1].replace(str(ours), "PROGRAM")
    assert run([ours, "--info"], tmp_path, variables)  # its own model lies where it looks for it


def run_app(project: Path, variables: dict[str, str]) -> str:
    done = run_python("setup.py", "-v", "build_ts_app", cwd=project, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
