"""Running CMake: excerpts of failures, the file API, and what is passed on."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from support import write

from torchscript_build.build import cmake
from torchscript_build.build.excerpt import EXCERPT_LINES, build_excerpt, configure_excerpt
from torchscript_build.errors import BuildError, ConfigureError
from torchscript_build.plan.build_plan import Toolchain
from torchscript_build.system import Environment
from torchscript_build.toolchain.cxx import CxxCompiler
from torchscript_build.toolchain.programs import Generator, find_cmake, locate_ninja

# Captured, with paths shortened.
NINJA_COMPILE = """\
ninja: Entering directory `tree'
[1/4] Building CXX object CMakeFiles/app.dir/good.cpp.o
[2/4] Building CXX object CMakeFiles/app.dir/main.cpp.o
FAILED: CMakeFiles/app.dir/main.cpp.o
/usr/bin/c++ -DA=1 -I/torch/include -std=gnu++20 -o CMakeFiles/app.dir/main.cpp.o -c /p/main.cpp
/p/main.cpp: In function 'int main()':
/p/main.cpp:3:10: error: 'x' was not declared in this scope
    3 |   return x;
      |          ^
[3/4] Building CXX object CMakeFiles/app.dir/other.cpp.o
ninja: build stopped: subcommand failed.
"""
NINJA_TWO = """\
[1/3] Building CXX object a.cpp.o
FAILED: a.cpp.o
/usr/bin/c++ -c a.cpp
a.cpp:1:1: error: first
FAILED: b.cpp.o
/usr/bin/c++ -c b.cpp
b.cpp:1:1: error: second
ninja: build stopped: subcommand failed.
"""
NINJA_LINK = """\
[2/2] Linking CXX executable out/apps/app/app
FAILED: out/apps/app/app
: && /usr/bin/c++ -O3 CMakeFiles/app.dir/main.cpp.o -o out/apps/app/app  && :
/usr/bin/ld: CMakeFiles/app.dir/main.cpp.o: in function `main':
main.cpp:(.text.startup+0x5): undefined reference to `missing()'
collect2: error: ld returned 1 exit status
ninja: build stopped: subcommand failed.
"""
NINJA_1_12 = """\
[1/2] Building CXX object CMakeFiles/app.dir/main.cpp.o
FAILED: [code=1] CMakeFiles/app.dir/main.cpp.o
/usr/bin/c++ -c /p/main.cpp
/p/main.cpp:3:10: error: 'x' was not declared in this scope
ninja: build stopped: subcommand failed.
"""
MAKE_COMPILE = """\
[ 50%] Building CXX object CMakeFiles/app.dir/main.cpp.o
/p/main.cpp: In function 'int main()':
/p/main.cpp:3:10: error: 'x' was not declared in this scope
    3 |   return x;
make[2]: *** [CMakeFiles/app.dir/build.make:76: CMakeFiles/app.dir/main.cpp.o] Error 1
make[1]: *** [CMakeFiles/Makefile2:83: CMakeFiles/app.dir/all] Error 2
make: *** [Makefile:91: all] Error 2
"""
MAKE_LINK = """\
[100%] Linking CXX executable app
/usr/bin/ld: CMakeFiles/app.dir/main.cpp.o: in function `main':
main.cpp:(.text.startup+0x5): undefined reference to `missing()'
collect2: error: ld returned 1 exit status
make[2]: *** [CMakeFiles/app.dir/build.make:97: app] Error 1
"""


def test_ninjas_compiler_message() -> None:
    excerpt = build_excerpt(NINJA_COMPILE)
    assert excerpt.startswith("/p/main.cpp: In function")
    assert "error: 'x' was not declared" in excerpt
    assert "[3/4]" not in excerpt
    assert "-std=gnu++20" not in excerpt


def test_the_first_of_two_failures() -> None:
    assert build_excerpt(NINJA_TWO) == "a.cpp:1:1: error: first"


def test_ninjas_linker_message() -> None:
    excerpt = build_excerpt(NINJA_LINK)
    assert "undefined reference to `missing()'" in excerpt
    assert excerpt.endswith("collect2: error: ld returned 1 exit status")


def test_newer_ninjas_tell_the_exit_code() -> None:
    assert build_excerpt(NINJA_1_12) == "/p/main.cpp:3:10: error: 'x' was not declared in this scope"


def test_makes_compiler_message() -> None:
    assert build_excerpt(MAKE_COMPILE).startswith("/p/main.cpp:3:10: error: 'x' was not declared")


def test_makes_linker_message() -> None:
    assert "undefined reference to `missing()'" in build_excerpt(MAKE_LINK)


def test_a_failure_without_a_known_word_is_its_last_lines() -> None:
    lines = [f"line {i}" for i in range(100)]
    assert build_excerpt("\n".join(lines)).splitlines() == lines[-EXCERPT_LINES:]


