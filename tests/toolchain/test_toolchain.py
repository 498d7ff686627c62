"""Finding CMake, Ninja and the compiler, and choosing how many compilers run at once."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Optional

import pytest
from nobodys_machine import made_up
from support import stub, write

from torchscript_build import log
from torchscript_build.errors import ToolNotFoundError
from torchscript_build.libtorch.releases import release_row
from torchscript_build.system import Environment, Probes
from torchscript_build.toolchain.cxx import CxxCompiler, find_cxx, locate_library, parse_compiler_version
from torchscript_build.toolchain.jobs import BYTES_PER_JOB, plan_jobs, read_available_memory
from torchscript_build.toolchain.programs import (
    choose_generator,
    find_cmake,
    locate_cmake,
    locate_ninja,
    parse_version,
)

NEWEST = release_row((2, 13))
OLD = release_row((1, 13))

GCC = """\
g++ (Debian 12.2.0-14+deb12u1) 12.2.0
Copyright (C) 2022 Free Software Foundation, Inc.
This is free software; see the source for copying conditions.  There is NO
warranty; not even for MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.
"""
VERSIONS = {
    "Debian's c++": (GCC.replace("g++", "c++"), ("GNU", "12.2.0")),
    "Debian's g++-12": (GCC.replace("g++", "g++-12"), ("GNU", "12.2.0")),
    "Red Hat's g++": (
        "g++ (GCC) 8.5.0 20210514 (Red Hat 8.5.0-22)\nCopyright (C) 2018 Free Software Foundation, Inc.\n",
        ("GNU", "8.5.0"),
    ),
    "gcc-toolset": (
        "g++ (GCC) 13.3.1 20240611 (Red Hat 13.3.1-2)\nCopyright (C) 2023 Free Software Foundation, Inc.\n",
        ("GNU", "13.3.1"),
    ),
    "Ubuntu's g++": (
        "g++ (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0\nCopyright (C) 2021 Free Software Foundation, Inc.\n",
        ("GNU", "11.4.0"),
    ),
    "conda's g++": (
        "x86_64-conda-linux-gnu-c++ (conda-forge gcc 14.2.0-1) 14.2.0\nCopyright (C) 2024 Free Software Foundation\n",
        ("GNU", "14.2.0"),
    ),
    "Debian's clang": (
        "Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu\nThread model: posix\nInstalledDir: /usr/bin\n",
        ("Clang", "14.0.6"),
    ),
    "LLVM's clang": (
        "clang version 18.1.8 (https://github.com/llvm/llvm-project 3b5b5c1)\nTarget: x86_64-unknown-linux-gnu\n",
        ("Clang", "18.1.8"),
    ),
    "Apple's clang": (
        "Apple clang version 15.0.0 (clang-1500.3.9.4)\nTarget: arm64-apple-darwin23.4.0\n",
        ("AppleClang", "15.0.0"),
    ),
    "something else": ("nvc++ 24.1-0 64-bit target on x86-64 Linux\n", ("", "")),
    "nothing": ("", ("", "")),
}


@pytest.mark.parametrize(("text", "expected"), VERSIONS.values(), ids=VERSIONS)
def test_what_compilers_say_of_themselves(text: str, expected: tuple[str, str]) -> None:
    assert parse_compiler_version(text) == expected


def compiler(path: Path, text: str = GCC) -> Path:
    return stub(path, f"cat <<'END'\n{text}END")


def cmake(path: Path, version: str = "3.25.1") -> Path:
    return stub(path, f"echo '{json.dumps({'version': {'string': version}})}'")


def ninja(path: Path, version: str = "1.11.1") -> Path:
    return stub(path, f"echo {version}")


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """The only folder on the made-up machine's PATH, with what stubs are made of."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cat").symlink_to("/bin/cat")
    return folder


# --- the compiler --------------------------------------------------------------------------------------------------


def test_cxx_is_honoured(tmp_path: Path, bin_dir: Path) -> None:
    compiler(bin_dir / "c++")
    mine = compiler(tmp_path / "my g++")
    found = find_cxx(made_up(tmp_path, CXX=str(mine)), NEWEST)
    assert found == CxxCompiler((str(mine),), "GNU", "12.2.0", "CXX")


def test_cxx_may_have_a_launcher_and_arguments(tmp_path: Path, bin_dir: Path) -> None:
    compiler(bin_dir / "g++")
    stub(bin_dir / "ccache", 'exec "$@"')
    found = find_cxx(made_up(tmp_path, CXX="ccache g++ -m64"), NEWEST)
    assert found.command == ("ccache", "g++", "-m64")
    assert found.id == "GNU"


