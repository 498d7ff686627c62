"""What is printed and written: the table, JSON, Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from .figures import Row, cpu_ratio, is_met, median_cpu, median_value, quantity, value_ratio

BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
HEAD = ("what", "ours", "peer", "peer's", "ratio", "our CPU", "peer's CPU", "ratio", "target", "met")


def render_table(rows: Sequence[Row]) -> list[str]:
    """A Markdown table whose columns are aligned, so that it can be read as it is."""
    cells = [HEAD, *map(row_cells, rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    left = {0, 2, 8, 9}

    def line(words: Sequence[str]) -> str:
        aligned = (w.ljust(n) if i in left else w.rjust(n) for i, (w, n) in enumerate(zip(words, widths)))
        return f"| {' | '.join(aligned)} |"

    rule = "|".join("-" * (n + 2) if i in left else "-" * (n + 1) + ":" for i, n in enumerate(widths))
    return [line(HEAD), f"|{rule}|", *map(line, cells[1:])]


def row_cells(row: Row) -> tuple[str, ...]:
    """The cells of one line."""
    return (
        row.what,
        quantity(median_value(row.ours), row.unit),
        row.peer,
        quantity(median_value(row.theirs), row.unit),
        ratio_text(value_ratio(row)),
        quantity(median_cpu(row.ours), "s"),
        quantity(median_cpu(row.theirs), "s"),
        ratio_text(cpu_ratio(row)),
        row.target.text(row.unit) if row.target else "",
        {True: "yes", False: "**no**", None: ""}[is_met(row)],
    )


def ratio_text(ratio: Optional[float]) -> str:
    """Two decimals, three below a tenth."""
    if ratio is None:
        return ""
    return f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}"


def render_machine(machine: Mapping[str, str]) -> str:
    """One line."""
    return "; ".join(f"{name}: {words}" for name, words in machine.items() if words)


def render_text(machine: Mapping[str, str], rows: Sequence[Row], notes: Sequence[str]) -> str:
    """All that is printed."""
    return "\n".join([render_machine(machine), "", *render_table(rows), *(["", *notes] if notes else []), ""])


def to_json(machine: Mapping[str, str], rows: Sequence[Row], notes: Sequence[str]) -> dict[str, Any]:
    """Every measurement."""
    return {"machine": dict(machine), "rows": [row_json(row) for row in rows], "notes": list(notes)}


def row_json(row: Row) -> dict[str, Any]:
    """A row with all its samples, medians, ratios and its verdict."""
    return {
        "case": row.case,
        "what": row.what,
        "unit": row.unit,
        "ours": side_json(row, "ours"),
        "peer": {"name": row.peer, **side_json(row, "theirs")} if row.theirs else None,
        "ratio": value_ratio(row),
        "cpu_ratio": cpu_ratio(row),
        "target": row.target.text(row.unit) if row.target else None,
        "target_limit": getattr(row.target, "limit", None),
        "target_kind": type(row.target).__name__ if row.target else None,
        "met": is_met(row),
        "details": dict(row.details),
    }


def side_json(row: Row, side: str) -> dict[str, Any]:
    """One side's samples and medians."""
    samples = getattr(row, side)
    return {
        "samples": [{"value": s.value, "cpu": s.cpu} for s in samples],
        "median": median_value(samples),
        "median_cpu": median_cpu(samples),
    }


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def replace_between(text: str, content: str) -> str:
    """The text with new content between the markers; without markers, the content between markers after the text."""
    block = f"{BEGIN}\n{content.strip()}\n{END}"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return before + block + after
    return (text.rstrip("\n") + "\n\n" if text.strip() else "") + block + "\n"


def write_markdown(file: Path, machine: Mapping[str, str], rows: Sequence[Row], notes: Sequence[str]) -> None:
    """Put the machine and the table between the markers of a Markdown file; what stands around them stays."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = [render_machine(machine) + ".", "", *render_table(rows)]
    if notes:
        lines += ["", "```", *notes, "```"]
    file.write_text(replace_between(text, "\n".join(lines)), encoding="utf-8")
