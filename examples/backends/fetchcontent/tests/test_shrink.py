import subprocess

from fetch_shrink import PROGRAM


def test_values_are_moved_towards_zero() -> None:
    assert subprocess.check_output([PROGRAM, "1", "-3", "0.5", "2"], encoding="utf-8") == "-2\n0\n1\n"
