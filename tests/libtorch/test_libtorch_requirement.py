"""What a project may ask of its libtorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchscript_build.errors import SettingsError
from torchscript_build.libtorch import LibTorch, Requirement


def libtorch(version: str = "2.6.0", local: str | None = "cu124", **facts: object) -> LibTorch:
    given = {"cxx11_abi": False, "cxx_standard": 17, "backend": "cuda", "cuda_version": "12.4", **facts}
    return LibTorch(root=Path("/torch"), version=version, local_version=local, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wanted",
    ["2.6", "2.6.0", "2", ">=2.4,<2.7", "==2.6.*", "~=2.6.0", "2.6.0+cu124", "==2.6.0+cu124", "!=2.5", " 2.6 "],
)
def test_versions_that_fit(wanted: str) -> None:
    assert Requirement.of(version=wanted).explain(libtorch()) is None


@pytest.mark.parametrize("wanted", ["2.5", "2.60", "2.6.1", ">=2.7", "==2.13.*", "2.6.0+cpu", "==2.6.0+cu126"])
def test_versions_that_do_not_fit(wanted: str) -> None:
    assert Requirement.of(version=wanted).explain(libtorch()) == f"2.6.0 is not {wanted}"


def test_a_bare_series_is_not_a_prefix_of_the_text() -> None:
    assert Requirement.of(version="2.1").explain(libtorch("2.13.0")) == "2.13.0 is not 2.1"


@pytest.mark.parametrize("version", ["2.7.0a0", "2.7.0rc1", "2.7.0.dev20250101"])
def test_prereleases_count(version: str) -> None:
    assert Requirement.of(version=">=2.6").explain(libtorch(version)) is None


def test_the_abi_is_asked_only_where_there_is_one() -> None:
    requirement = Requirement.of(cxx11_abi=True)
    assert requirement.explain(libtorch()) == "it has the old cxx11 ABI, wanted is the new one"
    assert requirement.explain(libtorch(cxx11_abi=True)) is None
    assert requirement.explain(libtorch(cxx11_abi=None)) is None


@pytest.mark.parametrize("cuda", [True, "any", "12", "12.4", "cu124", None])
def test_cuda_that_fits(cuda: str | bool | None) -> None:
    assert Requirement.of(cuda=cuda).explain(libtorch()) is None


@pytest.mark.parametrize(
    ("cuda", "reason"),
    [
        (False, "it is a CUDA build, wanted is one without"),
        ("cpu", "it is a CUDA build, wanted is one without"),
        ("1", "it is for CUDA 12.4, wanted is CUDA 1"),
        ("12.6", "it is for CUDA 12.4, wanted is CUDA 12.6"),
    ],
)
def test_cuda_that_does_not_fit(cuda: str | bool, reason: str) -> None:
    assert Requirement.of(cuda=cuda).explain(libtorch()) == reason


def test_a_cpu_build_is_no_cuda_build() -> None:
    cpu = libtorch(local="cpu", backend="cpu", cuda_version=None)
    assert Requirement.of(cuda=True).explain(cpu) == "it is a cpu build, wanted is CUDA"
    assert Requirement.of(cuda="12").explain(cpu) == "it is a cpu build, wanted is CUDA 12"
    assert Requirement.of(cuda=False).explain(cpu) is None


def test_an_unknown_cuda_version_fits_no_series() -> None:
    unknown = libtorch(local=None, cuda_version=None)
    assert Requirement.of(cuda="12").explain(unknown) == "its CUDA version is not known, wanted is CUDA 12"


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        (Requirement(), ""),
        (Requirement.of(version=">=2.4", cuda="12"), ">=2.4 with CUDA 12"),
        (Requirement.of(cuda=True), "with CUDA"),
        (Requirement.of(cuda=False, cxx11_abi=True), "with no CUDA and the new cxx11 ABI"),
        (Requirement.of(version="2.6", cxx11_abi=False), "2.6 with the old cxx11 ABI"),
    ],
)
def test_a_requirement_in_words(requirement: Requirement, words: str) -> None:
    assert requirement.describe() == words


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Requirement.from_mapping({"version": "new", "cxx11-abi": "yes", "cuda": "twelve", "abi": 1})
    assert caught.value.problems == (
        "libtorch.abi: unknown; there are version, cxx11-abi and cuda",
        "libtorch.version: 'new' is no version or specifier; write 2.6 or >=2.4,<2.7",
        "libtorch.cxx11-abi: 'yes' is neither true nor false",
        "libtorch.cuda: 'twelve' is neither true, false nor a CUDA series like 12 or 12.4",
    )


@pytest.mark.parametrize("version", ["", "   ", "2.6 or so", ">=", "torch>=2.6", 2.6])
def test_a_version_that_means_nothing_is_refused(version: object) -> None:
    with pytest.raises(SettingsError, match=r"libtorch\.version"):
        Requirement.from_mapping({"version": version})


def test_numbers_from_a_settings_file_are_cuda_series() -> None:
    assert Requirement.from_mapping({"cuda": 12}).cuda == "12"
    assert Requirement.from_mapping({"cuda": 12.4}).cuda == "12.4"
