"""A C library's sources and header under its own names, and what tells others how to link it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from children import run_child
from nobodys_machine import mac_torch, make_plan, windows_torch
from support import write

from torchscript_build.errors import SettingsError
from torchscript_build.generate.ejected import render_ejected
from torchscript_build.generate.library import exported_names, package_files, render_header, render_library
from torchscript_build.generate.project import render_project
from torchscript_build.generate.templates import templates_dir
from torchscript_build.plan.build_plan import BuildPlan, PlannedLibrary
from torchscript_build.settings.specs import CLibrary, ProjectSpec, ScriptModel, TorchScriptApp

MODEL = ScriptModel(name="net", factory="demo.model:make")
SPEC = ProjectSpec(models=(MODEL,), libraries=(CLibrary("my-net", package="demo", models=("net",)),))


def library(plan: BuildPlan) -> PlannedLibrary:
    return plan.libraries[0]


def test_all_names_are_the_librarys_own() -> None:
    planned = library(make_plan(SPEC))
    files = render_library(planned)
    for name, content in files.items():
        assert not re.search(r"\bTSL_|\btsl_", content.decode()), name
    names = exported_names(render_header(planned))
    assert {"my_net_open", "my_net_call", "my_net_to_dlpack_versioned", "my_net_last_error"} <= set(names)
    assert [n for n in names if not n.startswith("my_net_")] == []
    exports = files["libraries/my-net/exports.map"].decode()
    assert exports.startswith("MY_NET_1 {\n  global:\n    my_net_abi_version;\n")
    assert exports.endswith("  local:\n    *;\n};\n")
    assert re.findall(r"^    (my_net_\w+);$", exports, re.MULTILINE) == names
    assert files["libraries/my-net/exports.txt"].decode().splitlines() == [f"_{n}" for n in names]


def test_every_declared_function_is_defined() -> None:
    names = exported_names((templates_dir() / "library/library.h").read_bytes().replace(b"TSL_API", b"X_API"))
    sources = "".join(p.read_text("utf-8") for p in sorted((templates_dir() / "library").glob("*.cpp")))
    defined = re.findall(r"^(?:int|uint32_t|const char\*) (tsl_\w+)\(", sources, re.MULTILINE)
    assert sorted(defined) == sorted(names)


def test_the_project_has_one_runner_for_apps_and_libraries() -> None:
    spec = ProjectSpec(models=SPEC.models, libraries=SPEC.libraries, apps=(TorchScriptApp("app", package="demo"),))
    for plan in (make_plan(SPEC), make_plan(spec)):
        text = render_project(plan)["CMakeLists.txt"].decode()
        assert text.count("add_subdirectory(runner)") == 1
        assert text.count('include("${CMAKE_CURRENT_SOURCE_DIR}/cmake/TorchScriptBuildLibrary.cmake")') == 1
        assert text.count("ts_add_library(") == 1
    assert "Library.cmake" not in render_project(make_plan(ProjectSpec()))["CMakeLists.txt"].decode()


def test_what_lies_beside_it() -> None:
    files = package_files(library(make_plan(SPEC)), "1.5")
    assert sorted(files) == [
        "demo/include/my-net.h",
        "demo/lib/cmake/my-net/my-netConfig.cmake",
        "demo/lib/cmake/my-net/my-netConfigVersion.cmake",
        "demo/lib/pkgconfig/my-net.pc",
    ]
    assert "Libs: -L${libdir} -lmy-net\n" in files["demo/lib/pkgconfig/my-net.pc"].decode()
    assert "Version: 1.5\n" in files["demo/lib/pkgconfig/my-net.pc"].decode()


@pytest.mark.parametrize(
    ("torch", "path"), [(mac_torch(), "demo/lib/libmy-net.dylib"), (windows_torch(), "demo/lib/my-net.dll")]
)
def test_other_platforms(torch: object, path: str) -> None:
    planned = library(make_plan(SPEC, libtorch=torch))
    assert planned.path == path
    config = package_files(planned, "1.0")["demo/lib/cmake/my-net/my-netConfig.cmake"].decode()
    assert f'IMPORTED_LOCATION "${{_my_net_root}}/lib/{planned.file_name}"' in config


def test_it_cannot_be_ejected() -> None:
    with pytest.raises(SettingsError, match="'my-net': a C library cannot be ejected; build it with build_ts_app"):
        render_ejected(make_plan(SPEC))


@pytest.mark.compile
@pytest.mark.parametrize(
    "options",
    [
        ("gcc", "-std=c99", "-x", "c"),
        ("g++", "-std=c++11", "-x", "c++"),
        ("gcc", "-std=c99", "-x", "c", "-DDLPACK_FIRST"),
    ],
    ids=["c", "c++", "with-dlpack"],
)
def test_the_header_is_strict_c_and_cxx(options: tuple[str, ...], tmp_path: Path) -> None:
    """Also two headers together, and after DLPack's own."""
    compiler, *rest = options
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    spec = ProjectSpec(libraries=(CLibrary("one", package="demo"), CLibrary("two", package="demo")))
    for planned in make_plan(spec).libraries:
        (tmp_path / f"{planned.name}.h").write_bytes(render_header(planned))
    dlpack = (templates_dir() / "library/dlpack.h").read_text("utf-8")
    write(tmp_path / "dlpack/dlpack.h", "#include <stdint.h>\n" + dlpack)
    write(
        tmp_path / "use.c",
        "#ifdef DLPACK_FIRST\n#include <dlpack/dlpack.h>\n#endif\n#include <one.h>\n#include <two.h>\n"
        "int use(one_model a, two_value b, DLManagedTensor *t);\n"
        "int use(one_model a, two_value b, DLManagedTensor *t) {\n"
        "  return one_from_dlpack(t, &b) + two_free(b) + one_close(a) + ONE_OK + TWO_FORKED;\n}\n",
    )
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", f"-I{tmp_path}"]
    run_child([compiler, *rest, *strict, str(tmp_path / "use.c")], check=True)
