"""A pytest plugin: which tests there are before ``-m`` chooses, and why some cannot run in a Python without torch."""

from __future__ import annotations

import importlib.util
import sys

import pytest

COLLECTED = pytest.StashKey[list[pytest.Item]]()
BY_HAND = ("network", "gpu", "conda", "distributed", "large")
"""The markers of tests that need what not every machine has; all others are in the quick or in the slow tier."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember what was collected before ``-m`` chooses, and skip what needs torch where there is none."""
    config.stash[COLLECTED] = list(items)
    if importlib.util.find_spec("torch") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        skip = pytest.mark.skip(reason=f"torch is not installed for this Python {version}")
        for item in items:
            if item.get_closest_marker("torch"):
                item.add_marker(skip)
