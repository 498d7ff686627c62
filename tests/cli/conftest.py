"""The command line in this process, on a machine whose only libtorch is the tiny one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def cli(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process's environment is the one with the tiny libtorch."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
