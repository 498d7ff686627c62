"""The pure parts of the benchmarks, by expectations that were computed by hand. No time is asserted."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Optional

import pytest
from children import run_child

from benchmarks import environments, projects
from benchmarks.bench import configure_command
from benchmarks.case_programs import weigh
from benchmarks.cases import CASES
from benchmarks.figures import (
    AtMost,
    AtMostAbove,
    AtMostRatio,
    Holds,
    Row,
    Sample,
    cpu_ratio,
    fit_line,
    is_met,
    median_cpu,
    median_value,
    quantity,
    value_ratio,
)
from benchmarks.import_times import describe, package_times, parse_import_times
from benchmarks.measure import (
    BenchmarkError,
    alternate,
    descendants,
    memory_of,
    read_available,
    read_parents,
    rotated,
    run,
)
from benchmarks.report import (
    BEGIN,
    END,
    ratio_text,
    render_table,
    replace_between,
    row_json,
    write_markdown,
)

ROOT = Path(__file__).resolve().parents[2]
OURS = (Sample(1.0, 3.0), Sample(4.0, 2.0), Sample(2.0, 5.0))
THEIRS = (Sample(8.0, 6.0), Sample(4.0, 12.0), Sample(16.0, 4.0))


def test_median_of_wall_and_of_cpu_are_apart() -> None:
    assert (median_value(OURS), median_cpu(OURS)) == (2.0, 3.0)


def test_median_of_an_even_number_is_between_the_middle_two() -> None:
    assert median_value([Sample(v) for v in (10.0, 1.0, 3.0, 4.0)]) == 3.5


def test_no_median_of_nothing() -> None:
    assert median_value([]) is None


def test_no_cpu_median_where_a_sample_has_none() -> None:
    assert median_cpu([Sample(1.0, 1.0), Sample(1.0)]) is None


def test_two_commands_are_one_sample() -> None:
    assert Sample(1.5, 2.0) + Sample(0.25, 0.5) == Sample(1.75, 2.5)
    assert Sample(1.5, 2.0) + Sample(0.25) == Sample(1.75)


def test_ratios_are_those_of_the_medians() -> None:
    row = Row("case", "what", OURS, "peer", THEIRS)
    assert (value_ratio(row), cpu_ratio(row)) == (2.0 / 8.0, 3.0 / 6.0)


def test_no_ratio_without_a_peer() -> None:
    assert value_ratio(Row("case", "what", OURS)) is None


@pytest.mark.parametrize(
    ("limit", "met"), [(0.5, True), (0.4, False), (0.25, False)], ids=["both", "wall only", "wall just so"]
)
def test_a_ratio_is_met_by_wall_and_cpu_both(limit: float, met: bool) -> None:
    assert is_met(Row("case", "what", OURS, "peer", THEIRS, AtMostRatio(limit))) is met


@pytest.mark.parametrize(("limit", "cpu", "met"), [(0.25, 0.5, True), (0.25, 0.49, False), (0.24, 0.5, False)])
def test_cpu_may_have_a_limit_of_its_own(limit: float, cpu: float, met: bool) -> None:
    target = AtMostRatio(limit, cpu=cpu)
    assert is_met(Row("case", "what", OURS, "peer", THEIRS, target)) == met
    assert target.text("s") == f"≤ {limit:g}, CPU ≤ {cpu:g}"


def test_a_ratio_without_cpu_is_told_by_its_values() -> None:
    row = Row("case", "what", [Sample(2.0)], "peer", [Sample(4.0, 1.0)], AtMostRatio(0.5))
    assert is_met(row) is True


@pytest.mark.parametrize(("limit", "met"), [(0.5, True), (0.25, True), (0.125, False)])
def test_a_difference_is_met_by_wall_and_cpu_both(limit: float, met: bool) -> None:
    row = Row("case", "what", [Sample(1.25, 1.125)], "peer", [Sample(1.0, 1.0)], AtMostAbove(limit))
    assert is_met(row) is met


@pytest.mark.parametrize(("limit", "met"), [(2.0, True), (1.9, False)])
def test_a_bound_is_met_by_the_median(limit: float, met: bool) -> None:
    assert is_met(Row("case", "what", OURS, target=AtMost(limit))) is met


@pytest.mark.parametrize("holds", [True, False, None])
def test_a_fact_is_met_as_it_is(holds: Optional[bool]) -> None:
    assert is_met(Row("case", "what", OURS, target=Holds("so"), holds=holds)) is holds


def test_nothing_is_met_without_a_target() -> None:
    assert is_met(Row("case", "what", OURS, "peer", THEIRS)) is None


def test_line_through_points_on_a_line() -> None:
    line = fit_line([(1.0, 3.0), (2.0, 5.0), (4.0, 9.0)])
    assert (line.slope, line.intercept, line.deviation) == pytest.approx((2.0, 1.0, 0.0))


def test_line_by_least_squares() -> None:
    # means 2 and 4; sum of products (-1)(-2) + 0 + 1 * 3 = 5, of squares 2; at x = 1 the line is 1.5, 0.5 below
    line = fit_line([(1.0, 2.0), (2.0, 3.0), (3.0, 7.0)])
    assert (line.slope, line.intercept) == pytest.approx((2.5, -1.0))
    assert line.deviation == pytest.approx(0.5 / 1.5)


def test_no_line_through_one_point() -> None:
    with pytest.raises(ValueError, match="two points"):
        fit_line([(1.0, 2.0), (1.0, 3.0)])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (173.4, "s", "173 s"),
        (15.25, "s", "15.2 s"),
        (1.504, "s", "1.50 s"),
        (0.2134, "s", "0.213 s"),
        (0.02134, "s", "21.3 ms"),
        (0.00000811, "s", "8.11 µs"),
        (0.0, "s", "0 s"),
        (168.7, "KB", "169 KB"),
        (2.0, "files", "2 files"),
        (None, "s", ""),
    ],
)
def test_quantities_have_three_digits(value: Optional[float], unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize(("ratio", "text"), [(1.034, "1.03"), (0.456, "0.46"), (0.0249, "0.025"), (None, "")])
def test_ratios_have_two_decimals_or_three(ratio: Optional[float], text: str) -> None:
    assert ratio_text(ratio) == text


ROWS = (
    Row("a", "build", (Sample(2.0, 3.0),), "tool", (Sample(4.0, 4.0),), AtMostRatio(0.5)),
    Row("b", "size", (Sample(169.4),), target=AtMost(300), unit="KB"),
    Row("c", "call", (Sample(0.02),), "other", (Sample(0.01),)),
)
TABLE = """\
| what  |   ours | peer  | peer's | ratio | our CPU | peer's CPU | ratio | target   | met    |
|-------|-------:|-------|-------:|------:|--------:|-----------:|------:|----------|--------|
| build |    2 s | tool  |    4 s |  0.50 |     3 s |        4 s |  0.75 | ≤ 0.5    | **no** |
| size  | 169 KB |       |        |       |         |            |       | ≤ 300 KB | yes    |
| call  |  20 ms | other |  10 ms |  2.00 |         |            |       |          |        |"""


def test_table_is_markdown_in_columns() -> None:
    assert "\n".join(render_table(ROWS)) == TABLE


def test_json_has_every_sample() -> None:
    row = row_json(Row("case", "what", OURS, "peer", THEIRS, AtMostRatio(0.5)))
    assert row["ours"] == {
        "samples": [{"value": 1.0, "cpu": 3.0}, {"value": 4.0, "cpu": 2.0}, {"value": 2.0, "cpu": 5.0}],
        "median": 2.0,
        "median_cpu": 3.0,
    }
    assert (row["peer"]["name"], row["peer"]["median"]) == ("peer", 8.0)
    assert (row["ratio"], row["cpu_ratio"], row["target"], row["met"]) == (0.25, 0.5, "≤ 0.5", True)


def test_only_what_is_between_the_markers_is_replaced() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_between(text, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_markers_are_made_where_there_are_none() -> None:
    assert replace_between("before\n", "new") == f"before\n\n{BEGIN}\nnew\n{END}\n"


def test_markdown_file_begins_with_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "table.md"
    write_markdown(file, {"CPU": "one, 2 cores", "Python": "3.11", "commit": ""}, ROWS, ["note"])
    assert file.read_text(encoding="utf-8") == (
        f"{BEGIN}\nCPU: one, 2 cores; Python: 3.11.\n\n{TABLE}\n\n```\nnote\n```\n{END}\n"
    )


IMPORT_TIME = """\
import time: self [us] | cumulative | imported package
import time:       120 |        120 |   torchscript_build.errors
a warning between them
import time:      2000 |       2120 | torchscript_build.settings.specs
import time:       300 |        300 |     jinja2.utils
import time:      1700 |       2000 |   jinja2
"""


def test_import_times_by_package() -> None:
    modules = parse_import_times(IMPORT_TIME)
    assert [(m.name, m.own, m.cumulative) for m in modules][1] == ("torchscript_build.settings.specs", 2000, 2120)
    assert package_times(modules) == {"torchscript_build": 2120, "jinja2": 2000}


def test_import_times_in_words() -> None:
    assert describe("no-op", parse_import_times(IMPORT_TIME), count=1) == [
        "no-op: 4.1 ms of imports, 2.1 ms of them our own 2 modules; heavy: jinja2 2.0 ms",
        "     2.0 ms  torchscript_build.settings.specs",
    ]


def test_each_round_begins_with_another_side() -> None:
    assert [rotated(range(3), n) for n in range(4)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


def test_sides_are_measured_in_turns() -> None:
    order: list[str] = []

    def side(name: str) -> Sample:
        order.append(name)
        return Sample(float(len(order)))

    first, second = alternate(2, lambda: side("a"), lambda: side("b"))
    assert order == ["a", "b", "b", "a"]
    assert (first, second) == ([Sample(1.0), Sample(4.0)], [Sample(2.0), Sample(3.0)])


def test_a_process_and_all_below_it() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 10, 13: 12, 20: 1}
    assert sorted(descendants(10, parents)) == [10, 11, 12, 13]


def test_proportional_memory_of_a_process(tmp_path: Path) -> None:
    folder = tmp_path / "42"
    folder.mkdir()
    (folder / "stat").write_text("42 (a (b) c) S 7 42 42 0\n")
    (folder / "status").write_text("Name:\tx\nVmRSS:\t    2048 kB\n")
    assert read_parents(tmp_path) == {42: 7}
    assert memory_of(42, tmp_path) == 2048 * 1024
    (folder / "smaps_rollup").write_text("Rss:  2048 kB\nPss:  1024 kB\nPss_Dirty:  7 kB\n")
    assert memory_of(42, tmp_path) == 1024 * 1024
    assert memory_of(43, tmp_path) == 0


def test_available_memory(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:  3 kB\n")
    assert read_available(tmp_path) == 3072


def test_a_child_has_time_and_output(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr)"
    done = run([sys.executable, "-c", code], cwd=tmp_path, variables={}, watch_memory=True, watch_output=True)
    assert (done.output, done.errors) == ("out\n", "err\n")
    assert done.sample.value > 0
    assert done.sample.cpu
    assert done.first_output is not None
    assert done.first_output <= done.sample.value


def test_bytes_that_a_child_and_its_own_child_transfer(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(3_000_000))
    inner = "import pathlib; pathlib.Path('out').write_bytes(pathlib.Path('in').read_bytes()[:2_000_000])"
    code = f"import os, sys; os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', {inner!r}])"
    done = run([sys.executable, "-c", code], cwd=tmp_path, variables={})
    assert 3_000_000 <= done.read < 8_000_000  # and what the interpreters themselves read
    assert 2_000_000 <= done.written < 2_100_000


def test_a_child_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"exit code 3 of .*\nwhy"):
        run([sys.executable, "-c", "print('why'); exit(3)"], cwd=tmp_path, variables={})


def test_children_inherit_nothing_that_steers_a_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "MAX_JOBS",
        "CXXFLAGS",
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "TORCHSCRIPT_BUILD_JOBS",
        "PIP_PROXY",
    ):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PATH", "/usr/bin")
    environment = environments.VirtualEnvironment(tmp_path)
    variables = environment.variables(MORE="x")
    fixed = {
        "PATH",
        "VIRTUAL_ENV",
        "LANG",
        "CCACHE_DISABLE",
        "SCCACHE_RECACHE",
        "TORCHSCRIPT_BUILD_LAUNCHER",
        "TORCHSCRIPT_BUILD_VERBOSE",
        "MORE",
    }
    assert set(variables) <= {*environments.KEPT, *fixed}
    assert variables["PATH"] == f"{tmp_path}/bin:/usr/bin"
    assert environments.index_variables(environment)["PIP_PROXY"] == "1"


def test_projects_have_the_same_eight_sources(tmp_path: Path) -> None:
    names = [
        sorted(f.name for f in (write(tmp_path / write.__name__) / "cpp").iterdir())
        for write in (projects.write_ops, projects.write_extension, projects.write_scikit)
    ]
    assert len(names[0]) == 8
    assert names[0] == names[1] == names[2]


def test_a_project_that_is_there_keeps_its_times(tmp_path: Path) -> None:
    folder = projects.write_ops(tmp_path / "ops", ["definitions = []"])
    times = {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}
    projects.write_ops(tmp_path / "ops", ["definitions = []"])
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()} == times
    assert (folder / "pyproject.toml").read_text().endswith("python-module = true\ndefinitions = []\n")


def test_the_changed_source_is_one_of_them(tmp_path: Path) -> None:
    folder = projects.write_extension(tmp_path / "extension")
    before = (folder / projects.CHANGED).read_text()
    projects.change_source(folder, 0)
    assert (folder / projects.CHANGED).read_text().startswith(before + "// edit 0")


def test_apps_of_a_project(tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(b"model")
    folder = projects.write_app(tmp_path / "app", "bench-many", model, count=2)
    text = (folder / "pyproject.toml").read_text()
    assert 'packages = ["bench_many"]' in text
    assert [line for line in text.splitlines() if "bench-many-" in line] == [
        'name = "bench-many-1"',
        'name = "bench-many-2"',
    ]
    assert (folder / "small.pt").read_bytes() == b"model"


def test_the_command_that_configures_is_the_last() -> None:
    output = "+ cmake -S a -B b\n-- x\n+ /usr/bin/cmake -S 'a b' -B tree -DX=1\n+ ninja -C tree\n"
    assert configure_command(output) == ["/usr/bin/cmake", "-S", "a b", "-B", "tree", "-DX=1"]
    with pytest.raises(BenchmarkError, match="no command that configures"):
        configure_command("+ ninja -C tree\n")


def test_weight_of_a_wheel_without_its_model(tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x/models/small.pt", b"m" * 1000)
        archive.writestr("x/bin/app", b"a" * 10)
        archive.writestr("x/lib/libtorch_cpu.so", b"t")
    size, members, foreign = weigh(wheel)
    assert size == wheel.stat().st_size - 1000
    assert members == {"x/models/small.pt": 1000, "x/bin/app": 10, "x/lib/libtorch_cpu.so": 1}
    assert foreign == ["x/lib/libtorch_cpu.so"]


def test_the_command_lists_its_cases() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--list"]
    done = run_child(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(CASES)


def test_a_case_that_is_unknown_is_refused() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--only", "nothing"]
    done = run_child(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert "'nothing'" in done.stderr
