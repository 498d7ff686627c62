"""Pictures of results; a child in an environment that has matplotlib: ``plot.py RESULTS.json PICTURE.svg``.

The picture has the ratios; where a case of growth was measured, ``PICTURE-growth.svg`` has its curves.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WALL, CPU, TARGET = "#3b6ea5", "#9db8d4", "#c0392b"


def main(results: str, picture: str) -> None:
    """Draw what the results have."""
    rows = json.loads(Path(results).read_text(encoding="utf-8"))["rows"]
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "torchscript-build"  # the same results, the same bytes
    pyplot = importlib.import_module("matplotlib.pyplot")
    compared = [row for row in rows if row["ratio"] and row["target_kind"] != "AtMostAbove"]
    grown = [row for row in rows if "points" in row["details"]]
    if compared:
        draw_ratios(pyplot, compared).savefig(picture, metadata={"Date": None})
    if grown:
        file = Path(picture)
        draw_growth(pyplot, grown).savefig(file.with_name(f"{file.stem}-growth.svg"), metadata={"Date": None})


def draw_ratios(pyplot: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Bars for each row with a ratio that counts: wall time, CPU time, and the target as a line."""
    figure, axes = pyplot.subplots(figsize=(10, 1.2 + 0.45 * len(rows)), layout="constrained")
    for place, row in enumerate(rows):
        draw(axes, len(rows) - place, row)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    names = [f"{row['what']}\nagainst {row['peer']['name']}" for row in rows]
    axes.set_yticks(range(len(rows), 0, -1), names, fontsize=7)
    axes.set_xlabel("ours / the peer's (less is better)")
    for color, width, name in ((WALL, 6, "wall time, or size"), (CPU, 6, "CPU time"), (TARGET, 2, "target")):
        axes.plot([], [], color=color, linewidth=width, label=name)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    return figure


def draw(axes: Any, height: float, row: Mapping[str, Any]) -> None:
    """One row's bars and target."""
    axes.barh(height + 0.18, row["ratio"], 0.34, color=WALL)
    if row["cpu_ratio"]:
        axes.barh(height - 0.18, row["cpu_ratio"], 0.34, color=CPU)
    if row["target_kind"] == "AtMostRatio":
        axes.plot([row["target_limit"]] * 2, [height - 0.42, height + 0.42], color=TARGET, linewidth=2)


def draw_growth(pyplot: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    """A curve for each row: seconds over what grows."""
    figure, places = pyplot.subplots(1, len(rows), figsize=(3.6 * len(rows), 3), layout="constrained", squeeze=False)
    for axes, row in zip(places[0], rows):
        points = row["details"]["points"]
        sizes = [point["n"] for point in points]
        axes.plot(sizes, [point["wall"] for point in points], "o-", color=WALL, label="wall time")
        axes.plot(sizes, [point["cpu"] for point in points], "o--", color=CPU, label="CPU time")
        axes.set_title(row["what"].partition(":")[0].partition(",")[0], fontsize=8)
        axes.set_xlabel("N", fontsize=8)
        axes.set_ylabel("s", fontsize=8)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
    places[0][0].legend(fontsize=7)
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
