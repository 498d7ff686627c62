"""Pipes and devices where a file is wanted: whoever reads them waits for ever, or until memory is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from children import clean_variables, run_child

from torchscript_build.cli import doctor, run_command


@pytest.fixture(params=["pipe", "device"])
def endless(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "device":
        return Path("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def said(*words: object) -> str:
    done = run_child(
        [sys.executable, "-m", "torchscript_build", *map(str, words)],
        env=clean_variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


@pytest.mark.parametrize("command", ["inspect", "audit-abi", "check-wheel"])
def test_commands_that_read_files(endless: Path, command: str, variables: dict[str, str]) -> None:
    more = ["--libtorch", variables["TORCHSCRIPT_BUILD_LIBTORCH"]] if command == "check-wheel" else []
    assert said(command, endless, *more).startswith(f"error: {endless} is a pipe or a device")


def test_a_log_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LONGEST_LOG", 1000)
    assert run_command(["doctor", "--log", "/dev/zero"]) == 1