@pytest.mark.parametrize("lines", [("exit 1",), None])
def test_a_cxx_that_does_not_run_is_refused(tmp_path: Path, bin_dir: Path, lines: tuple[str, ...] | None) -> None:
    compiler(bin_dir / "c++")
    if lines:
        stub(tmp_path / "mine", *lines)
    with pytest.raises(ToolNotFoundError) as caught:
        find_cxx(made_up(tmp_path, CXX=str(tmp_path / "mine")), NEWEST)
    assert f"CXX names a compiler that does not run: {tmp_path / 'mine'}" in str(caught.value)
    assert "unset it" in str(caught.value)


def test_a_cxx_with_an_open_quote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError, match=r"CXX cannot be split as a shell would.*: 'g"):
        find_cxx(made_up(tmp_path, CXX="'g++"), NEWEST)


def test_the_compilers_on_path_in_cmakes_order(tmp_path: Path, bin_dir: Path) -> None:
    compiler(bin_dir / "clang++", VERSIONS["Debian's clang"][0])
    assert find_cxx(made_up(tmp_path), NEWEST).id == "Clang"
    compiler(bin_dir / "g++")
    assert find_cxx(made_up(tmp_path), NEWEST).command == (str(bin_dir / "g++"),)
    compiler(bin_dir / "c++")
    assert find_cxx(made_up(tmp_path), NEWEST).command == (str(bin_dir / "c++"),)


def test_a_compiler_that_does_not_run_is_passed_over(tmp_path: Path, bin_dir: Path) -> None:
    stub(bin_dir / "c++", "exit 1")
    compiler(bin_dir / "g++")
    assert find_cxx(made_up(tmp_path), NEWEST).command == (str(bin_dir / "g++"),)


def test_no_compiler_says_where_we_looked(tmp_path: Path, bin_dir: Path) -> None:
    stub(bin_dir / "g++", "exit 1")
    with pytest.raises(ToolNotFoundError) as caught:
        find_cxx(made_up(tmp_path), NEWEST)
    text = str(caught.value)
    for line in (
        "no C++ compiler found",
        "CXX ",
        "not set",
        "c++      not on PATH",
        "g++: does not run",
        "apt install",
    ):
        assert line in text


@pytest.mark.parametrize("text", [GCC.replace("12.2.0", "9.4.0"), VERSIONS["Debian's clang"][0].replace("14", "9")])
def test_a_compiler_that_is_too_old_for_the_headers(tmp_path: Path, bin_dir: Path, text: str) -> None:
    compiler(bin_dir / "c++", text)
    with pytest.raises(ToolNotFoundError) as caught:
        find_cxx(made_up(tmp_path), NEWEST)
    assert "the headers of libtorch 2.13 are C++20 and need" in str(caught.value)
    assert "set CXX to it" in str(caught.value)
    assert find_cxx(made_up(tmp_path), OLD).command == (str(bin_dir / "c++"),)


def test_an_unknown_compiler_is_taken_at_its_word(tmp_path: Path, bin_dir: Path) -> None:
    compiler(bin_dir / "c++", VERSIONS["something else"][0])
    assert find_cxx(made_up(tmp_path), NEWEST).id == ""


def test_the_linkers_file_of_a_name(tmp_path: Path, machine: Environment) -> None:
    gxx = CxxCompiler(("c++",), "GNU", "", "PATH")
    mine = write(tmp_path / "libs/libmine.a")
    assert locate_library(gxx, "mine", [str(tmp_path / "libs")], machine) == mine
    assert locate_library(gxx, "mine", [], machine) is None
    found = locate_library(gxx, "m", [], machine)
    assert found is not None
    assert found.name.startswith("libm.")


# --- CMake and Ninja -----------------------------------------------------------------------------------------------


def test_cmake_on_path_comes_first(tmp_path: Path, bin_dir: Path) -> None:
    cmake(bin_dir / "cmake")
    cmake(tmp_path / "scripts/cmake", "4.1.0")
    found = find_cmake(made_up(tmp_path))
    assert (found.path, found.version, found.found_by) == (bin_dir / "cmake", "3.25.1", "PATH")


@pytest.mark.parametrize("broken", ["exit 1", "echo nonsense", "echo '{}'"])
def test_a_cmake_that_is_no_use_is_passed_over(tmp_path: Path, bin_dir: Path, broken: str) -> None:
    stub(bin_dir / "cmake", broken)
    cmake(tmp_path / "scripts/cmake")
    assert find_cmake(made_up(tmp_path)).found_by == "the interpreter's scripts"


