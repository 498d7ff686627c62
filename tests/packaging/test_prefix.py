"""``build_ts_app --prefix``: an installation without Python."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from children import run_child
from nobodys_machine import make_plan
from small_projects import ANSWER_APP, ANSWER_CPP, read_project, write_project
from support import write

from torchscript_build.errors import SettingsError
from torchscript_build.plan.prefix import in_prefix
from torchscript_build.system.elf import read_elf

RunSetup = Callable[..., "CompletedProcess[str]"]

OPS_CPP = """\
#include <torch/library.h>
extern "C" int ops_answer() { return 1; }
"""
APP_AND_OPS = """\
[[tool.torchscript-build.ops]]
name = "demo_ops"
sources = ["ops.cpp"]
python-binding = "none"
install = false

[[tool.torchscript-build.app]]
name = "answer"
sources = ["answer.cpp"]
ops = ["demo_ops"]
install = false
"""


def runpath(file: Path) -> tuple[str, ...]:
    info = read_elf(file)
    return (*info.rpath, *info.runpath)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP})


@pytest.mark.compile
def test_program_finds_a_libtorch_elsewhere(
    project: Path, tmp_path: Path, run_setup: RunSetup, fake_torch: Path
) -> None:
    prefix = tmp_path / "prefix"
    done = run_setup(project, "build_ts_app", "--prefix", str(prefix))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"-- installed {prefix / 'bin/answer'}" in done.stdout
    assert [p.relative_to(prefix).as_posix() for p in prefix.rglob("*") if p.is_file()] == ["bin/answer"]
    assert runpath(prefix / "bin/answer") == ("$ORIGIN/../lib", str(fake_torch / "lib"))
    assert not (project / "build/lib").exists()


@pytest.mark.compile
def test_with_libtorch_in_the_prefix_it_can_be_moved(tmp_path: Path, run_setup: RunSetup, fake_torch: Path) -> None:
    prefix = tmp_path / "prefix"
    for folder in ("lib", "include"):
        shutil.copytree(fake_torch / folder, prefix / folder)
    shutil.copy(fake_torch / "version.py", write(prefix / "lib/python3.11/site-packages/torch/version.py"))
    folder = write_project(tmp_path / "project", APP_AND_OPS, files={"answer.cpp": ANSWER_CPP, "ops.cpp": OPS_CPP})
    done = run_setup(folder, "build_ts_app", "--prefix", str(prefix), TORCHSCRIPT_BUILD_LIBTORCH=str(prefix))
    assert done.returncode == 0, done.stdout + done.stderr
    assert runpath(prefix / "bin/answer") == ("$ORIGIN/../lib",)
    assert runpath(prefix / "lib/libdemo_ops.so") == ("$ORIGIN",)
    moved = prefix.rename(tmp_path / "moved")
    ran = run_child([moved / "bin/answer"], env={}, capture_output=True, encoding="utf-8", check=True)
    assert "answer 42" in ran.stdout


def test_models_lie_below_share(tmp_path: Path) -> None:
    settings = """\
    [[tool.torchscript-build.model]]
    name = "m"
    file = "model.pt"

    [[tool.torchscript-build.app]]
    name = "app"
    models = ["m"]
    """
    spec = read_project(write_project(tmp_path / "project", settings, files={"model.pt": ""}))
    plan = in_prefix(make_plan(spec), Path("/opt/there"))
    [app] = plan.apps
    assert app.path == "bin/app"
    assert [m.relative for m in app.models] == ["../share/demo/models/m.pt"]


def test_prefix_that_the_loader_cannot_open(tmp_path: Path) -> None:
    spec = read_project(write_project(tmp_path, ANSWER_APP, files={"answer.cpp": ""}))
    prefix = Path("/" + "/".join(["x" * 200] * 21))
    with pytest.raises(SettingsError, match=r"--prefix is too long.*4\d\d\d bytes.*can open 4095"):
        in_prefix(make_plan(spec), prefix)


def test_python_modules_have_no_place_in_it(tmp_path: Path) -> None:
    settings = '[[tool.torchscript-build.ops]]\nname = "_C"\nsources = ["c.cpp"]\npython-module = true\n'
    spec = read_project(write_project(tmp_path, settings, files={"c.cpp": ""}))
    with pytest.raises(SettingsError, match=r"'_C' is a Python module.*use pip install"):
        in_prefix(make_plan(spec), Path("/opt/there"))


@pytest.mark.compile
def test_not_together_with_inplace(project: Path, tmp_path: Path, run_setup: RunSetup) -> None:
    done = run_setup(project, "build_ts_app", "--prefix", str(tmp_path / "prefix"), "--inplace")
    assert done.returncode == 1
    assert "--prefix, --bundle and --inplace: give one of them" in done.stderr
