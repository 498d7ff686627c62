"""``torchscript_build/app.h``: a program of one's own finds its models beside itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from children import run_child
from nobodys_machine import make_plan
from small_projects import read_project, write_project
from support import write

from torchscript_build.generate.ejected import render_ejected
from torchscript_build.generate.project import render_project
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.plan.prefix import in_prefix

MAIN = """\
#include <torchscript_build/app.h>

#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  try {
    for (const auto& model : torchscript_build::models()) std::printf("%s ", model.name);
    std::printf("%s %s\\n", torchscript_build::model_path().c_str(),
                torchscript_build::model_path(argc > 1 ? argv[1] : "second").c_str());
    return 0;
  } catch (const std::exception& error) {
    std::printf("error: %s\\n", error.what());
    return 1;
  }
}
"""
SETTINGS = """\
[[tool.torchscript-build.model]]
name = "first"
file = "first.pt"

[[tool.torchscript-build.model]]
name = "second"
file = "second.pt"

[[tool.torchscript-build.app]]
name = "own"
sources = ["main.cpp"]
models = ["first", "second"]
package = "demo"

[[tool.torchscript-build.app]]
name = "given"
models = ["first"]
package = "demo"
"""
HEADER = "apps/own/include/torchscript_build/app.h"


@pytest.fixture
def plan(tmp_path: Path) -> BuildPlan:
    files = {"main.cpp": MAIN, "first.pt": "", "second.pt": ""}
    return make_plan(read_project(write_project(tmp_path / "project", SETTINGS, files=files)))


def compiled(header: bytes, folder: Path, standard: int = 14) -> Path:
    """The program with a header, in a folder ``bin``."""
    (folder / "include/torchscript_build").mkdir(parents=True)
    (folder / "include/torchscript_build/app.h").write_bytes(header)
    # Two translation units: nothing in the header may be defined twice.
    sources = [write(folder / "main.cpp", MAIN), write(folder / "other.cpp", "#include <torchscript_build/app.h>\n")]
    (folder / "bin").mkdir()
    command = ["c++", f"-std=c++{standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{folder}/include"]
    run_child([*command, *sources, "-o", folder / "bin/own"], check=True)
    return folder / "bin/own"


def said(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_child([program, *words], env={}, cwd="/", capture_output=True, encoding="utf-8")


def test_only_programs_of_ones_own_have_it(plan: BuildPlan) -> None:
    files = render_project(plan)
    assert [name for name in files if name.endswith("/app.h")] == [HEADER]
    text = files["CMakeLists.txt"].decode()
    assert text.count("INCLUDE_DIRS") == 1
    assert '  INCLUDE_DIRS "apps/own/include"\n' in text
    assert HEADER in render_ejected(plan)


@pytest.mark.compile
@pytest.mark.parametrize("standard", [14, 17, 20])
def test_models_are_found_beside_the_program(plan: BuildPlan, tmp_path: Path, standard: int) -> None:
    program = compiled(render_project(plan)[HEADER], tmp_path / "an app", standard)
    folder = tmp_path / "an app/bin"
    assert said(program).stdout == f"first second {folder}/../models/first.pt {folder}/../models/second.pt\n"
    moved = shutil.move(tmp_path / "an app", tmp_path / "moved")
    link = tmp_path / "link"
    link.symlink_to(Path(moved) / "bin/own")
    assert f"{moved}/bin/../models/first.pt" in said(link).stdout


@pytest.mark.compile
def test_in_a_prefix_they_lie_below_share(plan: BuildPlan, tmp_path: Path) -> None:
    header = render_project(in_prefix(plan, Path("/opt/there")))[HEADER]
    assert "/bin/../share/demo/models/second.pt\n" in said(compiled(header, tmp_path / "app")).stdout


@pytest.mark.compile
def test_a_model_that_the_app_has_not(plan: BuildPlan, tmp_path: Path) -> None:
    done = said(compiled(render_project(plan)[HEADER], tmp_path / "app"), "third")
    assert (done.returncode, done.stdout.split(" ", 2)[2]) == (1, "error: this app has no model called third\n")


@pytest.mark.compile
def test_an_app_without_models(tmp_path: Path) -> None:
    text = '[[tool.torchscript-build.app]]\nname = "own"\nsources = ["main.cpp"]\n'
    plan = make_plan(read_project(write_project(tmp_path / "project", text, files={"main.cpp": MAIN})))
    done = said(compiled(render_project(plan)[HEADER], tmp_path / "app"))
    assert done.stdout.startswith("error: this app has no model")
