"""A picture of the ratios; a child in an environment that has matplotlib: ``plot.py RESULTS.json PICTURE.svg``."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main(results: str, picture: str) -> None:
    """Draw a bar for each row that has a ratio: wall time, CPU time, and the target as a line."""
    rows = [row for row in json.loads(Path(results).read_text(encoding="utf-8"))["rows"] if row["ratio"]]
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "torchscript-build"  # the same results, the same bytes
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(10, 1.2 + 0.45 * len(rows)), layout="constrained")
    for place, row in enumerate(rows):
        draw(axes, len(rows) - place, row, first=place == 0)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(
        range(len(rows), 0, -1), [f"{row['what']}\nagainst {row['peer']['name']}" for row in rows], fontsize=7
    )
    axes.set_xlabel("ours / the peer's (less is better)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 1.5 / (len(rows) + 2)), ncols=3, fontsize=8)
    figure.savefig(picture, metadata={"Date": None})


def draw(axes: Any, height: float, row: Mapping[str, Any], *, first: bool) -> None:
    """One row's bars and target; the first row's have the legend's names."""
    axes.barh(height + 0.18, row["ratio"], 0.34, color="#3b6ea5", label="wall time, or size" if first else None)
    if row["cpu_ratio"]:
        axes.barh(height - 0.18, row["cpu_ratio"], 0.34, color="#9db8d4", label="CPU time" if first else None)
    if row["target_kind"] == "AtMostRatio":
        label = "target" if first else None
        axes.plot([row["target_limit"]] * 2, [height - 0.42, height + 0.42], color="#c0392b", linewidth=2, label=label)


if __name__ == "__main__":
    main(*sys.argv[1:])
