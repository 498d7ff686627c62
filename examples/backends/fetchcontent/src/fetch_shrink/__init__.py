"""A program in a Python package."""

from pathlib import Path

PROGRAM = Path(__file__).parent / "bin" / "shrink"
