"""The command: ``python -m tests.faults --seed N --minutes M``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .crowds import in_one_folder, on_one_cache
from .environments import fill_disks, run_cases
from .figures import Figure, render
from .kills import Killer
from .world import World, make_world


def run(world: World, *, seed: int, minutes: float, kills: int, kills_alone: bool = False) -> list[Figure]:
    """Crowds, environments and full disks once; then kills, for as long as there is time.

    :param kills: those that hit a build that still ran; others count as none.
    """
    until = time.monotonic() + 60 * minutes
    first = () if kills_alone else (on_one_cache, in_one_folder, run_cases, fill_disks)
    figures = [part(world) for part in first]
    killer = Killer(world, seed)
    rounds = 0
    while rounds < kills and time.monotonic() < until:
        try:
            failure = killer.round()
        except KeyboardInterrupt:  # enough: the table of what was done
            break
        rounds = sum(f.rounds for f in killer.figures.values())
        each = ", ".join(f"{f.rounds} {name}" for name, f in killer.figures.items())
        print(f"\n{failure}" if failure else f"\r{rounds} kills: {each}", end="", file=sys.stderr)
    return [*figures, *killer.figures.values(), killer.signals]


def main() -> int:
    """Parse the options, run, print the table; exit code 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kills", type=int, default=100_000, help="no more rounds after so many kills")
    parser.add_argument("--kills-alone", action="store_true", help="leave crowds, environments and full disks out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        figures = run(make_world(Path(folder)), **vars(options))
    print("\n" + render(figures))
    return 1 if any(figure.failures for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
