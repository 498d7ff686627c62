"""From a plan to artifacts, with the real CMake and compiler and a tiny libtorch."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from children import run_child
from small_projects import ANSWER_APP, ANSWER_CPP, read_project, write_project
from support import words, write
from tiny_torch import copy_torch

from torchscript_build.build.cmake_project import build_cmake_project
from torchscript_build.build.discover import discover_plan
from torchscript_build.build.pipeline import BuildResult, build_targets, installed_file
from torchscript_build.errors import BuildError, ConfigureError, SettingsError, VerificationError
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment, materialize
from torchscript_build.system.elf import read_elf

pytestmark = pytest.mark.compile


def plan_of(folder: Path, machine: Environment) -> BuildPlan:
    return discover_plan(
        read_project(folder), machine, project="demo", version="1.5", root=folder, build_base=folder / "build"
    )


def build(folder: Path, machine: Environment) -> BuildResult:
    plan = plan_of(folder, machine)
    return build_targets(plan, machine, jobs=2, targets=plan.targets)


def output_of(program: Path, *arguments: str, **variables: str) -> str:
    done = run_child(
        [program, *arguments], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def install_beside(torch: Path, plan: BuildPlan, site: Path) -> Path:
    """Everything that was installed, in a site-packages with the tiny torch."""
    for component in plan.stage_dir.iterdir():
        shutil.copytree(component, site, dirs_exist_ok=True)
    (site / "torch").symlink_to(torch)
    return site


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The answer app; the folder's name is not a simple one."""
    return write_project(tmp_path / "my project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP})


# --- apps ----------------------------------------------------------------------------------------------------------


def test_an_app_of_ones_own_sources(project: Path, machine: Environment, fake_torch: Path, tmp_path: Path) -> None:
    plan = plan_of(project, machine)
    result = build_targets(plan, machine, jobs=2, targets=plan.targets)
    assert output_of(result.built("answer")) == "answer 42\n"
    installed = result.installed(plan.apps[0])
    assert installed == plan.stage_dir / "apps/demo/bin/answer"
    info = read_elf(installed)
    assert (info.rpath, info.runpath) == (("$ORIGIN/../../torch/lib",), ())
    assert "libtorch_cpu.so" in info.needed
    site = install_beside(fake_torch, plan, tmp_path / "site")
    assert output_of(site / "demo/bin/answer") == "answer 42\n"


def test_installed_programs_are_stripped_and_debug_ones_are_not(project: Path, machine: Environment) -> None:
    sizes = {}
    for kind in ("Release", "Debug"):
        environment = machine.with_variables(TORCHSCRIPT_BUILD_BUILD_TYPE=kind)
        spec = read_project(project, variables=environment.variables)
        plan = discover_plan(spec, environment, project="demo", version="1", root=project, build_base=project / "build")
        result = build_targets(plan, environment, jobs=2, targets=plan.targets)
        sections = run_child(
            ["readelf", "-SW", result.installed(plan.apps[0])], capture_output=True, encoding="utf-8", check=True
        ).stdout
        sizes[kind] = ".debug_info" in sections
    assert sizes == {"Release": False, "Debug": True}


@pytest.mark.parametrize("generator", ["Ninja", "Unix Makefiles"])
def test_paths_with_odd_characters(tmp_path: Path, machine: Environment, fake_torch: Path, generator: str) -> None:
    odd = tmp_path / ("we ird'(ä)&#%~!={}" if generator == "Ninja" else "we ird'(ä)&%~!={}")
    torch = copy_torch(fake_torch, odd / "torch")
    project = write_project(
        odd / "project",
        '[tool.torchscript-build]\ngenerator = "' + generator + '"\n' + ANSWER_APP + 'include-dirs = ["inc lude"]\n',
        files={"answer.cpp": '#include "local.h"\n' + ANSWER_CPP, "inc lude/local.h": "#pragma once\n"},
    )
    result = build(project, machine.with_variables(TORCHSCRIPT_BUILD_LIBTORCH=str(torch)))
    assert output_of(result.built("answer")) == "answer 42\n"


AWKWARD = {
    "A_SPACE": "two words",
    "A_SEMICOLON": "a;b",
    "A_DOLLAR": "$HOME ${HOME} $(HOME) $<CONFIG> $$",
    "A_QUOTE": "it's",
    "A_PERCENT": "100% #1",
    "A_BRACKET": "[[x]] (y) {z}",
    "A_SHELL": "`id` & | < > * ? ! ~",
    "A_LETTER": "ümläut",
    "A_COMMA": "x,y",
    "A_PLAIN": "plain-text.1",
}


@pytest.mark.parametrize("generator", ["Ninja", "Unix Makefiles"])
def test_definitions_and_options_arrive_unharmed(tmp_path: Path, machine: Environment, generator: str) -> None:
    definitions = [f'{name}="{value}"' for name, value in AWKWARD.items()]
    definitions += ["BARE", "NUMBER=3", "EMPTY=", "TWICE(x)=((x) * 2)", r'BACKSLASH="a\\b"', "SEMICOLON_CODE=1;"]
    options = [f'-DO_{name}="{value}"' for name, value in AWKWARD.items()]
    printed = "".join(f'std::printf("%s\\n%s\\n", {name}, O_{name});' for name in AWKWARD)
    main = (
        "#include <torch/script.h>\n#include <cstdio>\nint main() {"
        + printed
        + 'std::printf("%d %d %d %s\\n", BARE, NUMBER, TWICE(4) EMPTY, BACKSLASH); int n = SEMICOLON_CODE '
        + 'std::printf("%d %d\\n", n, OPTION); return torch::answer() - 42; }\n'
    )
    spec = {"name": "app", "sources": ["main.cpp"], "definitions": definitions, "install": False}
    spec["cxx_options"] = ["-DOPTION=5", "-include", "first.h", "-include", "second.h", "-Wall", "-Werror"]
    spec["compile_options"] = options
    spec["include_dirs"] = ["."]
    project = write_project(
        tmp_path,
        f'[tool.torchscript-build]\ngenerator = "{generator}"\n',
        files={"main.cpp": "int first = FIRST + SECOND;\n" + main, "first.h": "#define FIRST 1\n"},
    )
    write(tmp_path / "second.h", "#define SECOND 2\n")
    plan = discover_plan(
        read_project(project, keywords={"ts_apps": [spec]}),
        machine,
        project="demo",
        version="1",
        root=project,
        build_base=project / "build",
    )
    result = build_targets(plan, machine, jobs=2, targets=plan.targets)
    expected = [line for value in AWKWARD.values() for line in (value, value)]
    assert output_of(result.built("app")).splitlines() == [*expected, "1 3 8 a\\b", "1 5"]


# --- operator libraries --------------------------------------------------------------------------------------------

BASE_CPP = '#include <cstdio>\nextern "C" int base_value() { return 40; }\nstatic int loaded = std::puts("base");\n'
MORE_CPP = (
    '#include <torch/script.h>\n#include <cstdio>\nextern "C" int base_value();\n'
    'extern "C" int more_value() { return base_value() + torch::answer() - 40; }\n'
    'static int loaded = std::puts("more");\n'
)
OPS = """\
[[tool.torchscript-build.ops]]
name = "more_ops"
sources = ["more.cpp"]
depends = ["base_ops"]

[[tool.torchscript-build.ops]]
name = "base_ops"
sources = ["base.cpp"]
"""


@pytest.fixture
def ops_project(tmp_path: Path) -> Path:
    settings = OPS + ANSWER_APP + 'ops = ["more_ops"]\n'
    files = {"answer.cpp": ANSWER_CPP, "more.cpp": MORE_CPP, "base.cpp": BASE_CPP}
    return write_project(tmp_path / "project", settings, files=files)


def test_an_app_keeps_operator_libraries_that_it_never_mentions(
    ops_project: Path, machine: Environment, fake_torch: Path, tmp_path: Path
) -> None:
    plan = plan_of(ops_project, machine)
    build_targets(plan, machine, jobs=2, targets=plan.ops)
    assert not (plan.out_dir / "demo/bin/answer").exists()
    result = build_targets(plan, machine, jobs=2, targets=plan.apps)
    assert sorted(output_of(result.built("answer")).splitlines()) == ["answer 42", "base", "more"]
    assert "libmore_ops.so" in read_elf(result.installed(plan.apps[0])).needed
    more = read_elf(installed_file(plan.stage_dir, plan.ops[1]))
    assert more.runpath == ("$ORIGIN/../../torch/lib", "$ORIGIN")
    assert "libbase_ops.so" in more.needed
    site = install_beside(fake_torch, plan, tmp_path / "site")
    assert sorted(output_of(site / "demo/bin/answer").splitlines()) == ["answer 42", "base", "more"]


def test_a_python_module_has_its_suffix_and_may_need_python(tmp_path: Path, machine: Environment) -> None:
    source = """\
        #include <Python.h>
        #define TEXT_(x) #x
        #define TEXT(x) TEXT_(x)
        static_assert(Py_LIMITED_API == 0x03090000, "");
        static PyModuleDef def = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1};
        PyMODINIT_FUNC PyInit__C() {
          PyObject* module = PyModule_Create(&def);
          PyModule_AddStringConstant(module, "name", TEXT(TORCH_EXTENSION_NAME));
          return module;
        }
        """
    settings = (
        '[[tool.torchscript-build.ops]]\nname = "_C"\nsources = ["c.cpp"]\npython-module = true\nlimited-api = "3.9"\n'
    )
    project = write_project(tmp_path, settings, files={"c.cpp": source})
    plan = plan_of(project, machine)
    assert plan.libtorch.python_library is None
    result = build_targets(plan, machine, jobs=2, targets=plan.targets)
    file = result.installed(plan.ops[0])
    assert file.name == "_C.abi3.so"
    code = f"import sys; sys.path.insert(0, {str(file.parent)!r}); import _C; print(_C.name)"
    printed = output_of(machine.python.executable, "-c", code, LD_LIBRARY_PATH=str(plan.libtorch.library_dirs[0]))
    assert printed == "_C\n"


# --- with nothing changed, and with something changed --------------------------------------------------------------


def steps(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().out


def test_a_second_build_starts_neither_cmake_nor_a_compiler(
    project: Path, machine: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    result = build(project, machine)
    stamps = {p: p.stat().st_mtime_ns for p in Path(result.stage_dir).rglob("*")}
    steps(capfd)
    build(project, machine)
    text = steps(capfd)
    assert "configure" not in text
    assert "Building" not in text
    assert {p: p.stat().st_mtime_ns for p in Path(result.stage_dir).rglob("*")} == stamps


def test_a_changed_source_is_compiled_and_installed(
    project: Path, machine: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    build(project, machine)
    write(project / "answer.cpp", ANSWER_CPP.replace("answer %d", "the answer is %d"))
    steps(capfd)
    result = build(project, machine)
    assert "-- configure" not in steps(capfd)
    assert output_of(result.built("answer")) == "the answer is 42\n"
    assert b"the answer is" in installed_file(result.stage_dir, plan_of(project, machine).apps[0]).read_bytes()


def test_a_changed_setting_is_configured_anew(
    project: Path, machine: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    build(project, machine)
    steps(capfd)
    write_project(project, ANSWER_APP + 'definitions = ["X=1"]\n')
    build(project, machine)
    text = steps(capfd)
    assert "-- configure" in text
    assert "starting afresh" not in text


def test_a_build_folder_of_another_libtorch_is_thrown_away(
    project: Path, machine: Environment, fake_torch: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build(project, machine)
    other = copy_torch(fake_torch, tmp_path / "other/torch")
    steps(capfd)
    result = build(project, machine.with_variables(TORCHSCRIPT_BUILD_LIBTORCH=str(other)))
    assert "belonged to another libtorch, compiler or folder: starting afresh" in steps(capfd)
    assert read_elf(result.built("answer")).rpath == (str(other / "lib"),)


def test_a_copied_project_is_built_for_its_new_place(
    project: Path, machine: Environment, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build(project, machine)
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    shutil.rmtree(project)
    steps(capfd)
    result = build(copy, machine)
    assert "starting afresh" in steps(capfd)
    assert result.built("answer").is_relative_to(copy)
    assert output_of(result.built("answer")) == "answer 42\n"


def test_cxxflags_of_the_environment_are_used_and_noticed(project: Path, machine: Environment) -> None:
    write(project / "answer.cpp", ANSWER_CPP.replace('"answer %d\\n"', 'WORD " %d\\n"'))
    for word in ("one", "two"):
        result = build(project, machine.with_variables(CXXFLAGS=f"-DWORD='\"{word}\"'"))
        assert output_of(result.built("answer")) == f"{word} 42\n"


def test_cmake_args_that_ask_for_something_else(project: Path, machine: Environment) -> None:
    with pytest.raises(ConfigureError, match="configured nothing: do its arguments ask for something else"):
        build(project, machine.with_variables(CMAKE_ARGS="--version"))


def test_cmake_args_of_the_environment_reach_cmake(project: Path, machine: Environment) -> None:
    result = build(project, machine.with_variables(CMAKE_ARGS='-DCMAKE_CXX_FLAGS="-DA=1 -DB=2" -DMY_ENTRY=x'))
    cache = next(p for p in result.built("answer").parents if p.name == "tree") / "CMakeCache.txt"
    assert "-DA=1 -DB=2" in cache.read_text()
    assert "MY_ENTRY" in cache.read_text()


def test_an_interrupted_configure_begins_again(project: Path, machine: Environment) -> None:
    plan = plan_of(project, machine)
    write(plan.tree_dir / "CMakeCache.txt", "damaged\n")
    assert output_of(build(project, machine).built("answer")) == "answer 42\n"


def test_a_damaged_state_is_none(project: Path, machine: Environment) -> None:
    result = build(project, machine)
    for file in plan_of(project, machine).tree_dir.parent.glob("*.json"):
        file.write_text("{")
    assert output_of(build(project, machine).built("answer")) == "answer 42\n"
    assert result.built("answer").is_file()


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_the_compilers_message_comes_last(project: Path, machine: Environment) -> None:
    write(project / "answer.cpp", "int main() { return lamp; }\n")
    with pytest.raises(BuildError) as caught:
        build(project, machine)
    assert "error: " in str(caught.value)
    assert "lamp" in str(caught.value)
    assert not plan_of(project, machine).stage_dir.exists()
    write(project / "answer.cpp", ANSWER_CPP)
    assert output_of(build(project, machine).built("answer")) == "answer 42\n"


def test_a_package_that_cmake_cannot_find(project: Path, machine: Environment) -> None:
    write_project(project, ANSWER_APP + 'find-packages = ["NoSuchThing 3"]\n')
    with pytest.raises(ConfigureError, match="NoSuchThing"):
        build(project, machine)


def test_missing_libraries_are_told_together_and_before_cmake_runs(
    project: Path, machine: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    write_project(project, ANSWER_APP + 'link-libraries = ["nolib", "-lnone", "m"]\nlink-dirs = ["demo"]\n')
    with pytest.raises(SettingsError) as caught:
        build(project, machine)
    assert len(caught.value.problems) == 2
    assert words(caught.value.problems, "'answer': link-libraries: there is no library 'nolib'", f"{project}/demo")
    assert words(caught.value.problems, "there is no library 'none'", "the compiler's own folders")
    assert "+ " not in steps(capfd)


def third_party(folder: Path, abi: int) -> Path:
    """A library whose interface has std::string."""
    source = write(folder / "third.cpp", "#include <string>\nstd::string third(std::string s) { return s + '!'; }\n")
    file = folder / "libthird.so"
    command = ["c++", "-shared", "-fPIC", f"-D_GLIBCXX_USE_CXX11_ABI={abi}", source, "-o", file]
    run_child([*command, "-Wl,-soname,libthird.so"], check=True)
    return file


THIRD_CPP = """\
#include <torch/script.h>
#include <cstdio>
#include <string>
std::string third(std::string s);
int main() { std::printf("%s %d\\n", third("hi").c_str(), torch::answer()); }
"""


@pytest.mark.parametrize("line", ['link-libraries = ["libs/libthird.so"]', 'link-libraries = ["third"]'])
def test_a_library_of_ones_own_choice(project: Path, machine: Environment, line: str) -> None:
    (project / "libs").mkdir()
    third_party(project / "libs", 1)
    settings = ANSWER_APP + f'{line}\nlink-dirs = ["libs"]\ninstall = false\n'
    write_project(project, settings, files={"answer.cpp": THIRD_CPP})
    result = build(project, machine)
    assert output_of(result.built("answer"), LD_LIBRARY_PATH=str(project / "libs")) == "hi! 42\n"


@pytest.mark.parametrize("line", ['link-libraries = ["libs/libthird.so"]', 'link-libraries = ["third"]'])
def test_a_library_of_the_other_abi_is_refused_before_anything_is_compiled(
    project: Path, machine: Environment, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "libs").mkdir()
    file = third_party(project / "libs", 0)
    write_project(project, ANSWER_APP + f'{line}\nlink-dirs = ["libs"]\n', files={"answer.cpp": THIRD_CPP})
    with pytest.raises(VerificationError) as caught:
        build(project, machine)
    text = str(caught.value)
    assert f"answer links {file}, which was compiled with _GLIBCXX_USE_CXX11_ABI=0" in text
    assert "has the new C++ ABI (_GLIBCXX_USE_CXX11_ABI=1)" in text
    assert "use a build of that library with -D_GLIBCXX_USE_CXX11_ABI=1" in text
    assert "Building" not in steps(capfd)


# --- files ---------------------------------------------------------------------------------------------------------


def test_materializing_writes_only_what_changed(tmp_path: Path) -> None:
    materialize({"a": b"1", "sub/b": b"2", "c": b"3"}, tmp_path)
    for name in ("a", "sub/b"):
        os.utime(tmp_path / name, ns=(1, 1))
    write(tmp_path / "build/of/somebody")
    materialize({"a": b"1", "sub/b": b"4"}, tmp_path)
    assert (tmp_path / "a").stat().st_mtime_ns == 1
    assert (tmp_path / "sub/b").read_bytes() == b"4"
    assert not (tmp_path / "c").exists()
    assert (tmp_path / "build/of/somebody").exists()


def test_the_generated_project_builds_by_hand(project: Path, machine: Environment, tmp_path: Path) -> None:
    plan = plan_of(project, machine)
    build(project, machine)
    shutil.copytree(plan.project_dir, tmp_path / "taken")
    for arguments in (["-S", ".", "-B", "build"], ["--build", "build"]):
        run_child(["cmake", *arguments], cwd=tmp_path / "taken", check=True, capture_output=True)
    assert output_of(tmp_path / "taken/build/out/demo/bin/answer") == "answer 42\n"


# --- existing CMake projects ---------------------------------------------------------------------------------------

NATIVE = """\
cmake_minimum_required(VERSION 3.5...3.20)
project(native LANGUAGES CXX)
find_package(Torch REQUIRED)
option(WITH_TOOL "" OFF)
add_library(nat SHARED nat.cpp)
target_link_libraries(nat PUBLIC "${TORCH_LIBRARIES}")
set_property(TARGET nat PROPERTY CXX_STANDARD 17)
install(TARGETS nat LIBRARY DESTINATION lib COMPONENT main)
if(WITH_TOOL)
  add_executable(tool tool.cpp)
  target_link_libraries(tool PRIVATE nat)
  install(TARGETS tool RUNTIME DESTINATION bin COMPONENT main)
endif()
add_custom_target(never COMMAND false)
install(FILES notes.txt DESTINATION share COMPONENT docs)
"""
NATIVE_FILES: Mapping[str, str] = {
    "native/CMakeLists.txt": NATIVE,
    "native/nat.cpp": "#include <torch/script.h>\nint nat() { return torch::answer(); }\n",
    "native/tool.cpp": '#include <cstdio>\nint nat();\nint main() { std::printf("%d\\n", nat()); }\n',
    "native/notes.txt": "notes\n",
}
NATIVE_TABLE = (
    '[[tool.torchscript-build.cmake]]\nname = "native"\nsource-dir = "native"\noptions = { WITH_TOOL = true }\n'
)


@pytest.fixture
def native(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", NATIVE_TABLE, files=NATIVE_FILES)


def build_native(folder: Path, machine: Environment) -> dict[str, Path]:
    plan = plan_of(folder, machine)
    return build_cmake_project(plan, plan.cmake[0], machine, jobs=2)


def test_an_existing_cmake_project(native: Path, machine: Environment, fake_torch: Path, tmp_path: Path) -> None:
    installed = build_native(native, machine)
    assert sorted(installed) == ["bin/tool", "lib/libnat.so", "share/notes.txt"]
    site = tmp_path / "site"
    for name, path in installed.items():
        (site / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, site / "demo" / name)
    (site / "torch").symlink_to(fake_torch)
    assert output_of(site / "demo/bin/tool") == "42\n"


def test_a_second_build_of_it_configures_and_installs_nothing(
    native: Path, machine: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    first = {p: p.stat().st_mtime_ns for p in build_native(native, machine).values()}
    steps(capfd)
    second = {p: p.stat().st_mtime_ns for p in build_native(native, machine).values()}
    assert first == second
    assert "configure" not in steps(capfd)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('components = ["docs"]', ["share/notes.txt"]),
        ('components = ["main", "docs"]', ["bin/tool", "lib/libnat.so", "share/notes.txt"]),
        ('include = ["bin/*"]', ["bin/tool"]),
        ('include = ["*.so", "share/*"]', ["lib/libnat.so", "share/notes.txt"]),
    ],
)
def test_what_of_it_is_taken(native: Path, machine: Environment, line: str, names: list[str]) -> None:
    write_project(native, NATIVE_TABLE + line + "\n")
    assert sorted(build_native(native, machine)) == names


def test_a_cmakelists_that_fails(native: Path, machine: Environment) -> None:
    write(native / "native/CMakeLists.txt", 'project(x)\nmessage(FATAL_ERROR "the lamp is out")\n')
    with pytest.raises(ConfigureError, match="the lamp is out"):
        build_native(native, machine)


def test_a_cmake_project_that_links_the_other_abi(native: Path, machine: Environment) -> None:
    file = third_party(native, 0)
    text = NATIVE.replace('"${TORCH_LIBRARIES}"', f'"${{TORCH_LIBRARIES}}" "{file}"')
    write(native / "native/CMakeLists.txt", text)
    with pytest.raises(VerificationError, match=f"nat links {file}"):
        build_native(native, machine)


def test_a_cmake_projects_own_rpath_with_a_folder_of_this_machine_is_refused(
    native: Path, machine: Environment
) -> None:
    text = NATIVE + "set_target_properties(nat PROPERTIES INSTALL_RPATH /somewhere/on/this/machine)\n"
    write(native / "native/CMakeLists.txt", text)
    with pytest.raises(VerificationError, match=r"libnat\.so: its RUNPATH has folders of this machine: /somewhere"):
        build_native(native, machine)
    write(native / "native/CMakeLists.txt", NATIVE)
    assert "lib/libnat.so" in build_native(native, machine)


def test_a_plan_is_not_touched_by_building(project: Path, machine: Environment) -> None:
    plan = plan_of(project, machine)
    before = dataclasses.replace(plan)
    build_targets(plan, machine, jobs=1, targets=plan.targets)
    assert plan == before == plan_of(project, machine)


# --- precompiled headers -------------------------------------------------------------------------------------------

PRECOMPILED = """\
[[tool.torchscript-build.ops]]
name = "many"
sources = ["src/*.cpp"]
precompiled-header = true
"""


def test_a_precompiled_header_is_made_once_and_used_by_those_that_begin_with_it(
    tmp_path: Path, machine: Environment
) -> None:
    files = {f"src/f{i}.cpp": f"#include <torch/library.h>\nint f{i}() {{ return {i}; }}\n" for i in range(3)}
    files["src/apart.cpp"] = "int apart() { return 9; }\n"
    project = write_project(tmp_path, PRECOMPILED, files=files)
    environment = machine.with_variables(TORCHSCRIPT_BUILD_LAUNCHER="none")
    plan = plan_of(project, environment)
    assert plan.ops[0].headers.precompiled == "torch/library.h"
    result = build_targets(plan, environment, jobs=2, targets=plan.targets)
    assert len(list(plan.tree_dir.rglob("cmake_pch.hxx.*ch"))) == 1
    commands = run_child(
        ["ninja", "-C", plan.tree_dir, "-t", "commands", "many"], capture_output=True, encoding="utf-8", check=True
    ).stdout.splitlines()
    using = {name for name in files for c in commands if f"/{name}.o " in c and "-include" in c and "cmake_pch" in c}
    assert using == {"src/f0.cpp", "src/f1.cpp", "src/f2.cpp"}
    library = ctypes.CDLL(str(result.built("many")))
    assert [getattr(library, f"_Z2f{i}v")() for i in range(3)] == [0, 1, 2]
    assert library._Z5apartv() == 9
