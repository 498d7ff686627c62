"""Packages of AOTInductor that do not fit: what the program says before it touches their machine code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Runner
from packages import METADATA, SIGNATURE, elf_head, write_package

pytestmark = [pytest.mark.compile, pytest.mark.torch]


def refused(runner: Runner, *arguments: str, code: int = 3, **parts: Any) -> str:
    write_package(runner.folder / "m.pt2", **parts)
    return runner.error(*arguments, model="m.pt2", code=code)


def test_a_package_for_another_machine(runner: Runner) -> None:
    said = refused(runner, metadata={**METADATA, "AOTI_MACHINE": "aarch64"})
    assert said == (
        "test-app: error: m.pt2 was compiled for linux on aarch64, and this is linux on x86_64\n"
        "hint: export and compile it again for this machine"
    )


def test_the_library_tells_the_machine_where_the_metadata_does_not(runner: Runner) -> None:
    said = refused(runner, metadata=None, signature=None, library=elf_head(183))
    assert "m.pt2 was compiled for linux on aarch64, and this is linux on x86_64" in said


def test_a_package_for_a_processor_with_more(runner: Runner) -> None:
    extensions = ["avx", "fma4", "xop"]  # which no processor has beside AVX2
    said = refused(runner, signature={**SIGNATURE, "extensions": [*extensions, "amx-fp16"]})
    assert "m.pt2 was compiled for a processor with " in said
    assert "fma4, xop" in said
    assert said.splitlines()[1].startswith("hint: export and compile it again for this machine, or with cpu = ")


def test_a_package_for_another_device(runner: Runner) -> None:
    said = refused(runner, metadata={**METADATA, "AOTI_DEVICE_KEY": "cuda"}, code=4)
    assert said.startswith("test-app: error: m.pt2 was compiled for cuda, not for --device cpu\n")


def test_a_package_has_one_method(runner: Runner) -> None:
    assert "m.pt2: the model has no method encode\nhint: its methods: forward" in refused(
        runner, "--method", "encode", code=2
    )


@pytest.mark.parametrize("option", ["--freeze", "--optimize"])
def test_a_package_is_optimized_already(runner: Runner, option: str) -> None:
    assert f"{option} is for TorchScript models; m.pt2 is compiled already" in refused(runner, option, code=2)


def test_a_library_that_is_none(runner: Runner) -> None:
    said = refused(runner)
    assert said.startswith("test-app: error: m.pt2 cannot be loaded: ")
    assert "it was compiled by torch 2.13.0+cpu, and this program uses libtorch " in said


@pytest.mark.parametrize("text", ["{", '{"torch": 1', '["a', '{"a" 1}', "[1 2]", "[" * 1000])
def test_damaged_json(runner: Runner, text: str) -> None:
    file = write_package(runner.folder / "m.pt2", signature=None)
    import zipfile

    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("p/extra/torchscript-build.json", text)
    assert "the package's JSON is damaged at byte " in runner.error(model="m.pt2", code=3)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files in the package")
def test_sources_that_nobody_compiled(runner: Runner, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("p/data/aotinductor/model/c1.wrapper.cpp", "int main() {}")
    assert "m.pt2 is a .pt2 package of AOTInductor's sources, which nobody has compiled" in runner.error(
        model="m.pt2", code=3
    )
