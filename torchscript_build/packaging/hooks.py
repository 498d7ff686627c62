"""What setuptools calls in every build of an environment: looks whether the project opted in, and else does nothing.

Imports nothing before it knows; see DESIGN, "We are a guest in every build of an environment".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchscript_build.packaging.distribution import KEYWORDS, NEAR_KEYWORDS, setup_elsewhere

if TYPE_CHECKING:
    from setuptools import Distribution

TABLE_HINT = b"torchscriptbuild"
"""In a pyproject.toml without hyphens, underscores and capitals."""


def check_keyword(dist: Distribution, keyword: str, value: object) -> None:
    """setup() was given one of our keywords. The values are checked with all others, when a command needs them."""


def finalize_distribution(dist: Distribution) -> None:
    """Add our commands to a project that opted in, by a keyword or a table in pyproject.toml.

    setuptools calls this once for setup()'s keywords and once more after pyproject.toml has been applied.
    """
    if not _opted_in(dist):
        return
    from torchscript_build.packaging.wiring import wire

    wire(dist)


def _opted_in(dist: Distribution) -> bool:
    if any(getattr(dist, keyword, None) is not None for keyword in NEAR_KEYWORDS):
        return True
    if any(getattr(dist, keyword, None) for keyword in KEYWORDS):
        return True
    return any(_has_table(folder) for folder in (".", setup_elsewhere()) if folder)


def _has_table(folder: str) -> bool:
    """Has a pyproject.toml our table, or one that can only be meant as ours?"""
    try:
        with open(f"{folder}/pyproject.toml", "rb") as file:
            text = file.read()
    except OSError:
        return False
    if TABLE_HINT not in text.lower().replace(b"-", b"").replace(b"_", b""):
        return False
    from torchscript_build.settings.read import is_opted_in

    return is_opted_in(text.decode("utf-8", errors="replace"))
