"""Wrong input for operator libraries: one clear error each, before anything is compiled where that is possible."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from small_projects import write_project
from support import write

pytestmark = pytest.mark.compile

Run = Callable[..., subprocess.CompletedProcess[str]]

OPS = 'TORCH_LIBRARY({namespace}, m) {{ m.def("{name}(Tensor x) -> Tensor"); }}\n'
LIBRARY = """\
[[tool.torchscript-build.ops]]
name = "{name}"
sources = {sources}
{more}
"""


def library(name: str, *more: str, sources: Sequence[str] = ()) -> str:
    """The settings of one library."""
    return LIBRARY.format(name=name, sources=json.dumps(list(sources or [f"{name}.cpp"])), more="\n".join(more))


def error_of(done: subprocess.CompletedProcess[str], *, configured: bool = False) -> str:
    """The error that a command ended with; there is one, nothing of Python's, and CMake has run only where it may."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") >= 1
    assert ("-- configure" in done.stdout) == configured, done.stdout
    return done.stderr[done.stderr.index("error: ") :]


# --- before CMake ----------------------------------------------------------------------------------------------------


def forecast(folder: Path, run_setup: Run, settings: str, files: dict[str, str]) -> str:
    """What is said of the text of sources; it refuses nothing, so the compiler is asked next, and knows no macro."""
    done = run_setup(write_project(folder, settings, files=files), "build_ts_ops")
    assert "the build failed" in done.stderr
    return " ".join(line for line in done.stdout.splitlines() if line.startswith("-- by the text of the sources: "))


def test_promised_namespace_is_missing(tmp_path: Path, run_setup: Run) -> None:
    settings = library("mine", 'namespaces = ["my_ops"]')
    said = forecast(tmp_path, run_setup, settings, {"mine.cpp": OPS.format(namespace="mine_ops", name="f")})
    assert "operator library 'mine' promises the namespace 'my_ops', but its sources have no TORCH_LIBRARY" in said
    assert "they register: mine_ops" in said


def test_two_libraries_register_the_same_operator(tmp_path: Path, run_setup: Run) -> None:
    fragment = OPS.replace("TORCH_LIBRARY", "TORCH_LIBRARY_FRAGMENT").format(namespace="my_ops", name="f")
    files = {"one.cpp": OPS.format(namespace="my_ops", name="f"), "two.cpp": fragment}
    said = forecast(tmp_path, run_setup, library("one") + library("two"), files)
    assert "operator my_ops::f is registered by 'one' and by 'two'" in said


def test_two_libraries_own_a_namespace(tmp_path: Path, run_setup: Run) -> None:
    files = {f"{n}.cpp": OPS.format(namespace="my_ops", name=n) for n in ("one", "two")}
    said = forecast(tmp_path, run_setup, library("one") + library("two"), files)
    assert "TORCH_LIBRARY(my_ops, m) stands in 'one' and 'two'" in said
    assert "TORCH_LIBRARY_FRAGMENT(my_ops, m)" in said


LOADING = """\
import ctypes
__version__ = "2.13.0+cpu"
class _C:
    _jit_get_all_schemas = staticmethod(list)
class ops:
    load_library = staticmethod(ctypes.CDLL)
"""
NO_TORCH = "raise ImportError('no torch here')\n"


@pytest.mark.parametrize(("torch", "settled"), [(LOADING, True), (NO_TORCH, False)])
def test_loading_settles_what_the_text_seems_to_register(
    tmp_path: Path, run_setup: Run, torch: str, settled: bool
) -> None:
    """Conditions may hide from the compiler what a reader of the text sees."""
    files = {f"{n}.cpp": f"#if 0\n{OPS.format(namespace='my_ops', name=n)}#endif\nint f() {{}}\n" for n in ("a", "b")}
    project = write_project(tmp_path / "p", library("a") + library("b"), files=files)
    write(tmp_path / "site/torch.py", torch)
    for _ in range(2):  # the second time, what was loaded is known
        done = run_setup(project, "build_ts_ops", PYTHONPATH=str(tmp_path / "site"))
        assert done.returncode == 0, done.stderr
        assert "-- by the text of the sources: TORCH_LIBRARY(my_ops, m) stands in 'a' and 'b'" in done.stdout
        assert ("warning: TORCH_LIBRARY(my_ops, m) stands in" in done.stderr) is not settled


def test_all_wrong_settings_are_told_at_once(tmp_path: Path, run_setup: Run) -> None:
    settings = (
        library("one", 'depends = ["two"]', sources=["absent.cpp"])
        + library("two", 'depends = ["one", "tree"]', sources=["cpp/*.cc"])
        + library("three", 'link-libraries = ["vendor/libmissing.so"]')
    )
    project = write_project(tmp_path / "p", settings, files={"three.cpp": ""})
    error = error_of(run_setup(project, "build_ts_ops"))
    assert error.startswith("error: 5 problems in the settings:\n")
    assert "operator library 'one': sources: there is no file 'absent.cpp'" in error
    assert "operator library 'two': sources: nothing matches 'cpp/*.cc'" in error
    assert "operator libraries depend on each other in a circle: one → two → one" in error
    assert "operator library 'two': depends: there is no operator library 'tree'; did you mean 'three'?" in error
    assert "operator library 'three': link-libraries: there is no file 'vendor/libmissing.so'" in error


