"""Editable installations: built again by a command or by the import; what they leave in the source tree is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import clean_variables, run_child, run_python
from small_projects import write_project
from support import write

from torchscript_build.generate.loader import with_rebuild

RunSetup = Callable[..., Any]

OPS = """\
[tool.torchscript-build]
editable-rebuild = true
[[tool.torchscript-build.ops]]
name = "word"
sources = ["word.cpp"]
"""
TORCH = """\
import ctypes, types
__version__ = "2.13.0+cpu"
version = types.SimpleNamespace(cuda=None)
compiled_with_cxx11_abi = lambda: True
loaded = []
class ops:
    loaded_libraries = set()
    load_library = lambda path: loaded.append(ctypes.CDLL(path).word())
"""
"""As much of torch as the loader asks."""


def word(value: int) -> str:
    return f'extern "C" int word() {{ return {value}; }}\n'


@pytest.fixture
def project(tmp_path: Path, run_setup: RunSetup) -> Path:
    """Built in place; its library tells a number."""
    project = write_project(tmp_path / "p", OPS, files={"word.cpp": word(1)})
    done = run_setup(project, "build_ts_ops", "--inplace")
    assert done.returncode == 0, done.stderr
    write(tmp_path / "fake/torch.py", TORCH)
    return project


def load(project: Path, variables: dict[str, str], *options: str) -> Any:
    """Import the loader with the little torch; the library's number is printed."""
    path = [str(project.parent / "fake"), str(project)]
    code = f"import sys; sys.path[:0] = {path}; import torch, demo._torchscript_ops; print(*torch.loaded)"
    return run_python(*options, "-c", code, cwd=project.parent, variables=variables)


def make_newer(file: Path, text: str) -> None:
    write(file, text)
    later = file.stat().st_mtime + 100
    os.utime(file, (later, later))


@pytest.mark.compile
def test_the_import_builds_again_where_a_source_is_newer(project: Path, variables: dict[str, str]) -> None:
    first = load(project, variables)
    assert (first.returncode, first.stdout, first.stderr) == (0, "1\n", "")
    write(project / "word.cpp", word(2))
    os.utime(project / "word.cpp", (2**31, 2**31))
    second = load(project, variables)
    assert (second.returncode, second.stdout) == (0, "2\n"), second.stderr
    assert second.stderr == "demo: word.cpp is newer than the operator libraries: building them again\n"


@pytest.mark.compile
def test_a_build_that_made_nothing_new_is_not_made_again(project: Path, variables: dict[str, str]) -> None:
    built = (project / "demo/lib/libword.so").stat().st_mtime
    os.utime(project / "pyproject.toml", (built + 1, built + 1))
    assert "pyproject.toml is newer" in load(project, variables).stderr
    assert load(project, variables).stderr == ""


@pytest.mark.compile
def test_a_source_with_a_mistake_stops_the_import(project: Path, variables: dict[str, str]) -> None:
    make_newer(project / "word.cpp", "nonsense")
    done = load(project, variables)
    assert done.returncode == 1
    assert (
        "ImportError: demo: word.cpp is newer than the operator libraries, and building them again failed:"
        in done.stderr
    )
    assert "nonsense" in done.stderr


@pytest.mark.compile
@pytest.mark.parametrize("lacks", ["us", "a compiler"])
def test_without_the_tools_it_warns(project: Path, variables: dict[str, str], lacks: str) -> None:
    make_newer(project / "word.cpp", word(3))
    options = ["-S"] if lacks == "us" else []  # without site-packages
    done = load(project, {**variables, **({"CXX": "/nothing"} if lacks == "a compiler" else {})}, *options)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    words = {
        "us": "torchscript-build is not here to build them again",
        "a compiler": "CXX names a compiler that does not run",
    }
    assert "UserWarning: demo: word.cpp is newer than the operator libraries, and" in done.stderr
    assert words[lacks] in done.stderr


@pytest.mark.compile
def test_wheels_have_nothing_of_it(project: Path, run_setup: RunSetup) -> None:
    assert run_setup(project, "build_ts_ops", "--build-lib", "out").returncode == 0
    assert b"_build_again" not in (project / "out/demo/_torchscript_ops.py").read_bytes()
    assert b"_build_again" in (project / "demo/_torchscript_ops.py").read_bytes()


@pytest.mark.compile
def test_rebuild_is_a_build_in_place(project: Path, variables: dict[str, str]) -> None:
    write(project / "word.cpp", word(4))
    done = run_python("-m", "torchscript_build", "rebuild", cwd=project, variables=variables)
    assert done.returncode == 0, done.stderr
    assert load(project, variables).stdout == "4\n"


@pytest.mark.compile
def test_what_git_would_take_for_the_projects_own_is_told(project: Path, run_setup: RunSetup) -> None:
    variables = clean_variables(GIT_CONFIG_GLOBAL="/dev/null")
    run_child(["git", "init", "-q"], cwd=project, env=variables, check=True)
    line = "-- made in the source tree, and not in .gitignore: "
    said = run_setup(project, "build_ts_ops", "--inplace").stdout
    assert f"{line}demo/_torchscript_ops.py, demo/lib/libword.so\n" in said
    write(project / ".gitignore", "*.so\n")
    assert f"{line}demo/_torchscript_ops.py\n" in run_setup(project, "build_ts_ops", "--inplace").stdout
    write(project / ".gitignore", "*.so\n_torchscript_*.py\n")
    assert line not in run_setup(project, "build_ts_ops", "--inplace").stdout


def test_the_code_stands_before_the_libraries_are_loaded() -> None:
    from nobodys_machine import make_plan

    from torchscript_build.generate.loader import LoadedOps, render_loaders
    from torchscript_build.settings.specs import OpLibrary, ProjectSpec

    spec = ProjectSpec(ops=(OpLibrary(name="word", package="demo", sources=("word.cpp",)),))
    plan = make_plan(spec)
    (text,) = render_loaders(spec, [LoadedOps(plan, {"word": ()})]).values()
    lines = with_rebuild(text, plan, ["word.cpp"]).decode().splitlines()
    assert lines.index("_build_again()") < lines.index("_BUILT_FOR = _check_torch()")
    assert "SOURCES = ('pyproject.toml', 'word.cpp')" in lines
    assert compile("\n".join(lines), "loader", "exec")
