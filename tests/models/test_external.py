"""Operator libraries from elsewhere that travel with an app, and what lies beside a program in the build tree."""

from __future__ import annotations

import ctypes
import dataclasses
import os
from pathlib import Path

import pytest
from children import clean_variables, run_python
from nobodys_machine import linux_torch, made_up, make_plan
from support import write
from tiny_torch import compile_library

from torchscript_build.errors import ModelError, SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.models.external import external_files, place_beside
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.read import collect_settings
from torchscript_build.settings.specs import ProjectSpec, ScriptModel, TorchScriptApp
from torchscript_build.system.elf import read_elf


@pytest.fixture
def libtorch(tmp_path: Path) -> LibTorch:
    for name in ("libc10.so", "libtorch_cpu.so", "libtorch.so"):
        write(tmp_path / "torch/lib" / name)
    return linux_torch(root=tmp_path / "torch", library_dirs=(tmp_path / "torch/lib",))


def library(folder: Path, source: str, *needed: str) -> Path:
    """A library that needs others by name, which are gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in needed:
        compile_library(folder / name, "")
    flags = ["-Wl,--no-as-needed", *(f"-l:{name}" for name in needed)]
    compile_library(folder / "_C.so", source, *flags)
    for name in needed:
        (folder / name).unlink()
    return folder / "_C.so"


def plan_with(root: Path, libtorch: LibTorch, file: str, *, install: bool = True) -> BuildPlan:
    app = TorchScriptApp(name="app", package="demo", models=("net",), external_ops={"vision": file}, install=install)
    spec = ProjectSpec(models=(ScriptModel(name="net", file="net.pt"),), apps=(app,))
    write(root / "net.pt")
    return make_plan(spec, root=root, build_base=root / "build", libtorch=libtorch)


def place(plan: BuildPlan, root: Path) -> Path:
    """Put everything beside the program, and say where the library is."""
    environment = made_up(root)
    python = dataclasses.replace(environment.python, site_packages=(root / "site",))
    environment = dataclasses.replace(environment, python=python)
    program = write(plan.out_dir / plan.apps[0].path)
    place_beside(plan, plan.apps, {"app": program}, external_files(plan.apps, environment))
    return program.parent / plan.apps[0].external_ops[0].relative


@pytest.mark.compile
def test_a_need_of_python_that_is_none_is_dropped(tmp_path: Path, libtorch: LibTorch) -> None:
    source = library(tmp_path / "site/vision", 'extern "C" int answer() { return 42; }', "libtorch_python.so")
    load = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"  # here another test may have imported torch
    assert (
        "OSError: libtorch_python.so"
        in run_python("-c", load, str(source), cwd=tmp_path, variables=clean_variables()).stderr
    )
    placed = place(plan_with(tmp_path, libtorch, "vision:_C.so"), tmp_path)
    before, after = read_elf(source), read_elf(placed)
    assert after.needed == tuple(n for n in before.needed if n != "libtorch_python.so")
    assert after.runpath == before.runpath
    assert ctypes.CDLL(str(placed)).answer() == 42


@pytest.mark.compile
def test_a_library_that_needs_python_is_refused(tmp_path: Path, libtorch: LibTorch) -> None:
    code = 'extern "C" int PyErr_Occurred(); extern "C" int f() { return PyErr_Occurred(); }'
    library(tmp_path / "site/vision", code)
    with pytest.raises(ModelError, match=r"external-ops: vision\) needs Python itself \(PyErr_Occurred\)"):
        place(plan_with(tmp_path, libtorch, "vision:_C.so"), tmp_path)


@pytest.mark.compile
def test_a_library_for_another_variant_of_torch_is_refused(tmp_path: Path, libtorch: LibTorch) -> None:
    library(tmp_path / "site/vision", "", "libtorch_cuda.so")
    with pytest.raises(ModelError) as caught:
        place(plan_with(tmp_path, libtorch, "vision:_C.so"), tmp_path)
    assert "needs libtorch_cuda.so, which libtorch 2.13.0+cpu (cpu) does not have" in str(caught.value)


def test_a_file_of_a_package_may_be_a_pattern(tmp_path: Path, libtorch: LibTorch) -> None:
    write(tmp_path / "site/vision/_C.cpython-311.so", "library")
    placed = place(plan_with(tmp_path, libtorch, "vision:_C*.so"), tmp_path)
    assert placed.read_text() == "library"
    write(tmp_path / "site/vision/_C.abi3.so")
    with pytest.raises(ModelError, match=r"matches several files: _C\.abi3\.so, _C\.cpython-311\.so"):
        place(plan_with(tmp_path, libtorch, "vision:_C*.so"), tmp_path)


@pytest.mark.parametrize("install", [True, False])
def test_models_and_libraries_lie_beside_the_program(tmp_path: Path, libtorch: LibTorch, install: bool) -> None:
    write(tmp_path / "libs/v.so", "old")
    plan = plan_with(tmp_path, libtorch, "libs/v.so", install=install)
    placed = place(plan, tmp_path)
    assert placed.read_text() == "old"
    if install:
        assert os.path.normpath(placed) == str(plan.out_dir / "demo/lib/vision_external.so")
        assert (plan.out_dir / "demo/models/net.pt").samefile(tmp_path / "net.pt")
    write(tmp_path / "libs/v.so", "newer")
    assert place(plan, tmp_path).read_text() == "newer"


def settings(root: Path, **app: object) -> ProjectSpec:
    write(root / "net.pt")
    tables = {"model": [{"name": "net", "file": "net.pt"}], "app": [{"name": "app", "models": ["net"], **app}]}
    pyproject = {"tool": {"torchscript-build": tables}}
    return collect_settings(root=root, pyproject=pyproject, keywords={}, command={}, variables={}, packages=["demo"])


def test_what_external_ops_may_be(tmp_path: Path) -> None:
    assert settings(tmp_path, **{"external-ops": ["a"]}).apps[0].external_ops == ("a",)
    table = {"a": "package:_C.so"}
    assert settings(tmp_path, **{"external-ops": table}).apps[0].external_ops == table
    with pytest.raises(SettingsError, match=r"external-ops: a: there is no file 'gone\.so'"):
        settings(tmp_path, **{"external-ops": {"a": "gone.so"}})
    with pytest.raises(SettingsError, match="only the runner template loads the libraries of a table"):
        settings(tmp_path, **{"external-ops": table, "template": "minimal"})