def test_the_cmake_wheel_is_found_without_its_script(tmp_path: Path) -> None:
    environment = made_up(tmp_path)
    site = tmp_path / "site"
    path = cmake(site / "cmake/data/bin/cmake")
    python = type(environment.python)(environment.python.executable, search_path=(site,))
    found = find_cmake(Environment(environment.variables, tmp_path, "linux", "x86_64", python))
    assert (found.path, found.found_by) == (path, "Python package cmake")


def test_no_cmake(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError) as caught:
        find_cmake(made_up(tmp_path))
    text = str(caught.value)
    for words in (
        "no usable CMake found (wanted 3.18 or newer)",
        "no cmake",
        "not installed",
        "pip install --upgrade cmake",
    ):
        assert words in text


def test_a_cmake_that_is_too_old(tmp_path: Path, bin_dir: Path) -> None:
    cmake(bin_dir / "cmake", "3.16.3")
    with pytest.raises(ToolNotFoundError, match=r"cmake: 3\.16\.3 is older than 3\.18"):
        find_cmake(made_up(tmp_path))


def test_a_release_candidate_counts_as_its_release(tmp_path: Path, bin_dir: Path) -> None:
    cmake(bin_dir / "cmake", "3.18.0-rc2")
    assert find_cmake(made_up(tmp_path)).version == "3.18.0-rc2"


def test_ninja_has_two_names(tmp_path: Path, bin_dir: Path) -> None:
    assert locate_ninja(made_up(tmp_path)) is None
    path = ninja(bin_dir / "ninja-build")
    found = locate_ninja(made_up(tmp_path))
    assert found is not None
    assert found.path == path


def test_an_old_ninja_is_none(tmp_path: Path, bin_dir: Path) -> None:
    ninja(bin_dir / "ninja", "1.3.4")
    assert locate_ninja(made_up(tmp_path)) is None


def test_ninjas_with_odd_versions(tmp_path: Path, bin_dir: Path) -> None:
    ninja(bin_dir / "ninja", "1.11.1.git.kitware.jobserver-1")
    assert locate_ninja(made_up(tmp_path)) is not None


@pytest.mark.parametrize(
    ("text", "version"),
    [("3.25.1-rc2", (3, 25, 1)), ("4.0", (4, 0)), ("2", (2,)), ("x", ()), ("", ()), ("1.11.1.git", (1, 11, 1))],
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


# --- the generator -------------------------------------------------------------------------------------------------


def test_ninja_is_taken_where_it_is(tmp_path: Path, bin_dir: Path) -> None:
    assert choose_generator(None, made_up(tmp_path)).name is None
    path = ninja(bin_dir / "ninja")
    found = choose_generator(None, made_up(tmp_path))
    assert (found.name, found.ninja, found.multi_config) == ("Ninja", path, False)


def test_what_was_asked_beats_the_variable(tmp_path: Path, bin_dir: Path) -> None:
    ninja(bin_dir / "ninja")
    environment = made_up(tmp_path, CMAKE_GENERATOR="Unix Makefiles")
    assert choose_generator(None, environment).name == "Unix Makefiles"
    assert choose_generator("Ninja", environment).name == "Ninja"


def test_a_conda_builds_variable_is_nobodys_choice(tmp_path: Path, bin_dir: Path) -> None:
    environment = made_up(tmp_path, CMAKE_GENERATOR="Unix Makefiles", CONDA_BUILD="1")
    assert choose_generator(None, environment).name is None
    ninja(bin_dir / "ninja")
    assert choose_generator(None, environment).name == "Ninja"
    assert choose_generator("Unix Makefiles", environment).name == "Unix Makefiles"
    chosen = made_up(tmp_path, CMAKE_GENERATOR="Ninja Multi-Config", CONDA_BUILD="1")
    assert choose_generator(None, chosen).name == "Ninja Multi-Config"


def test_ninja_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError, match="the generator 'Ninja' was asked for, but no ninja was found"):
        choose_generator("Ninja", made_up(tmp_path))


@pytest.mark.parametrize("name", ["Ninja Multi-Config", "Visual Studio 17 2022", "Xcode"])
def test_generators_of_several_configurations(tmp_path: Path, bin_dir: Path, name: str) -> None:
    ninja(bin_dir / "ninja")
    assert choose_generator(name, made_up(tmp_path)).multi_config


# --- answers are remembered ----------------------------------------------------------------------------------------


def test_a_program_is_asked_once(tmp_path: Path, bin_dir: Path) -> None:
    log = tmp_path / "log"
    stub(bin_dir / "cmake", f"echo asked >> {log}", f"echo '{json.dumps({'version': {'string': '3.25.1'}})}'")
    environment = made_up(tmp_path)
    for _ in range(2):
        assert locate_cmake(environment, Probes(environment.variables, tmp_path / "probes.json"))[0]
    assert log.read_text() == "asked\n"