def test_link_library_is_missing(tmp_path: Path, run_setup: Run) -> None:
    settings = library("mine", 'link-libraries = ["no_such_library"]')
    project = write_project(tmp_path / "p", settings, files={"mine.cpp": ""})
    error = error_of(run_setup(project, "build_ts_ops"))
    assert "'mine': link-libraries: there is no library 'no_such_library' (looked in " in error


# --- at configure and after ------------------------------------------------------------------------------------------


def other_abi_library(folder: Path) -> Path:
    """A shared library of the old ABI with std::string in its interface."""
    source = write(folder / "old.cpp", "#include <string>\nint length(std::string text) { return text.size(); }\n")
    file = folder / "libold.so"
    flags = ["-D_GLIBCXX_USE_CXX11_ABI=0", "-shared", "-fPIC"]
    run_child(["c++", *flags, "-o", str(file), str(source)], check=True)
    return file


ABI_WORDS = (
    "libold.so, which was compiled with _GLIBCXX_USE_CXX11_ABI=0",
    "has the new C++ ABI",
    "use a build of that library with -D_GLIBCXX_USE_CXX11_ABI=1",
)


def test_library_of_the_other_abi(tmp_path: Path, run_setup: Run) -> None:
    settings = library("mine", 'link-libraries = ["vendor/libold.so"]')
    project = write_project(tmp_path / "p", settings, files={"mine.cpp": "this is never compiled\n"})
    other_abi_library(write(project / "vendor/readme").parent)
    error = error_of(run_setup(project, "build_ts_ops"), configured=True)
    assert [w for w in ABI_WORDS if w not in error] == []
    assert "mine links " in error


def test_existing_project_links_a_library_of_the_other_abi(tmp_path: Path, run_setup: Run) -> None:
    lists = """\
cmake_minimum_required(VERSION 3.10)
project(sdk CXX)
find_package(Torch REQUIRED)
add_library(sdk_ops SHARED ops.cpp)
target_link_libraries(sdk_ops ${TORCH_LIBRARIES} ${CMAKE_CURRENT_SOURCE_DIR}/../vendor/libold.so)
"""
    settings = '[[tool.torchscript-build.cmake]]\nname = "sdk"\nsource-dir = "sdk"\n'
    files = {"sdk/CMakeLists.txt": lists, "sdk/ops.cpp": "this is never compiled\n", "vendor/readme": ""}
    project = write_project(tmp_path / "p", settings, files=files)
    other_abi_library(project / "vendor")
    error = error_of(run_setup(project, "build_ts_app"), configured=True)
    assert [w for w in ABI_WORDS if w not in error] == []
    assert "sdk_ops links " in error


def test_linker_has_the_last_word(tmp_path: Path, run_setup: Run) -> None:
    settings = library("mine", 'link-libraries = ["vendor/libtext.so"]')
    project = write_project(tmp_path / "p", settings, files={"mine.cpp": "", "vendor/libtext.so": "no library\n"})
    error = error_of(run_setup(project, "build_ts_ops"), configured=True)
    assert error.startswith("error: the build failed (exit code 1)\n")
    assert "libtext.so: file format not recognized" in error


# --- with a real torch -----------------------------------------------------------------------------------------------

REAL = clean_variables(
    MAX_JOBS="2",
    PYTHONDONTWRITEBYTECODE="1",
    TORCHSCRIPT_BUILD_CACHE_DIR=os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"],
)


def setup(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python("setup.py", *arguments, cwd=project, variables=REAL)


@pytest.mark.torch
def test_symbol_that_nobody_defines(tmp_path: Path) -> None:
    source = "int never_defined();\nextern const int value;\nconst int value = never_defined();\n"
    project = write_project(tmp_path / "p", library("mine"), files={"mine.cpp": source})
    error = error_of(setup(project, "build_ts_ops"), configured=True)
    assert error.startswith("error: operator library 'mine' cannot be loaded into Python's torch\n")
    assert "undefined symbol: _Z13never_definedv" in error


@pytest.mark.torch
def test_model_needs_operators_that_nobody_provides(tmp_path: Path) -> None:
    """The operators exist in Python only, so the export works, but no program can run the model."""
    model = """\
import torch

torch.library.define("elsewhere::twice", "(Tensor x) -> Tensor")


class Model(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.elsewhere.twice(x)
"""
    settings = """\
[[tool.torchscript-build.model]]
name = "twice"
factory = "demo.model:Model"

[[tool.torchscript-build.app]]
name = "run-twice"
models = ["twice"]
"""
    project = write_project(tmp_path / "p", settings, files={"demo/model.py": model})
    error = error_of(setup(project, "build_ts_app"), configured=True)
    assert "elsewhere::twice" in error
    assert "name its namespace in the app's external-ops, if it is loaded at run time (--ops FILE)" in error
