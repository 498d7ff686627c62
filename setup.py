"""Everything is declared in pyproject.toml; this file is what ``python setup.py build_ts_app`` starts."""

from setuptools import setup

setup()
