"""A picture of the ratios; a child in an environment that has matplotlib: ``plot.py RESULTS.json PICTURE.svg``."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WALL, CPU, TARGET = "#3b6ea5", "#9db8d4", "#c0392b"


def main(results: str, picture: str) -> None:
    """Draw bars for each row with a ratio that counts: wall time, CPU time, and the target as a line."""
    rows = json.loads(Path(results).read_text(encoding="utf-8"))["rows"]
    rows = [row for row in rows if row["ratio"] and row["target_kind"] != "AtMostAbove"]
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "torchscript-build"  # the same results, the same bytes
    pyplot = importlib.import_module("matplotlib.pyplot")
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
    figure.savefig(picture, metadata={"Date": None})


def draw(axes: Any, height: float, row: Mapping[str, Any]) -> None:
    """One row's bars and target."""
    axes.barh(height + 0.18, row["ratio"], 0.34, color=WALL)
    if row["cpu_ratio"]:
        axes.barh(height - 0.18, row["cpu_ratio"], 0.34, color=CPU)
    if row["target_kind"] == "AtMostRatio":
        axes.plot([row["target_limit"]] * 2, [height - 0.42, height + 0.42], color=TARGET, linewidth=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
