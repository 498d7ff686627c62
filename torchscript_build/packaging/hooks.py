"""What setuptools calls in every build of an environment: looks whether the project opted in, and else does nothing.

Imports nothing before it knows; see DESIGN, "We are a guest in every build of an environment".
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setuptools import Distribution

KEYWORDS = ("ts_models", "ts_ops", "ts_apps", "ts_cmake")
TABLE_HINT = b"torchscript-build"


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
    if any(getattr(dist, keyword, None) for keyword in KEYWORDS):
        return True
    try:
        with open("pyproject.toml", "rb") as file:
            text = file.read()
    except OSError:
        return False
    if TABLE_HINT not in text:
        return False
    from torchscript_build.settings import is_opted_in

    return is_opted_in(text.decode("utf-8", errors="replace"))


def is_collecting_requirements(dist: Any) -> bool:
    """Is this PEP 517's get_requires_for_build_…? There setuptools puts its own class in Distribution's place."""
    build_meta = sys.modules.get("setuptools.build_meta")
    return build_meta is not None and isinstance(dist, getattr(build_meta, "Distribution", ()))