def test_another_program_of_the_same_name_is_asked_again(tmp_path: Path, bin_dir: Path) -> None:
    environment = made_up(tmp_path)
    for version in ("3.25.1", "3.31.10"):
        cmake(bin_dir / "cmake", version)
        found = locate_cmake(environment, Probes(environment.variables, tmp_path / "probes.json"))[0]
        assert found is not None
        assert found.version == version


def test_a_program_that_failed_is_asked_again(tmp_path: Path, bin_dir: Path) -> None:
    environment = made_up(tmp_path)
    program = stub(bin_dir / "x", f"test -e {tmp_path}/ready")
    probes = Probes(environment.variables, tmp_path / "probes.json")
    first = probes.ask([program])
    (tmp_path / "ready").touch()
    second = probes.ask([program])
    assert first is not None
    assert second is not None
    assert (first.returncode, second.returncode) == (1, 0)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 3}'])
def test_damaged_memories_are_forgotten(tmp_path: Path, bin_dir: Path, text: str) -> None:
    cmake(bin_dir / "cmake")
    environment = made_up(tmp_path)
    probes = Probes(environment.variables, write(tmp_path / "probes.json", text))
    assert locate_cmake(environment, probes)[0]


# --- jobs ----------------------------------------------------------------------------------------------------------


def test_what_was_asked_wins(tmp_path: Path) -> None:
    assert plan_jobs(7, made_up(tmp_path, MAX_JOBS="2"), available_bytes=1) == 7


@pytest.mark.parametrize(
    ("variables", "jobs"),
    [
        ({"MAX_JOBS": "2", "CMAKE_BUILD_PARALLEL_LEVEL": "3"}, 2),
        ({"CMAKE_BUILD_PARALLEL_LEVEL": "3", "CPU_COUNT": "5"}, 3),
        ({"CPU_COUNT": "5"}, 5),
        ({"MAX_JOBS": "0", "CPU_COUNT": "5"}, 5),
        ({"MAX_JOBS": "many"}, 4),
        ({}, 4),
    ],
)
def test_variables_for_jobs(tmp_path: Path, variables: dict[str, str], jobs: int) -> None:
    assert plan_jobs(None, made_up(tmp_path, **variables), available_bytes=None) == jobs


@pytest.mark.parametrize("text", ["many", "-1", "0", "\u00b2", "9" * 5000])
def test_a_variable_that_is_no_number_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setattr(log, "_told", set())
    for _ in range(2):
        plan_jobs(None, made_up(tmp_path, MAX_JOBS=text), available_bytes=None)
    assert capsys.readouterr().err == f"warning: MAX_JOBS={text[:40]!r} is no number of jobs; it is passed over\n"


@pytest.mark.parametrize(("memory", "jobs"), [(0, 1), (1, 1), (2 * BYTES_PER_JOB, 2), (100 * BYTES_PER_JOB, 4)])
def test_memory_limits_jobs(tmp_path: Path, memory: int, jobs: int) -> None:
    assert plan_jobs(None, made_up(tmp_path), available_bytes=memory) == jobs


@pytest.mark.parametrize(("memory", "jobs"), [(None, 4), (0, 0), (2 * BYTES_PER_JOB, 1), (100 * BYTES_PER_JOB, 4)])
def test_what_runs_beside_takes_memory_but_no_core(tmp_path: Path, memory: Optional[int], jobs: int) -> None:
    assert plan_jobs(None, made_up(tmp_path), available_bytes=memory, beside=True) == jobs


def test_what_runs_beside_is_one_of_those_that_were_asked_for(tmp_path: Path) -> None:
    asked = [plan_jobs(None, made_up(tmp_path, MAX_JOBS=n), available_bytes=0, beside=True) for n in ("1", "3")]
    assert asked == [0, 2]
    single = dataclasses.replace(made_up(tmp_path), cpu_count=1)
    assert plan_jobs(None, single, available_bytes=None, beside=True) == 0


def test_available_memory(tmp_path: Path) -> None:
    assert read_available_memory(tmp_path) is None
    write(tmp_path / "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    assert read_available_memory(tmp_path) == 8000 * 1024
    write(tmp_path / "sys/fs/cgroup/memory.max", "max\n")
    write(tmp_path / "sys/fs/cgroup/memory.current", "1000\n")
    assert read_available_memory(tmp_path) == 8000 * 1024
    write(tmp_path / "sys/fs/cgroup/memory.max", "5000\n")
    assert read_available_memory(tmp_path) == 4000


def test_this_machine_has_some_memory() -> None:
    assert os.name != "posix" or (read_available_memory() or 1) > 0
