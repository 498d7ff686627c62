"""What a plan makes of the heavy headers that sources include, and that the lean ones really compile."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from nobodys_machine import make_plan
from small_projects import write_project
from support import write

from torchscript_build.build.whole_headers import remember_whole_headers, with_headers
from torchscript_build.generate.project import render_project
from torchscript_build.generate.templates import templates_dir
from torchscript_build.operators.includes import read_header_use
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.plan.headers import HeaderUse, plan_headers, with_whole_headers
from torchscript_build.plan.planned_headers import PlannedHeaders
from torchscript_build.settings.specs import OpLibrary, ProjectSpec
from torchscript_build.toolchain.launchers import Launcher

EXTENSION = "#include <torch/extension.h>\n"
PLAIN = EXTENSION + "torch::Tensor twice(const torch::Tensor& x) { return x + torch::relu(x); }\n"
PYTHON = EXTENSION + "PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n"


def test_a_python_modules_sources_get_pythons_part_where_they_name_it(tmp_path: Path) -> None:
    texts = {"kernel.cpp": PLAIN, "module.cpp": PYTHON, "bare.cpp": PLAIN + "#include <Python.h>\n"}
    for name, text in texts.items():
        write(tmp_path / name, text)
    spec = OpLibrary(name="m", package="demo", sources=tuple(texts), python_module=True)
    plan = make_plan(ProjectSpec(ops=(spec,)), root=tmp_path, build_base=tmp_path / "b")
    for precompiled, python in ((False, ["module.cpp", "bare.cpp"]), (True, list(texts))):
        asked = dataclasses.replace(spec, precompiled_header=precompiled)
        headers = with_headers(plan, [asked], processors=1).ops[0].headers
        assert [Path(s).name for s in headers.lean] == list(texts)
        # Without torch's casters pybind compiles a module that takes no tensor.
        assert [Path(s).name for s in headers.python] == python


@pytest.mark.compile
def test_without_pythons_part_python_is_out_of_reach(tmp_path: Path) -> None:
    """Whatever hides it: the compilation fails, and the next one has the whole header."""
    source = write(tmp_path / "hidden.cpp", EXTENSION + "#define HEADER <Python.h>\n#include HEADER\n")
    write(tmp_path / "torch/extension.h")
    folders = [
        f"-I{templates_dir() / 'ops/lean_without_python'}",
        f"-I{tmp_path}",
        f"-I{sysconfig.get_path('include')}",
    ]
    done = run_child(
        ["c++", "-fsyntax-only", *(f"-I{f}" for f in folders), source], stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert done.returncode != 0
    spec = OpLibrary(name="m", package="demo", sources=(str(source),))
    plan = make_plan(ProjectSpec(ops=(spec,)), root=tmp_path, build_base=tmp_path / "b")
    ops = dataclasses.replace(plan.ops[0], headers=PlannedHeaders(lean=(str(source),)))
    again = with_whole_headers(dataclasses.replace(plan, ops=(ops,)), f"FAILED: x/hidden.cpp.o\n{done.stderr}")
    assert again is not None
    assert again.ops[0].headers.lean == ()


@pytest.mark.parametrize(
    ("options", "flags", "lean"),
    [
        ((), {}, True),
        (("-include", "x.h"), {}, False),
        (("-O3",), {}, True),
        ((), {"CXXFLAGS": "-include x.h"}, False),
        ((), {"CXXFLAGS": "-O2 -DMAKE=torch::zeros"}, False),
        ((), {"CXXFLAGS": "-O2 -DNDEBUG"}, True),
    ],
)
def test_what_options_bring_is_not_looked_into(
    tmp_path: Path, options: tuple[str, ...], flags: dict[str, str], lean: bool
) -> None:
    source = write(tmp_path / "a.cpp", PLAIN)
    spec = OpLibrary(name="m", package="demo", sources=(str(source),), cxx_options=options)
    plan = make_plan(ProjectSpec(ops=(spec,)), root=tmp_path, build_base=tmp_path / "b", flags=flags)
    assert bool(with_headers(plan, [spec], processors=1).ops[0].headers.lean) is lean


def test_sources_that_keep_a_heavy_header_are_told(tmp_path: Path) -> None:
    texts = {
        "one.cpp": "#include <torch/extension.h>\n# include <torch/extension.h>\nusing namespace torch;\n",
        "two.cpp": '// #include <torch/torch.h>\n#include "torch/library.h"\n',
        "three.cpp": "#include <torch/torch.h>\ntorch::nn::Linear l(1, 1);\n",
        "lean.cpp": "#include <torch/torch.h>\n",
    }
    uses = {name: read_header_use(write(tmp_path / name, text)) for name, text in texts.items()}
    headers = plan_headers(uses, list(uses), precompile=None)
    assert [pair for pair in headers.heavy if pair[0] not in headers.lean] == [
        ("one.cpp", "torch/extension.h"),
        ("three.cpp", "torch/torch.h"),
    ]


def named_plan(folder: Path) -> BuildPlan:
    """The plan of a library of two sources, against a libtorch with ATen's list of operators."""
    write(folder / "include/ATen/Functions.h", "#include <ATen/ops/relu.h>\n#include <ATen/ops/sum.h>\n")
    write(folder / "include/torch/csrc/autograd/generated/variable_factories.h")
    write(folder / "include/torch/autograd.h")
    sources = tuple(str(write(folder / name, text)) for name, text in (("a.cpp", PLAIN), ("b.c++.cpp", PYTHON)))
    spec = OpLibrary(name="m", package="demo", sources=sources, python_module=True)
    plan = make_plan(ProjectSpec(ops=(spec,)), root=folder, build_base=folder / "b")
    libtorch = dataclasses.replace(plan.libtorch, include_dirs=(folder / "include",))
    return with_headers(dataclasses.replace(plan, libtorch=libtorch), [spec], processors=1)


