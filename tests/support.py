"""What tests of all rooms need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write(path: Path, content: str = "") -> Path:
    """Write a small text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def stub(path: Path, *lines: str) -> Path:
    """A program that is a few lines of shell."""
    write(path, "\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return path


def words(problems: Sequence[str], *wanted: str) -> bool:
    """Does one of the problems have all the words?"""
    return any(all(word in problem for word in wanted) for problem in problems)
