"""The generated CMake project: its text, and that awkward values reach CMake and the compiler unharmed."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from children import run_child
from nobodys_machine import cuda_torch, linux_torch, mac_torch, make_plan, windows_torch
from support import write

from torchscript_build.generate import templates
from torchscript_build.generate.project import languages, render_project, runner_sources
from torchscript_build.generate.quoting import cmake_quote, cxx_quote, literal
from torchscript_build.generate.templates import FileSet
from torchscript_build.generate.torch_package import render_torch_package
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import BuildPlan, Wishes
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp
from torchscript_build.toolchain.programs import Generator

Golden = Callable[[str, str], None]

NASTY = (
    "plain",
    "",
    " ",
    "two words",
    "a;b;;c",
    'say "hi"',
    "it's",
    "back\\slash",
    "trailing\\",
    "\\;",
    "$HOME ${HOME} $ENV{HOME} @HOME@",
    "$<CONFIG> $<1:x> >",
    "#comment",
    "(paren) [[bracket]] ]=]",
    "tab\tnew\nline\rreturn",
    "ümläut ✓ 火",
    "%d 100% & | < > ` ~ ! * ?",
    "???/trigraph",
)


def full_spec() -> ProjectSpec:
    """A bit of everything that the generator knows."""
    ops = OpLibrary(name="my_ops", package="demo", sources=("cpp/ops.cpp",))
    return ProjectSpec(
        models=(ScriptModel(name="net", factory="demo.model:make"),),
        ops=(
            OpLibrary(
                name="more_ops",
                package="demo",
                sources=("cpp/more.cpp", "cpp/plain.c"),
                depends=("my_ops",),
                include_dirs=("cpp/include",),
                definitions=("A", "B=1", "C=$<x>;y", "F(x)=x+1"),
                compile_options=("-O3", "-include", "a b.h"),
                cxx_options=("-DX=$Y",),
                find_packages=("OpenCV 4 COMPONENTS core imgproc", "ZLIB"),
                link_libraries=("OpenCV::core", "z", "libs/libx.so"),
                link_dirs=("libs",),
            ),
            ops,
            dataclasses.replace(ops, name="_C", python_module=True, limited_api="3.9"),
        ),
        apps=(
            TorchScriptApp(name="runner-app", package="demo", models=("net",), ops=("more_ops",), method="scale"),
            TorchScriptApp(name="small", package="demo", template="minimal", install=False),
            TorchScriptApp(name="own", package="demo", sources=("cpp/main.cpp",)),
        ),
    )


def text(files: FileSet, name: str) -> str:
    return files[name].decode()


# --- the generated text --------------------------------------------------------------------------------------------


def test_the_generated_project(golden: Golden) -> None:
    files = render_project(make_plan(full_spec()))
    golden("full.CMakeLists.txt", text(files, "CMakeLists.txt"))
    golden("full.CMakePresets.json", text(files, "CMakePresets.json"))


def test_the_smallest_project(golden: Golden) -> None:
    spec = ProjectSpec(apps=(TorchScriptApp(name="app", package="demo", sources=("main.cpp",)),))
    golden("smallest.CMakeLists.txt", text(render_project(make_plan(spec)), "CMakeLists.txt"))


@pytest.mark.parametrize(
    ("name", "libtorch"),
    [("cpu", linux_torch()), ("cuda", cuda_torch()), ("macos", mac_torch()), ("windows", windows_torch())],
)
def test_the_torch_package(golden: Golden, name: str, libtorch: LibTorch) -> None:
    golden(f"{name}.TorchConfig.cmake", text(render_torch_package(libtorch), "TorchConfig.cmake"))


def test_a_runners_only_own_source(golden: Golden) -> None:
    files = render_project(make_plan(full_spec()))
    golden("app_info.cpp", text(files, "apps/runner-app/app_info.cpp"))


MODELS = tuple(ScriptModel(name=name, file=f"{name}.pt") for name in "ab")


def test_each_model_has_its_own_wishes_and_a_foreign_file_what_all_want() -> None:
    plan = make_plan(ProjectSpec(apps=(TorchScriptApp(name="app", package="demo", models=("a", "b")),), models=MODELS))
    wishes = {
        "a": Wishes(True, "float64", None, True, 3),
        "b": Wishes(False, "float64", "qnnpack", True, 4, 2, "on", "high"),
    }
    lines = text(render_project(plan.with_wishes(wishes)), "apps/app/app_info.cpp").splitlines()
    assert lines[5:7] == [
        '    {"a", "../models/a.pt", {true, "float64", nullptr, true, 3, 0, nullptr, nullptr}},',
        '    {"b", "../models/b.pt", {false, "float64", "qnnpack", true, 4, 2, "on", "high"}},',
    ]
    assert lines[-2] == '    {false, "float64", nullptr, true, 0, 0, nullptr, nullptr},'


def test_only_what_is_used_is_written() -> None:
    spec = ProjectSpec(apps=(TorchScriptApp(name="app", package="demo", sources=("main.cpp",)),))
    assert sorted(render_project(make_plan(spec))) == [
        "CMakeLists.txt",
        "CMakePresets.json",
        "apps/app/include/torchscript_build/app.h",
        "cmake/Caffe2Config.cmake",
        "cmake/TorchConfig.cmake",
        "cmake/TorchConfigVersion.cmake",
        "cmake/TorchScriptBuild.cmake",
        "cmake/TorchScriptBuildFound.cmake",
        "cmake/TorchScriptBuildHeaders.cmake",
        "cmake/TorchScriptBuildInstall.cmake",
        "cmake/TorchScriptBuildTorch.cmake",
    ]


def test_two_runners_compile_the_runner_once() -> None:
    apps = tuple(TorchScriptApp(name=n, package="demo") for n in ("one", "two"))
    files = render_project(make_plan(ProjectSpec(apps=apps)))
    assert text(files, "CMakeLists.txt").count("add_subdirectory(runner)") == 1
    listed = re.findall(r"[\w/]+\.cpp", text(files, "runner/CMakeLists.txt"))
    assert sorted(listed) == sorted(n[7:] for n in files if re.fullmatch(r"runner/[\w/]+\.cpp", n))
    assert "apps/one/app_info.cpp" in files
    assert "apps/two/app_info.cpp" in files


def test_no_file_of_the_runner_is_long() -> None:
    long = {name: data.count(b"\n") for name, data in runner_sources().items() if data.count(b"\n") > 400}
    assert long == {}


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert render_project(make_plan(full_spec())) == render_project(make_plan(full_spec()))


def test_languages_are_only_those_of_the_sources() -> None:
    def plan(*sources: str) -> BuildPlan:
        return make_plan(ProjectSpec(apps=(TorchScriptApp(name="a", package="demo", sources=sources),)))

    assert languages(plan("a.cpp")) == ["CXX"]
    assert languages(plan("a.cpp", "b.c")) == ["C", "CXX"]


def test_presets_have_the_generator() -> None:
    def presets(generator: Generator) -> dict[str, str]:
        toolchain = dataclasses.replace(make_plan(full_spec()).toolchain, generator=generator)
        files = render_project(make_plan(full_spec(), toolchain=toolchain))
        preset: dict[str, str] = json.loads(files["CMakePresets.json"])["configurePresets"][0]
        return preset

    assert presets(Generator("Ninja"))["generator"] == "Ninja"
    assert "generator" not in presets(Generator(None))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("ZLIB", ["ZLIB", "REQUIRED"]),
        ("OpenCV 4.2 COMPONENTS core", ["OpenCV", "4.2", "REQUIRED", "COMPONENTS", "core"]),
        ("Foo REQUIRED CONFIG", ["Foo", "REQUIRED", "CONFIG"]),
        ("Foo 1...<2", ["Foo", "1...<2", "REQUIRED"]),
    ],
)
def test_a_found_package_is_required(entry: str, words: list[str]) -> None:
    app = TorchScriptApp(name="a", package="demo", sources=("a.cpp",), find_packages=(entry,))
    line = f"find_package({' '.join(map(cmake_quote, words))})\n"
    assert line in text(render_project(make_plan(ProjectSpec(apps=(app,)))), "CMakeLists.txt")


def test_a_projects_name_is_made_fit_for_cmake() -> None:
    app = TorchScriptApp(name="a", package="demo", sources=("a.cpp",))
    files = render_project(make_plan(ProjectSpec(apps=(app,)), project="my project;ä"))
    assert 'project("my_project__" LANGUAGES CXX)' in text(files, "CMakeLists.txt")


def test_the_templates_digest_sees_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "templates_dir", lambda: tmp_path)
    digest = templates.templates_digest.__wrapped__  # without the memory of this process
    write(tmp_path / "a", "1")
    one = digest()
    write(tmp_path / "a", "2")
    two = digest()
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({one, two, digest()}) == 3


# --- quoting, against the real CMake -------------------------------------------------------------------------------


def run_cmake_script(tmp_path: Path, script: str) -> str:
    file = write(tmp_path / "script.cmake", script)
    done = run_child(["cmake", "-P", str(file)], capture_output=True, encoding="utf-8", check=True, cwd=tmp_path)
    return done.stdout + done.stderr


def test_quoted_values_round_trip_through_cmake(tmp_path: Path) -> None:
    lines = [f'file(WRITE "{tmp_path}/{i}.txt" {cmake_quote(value)})' for i, value in enumerate(NASTY)]
    run_cmake_script(tmp_path, "\n".join(lines))
    for i, value in enumerate(NASTY):
        assert (tmp_path / f"{i}.txt").read_bytes().decode() == value


def test_a_quoted_value_is_one_argument(tmp_path: Path) -> None:
    calls = "\n".join(f"count({cmake_quote(value)})" for value in NASTY)
    output = run_cmake_script(
        tmp_path, f'function(count)\nif(NOT ARGC EQUAL 1)\nmessage("${{ARGC}}")\nendif()\nendfunction()\n{calls}\n'
    )
    assert output == ""


@pytest.mark.compile
def test_literals_survive_lists_and_expressions(tmp_path: Path) -> None:
    values = [v for v in NASTY if v and not set(v) & set("\n\r\t\\")]
    content = "".join(
        f'set(v {cmake_quote(literal(v))})\nfile(GENERATE OUTPUT "${{CMAKE_BINARY_DIR}}/{i}.txt" CONTENT "${{v}}")\n'
        for i, v in enumerate(values)
    )
    write(tmp_path / "CMakeLists.txt", f"cmake_minimum_required(VERSION 3.18)\nproject(x NONE)\n{content}")
    run_child(
        ["cmake", "-S", tmp_path, "-B", tmp_path / "b"], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    for i, value in enumerate(values):
        assert (tmp_path / f"b/{i}.txt").read_text(encoding="utf-8") == value


@pytest.mark.compile
def test_string_literals_round_trip_through_the_compiler(tmp_path: Path) -> None:
    array = ", ".join(map(cxx_quote, NASTY))
    source = write(
        tmp_path / "a.cpp",
        f"#include <cstdio>\n#include <string>\nint main() {{ std::string v[] = {{{array}}};\n"
        "for (auto& s : v) { std::fwrite(s.data(), 1, s.size(), stdout); std::fputc(1, stdout); } }\n",
    )
    run_child(["c++", "-std=c++14", "-Wall", "-Werror", str(source), "-o", str(tmp_path / "a")], check=True)
    out = run_child([str(tmp_path / "a")], stdout=subprocess.PIPE, check=True).stdout
    assert out.decode().split("\x01")[:-1] == list(NASTY)
