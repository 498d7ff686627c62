"""Loading operator libraries in a child: with a stand-in for torch where only the child's fate matters."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from nobodys_machine import linux_torch, made_up, make_plan
from small_projects import write_project
from support import stub, write

from torchscript_build.errors import VerificationError
from torchscript_build.operators.loading import CHILD, broken_promises, load_libraries
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import OpLibrary, ProjectSpec
from torchscript_build.system import Environment, PythonTarget

STAND_IN = """\
import os
__version__ = "{version}"
class _C:
    schemas = ["aten::add(Tensor a) -> Tensor"]
    @classmethod
    def _jit_get_all_schemas(cls): return cls.schemas
class ops:
    @staticmethod
    def load_library(path):
        text = open(path).read()
        if text == "missing symbol": raise OSError(path + ": undefined symbol: _Z4lampv")
        if text == "twice": raise RuntimeError("Only a single TORCH_LIBRARY can be used to register the namespace my")
        if text == "abort":
            os.write(2, b"terminate called after throwing an instance of 'c10::Error'\\n  what():  the lamp is out\\n")
            os.abort()
        _C.schemas = _C.schemas + text.split(";")
"""


def ops(name: str, *depends: str, **fields: object) -> OpLibrary:
    return OpLibrary(name=name, package="demo", sources=("o.cpp",), depends=depends, **fields)  # type: ignore[arg-type]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An interpreter whose only torch is the stand-in."""
    write(tmp_path / "site/torch/__init__.py", STAND_IN.replace("{version}", "2.13.0+cpu"))
    python = stub(tmp_path / "python", f'exec "{sys.executable}" -S -E "$@"')
    target = PythonTarget(python, search_path=(tmp_path / "site",), site_packages=(tmp_path / "site",))
    return dataclasses.replace(made_up(tmp_path, PATH=os.defpath), python=target)


def plan_of(root: Path, *libraries: OpLibrary) -> BuildPlan:
    return make_plan(
        ProjectSpec(ops=libraries), root=root, build_base=root / "build", libtorch=linux_torch(layout="archive")
    )


def files(root: Path, **texts: str) -> dict[str, Path]:
    return {name: write(root / f"lib{name}.so", text) for name, text in texts.items()}


