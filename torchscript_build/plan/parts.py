"""The folders of a wheel for several series of torch: ``my_package/lib/torch2.13/libmy_ops.so``."""

from __future__ import annotations

import re

_PART = re.compile(r"torch\d+\.\d+")


def series_folder(series: str) -> str:
    """The folder of what is for one series."""
    return f"torch{series}"


def part_of(path: str) -> str:
    """The folder of the series that a file of the package tree is for; empty for what is for any."""
    return next((folder for folder in path.split("/")[:-1] if _PART.fullmatch(folder)), "")