def test_what_the_settings_define_names_something_too(tmp_path: Path) -> None:
    headers = [tmp_path / "include"]
    named_plan(tmp_path)
    source = tmp_path / "a.cpp"
    for definitions, operators in (["ADD=at::sum"], ("relu", "sum")), (["ADD"], ("relu",)):
        named = read_header_use(source, definitions=definitions, torch_headers=headers).named
        assert named is not None
        assert named.operators == operators
    assert not read_header_use(source, definitions=["NET=torch::nn::Linear"], torch_headers=headers).lean


def test_a_source_gets_a_header_of_what_it_names(tmp_path: Path) -> None:
    plan = named_plan(tmp_path)
    files = render_project(plan)
    names = sorted(name for name in files if name.startswith("names/"))
    assert [re.sub(r"-\w{8}/", "/", name) for name in names] == [
        "names/m/a/torchscript_build_names.h",
        "names/m/b_c__/torchscript_build_names.h",
    ]
    assert [files[name].decode().splitlines()[2:] for name in names] == [["#include <ATen/ops/relu.h>"], []]
    listed = files["CMakeLists.txt"].decode()
    a, b = (f'"{source}"' for source in plan.ops[0].sources)
    for line in (f"LEAN {a} {b}", f"NAMED {a} {b}", f"WITHOUT_AUTOGRAD {a} {b}", f"WITHOUT_VARIABLES {a}"):
        assert f"  {line}\n" in listed
    assert {name.split("/")[0] for name in files if "lean" in name} == {
        path.name for path in (templates_dir() / "ops").iterdir()
    }


def test_a_header_is_not_precompiled_for_sources_that_name_what_they_need(tmp_path: Path) -> None:
    plan = named_plan(tmp_path)
    (ops,) = plan.ops
    uses = {s: HeaderUse("torch/extension.h", lean=True, named=named) for s, named in ops.headers.named}
    assert plan_headers(uses, ops.sources, precompile=1).precompiled is None
    assert plan_headers(uses, ops.sources, precompile=0).precompiled == "torch/extension.h"
    uses[ops.sources[0]] = HeaderUse("torch/extension.h", lean=True)
    assert plan_headers(uses, ops.sources, precompile=1).precompiled == "torch/extension.h"
    assert plan_headers(uses, ops.sources, precompile=2).precompiled is None


def test_the_whole_headers_come_without_what_a_source_names(tmp_path: Path) -> None:
    plan = named_plan(tmp_path)
    whole = with_whole_headers(plan, "FAILED: x/a.cpp.o\na.cpp:1:1: error: 'relu' is not a member of 'at'\n")
    assert whole is not None
    assert [Path(s).name for s, _ in whole.ops[0].headers.named] == ["b.c++.cpp"]