def test_each_library_tells_its_own_schemas(
    tmp_path: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(tmp_path, ops("top", "base"), ops("base"))
    schemas = load_libraries(plan, files(tmp_path, top="my::b() -> ();my::a() -> ()", base="x::c() -> ()"), environment)
    assert schemas == {"base": ["x::c() -> ()"], "top": ["my::a() -> ()", "my::b() -> ()"]}
    assert "-- load the operator libraries: " in capsys.readouterr().out


def test_what_has_not_changed_is_not_loaded_again(
    tmp_path: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(tmp_path, ops("o"))
    first = load_libraries(plan, files(tmp_path, o="my::a() -> ()"), environment)
    capsys.readouterr()
    libraries = {"o": tmp_path / "libo.so"}
    assert load_libraries(plan, libraries, environment) == first
    assert capsys.readouterr().out == ""
    assert load_libraries(plan, files(tmp_path, o="my::abc() -> ()"), environment) == {"o": ["my::abc() -> ()"]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("missing symbol", "undefined symbol: _Z4lampv"),
        ("twice", "Only a single TORCH_LIBRARY can be used to register the namespace my"),
        ("abort", "what():  the lamp is out"),
    ],
)
def test_a_library_that_cannot_be_loaded(tmp_path: Path, environment: Environment, text: str, wanted: str) -> None:
    plan = plan_of(tmp_path, ops("good"), ops("bad"))
    libraries = files(tmp_path, good="my::a() -> ()", bad=text)
    for _ in range(2):  # and is not taken for done
        with pytest.raises(VerificationError) as caught:
            load_libraries(plan, libraries, environment)
        assert str(caught.value).startswith("operator library 'bad' cannot be loaded into Python's torch\n  ")
        assert wanted in str(caught.value)


def test_a_python_module_is_imported(tmp_path: Path, environment: Environment) -> None:
    plan = plan_of(tmp_path, ops("_C", python_module=True))
    file = write(tmp_path / plan.ops[0].file_name, "no library")
    with pytest.raises(VerificationError, match=r"(?s)operator library '_C' cannot be loaded.*ImportError"):
        load_libraries(plan, {"_C": file}, environment)


def test_another_torch_is_a_line_and_no_error(
    tmp_path: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "site/torch/__init__.py", STAND_IN.replace("{version}", "2.9.0+cu126"))
    plan = plan_of(tmp_path, ops("o"))
    assert load_libraries(plan, files(tmp_path, o="twice"), environment) == {}
    out = capsys.readouterr().out
    assert "were not loaded for a check: Python's torch is 2.9.0+cu126, built for 2.13.0+cpu" in out


def test_no_torch_is_a_line_and_no_error(
    tmp_path: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site/torch/__init__.py").unlink()
    (tmp_path / "site/torch").rmdir()
    assert load_libraries(plan_of(tmp_path, ops("o")), files(tmp_path, o="twice"), environment) == {}
    assert "were not loaded for a check: Python has no torch" in capsys.readouterr().out


def test_the_child_imports_nothing_of_ours() -> None:
    assert "torchscript_build" not in CHILD.read_text(encoding="utf-8")


@pytest.mark.torch
def test_with_torch_itself(tmp_path: Path) -> None:
    """Only that the child's way of asking for schemas is torch's; real libraries are loaded by the examples' tests."""
    report = tmp_path / "report.json"
    request = {"site_dirs": [], "torch": "0", "libraries": [], "report": str(report)}
    import torch

    request["torch"] = str(torch.__version__)
    file = write(tmp_path / "request.json", json.dumps(request))
    run_child([sys.executable, CHILD, file], check=True)
    assert json.loads(report.read_text()) == {"schemas": {}, "imports": {}, "dangling": []}


def test_a_promise_is_settled_by_what_was_registered() -> None:
    promised = {"a": ["mine", "classes"], "b": ["theirs"], "c": ["unloaded"]}
    schemas = {"a": ["mine::f(Tensor x) -> Tensor"], "b": ["other::g() -> ()"]}
    (problem,) = broken_promises(promised, {"a": {"classes"}}, schemas)
    assert problem == (
        "operator library 'b' promises the namespace 'theirs', but it registers no operator in it when it is loaded "
        "(it registers: other)"
    )


REGISTERED_CPP = """\
#include <torch/library.h>
#include <torch/csrc/jit/runtime/custom_operator.h>
#include <ATen/core/op_registration/op_registration.h>
int64_t one(int64_t x) { return x + 1; }
#define MY_LIBRARY(name) TORCH_LIBRARY_FRAGMENT(name, m) { m.def("two", &one); }
MY_LIBRARY(by_macro)
static auto old_style = torch::RegisterOperators("old_style::one", &one);
"""


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
def test_registrations_that_no_text_shows_and_kernels_without_a_schema(tmp_path: Path) -> None:
    line = 'namespaces = ["old_style", "by_macro"]\n'
    settings = '[[tool.torchscript-build.ops]]\nname = "mine"\nsources = ["mine.cpp"]\n' + line
    variables = clean_variables(MAX_JOBS="1", TORCHSCRIPT_BUILD_CACHE="off")
    project = write_project(tmp_path, settings, files={"mine.cpp": REGISTERED_CPP})
    done = run_python("setup.py", "build_ts_ops", cwd=project, variables=variables)
    assert done.returncode == 0, done.stderr
    impl = 'TORCH_LIBRARY_IMPL({}, CPU, m) {{ m.impl("nowhere", &one); }}\n'
    for namespace, refused in (("misspelt", False), ("by_macro", True)):
        write(project / "mine.cpp", REGISTERED_CPP + impl.format(namespace))
        done = run_python("setup.py", "build_ts_ops", cwd=project, variables=variables)
        assert (done.returncode == 1) is refused, done.stderr
        assert f"{namespace}::nowhere" in done.stderr