def test_a_long_message_is_cut_at_its_end() -> None:
    text = "FAILED: a.o\nc++ -c a.cpp\n" + "".join(f"a.cpp:{i}:1: error: x\n" for i in range(100))
    lines = build_excerpt(text).splitlines()
    assert lines[0] == "a.cpp:0:1: error: x"
    assert lines[-1] == f"… {100 - EXCERPT_LINES} more lines above"


def test_cmakes_first_error() -> None:
    text = "-- Detecting\nCMake Warning at x:\n  hm\n\nCMake Error at CMakeLists.txt:4 (find_package):\n  no ZLIB\n"
    assert configure_excerpt(text).startswith("CMake Error at CMakeLists.txt:4 (find_package):\n  no ZLIB")
    assert configure_excerpt("Segmentation fault\n") == "Segmentation fault"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("-DA=1", True),
        ("-DA:STRING=1", True),
        ("-D A=1", True),
        ("-DAB=1", False),
        ("-DBA=1", False),
        ("A=1", False),
        ("-UA", False),
    ],
)
def test_what_an_argument_sets(argument: str, expected: bool) -> None:
    assert cmake.is_set("A", [argument]) is expected


# --- the real CMake ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["Ninja", "Unix Makefiles"])
def toolchain(request: pytest.FixtureRequest, machine: Environment) -> Toolchain:
    ninja = locate_ninja(machine)
    assert ninja is not None
    generator = Generator(request.param, ninja.path if request.param == "Ninja" else None)
    return Toolchain(find_cmake(machine), generator, CxxCompiler(("c++",), "GNU", "", "PATH"))


def configure(folder: Path, toolchain: Toolchain, machine: Environment, text: str, *arguments: str) -> Path:
    head = "cmake_minimum_required(VERSION 3.18)\nproject(x LANGUAGES CXX)\n"
    write(folder / "CMakeLists.txt", head + textwrap.dedent(text))
    variables = {**machine.variables, "CMAKE_GENERATOR": "Nonsense"}
    tree = folder / "tree"
    cmake.configure(folder, tree, toolchain, build_type="Debug", arguments=arguments, variables=variables)
    return tree


@pytest.mark.compile
def test_targets_and_what_they_link(tmp_path: Path, toolchain: Toolchain, machine: Environment) -> None:
    write(tmp_path / "a.cpp", "int main() {}\n")
    library = write(tmp_path / "libz1.a")
    tree = configure(
        tmp_path,
        toolchain,
        machine,
        f"""
        add_library(lib SHARED a.cpp)
        add_executable(app a.cpp)
        target_link_libraries(app PRIVATE lib "{library}" m)
        add_custom_target(nothing)
        """,
    )
    made = [(a.target, a.type, a.path) for a in cmake.read_artifacts(tree, "Debug")]
    assert made == [
        ("app", "EXECUTABLE", tree / "app"),
        ("lib", "SHARED_LIBRARY", tree / "liblib.so"),
    ]
    assert cmake.read_linked_files(tree, "Debug") == (("app", library),)


@pytest.mark.compile
@pytest.mark.parametrize(
    "arguments", [("-DCMAKE_BUILD_TYPE=MinSizeRel",), ("-D", "CMAKE_BUILD_TYPE:STRING=MinSizeRel")]
)
def test_the_users_arguments_win(
    tmp_path: Path, toolchain: Toolchain, machine: Environment, arguments: tuple[str, ...]
) -> None:
    tree = configure(tmp_path, toolchain, machine, "", *arguments)
    assert re.search("^CMAKE_BUILD_TYPE:[A-Z]+=MinSizeRel$", (tree / "CMakeCache.txt").read_text(), re.MULTILINE)


@pytest.mark.compile
def test_a_failing_configure_ends_with_cmakes_words(tmp_path: Path, toolchain: Toolchain, machine: Environment) -> None:
    with pytest.raises(ConfigureError) as caught:
        configure(tmp_path, toolchain, machine, 'message(FATAL_ERROR "the lamp is out")\n')
    lines = str(caught.value).splitlines()
    assert lines[0] == f"CMake could not configure {tmp_path} (exit code 1)"
    assert lines[1].startswith("  CMake Error at CMakeLists.txt:")
    assert "    the lamp is out" in lines


@pytest.mark.compile
def test_a_failing_build_ends_with_the_compilers_words(
    tmp_path: Path, toolchain: Toolchain, machine: Environment
) -> None:
    write(tmp_path / "a.cpp", "int main() { return lamp; }\n")
    tree = configure(tmp_path, toolchain, machine, "add_executable(app a.cpp)\n")
    with pytest.raises(BuildError) as caught:
        cmake.build(tree, toolchain, build_type="Debug", jobs=1, variables=machine.variables, targets=["app"])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("the build failed (exit code ")
    assert any("error: " in line and "lamp" in line for line in lines[1:3])


def test_a_tree_without_an_answer(tmp_path: Path) -> None:
    with pytest.raises(ConfigureError, match="has no answer of CMake's file API; remove the folder and build again"):
        cmake.read_artifacts(tmp_path, "Release")
