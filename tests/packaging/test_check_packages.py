"""What check-wheel says of a wheel's ``.pt2`` packages."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from nobodys_machine import linux_torch
from packages import METADATA, SIGNATURE, write_package

from torchscript_build.packaging.check_wheel import Advice, check_wheel


def advice_on(folder: Path, **parts: Any) -> list[Advice]:
    """What is said of a wheel's only package."""
    package = write_package(folder / "net.pt2", **parts)
    file = folder / "pkg-1-py3-none-linux_x86_64.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(package, "pkg/models/net.pt2")
        archive.writestr("pkg-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: pkg\nVersion: 1\n\n")
        archive.writestr("pkg-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-linux_x86_64\n")
    return [one for one in check_wheel(file, linux_torch()) if one.what.startswith("pkg/models/net.pt2: ")]


def test_a_package_for_every_processor(tmp_path: Path) -> None:
    metadata = {**METADATA, "AOTI_CPU_ISA": "INVALID_VEC_ISA"}
    assert advice_on(tmp_path, metadata=metadata, signature={**SIGNATURE, "extensions": []}, source="") == []


def test_a_package_for_most_processors(tmp_path: Path) -> None:
    what = "needs linux on x86_64, the processor level x86-64-v3; elsewhere the program says so and ends"
    assert advice_on(tmp_path) == [Advice(f"pkg/models/net.pt2: {what}", is_problem=False)]


@pytest.mark.parametrize("extensions", [["avx512f"], ["avx512vnni"]])
def test_a_package_for_few_processors(tmp_path: Path, extensions: list[str]) -> None:
    (advice,) = advice_on(tmp_path, signature={**SIGNATURE, "extensions": extensions})
    assert advice.cures == ('in the model\'s settings: cpu = "x86-64-v3"',)
    assert not advice.is_problem


def test_a_package_for_its_makers_processor(tmp_path: Path) -> None:
    (advice,) = advice_on(tmp_path, signature=None)
    assert "its maker's processor" in advice.what


def test_a_package_for_another_machine_than_the_tag_says(tmp_path: Path) -> None:
    (advice,) = advice_on(tmp_path, metadata={**METADATA, "AOTI_MACHINE": "aarch64"})
    assert advice.what == "pkg/models/net.pt2: compiled for aarch64, which the tag py3-none-linux_x86_64 does not say"
    assert advice.is_problem


def test_a_package_of_another_series(tmp_path: Path) -> None:
    problem = advice_on(tmp_path, signature={**SIGNATURE, "torch": "2.12.1+cpu"})[0]
    assert problem.what == "pkg/models/net.pt2: compiled by torch 2.12.1+cpu, and the wheel is for 2.13"
    assert problem.cures == ("compile it again with torch 2.13",)
