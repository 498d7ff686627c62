"""docs/recordings: there is one of each kind, no line wraps, something always moves, and the page shows them."""

from __future__ import annotations

import re

import pytest
import recordings

MOST_SECONDS = 1.0


MADE = sorted(file.stem for file in recordings.FOLDER.iterdir())
"""Those that were recorded; ``python -m tests.recordings`` makes all of them."""


@pytest.fixture(params=MADE)
def recording(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_there_are_no_others() -> None:
    assert {"compile", "interrupted"} <= set(MADE) <= set(recordings.RECORDINGS)


def test_no_line_wraps_in_a_terminal_of_that_size(recording: str) -> None:
    head, events = recordings.read_cast(recordings.FOLDER / f"{recording}.cast")
    assert (head["version"], head["width"], head["height"]) == (2, 100, 30)
    assert recordings.widest(events) <= 100


def test_something_moves_each_second(recording: str) -> None:
    _, events = recordings.read_cast(recordings.FOLDER / f"{recording}.cast")
    assert recordings.longest_rest(events) <= MOST_SECONDS


def test_it_fits_one_screen_from_the_last_command_on(recording: str) -> None:
    _, events = recordings.read_cast(recordings.FOLDER / f"{recording}.cast")
    lines = recordings.left_over(events)
    last = max(number for number, line in enumerate(lines) if line.startswith("$ "))
    assert len(lines[last:]) <= 30


def test_no_path_of_a_machine_is_in_it(recording: str) -> None:
    text = "".join(sent for _, sent in recordings.read_cast(recordings.FOLDER / f"{recording}.cast")[1])
    assert not re.search(r"(?<![\w.])/(?!usr/bin/|dev/)\w+/", text)


def test_the_page_shows_what_they_leave() -> None:
    page = recordings.PAGE.read_text(encoding="utf-8")
    assert recordings.page_with_screens(page) == page
