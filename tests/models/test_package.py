"""What a ``.pt2`` package says of itself, and what is made of it before anything is built."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packages import FOLDER, METADATA, SIGNATURE, elf_head, write_package

from torchscript_build.errors import ModelError
from torchscript_build.models.archive import read_archive
from torchscript_build.models.package import Package


def package_of(folder: Path, **parts: Any) -> Package:
    found = read_archive(write_package(folder / "m.pt2", **parts)).package
    assert found is not None
    return found


def test_a_package_of_ours_tells_all(tmp_path: Path) -> None:
    assert package_of(tmp_path, nodes=("aten::sort", "my_ops::warp.default", "my_ops::warp.default")) == Package(
        device="cpu",
        platform="linux",
        machine="x86_64",
        torch="2.13.0+cpu",
        extensions=("avx2", "f16c", "fma"),
        operators=("my_ops::warp",),
    )


def test_a_foreign_package_is_known_by_the_command_that_compiled_it(tmp_path: Path) -> None:
    found = package_of(tmp_path, signature=None, metadata={"AOTI_DEVICE_KEY": "cpu"})
    assert (found.machine, found.extensions, found.is_native) == ("x86_64", ("avx2", "f16c", "fma"), True)
    assert found.words() == "linux on x86_64, its maker's processor"


def test_without_metadata_and_command_the_library_tells_the_machine(tmp_path: Path) -> None:
    found = package_of(tmp_path, signature=None, metadata=None, source="", library=elf_head(183))
    assert (found.platform, found.machine, found.extensions) == ("linux", "aarch64", ())


@pytest.mark.parametrize(
    ("isa", "extensions"),
    [
        ("AVX512 AVX512_VNNI", ("avx512bw", "avx512dq", "avx512f", "avx512vl", "avx512vnni", "fma")),
        ("AVX2", ("avx2", "f16c", "fma")),
        ("INVALID_VEC_ISA", ()),
    ],
)
def test_the_instruction_set_of_the_metadata_counts(tmp_path: Path, isa: str, extensions: tuple[str, ...]) -> None:
    metadata = {**METADATA, "AOTI_CPU_ISA": isa}
    assert package_of(tmp_path, signature=None, metadata=metadata, source="").extensions == extensions


@pytest.mark.parametrize(
    ("extensions", "level"),
    [((), "x86-64"), (("avx2", "fma"), "x86-64-v3"), (("avx512f",), "x86-64-v4"), (("avx512vnni",), None)],
)
def test_the_level_of_the_processor(extensions: tuple[str, ...], level: str) -> None:
    assert dataclasses.replace(Package(), extensions=extensions).level == level


@pytest.mark.parametrize("part", ["c1.wrapper_metadata.json", "c1.wrapper.json"])
def test_damaged_json_is_a_damaged_model(tmp_path: Path, part: str) -> None:
    file = write_package(tmp_path / "m.pt2", metadata=None)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{FOLDER}/{part}", '{"nodes": [')
    with pytest.raises(ModelError):
        read_archive(file)


def test_nonsense_in_the_json_is_passed_over(tmp_path: Path) -> None:
    signature = {**SIGNATURE, "extensions": []}
    with zipfile.ZipFile(write_package(tmp_path / "m.pt2", signature=signature, source=""), "a") as archive:
        archive.writestr(f"{FOLDER}/c2.json", '{"nodes": [1, {"node": 2}, {"node": {"target": 3}}]}')
    found = read_archive(tmp_path / "m.pt2").package
    assert found is not None
    assert found.operators == ()
