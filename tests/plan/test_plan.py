"""Deciding: where things go, what they link, and when a build tree is still good."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nobodys_machine import ROOT, TOOLCHAIN, cuda_torch, linux_torch, mac_torch, make_plan, windows_torch
from support import words

from torchscript_build.errors import SettingsError
from torchscript_build.plan.build_plan import BuildPlan, PythonFacts, Wishes
from torchscript_build.plan.prefix import in_prefix
from torchscript_build.settings.specs import (
    BuildOptions,
    CLibrary,
    CMakeProject,
    OpLibrary,
    ProjectSpec,
    ScriptModel,
    TorchScriptApp,
)
from torchscript_build.toolchain.programs import Generator

MODEL = ScriptModel(name="net", factory="demo.model:make")
APP = TorchScriptApp(name="app", package="demo", models=("net",))
OPS = OpLibrary(name="my_ops", package="demo", sources=("ops.cpp",))
SPEC = ProjectSpec(models=(MODEL,), ops=(OPS,), apps=(APP,))


def paths(plan: BuildPlan) -> list[str]:
    return [t.path for t in plan.targets]


def with_app(**fields: Any) -> ProjectSpec:
    return ProjectSpec(models=(MODEL,), apps=(dataclasses.replace(APP, **fields),))


def with_ops(**fields: Any) -> ProjectSpec:
    return ProjectSpec(ops=(dataclasses.replace(OPS, **fields),))


# --- places --------------------------------------------------------------------------------------------------------


def test_planning_touches_nothing(tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    plan = make_plan(SPEC, root=tmp_path, build_base=tmp_path / "build")
    assert sorted(tmp_path.rglob("*")) == before
    assert plan == make_plan(SPEC, root=tmp_path, build_base=tmp_path / "build")


def test_each_libtorch_and_build_type_has_a_folder() -> None:
    plan = make_plan(dataclasses.replace(SPEC, options=BuildOptions(build_type="Debug")))
    assert plan.build_dir == f"{ROOT}/build/torchscript/torch213-cxx11-cpu-x86_64-linux-debug"
    assert plan.project_dir == Path(plan.build_dir, "project")
    assert plan.out_dir == Path(plan.build_dir, "tree", "out")
    assert make_plan(SPEC, libtorch=cuda_torch()).build_dir.endswith("torch213-cxx11-cu130-x86_64-linux-release")


def test_where_things_lie_in_the_package() -> None:
    assert paths(make_plan(SPEC)) == ["demo/lib/libmy_ops.so", "demo/bin/app"]


def test_a_c_library_lies_in_lib_and_finds_its_model_from_there() -> None:
    library = CLibrary("net-c", package="demo", models=("net",), ops=("my_ops",))
    plan = make_plan(dataclasses.replace(SPEC, libraries=(library,)))
    assert paths(plan) == ["demo/lib/libmy_ops.so", "demo/bin/app", "demo/lib/libnet-c.so"]
    planned = plan.libraries[0]
    assert (planned.prefix, planned.root, planned.template) == ("net_c", "demo", "library")
    assert [m.relative for m in planned.models] == ["../models/net.pt"]
    assert planned.install_rpath == ("$ORIGIN/../../torch/lib", "$ORIGIN")
    assert plan.with_wishes({"net": Wishes(grad=True)}).libraries[0].wishes.grad
    moved = in_prefix(plan, Path("/opt/demo")).libraries[0]
    assert moved.path == "lib/libnet-c.so"
    assert [m.relative for m in moved.models] == ["../share/demo/models/net.pt"]
    assert moved.install_rpath[0] == "$ORIGIN"


def test_what_is_not_installed_of_c_libraries_lies_apart() -> None:
    plan = make_plan(ProjectSpec(models=(MODEL,), libraries=(CLibrary("c", models=("net",), install=False),)))
    assert paths(plan) == ["libraries/c/lib/libc.so"]
    assert plan.libraries[0].models[0].relative == plan.model("net").file


def test_where_things_lie_in_a_nested_package() -> None:
    spec = ProjectSpec(
        ops=(dataclasses.replace(OPS, package="a.b.c"),),
        apps=(dataclasses.replace(APP, package="a.b", models=()),),
    )
    assert paths(make_plan(spec)) == ["a/b/c/lib/libmy_ops.so", "a/b/bin/app"]


def test_what_is_not_installed_lies_apart() -> None:
    spec = ProjectSpec(
        ops=(dataclasses.replace(OPS, install=False, package=None),),
        apps=(dataclasses.replace(APP, install=False, models=()),),
    )
    assert paths(make_plan(spec)) == ["ops/my_ops/libmy_ops.so", "apps/app/app"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"python_module": True}, "demo/my_ops.cpython-311.so"),
        ({"python_module": True, "limited_api": "3.9"}, "demo/my_ops.abi3.so"),
        ({"file_name": "_C.so"}, "demo/_C.so"),
        ({"python_module": True, "file_name": "_C.so"}, "demo/_C.so"),
        ({"file_name": "_C.so", "install": False}, "ops/my_ops/_C.so"),
    ],
)
def test_file_names_of_operator_libraries(fields: dict[str, Any], path: str) -> None:
    assert paths(make_plan(with_ops(**fields))) == [path]


def test_file_names_on_macos_and_windows() -> None:
    assert paths(make_plan(SPEC, libtorch=mac_torch())) == ["demo/lib/libmy_ops.dylib", "demo/bin/app"]
    assert paths(make_plan(SPEC, libtorch=windows_torch())) == ["demo/lib/my_ops.dll", "demo/bin/app.exe"]


def test_models_lie_beside_installed_apps() -> None:
    assert make_plan(SPEC).apps[0].models[0].relative == "../models/net.pt"


def test_an_app_that_is_not_installed_knows_its_models_file() -> None:
    plan = make_plan(with_app(install=False))
    assert plan.apps[0].models[0].relative == plan.model("net").file == f"{plan.build_dir}/models/net.pt"


def test_where_model_files_come_from() -> None:
    models = (
        ScriptModel(name="a", file="data/a.pt"),
        ScriptModel(name="b", factory="x:y"),
        ScriptModel(name="c", file="pkg:data/c.pt"),
    )
    plan = make_plan(ProjectSpec(models=models))
    assert [m.file for m in plan.models] == [
        f"{ROOT}/data/a.pt",
        f"{plan.build_dir}/models/b.pt",
        f"{plan.build_dir}/models/c.pt",
    ]
    assert [m.package_file for m in plan.models] == [None, None, "pkg:data/c.pt"]


def test_files_become_absolute_and_names_stay() -> None:
    fields = {
        "sources": ("a.cpp",),
        "include_dirs": ("inc",),
        "link_dirs": ("lib",),
        "link_libraries": ("z", "-lm", "libs/libx.so", "/opt/liby.a", "OpenCV::core"),
    }
    app = make_plan(with_app(**fields)).apps[0]
    assert app.sources == (f"{ROOT}/a.cpp",)
    assert (app.include_dirs, app.link_dirs) == ((f"{ROOT}/inc",), (f"{ROOT}/lib",))
    assert app.link_libraries == ("z", "-lm", f"{ROOT}/libs/libx.so", "/opt/liby.a", "OpenCV::core")


def test_own_sources_need_no_template() -> None:
    assert make_plan(with_app(sources=("a.cpp",))).apps[0].template is None
    assert make_plan(with_app(template="minimal")).apps[0].template == "minimal"


def test_libraries_come_after_what_they_depend_on() -> None:
    def ops(name: str, *depends: str) -> OpLibrary:
        return dataclasses.replace(OPS, name=name, depends=depends)

    spec = ProjectSpec(ops=(ops("top", "left", "right"), ops("right", "base"), ops("left", "base"), ops("base")))
    assert [o.name for o in make_plan(spec).ops] == ["base", "left", "right", "top"]


# --- RUNPATHs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "entry"),
    [("demo", "$ORIGIN/../../torch/lib"), ("a.b.c", "$ORIGIN/../../../../torch/lib")],
)
def test_a_program_finds_torch_beside_its_package(package: str, entry: str) -> None:
    assert make_plan(with_app(package=package)).apps[0].install_rpath == (entry,)


@pytest.mark.parametrize(
    ("fields", "entry"),
    [
        ({}, "$ORIGIN/../../torch/lib"),
        ({"file_name": "_C.so"}, "$ORIGIN/../torch/lib"),
        ({"python_module": True, "package": "a.b"}, "$ORIGIN/../../torch/lib"),
    ],
)
def test_a_library_finds_torch_beside_its_package(fields: dict[str, Any], entry: str) -> None:
    assert make_plan(with_ops(**fields)).ops[0].install_rpath == (entry,)


@pytest.mark.parametrize(
    ("app_package", "ops_package", "entry"),
    [
        ("demo", "demo", "$ORIGIN/../lib"),
        ("demo.sub", "demo", "$ORIGIN/../../lib"),
        ("demo", "demo.a.b", "$ORIGIN/../a/b/lib"),
        ("demo", "other", "$ORIGIN/../../other/lib"),
    ],
)
def test_a_program_finds_its_operator_libraries(app_package: str, ops_package: str, entry: str) -> None:
    spec = ProjectSpec(
        ops=(dataclasses.replace(OPS, package=ops_package),),
        apps=(dataclasses.replace(APP, package=app_package, models=(), ops=("my_ops",)),),
    )
    assert make_plan(spec).apps[0].install_rpath[-1] == entry


def test_libraries_of_one_folder_find_each_other() -> None:
    spec = ProjectSpec(ops=(OPS, dataclasses.replace(OPS, name="more", depends=("my_ops",))))
    assert make_plan(spec).ops[1].install_rpath == ("$ORIGIN/../../torch/lib", "$ORIGIN")


def test_two_libraries_of_one_folder_make_one_entry() -> None:
    spec = ProjectSpec(
        ops=(OPS, dataclasses.replace(OPS, name="more")),
        apps=(dataclasses.replace(APP, models=(), ops=("my_ops", "more")),),
    )
    assert make_plan(spec).apps[0].install_rpath == ("$ORIGIN/../../torch/lib", "$ORIGIN/../lib")


def test_macos_says_loader_path() -> None:
    spec = dataclasses.replace(SPEC, apps=(dataclasses.replace(APP, ops=("my_ops",)),))
    rpath = make_plan(spec, libtorch=mac_torch()).apps[0].install_rpath
    assert rpath == ("@loader_path/../../torch/lib", "@loader_path/../lib")


def test_condas_libtorch_lies_in_the_prefix() -> None:
    prefix = Path("/conda/env")
    libtorch = linux_torch(root=prefix, layout="conda", library_dirs=(prefix / "lib",))
    python = PythonFacts(site_packages=f"{prefix}/lib/python3.11/site-packages")
    plan = make_plan(SPEC, libtorch=libtorch, python=python)
    assert plan.apps[0].install_rpath == ("$ORIGIN/../../torch/lib", "$ORIGIN/../../../..")
    nested = make_plan(with_app(package="a.b"), libtorch=libtorch, python=python)
    assert nested.apps[0].install_rpath[-1] == "$ORIGIN/../../../../.."


def test_a_cmake_projects_files_find_torch() -> None:
    native = CMakeProject(name="native", source_dir="native", package="a.b", options={"X": True, "Y": 3, "Z": "z"})
    planned = make_plan(ProjectSpec(cmake=(native,))).cmake[0]
    assert planned.arguments == (
        "-DCMAKE_INSTALL_RPATH=$ORIGIN/../../../torch/lib;$ORIGIN;$ORIGIN/../lib",
        "-DX=ON",
        "-DY=3",
        "-DZ=z",
    )
    assert planned.package_dir == "a/b"


def test_a_projects_own_rpath_wins() -> None:
    native = CMakeProject(name="n", source_dir="n", package="a", options={"CMAKE_INSTALL_RPATH": "$ORIGIN/x"})
    assert make_plan(ProjectSpec(cmake=(native,))).cmake[0].arguments == ("-DCMAKE_INSTALL_RPATH=$ORIGIN/x",)


# --- paths that the build tools cannot have ------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [";", '"', "|", "[", "]", "\n", "$<", "${", "$ENV{"])
def test_forbidden_characters_are_named(bad: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_plan(SPEC, root=Path(f"/home/a{bad}b"))
    assert words(caught.value.problems, "project folder: ", repr(f"/home/a{bad}b"), repr(bad), "use another folder")


def test_a_backslash_is_forbidden_where_it_is_no_separator() -> None:
    if sys.platform != "win32":
        with pytest.raises(SettingsError, match="project folder"):
            make_plan(SPEC, root=Path("/home/a\\b"))


@pytest.mark.parametrize("good", [" ", "'", "(", ")", "&", "#", "%", "ä", "$", "{", "~", "!", "=", ","])
def test_other_characters_are_taken(good: str) -> None:
    make_plan(SPEC, root=Path(f"/home/a{good}b"))


@pytest.mark.parametrize(("path", "bad"), [("/home/a:b", ":"), ("/home/it's/c#", "'s/c#"), ("/home/c#(x)", "#(x)")])
def test_what_make_cannot_have(path: str, bad: str) -> None:
    make = dataclasses.replace(TOOLCHAIN, generator=Generator("Unix Makefiles"))
    with pytest.raises(SettingsError) as caught:
        make_plan(SPEC, root=Path(path), toolchain=make)
    assert words(caught.value.problems, "project folder", repr(bad))
    make_plan(SPEC, root=Path(path))
    make_plan(SPEC, root=Path("/home/c#"), toolchain=make)


@pytest.mark.parametrize("bad", [",", ":", "$"])
def test_libtorchs_path_goes_into_linker_arguments(bad: str) -> None:
    with pytest.raises(SettingsError, match="libtorch: "):
        make_plan(SPEC, libtorch=linux_torch(site=f"/venv{bad}x"))


def test_every_bad_path_is_told_once() -> None:
    spec = with_app(sources=("a;b.cpp", "c.cpp"), include_dirs=("x|y",))
    with pytest.raises(SettingsError) as caught:
        make_plan(spec)
    assert [p.split(":")[0] for p in caught.value.problems] == ["'app'", "'app'"]
    with pytest.raises(SettingsError) as caught:
        make_plan(spec, root=Path("/home/;"), build_base=Path("/home/;/build"))
    assert [p.split(":")[0] for p in caught.value.problems] == ["project folder"]


# --- fingerprint and identity --------------------------------------------------------------------------------------

Change = Callable[[], BuildPlan]
BOTH: dict[str, Change] = {
    "another release": lambda: make_plan(SPEC, libtorch=linux_torch(version="2.12.0")),
    "another place": lambda: make_plan(SPEC, libtorch=linux_torch("/other")),
    "the other ABI": lambda: make_plan(SPEC, libtorch=linux_torch(cxx11_abi=False)),
    "another compiler": lambda: make_plan(
        SPEC,
        toolchain=dataclasses.replace(TOOLCHAIN, cxx=dataclasses.replace(TOOLCHAIN.cxx, version="13.1.0")),
    ),
    "another generator": lambda: make_plan(
        SPEC, toolchain=dataclasses.replace(TOOLCHAIN, generator=Generator("Unix Makefiles"))
    ),
    "another project folder": lambda: make_plan(SPEC, root=Path("/elsewhere")),
    "CXXFLAGS": lambda: make_plan(SPEC, flags={"CXXFLAGS": "-O3"}),
}
FINGERPRINT_ONLY: dict[str, Change] = {
    "a source": lambda: make_plan(dataclasses.replace(SPEC, apps=(dataclasses.replace(APP, sources=("a.cpp",)),))),
    "a definition": lambda: make_plan(dataclasses.replace(SPEC, ops=(dataclasses.replace(OPS, definitions=("A",)),))),
    "a CMake argument": lambda: make_plan(SPEC, cmake_args=("-DA=1",)),
    "the project's version": lambda: make_plan(SPEC, version="1.6"),
    "an app's models": lambda: make_plan(dataclasses.replace(SPEC, apps=(dataclasses.replace(APP, models=()),))),
    "Python.h": lambda: make_plan(SPEC, python=PythonFacts(include="/other/include")),
}
NEITHER: dict[str, Change] = {
    "nothing": lambda: make_plan(SPEC),
    "how libtorch was found": lambda: make_plan(SPEC, libtorch=linux_torch(found_by="VIRTUAL_ENV")),
    "witnesses": lambda: make_plan(SPEC, libtorch=linux_torch(witnesses={"version": "version.py"})),
    "how the compiler was found": lambda: make_plan(
        SPEC,
        toolchain=dataclasses.replace(TOOLCHAIN, cxx=dataclasses.replace(TOOLCHAIN.cxx, found_by="CXX")),
    ),
    "a model's factory": lambda: make_plan(
        dataclasses.replace(SPEC, models=(dataclasses.replace(MODEL, factory="demo.model:other"),))
    ),
    "jobs": lambda: make_plan(dataclasses.replace(SPEC, options=BuildOptions(jobs=3))),
    "the pin": lambda: make_plan(dataclasses.replace(SPEC, options=BuildOptions(pin="none"))),
    "a tolerance": lambda: make_plan(dataclasses.replace(SPEC, apps=(dataclasses.replace(APP, rtol=1.0),))),
    "another CMake project": lambda: make_plan(
        dataclasses.replace(SPEC, cmake=(CMakeProject(name="n", source_dir="n", package="demo"),))
    ),
}


@pytest.mark.parametrize("change", BOTH.values(), ids=BOTH)
def test_what_a_tree_cannot_survive(change: Change) -> None:
    assert change().identity() != make_plan(SPEC).identity()
    assert change().fingerprint() != make_plan(SPEC).fingerprint()


@pytest.mark.parametrize("change", FINGERPRINT_ONLY.values(), ids=FINGERPRINT_ONLY)
def test_what_needs_a_new_configure(change: Change) -> None:
    assert change().identity() == make_plan(SPEC).identity()
    assert change().fingerprint() != make_plan(SPEC).fingerprint()


@pytest.mark.parametrize("change", NEITHER.values(), ids=NEITHER)
def test_what_makes_no_difference(change: Change) -> None:
    assert change().identity() == make_plan(SPEC).identity()
    assert change().fingerprint() == make_plan(SPEC).fingerprint()


def test_new_templates_change_the_fingerprint() -> None:
    assert make_plan(SPEC).fingerprint(b"new") != make_plan(SPEC).fingerprint(b"old")


def test_a_plan_is_plain_data() -> None:
    data = json.loads(json.dumps(make_plan(SPEC, libtorch=cuda_torch()).to_json()))
    assert data["libtorch"]["version"] == "2.13.0"
    assert data["toolchain"]["generator"]["name"] == "Ninja"
    assert data["apps"][0]["install_rpath"] == ["$ORIGIN/../../torch/lib"]
