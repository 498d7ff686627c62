"""Ninja's log: what one run added to it, whatever came before."""

from __future__ import annotations

import pytest

from torchscript_build.build.ninja_log import edges_of_run, new_entries, parse_log

A_O, B_O = "CMakeFiles/app.dir/src/a.cpp.o", "CMakeFiles/app.dir/src/b.cpp.o"


def line(start: int, end: int, output: str, *, mtime: int = 0, command: str = "1a2b3c4d5e6f7a8b") -> str:
    return f"{start}\t{end}\t{mtime}\t{output}\t{command}\n"


def log(*lines: str, version: int = 6) -> str:
    return "".join([f"# ninja log v{version}\n", *lines])


def outputs(before: str, after: str) -> list[str]:
    return [entry.output for entry in new_entries(before, after)]


def names(before: str, after: str) -> list[str]:
    return [edge.name for edge in edges_of_run(before, after, began=0)]


@pytest.mark.parametrize("version", [5, 6, 7])
def test_every_version_with_a_hash_of_the_command(version: int) -> None:
    (entry,) = parse_log(log(line(3, 1250, A_O, mtime=1700000000123456789, command="ff00"), version=version))
    assert (entry.start, entry.end, entry.mtime) == (3, 1250, 1700000000123456789)
    assert (entry.output, entry.command) == (A_O, "ff00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "1\t2\t0\tx.o\tff\n",
        "# ninja log\n1\t2\t0\tx.o\tff\n",
        "# ninja log v4\n1\t2\t0\tx.o\tc++ -c x.cpp\n",
        "# ninja log vx\n1\t2\t0\tx.o\tff\n",
    ],
)
def test_what_is_no_such_log_has_no_entries(text: str) -> None:
    assert parse_log(text) == []
    assert edges_of_run("", text, began=0) == []


def test_lines_that_make_no_sense_are_passed_over() -> None:
    garbage = [
        "\n",
        "1\t2\n",
        "x\t2\t0\ty.o\tff\n",
        "9\t2\t0\tbackwards.o\tff\n",
        "1\t2\t0\t\tff\n",
        "1\t2\t0\tno-hash\n",
    ]
    assert [e.output for e in parse_log(log(*garbage, line(1, 2, A_O), "5\t70\t0\tcut sho"))] == [A_O]


def test_an_output_with_odd_characters() -> None:
    odd = "my dir/a\tb\u2028ä.cpp.o"
    assert [e.output for e in parse_log(log(line(1, 2, odd)))] == [odd]


def test_only_what_was_appended_is_of_this_run() -> None:
    before = log(line(1, 900, A_O), line(1, 950, B_O), line(951, 990, "app"))
    assert outputs(before, before + line(2, 800, B_O) + line(801, 850, "app")) == [B_O, "app"]
    assert outputs(before, before) == []


def test_a_first_run_has_no_log_before_it() -> None:
    assert outputs("", log(line(1, 900, A_O))) == [A_O]
    assert outputs(log(), log(line(1, 900, A_O))) == [A_O]


def test_appended_to_a_line_that_a_killed_run_left_unfinished() -> None:
    before = log(line(1, 900, A_O)) + "1\t95"
    assert outputs(before, before + line(2, 800, B_O)) == [B_O]


def test_a_log_that_ninja_wrote_anew_when_it_began() -> None:
    before = log(line(1, 900, A_O), line(1, 950, B_O), line(7, 80, "gone.o"), line(2, 700, A_O), line(701, 720, "app"))
    anew = log(line(701, 720, "app"), line(1, 950, B_O), line(2, 700, A_O))
    assert outputs(before, anew) == []
    assert outputs(before, anew + line(2, 810, B_O) + line(811, 830, "app")) == [B_O, "app"]


def test_a_run_that_took_exactly_as_long_as_the_last_one() -> None:
    before = log(line(1, 900, A_O), line(1, 950, B_O), line(1, 900, A_O))
    assert outputs(before, before + line(1, 900, A_O)) == [A_O]
    assert outputs(before, log(line(1, 950, B_O), line(1, 900, A_O), line(1, 900, A_O))) == [A_O]


def test_a_log_of_an_older_version_that_ninja_threw_away() -> None:
    assert outputs(log(line(1, 900, A_O), version=5), log(line(1, 880, A_O, mtime=17), version=7)) == [A_O]
    assert outputs("# ninja log v4\n1\t900\t0\tx\tc++\n", log(line(1, 880, A_O), version=7)) == [A_O]


def test_an_edge_with_two_outputs_is_one() -> None:
    after = log(line(5, 400, "libops.so"), line(5, 400, "libops.map"), line(5, 400, "other.so", command="77"))
    first, second = edges_of_run("", after, began=0)
    assert (first.name, first.outputs) == ("link libops.so", ("libops.so", "libops.map"))
    assert second.outputs == ("other.so",)


RUNNER = "runner/CMakeFiles/{}.dir/Unity/unity_0_cxx.cxx.o"


def test_times_are_on_the_monotonic_clock() -> None:
    (edge,) = edges_of_run("", log(line(250, 1750, A_O)), began=100.0)
    assert (edge.start, edge.seconds) == (100.25, 1.5)


def test_after_running_cmake_ninjas_clock_begins_again() -> None:
    configured, compiled = edges_of_run("", log(line(10, 2000, "build.ninja"), line(5, 505, A_O)), began=100.0)
    assert (configured.kind, configured.name, configured.start) == ("configure", "configure again", 100.01)
    assert (compiled.start, compiled.seconds) == (102.005, 0.5)


@pytest.mark.parametrize(
    ("output", "kind", "name"),
    [
        (A_O, "compile", "compile a.cpp for app"),
        ("sub/CMakeFiles/my.app.dir/home/user/cpp/b.cu.o", "compile", "compile b.cu for my.app"),
        ("CMakeFiles/app.dir/main.cpp.obj", "compile", "compile main.cpp for app"),
        ("CMakeFiles/ops.dir/cmake_pch.hxx.gch", "compile", "compile cmake_pch.hxx for ops"),
        (RUNNER.format("ts_runner"), "compile", "compile the runner, once for this libtorch"),
        (RUNNER.format("ts_runner_plain"), "compile", "compile what of the runner needs no libtorch"),
        ("CMakeFiles/ops.dir/cmake_device_link.o", "link", "link the device code of ops"),
        ("app", "link", "link app"),
        ("bin/app.exe", "link", "link app.exe"),
        ("lib/libops.so.1.2", "link", "link libops.so.1.2"),
        ("_C.cpython-311-x86_64-linux-gnu.so", "link", "link _C.cpython-311-x86_64-linux-gnu.so"),
        ("libts_runner.a", "link", "link libts_runner.a"),
        ("generated/table.cpp", "make", "make table.cpp"),
        ("CMakeFiles/docs", "make", "make docs"),
        ("CMakeFiles/docs.util", "make", "make docs.util"),
    ],
)
def test_kinds_and_names(output: str, kind: str, name: str) -> None:
    (edge,) = edges_of_run("", log(line(1, 2, output)), began=0)
    assert (edge.kind, edge.name) == (kind, name)


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 400, "-1", "١"])
def test_numbers_that_no_ninja_writes_are_nothing(digits: str) -> None:
    for text in (f"# ninja log v{digits}\n1\t2\t3\ta.o\tb\n", f"# ninja log v5\n0\t{digits}\t3\ta.o\tb\n"):
        edges_of_run("", text, began=0.0)
