"""Cases of growth: what one more project, source or megabyte costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import projects
from .bench import Bench
from .case_models import large_model
from .figures import AtMost, Outcome, Row, Sample, fit_line, median_cpu, median_value, quantity
from .measure import alternate


def monorepo(bench: Bench) -> Outcome:
    """Many projects of one repository, built one after the other in fresh build folders."""
    bench.app()  # so that the runner is compiled
    counts = (1, 4) if bench.quick else (1, 8, 32)
    root = bench.work / "monorepo"

    def build(count: int) -> Sample:
        projects.fresh(root)
        total = Sample(0.0, 0.0)
        for number in range(count):
            project = projects.write_app(root / f"project-{number}", f"bench-mono-{number}", bench.model)
            total += bench.run_ours(bench.setup_ours("build_ts_app"), project).sample
        return total

    build(1)  # what only the first one meets, a file system's caches for one, is no part of the line
    samples = alternate(1, *(lambda n=n: build(n) for n in counts), label="monorepo")
    by_count = dict(zip(counts, samples))
    line = fit_line([(count, median_value(found) or 0.0) for count, found in by_count.items()])
    what = f"N projects of one repository, N = {', '.join(map(str, counts))}"
    details = {"points": points_of(by_count)}
    return Outcome(
        [
            Row("monorepo", f"{what}: each further one", [Sample(line.slope)], target=AtMost(1.0), details=details),
            Row(
                "monorepo",
                f"{what}: largest distance from the line",
                [Sample(100 * line.deviation)],
                target=AtMost(10),
                unit="%",
            ),
        ]
    )


def growing_models(bench: Bench) -> Outcome:
    """Apps of ready models of 1 MB to 2 GB; measured only where it is named."""
    bench.app()  # so that the runner is compiled

    def build(megabytes: int) -> Sample:
        file = large_model(bench, megabytes * 10**6)
        project = projects.write_app(projects.fresh(bench.work / "growth"), "bench-growth", file)
        sample = bench.run_ours(bench.setup_ours("build_ts_app"), project).sample
        file.unlink()
        return sample

    sizes = (1, 10) if bench.quick else (1, 8, 64, 512, 2000)
    return Outcome([grown("growing-models", "app of a ready model of N megabytes", sizes, build)])


def growing_ops(bench: Bench) -> Outcome:
    """Operator libraries of 1 to 64 sources with torch/extension.h; measured only where it is named."""

    def build(count: int) -> Sample:
        project = projects.write_many_ops(projects.fresh(bench.work / "many-ops"), count)
        return bench.run_ours(bench.setup_ours("build_ts_ops"), project).sample

    sizes = (1, 4) if bench.quick else (1, 4, 16, 64)
    return Outcome([grown("growing-ops", "operator library of N sources", sizes, build)])


def grown(case: str, what: str, sizes: Sequence[int], build: Callable[[int], Sample]) -> Row:
    """A row for the largest size, with all sizes in its details."""
    by_size = {size: [build(size)] for size in sizes}
    told = ", ".join(f"{size}: {quantity(median_value(found), 's')}" for size, found in by_size.items())
    return Row(case, f"{what}: {told}", by_size[sizes[-1]], details={"points": points_of(by_size)})


def points_of(by_size: dict[int, list[Sample]]) -> list[dict[str, float | None]]:
    """What a picture needs of the medians."""
    return [{"n": n, "wall": median_value(s), "cpu": median_cpu(s)} for n, s in by_size.items()]
