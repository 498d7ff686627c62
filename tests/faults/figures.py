"""What was tried, how often it failed, and the worst that was seen; as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Figure:
    """One line of the table."""

    name: str
    rounds: int = 0
    failures: list[str] = field(default_factory=list)
    worst_seconds: float = 0.0
    worst_megabytes: float = 0.0

    def add(self, failure: str | None, seconds: float, megabytes: float = 0.0) -> None:
        """One more round."""
        self.rounds += 1
        if failure:
            self.failures.append(failure)
        self.worst_seconds = max(self.worst_seconds, seconds)
        self.worst_megabytes = max(self.worst_megabytes, megabytes)


def render(figures: Iterable[Figure]) -> str:
    """The table, as docs/reliability.md has it; the failures below it."""
    figures = list(figures)
    lines = ["| what | rounds | failures | longest | most memory |", "|---|---|---|---|---|"]
    for f in figures:
        memory = f"{f.worst_megabytes:.0f} MB" if f.worst_megabytes else "–"
        lines.append(f"| {f.name} | {f.rounds} | {len(f.failures)} | {f.worst_seconds:.1f} s | {memory} |")
    lines += [f"{f.name}: {failure}" for f in figures for failure in f.failures]
    return "\n".join(lines)