def test_without_a_precompiled_header_each_source_gets_its_own() -> None:
    uses = {
        "a.cpp": HeaderUse("torch/extension.h", lean=True),
        "b.cpp": HeaderUse("torch/extension.h", lean=True, python=True),
        "c.cpp": HeaderUse("torch/extension.h", python=True),
        "d.cpp": HeaderUse(),
    }
    assert plan_headers(uses, [*uses, "k.cu"], precompile=None) == PlannedHeaders(("a.cpp", "b.cpp"), ("b.cpp",))


def test_a_precompiled_header_is_the_same_for_all_that_share_it() -> None:
    lean = HeaderUse("torch/extension.h", lean=True)
    uses = {"a.cpp": lean, "b.cpp": dataclasses.replace(lean, python=True), "d.cpp": HeaderUse("torch/torch.h")}
    both = ("a.cpp", "b.cpp")
    assert plan_headers(uses, [*uses, "k.cu"], precompile=2) == PlannedHeaders(
        both, both, precompiled="torch/extension.h", without_precompiled=("d.cpp", "k.cu")
    )
    assert plan_headers(uses, list(uses), precompile=3).precompiled is None
    uses["b.cpp"] = HeaderUse("torch/extension.h")
    planned = plan_headers(uses, list(uses), precompile=1)
    assert planned == PlannedHeaders(precompiled="torch/extension.h", without_precompiled=("d.cpp",))
    assert plan_headers({"d.cpp": HeaderUse()}, ["d.cpp"], precompile=1) == PlannedHeaders()


def planned(folder: Path, count: int, processors: int, **changes: object) -> BuildPlan:
    """The plan of a library of some sources with ``torch/extension.h``."""
    sources = tuple(str(write(folder / f"s{i}.cpp", PLAIN)) for i in range(count))
    ops = OpLibrary(name="ops", package="demo", sources=sources, **changes)  # type: ignore[arg-type]
    plan = make_plan(ProjectSpec(ops=(ops,)))
    plan = dataclasses.replace(plan, build_dir=str(folder / "build"))
    return with_headers(plan, [ops], processors=processors)


@pytest.mark.parametrize(
    ("count", "processors", "setting", "precompiled"),
    [(9, 2, "auto", False), (10, 2, "auto", True), (10, 4, "auto", False), (1, 8, True, True), (50, 1, False, False)],
)
def test_when_a_header_is_precompiled(
    tmp_path: Path, count: int, processors: int, setting: object, precompiled: bool
) -> None:
    (ops,) = planned(tmp_path, count, processors, precompiled_header=setting).ops
    assert (ops.headers.precompiled == "torch/extension.h") is precompiled
    assert len(ops.headers.lean) == count


def test_a_launcher_that_cannot_use_a_precompiled_header_gets_none(tmp_path: Path) -> None:
    plan = planned(tmp_path, 10, 2)
    spec = OpLibrary(name="ops", package="demo", sources=plan.ops[0].sources)
    for precompiles in (False, True):
        launcher = Launcher("sccache", "/usr/bin/sccache", "1", "PATH", precompiles=precompiles)
        through = dataclasses.replace(plan, toolchain=dataclasses.replace(plan.toolchain, launcher=launcher))
        (ops,) = with_headers(through, [spec], processors=2).ops
        assert (ops.headers.precompiled is not None) is precompiles


@pytest.mark.parametrize(("version", "lean"), [("2.0.1", False), ("2.1.0", True), ("2.15.1", True), ("2.16.0", False)])
def test_lean_headers_are_for_releases_that_they_are_known_to_fit(tmp_path: Path, version: str, lean: bool) -> None:
    plan = planned(tmp_path, 1, 1)
    spec = OpLibrary(name="ops", package="demo", sources=plan.ops[0].sources)
    other = dataclasses.replace(plan, libtorch=dataclasses.replace(plan.libtorch, version=version))
    assert bool(with_headers(other, [spec], processors=1).ops[0].headers.lean) is lean
    off = dataclasses.replace(spec, lean_headers=False)
    assert not with_headers(plan, [off], processors=1).ops[0].headers.lean


NINJA = """\
[1/3] Building CXX object CMakeFiles/ops.dir/s0.cpp.o
FAILED: CMakeFiles/ops.dir/src/s1.cpp.o
c++ -c s1.cpp
s1.cpp:2:8: error: {}
"""


