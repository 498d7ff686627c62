"""The command: ``python -m tests.benchmarks``."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from . import report
from .bench import Bench
from .cases import CASES, ONLY_NAMED, list_cases
from .environments import VirtualEnvironment, create, create_environments, torch_facts
from .figures import Row
from .machine import describe_machine
from .measure import BenchmarkError, run, say

ROOT = Path(__file__).resolve().parents[2]


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure torchscript-build and its peers in the same run, in turns; print medians and ratios. "
        "Environments are made with venv and pip. The exit code says whether it could be measured, "
        "not whether targets are met.",
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that everything runs")
    parser.add_argument(
        "--rounds",
        type=positive,
        metavar="N",
        help="rounds of each case (3; 1 of those with eight sources; quick: 2 and 1)",
    )
    parser.add_argument("--only", nargs="+", choices=list(CASES), metavar="NAME", help="these cases")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="keep environments and projects here, and use them again"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table between this file's markers")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the ratios; installs matplotlib")
    parser.add_argument(
        "--ops-setting",
        action="append",
        default=[],
        metavar="LINE",
        help="a further line for the table of our operator library: 'compile-options = [\"-O1\"]'",
    )
    return parser


def positive(text: str) -> int:
    """A count of at least 1."""
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Measure, print, write; returns the exit code."""
    options = make_parser().parse_args(arguments)
    if options.list:
        print("\n".join(list_cases()))
        return 0
    try:
        with work_folder(options.work) as work:
            problems = measure(options, work)
    except BenchmarkError as error:
        problems = [str(error)]
    for problem in problems:
        say(f"error: {problem}")
    return 1 if problems else 0


@contextlib.contextmanager
def work_folder(named: Optional[Path]) -> Iterator[Path]:
    """The folder that was named, else one that is removed in the end."""
    if named:
        named.mkdir(parents=True, exist_ok=True)
        yield named.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="torchscript-build-benchmarks-") as folder:
            yield Path(folder).resolve()


def measure(options: argparse.Namespace, work: Path) -> list[str]:
    """Everything between options and results; what went wrong is returned, and the other cases' results are written.

    :raises BenchmarkError: there is nothing to measure with.
    """
    ours, peers = create_environments(work, ROOT)
    bench = Bench(
        work,
        ours,
        peers,
        torch_facts(ours, work),
        torch_facts(peers, work),
        quick=options.quick,
        rounds=options.rounds or (2 if options.quick else 3),
        ops_rounds=options.rounds or 1,
        ops_settings=options.ops_setting,
    )
    machine = describe_machine(bench, ROOT)
    rows: list[Row] = []
    notes: list[str] = []
    problems = []
    for name, case in CASES.items():
        if name in options.only if options.only else name not in ONLY_NAMED:
            say(f"{name}: {(case.__doc__ or '').splitlines()[0]}")
            try:
                outcome = case(bench)
            except BenchmarkError as error:
                problems.append(f"{name}: {error}")
                continue
            rows += outcome.rows
            notes += outcome.notes
    print(report.render_text(machine, rows, notes), end="")
    content = report.to_json(machine, rows, notes)
    if options.json:
        report.write_json(options.json, content)
    if options.markdown:
        report.write_markdown(options.markdown, machine, rows, notes)
    if options.plot:
        draw(options.plot.resolve(), work, content)
    return problems


def draw(picture: Path, work: Path, content: dict[str, object]) -> None:
    """Draw the picture with the matplotlib of an environment of its own."""
    environment = VirtualEnvironment(work / "environments/plot")
    create(environment, ["matplotlib"])
    results = work / "results.json"
    report.write_json(results, content)
    script = Path(__file__).with_name("plot.py")
    run([environment.python, script, results, picture], cwd=work, variables=environment.variables())


if __name__ == "__main__":
    sys.exit(main())
