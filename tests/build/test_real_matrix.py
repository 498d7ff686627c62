"""The runner and the minimal app, built and run against real libtorches of all ages; by hand: ``pytest -m network``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from children import clean_variables, run_python
from small_projects import write_project

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.torch]

RELEASES = ("1.8.1", "1.13.1", "2.1.2", "2.6.0", "2.7.1", "2.15.0")
SETTINGS = """\
[[tool.torchscript-build.model]]
name = "small"
factory = "demo.small:make"
method = "trace"
example-inputs = ["ones:1x3x8x8"]

[[tool.torchscript-build.app]]
name = "runner-app"
models = ["small"]
install = false

[[tool.torchscript-build.app]]
name = "minimal-app"
template = "minimal"
models = ["small"]
arguments = ["{model}", "1", "3", "8", "8"]
install = false
"""
MODEL = """\
from torch import nn


def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
"""


@pytest.mark.parametrize("release", RELEASES)
def test_release_is_fetched_built_against_and_run(release: str, tmp_path: Path) -> None:
    cache = os.environ.get("TORCHSCRIPT_BUILD_TEST_CACHE", os.fspath(tmp_path / "cache"))
    variables = clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=cache)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    fetch = ["-m", "torchscript_build", "fetch", release, "--with-cuda-libraries"]
    fetched = run_python(*fetch, cwd=tmp_path, variables={**variables, **pip})
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    project = write_project(tmp_path / "project", SETTINGS, files={"demo/small.py": MODEL})
    command = ["-m", "torchscript_build", "matrix", "--run", "--results", "rows.json", f"fetched:{release}"]
    run_python(*command, cwd=project, variables=variables)
    (row,) = json.loads((project / "rows.json").read_text(encoding="utf-8"))
    assert (row["configure"], row["build"], row["run"], row["error"]) == ("ok", "ok", "ok", None)
