"""How the runner's process begins, with a heap of huge pages, and ends, without taking anything apart."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from children import run_child
from support import write

SOURCES = Path(__file__).parents[2] / "templates/apps/runner"
PROGRAM = """\
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "program/process.h"
#include "program/start.h"

struct Last {
  ~Last() { std::puts("taken apart"); }
} last;

int main(int, char** argv) {
  std::vector<std::string> lines(1000, std::string(100, 'x'));
  std::ifstream maps("/proc/self/smaps");
  std::string line, name;
  while (std::getline(maps, line)) {
    if (line.find('-') < line.find(' ')) name = line;
    const bool heap = name.find("[heap]") != std::string::npos;
    if (heap && line.compare(0, 8, "VmFlags:") == 0) std::cout << line << "\\n";
  }
  std::printf("%zu\\n", lines.size());
  runner::leave(argv[1][0] - '0');
}
"""
FLAGS = ("-std=c++14", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("process")
    source = write(folder / "main.cpp", PROGRAM)
    files = [str(source), str(SOURCES / "program/process.cpp")]
    run_child(["g++", *FLAGS, *files, "-o", str(folder / "program")], check=True)
    return folder / "program"


@pytest.mark.compile
def test_it_ends_at_once_with_all_that_was_printed(program: Path) -> None:
    done = run_child([str(program), "3"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "1000")


@pytest.mark.compile
def test_what_was_loaded_before_all_others_has_its_last_word(program: Path) -> None:
    variables = {**os.environ, "LD_PRELOAD": "libm.so.6"}
    done = run_child([str(program), "3"], capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (3, ["1000", "taken apart"])


@pytest.mark.compile
def test_the_heap_is_where_huge_pages_may_be(program: Path) -> None:
    done = run_child([str(program), "0"], capture_output=True, text=True)
    flags = re.findall(r"^VmFlags:(.*)$", done.stdout, re.MULTILINE)
    has_huge_pages = Path("/sys/kernel/mm/transparent_hugepage").is_dir()
    assert any("hg" in line.split() for line in flags) == has_huge_pages


@pytest.mark.compile
def test_a_sanitizer_has_its_own_heap_and_its_last_word(tmp_path: Path) -> None:
    source = write(tmp_path / "main.cpp", PROGRAM)
    files = [str(source), str(SOURCES / "program/process.cpp")]
    run_child(["g++", *FLAGS, "-fsanitize=address", *files, "-o", str(tmp_path / "program")], check=True)
    done = run_child([str(tmp_path / "program"), "0"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "taken apart"), done.stderr
