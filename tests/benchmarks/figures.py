"""What is made of measurements: medians, ratios, a line through points, and whether a target is met; all of it pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Optional, Union


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    value: float
    """Seconds of wall time, or whatever the row's unit is."""
    cpu: Optional[float] = None
    """Seconds of CPU time, user and system, of a child and its descendants."""

    def __add__(self, other: Sample) -> Sample:
        cpu = None if self.cpu is None or other.cpu is None else self.cpu + other.cpu
        return Sample(self.value + other.value, cpu)


@dataclass(frozen=True)
class AtMostRatio:
    """Ours is at most this part of the peer's, in wall time and in CPU time."""

    limit: float
    words: str = ""
    cpu: Optional[float] = None
    """The limit for CPU time, where that is another one."""

    def text(self, unit: str) -> str:
        """As it stands in the table."""
        more = f", CPU ≤ {self.cpu:g}" if self.cpu is not None else ""
        return f"≤ {self.words or format(self.limit, 'g')}{more}"


@dataclass(frozen=True)
class AtMostAbove:
    """Ours is at most this much more than the peer's, in wall time and in CPU time."""

    limit: float

    def text(self, unit: str) -> str:
        """As it stands in the table."""
        return f"≤ {quantity(self.limit, unit)} above"


@dataclass(frozen=True)
class AtMost:
    """Ours is at most this, whatever others do."""

    limit: float

    def text(self, unit: str) -> str:
        """As it stands in the table."""
        return f"≤ {quantity(self.limit, unit)}"


@dataclass(frozen=True)
class Holds:
    """Something that is the case or is not."""

    words: str

    def text(self, unit: str) -> str:
        """As it stands in the table."""
        return self.words


Target = Union[AtMostRatio, AtMostAbove, AtMost, Holds]


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    case: str
    what: str
    ours: Sequence[Sample]
    peer: str = ""
    """What the peer is, in a few words."""
    theirs: Sequence[Sample] = ()
    target: Optional[Target] = None
    unit: str = "s"
    holds: Optional[bool] = None
    """The answer to a target that is a ``Holds``."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further measurements, for the JSON file."""


@dataclass(frozen=True)
class Outcome:
    """What a case found."""

    rows: Sequence[Row]
    notes: Sequence[str] = ()
    """Lines that stand below the table."""


def median_value(samples: Sequence[Sample]) -> Optional[float]:
    """The median of the values; ``None`` without samples."""
    return median(s.value for s in samples) if samples else None


def median_cpu(samples: Sequence[Sample]) -> Optional[float]:
    """The median of CPU times; ``None`` unless every sample has one."""
    times = [s.cpu for s in samples if s.cpu is not None]
    return median(times) if times and len(times) == len(samples) else None


def ratio(ours: Optional[float], theirs: Optional[float]) -> Optional[float]:
    """Ours in units of the peer's."""
    return ours / theirs if ours is not None and theirs else None


def value_ratio(row: Row) -> Optional[float]:
    """The ratio of the medians of values."""
    return ratio(median_value(row.ours), median_value(row.theirs))


def cpu_ratio(row: Row) -> Optional[float]:
    """The ratio of the medians of CPU times."""
    return ratio(median_cpu(row.ours), median_cpu(row.theirs))


def is_met(row: Row) -> Optional[bool]:
    """Is the row's target met? ``None`` without a target or without what it takes to tell."""
    target = row.target
    if target is None:
        return None
    if isinstance(target, Holds):
        return row.holds
    ours = (median_value(row.ours), median_cpu(row.ours))
    theirs = (median_value(row.theirs), median_cpu(row.theirs))
    if isinstance(target, AtMost):
        return None if ours[0] is None else ours[0] <= target.limit
    limits = (target.limit, target.limit)
    if isinstance(target, AtMostRatio) and target.cpu is not None:
        limits = (target.limit, target.cpu)
    pairs = [(a, b, limit) for a, b, limit in zip(ours, theirs, limits) if a is not None and b is not None]
    if not pairs:
        return None
    if isinstance(target, AtMostRatio):
        return all(a <= limit * b for a, b, limit in pairs)
    return all(a - b <= limit for a, b, limit in pairs)


@dataclass(frozen=True)
class Line:
    """A straight line through points, by least squares."""

    slope: float
    intercept: float
    deviation: float
    """The largest distance of a point from the line, as a part of the line's value there."""


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """The line through at least two points with different x and y above 0, whose distances count as parts of y.

    A hundredth of the largest point is noise, and more than a third of one that is 32 times as small.

    :raises ValueError: there are no such points.
    """
    if len({x for x, _ in points}) < 2:
        raise ValueError("a line needs two points")
    weighted = [(x, y, 1 / y**2) for x, y in points]
    total = sum(weight for _, _, weight in weighted)
    mean_x = sum(weight * x for x, _, weight in weighted) / total
    mean_y = sum(weight * y for _, y, weight in weighted) / total
    spread = sum(weight * (x - mean_x) ** 2 for x, _, weight in weighted)
    slope = sum(weight * (x - mean_x) * (y - mean_y) for x, y, weight in weighted) / spread
    intercept = mean_y - slope * mean_x
    deviation = max(abs(y - (intercept + slope * x)) / abs(intercept + slope * x) for x, y in points)
    return Line(slope, intercept, deviation)


def quantity(value: Optional[float], unit: str) -> str:
    """A number with its unit and three significant digits: ``0.0213`` seconds → ``21.3 ms``."""
    if value is None:
        return ""
    if unit == "s":
        for factor, name in ((1.0, "s"), (1e3, "ms")):
            if not value or abs(value) * factor >= 0.1:
                return f"{_digits(value * factor)} {name}"
        return f"{_digits(value * 1e6)} µs"
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    """Three significant digits, never an exponent; a count or a nought as it is."""
    if value == int(value) and abs(value) < 100:
        return str(int(value))
    decimals = next((d for d, least in ((0, 100), (1, 10), (2, 1)) if abs(value) >= least), 3)
    return f"{value:.{decimals}f}"
