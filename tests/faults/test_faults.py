"""Short seeded runs of the harness; the long ones are run by hand, see docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.__main__ import run
from faults.figures import Figure, render
from faults.fuzz import fuzz_reader
from faults.readers import READERS
from faults.world import make_world, phase_of

pytestmark = pytest.mark.slow


def succeeded(figures: list[Figure]) -> None:
    assert not any(figure.failures for figure in figures), render(figures)


@pytest.mark.compile
def test_builds_that_are_killed_crowded_and_starved(tmp_path: Path) -> None:
    figures = run(make_world(tmp_path), seed=1, minutes=30, kills=12)
    succeeded(figures)
    assert sum(figure.rounds for figure in figures if figure.name.startswith("killed ")) >= 12


@pytest.mark.parametrize("reader", READERS)
def test_readers_of_malformed_files(reader: str) -> None:
    figure = fuzz_reader(reader, seed=1, inputs=300)
    succeeded([figure])
    assert figure.rounds == 300


def test_the_phase_of_a_build_is_what_it_printed_last() -> None:
    output = "running build_ts_app\n+ /usr/bin/cmake -S a -B b\n-- Configuring done\n"
    assert phase_of("") == "find"
    assert phase_of(output) == "configure"
    assert phase_of(output + "+ /usr/bin/ninja -C b\n") == "build"
    assert phase_of(output + "+ /usr/bin/ninja -C b\n+ python a/models/child/__main__.py x\n") == "export"
    assert phase_of(output + "running install\nrunning install_lib\n") == "package"
