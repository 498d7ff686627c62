"""A model of a gigabyte: exported, built, compared, run in the memory that its weights take; by hand: ``-m large``."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from children import clean_variables, peak_of
from gallery_project import build
from small_projects import write_project

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.large]

SETTINGS = """\
[[tool.torchscript-build.model]]
name = "large"
factory = "demo.model:large"
method = "trace"
example-inputs = ["rand:1x16384"]
check-inputs = [["rand:2x16384"]]

[[tool.torchscript-build.app]]
name = "large"
models = ["large"]
verify = true
"""
FACTORY = """\
from torch import nn


def large():
    return nn.Sequential(nn.Linear(16384, 16384), nn.ReLU(), nn.Linear(16384, 4))
"""
SIZE = 4 * (16384 * 16384 + 16384 * 4 + 16384 + 4)
"""Bytes of its weights."""


def test_a_gigabyte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = write_project(tmp_path / "project", SETTINGS, files={"demo/model.py": FACTORY})
    seconds = [time.monotonic()]
    built = build(project, clean_variables())
    seconds.append(time.monotonic())
    assert [float(native) <= 1e-5 for _, native in built.rows.values()] == [True, True]
    file = built.file("models/large.pt")
    assert SIZE < file.stat().st_size < SIZE + 100_000
    again = build(project, built.variables)
    seconds.append(time.monotonic())
    assert not re.search("-- compare|is made again", again.output)
    program = str(built.file("tree/out/demo/bin/large"))
    peaks = [peak_of([program, *words]) - SIZE for words in (["--input", "rand:1x16384"], ["--info"])]
    steps = [round(b - a, 1) for a, b in zip(seconds, seconds[1:])]
    with capsys.disabled():
        print(f"\nbuild, and again: {steps} s; memory besides its weights: {[p >> 20 for p in peaks]} MB")
    assert max(peaks) < SIZE // 2
