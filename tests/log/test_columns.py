"""Text for a terminal: folded between words, quotations cut, commands whole, colours of no width."""

from __future__ import annotations

import pytest

from torchscript_build.log.columns import cut, fold, plain

RED, END = "\x1b[01;31m\x1b[K", "\x1b[m\x1b[K"


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("", [""]),
        ("it fits", ["it fits"]),
        ("one two three four five", ["one two three four", "  five"]),
        ("  - one two three four five", ["  - one two three", "    four five"]),
        ("    why: one two three four", ["    why: one two", "      three four"]),
        ("a_single_word_that_is_longer_than_that", ["a_single_word_that_is_longer_than_that"]),
        ("see a_single_word_that_is_longer_than_that", ["see", "  a_single_word_that_is_longer_than_that"]),
        ("    - pip install 'torch==2.13.0' numpy", ["    - pip install 'torch==2.13.0' numpy"]),
        ("   12 |   return input.div(limit);", ["   12 |   return in…"]),
        ("      |                ^~~~~~", ["      |            …"]),
        (f"{RED}error:{END} one two three", [f"{RED}error:{END} one two three"]),
    ],
)
def test_a_line_is_folded_to_twenty_columns(line: str, parts: list[str]) -> None:
    assert fold(line, 20) == parts


def test_a_cut_line_ends_its_colours() -> None:
    assert cut(f"ab{RED}cdef{END}gh", 5) == f"ab{RED}cd…{END}"
    assert plain(f"ab{RED}cdef{END}gh") == "abcdefgh"