def test_what_failed_for_want_of_a_name_gets_the_whole_headers_and_keeps_them(tmp_path: Path) -> None:
    plan = planned(tmp_path, 3, 3)
    whole = with_whole_headers(plan, NINJA.format("'nn' is not a member of 'torch'"))
    assert whole is not None
    names = [Path(s).name for s in whole.ops[0].headers.lean]
    assert names == ["s0.cpp", "s2.cpp"]
    assert with_whole_headers(whole, NINJA.format("'nn' is not a member of 'torch'")) is None  # it was not that
    remember_whole_headers(plan, whole)
    assert planned(tmp_path, 3, 3).ops == whole.ops


@pytest.mark.parametrize("words", ["expected ';' before '}' token", "static assertion failed"])
def test_another_mistake_is_not_compiled_again(tmp_path: Path, words: str) -> None:
    assert with_whole_headers(planned(tmp_path, 3, 3), NINJA.format(words)) is None


def test_make_says_it_otherwise(tmp_path: Path) -> None:
    output = "s1.cpp:1:1: error: unknown type name 'SGD'\nmake[2]: *** [CMakeFiles/x.make:9: a/src/s1.cpp.o] Error 1\n"
    whole = with_whole_headers(planned(tmp_path, 3, 3), output)
    assert whole is not None
    assert len(whole.ops[0].headers.lean) == 2


OPS = """\
[[tool.torchscript-build.ops]]
name = "lean"
sources = ["plain.cpp", "hidden.cpp", "half.cpp", "bindings.cpp"]
python-module = true
precompiled-header = {precompiled}
"""
SOURCES = {
    "plain.cpp": """\
#include <torch/extension.h>
struct Twice : torch::autograd::Function<Twice> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) { return x * 2; }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*, torch::autograd::variable_list g) {
    return {g[0] * 2};
  }
};
torch::Tensor twice(const torch::Tensor& x) {
  TORCH_CHECK(x.dim() > 0, "no scalar");
  return Twice::apply(x) + torch::zeros({1}, torch::kFloat32);
}
""",
    # A macro hides from a reader of names what the compiler then misses.
    "hidden.cpp": """\
#include <torch/extension.h>
#define FROM(space, name) space::name
torch::Tensor linear(const torch::Tensor& x) {
  const double rate = FROM(torch, optim)::SGDOptions(3).lr();
  return (x * rate).sum(1, true);
}
""",
    "half.cpp": """\
#include <ATen/ATen.h>
at::Tensor half(const at::Tensor& x) { return at::clamp(x, 0, 1).index({at::indexing::Slice()}).div(2); }
""",
    "bindings.cpp": """\
#include <torch/extension.h>
torch::Tensor half(const torch::Tensor& x);
torch::Tensor twice(const torch::Tensor& x);
torch::Tensor linear(const torch::Tensor& x);
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("half", &half);
  m.def("twice", &twice);
  m.def("linear", &linear);
}
""",
}


@pytest.mark.slow
@pytest.mark.compile
@pytest.mark.torch
def test_lean_headers_compile_and_what_needs_more_is_compiled_with_the_whole(tmp_path: Path) -> None:
    project = write_project(tmp_path, OPS.format(precompiled="false"), files=SOURCES)
    done = run_python("setup.py", "-v", "build_ts_ops", "--inplace", cwd=project, variables=clean_variables())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lean torch headers for 4 sources, 1 of them with Python" in done.stdout
    assert done.stdout.count("compiling again with the whole") == 1
    code = (
        "import torch; from demo import lean; x = torch.ones(1, 2, requires_grad=True); y = lean.twice(x);"
        "y.sum().backward(); print(y.tolist(), x.grad.tolist(), lean.linear(x).tolist(), lean.half(x).tolist())"
    )
    printed = run_python("-c", code, cwd=project, variables=clean_variables())
    assert printed.stdout.strip() == "[[2.0, 2.0]] [[2.0, 2.0]] [[6.0]] [[0.5, 0.5]]", printed.stderr
    again = run_python("setup.py", "-v", "build_ts_ops", "--inplace", cwd=project, variables=clean_variables())
    assert "lean torch headers for 3 sources" in again.stdout
    assert "no work to do" in again.stdout
