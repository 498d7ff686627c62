"""Environment variables with our prefix that nobody reads are told."""

from __future__ import annotations

import pytest

from torchscript_build.settings.options import VARIABLES, unknown_variables


def test_all_of_ours_are_known() -> None:
    assert unknown_variables({**dict.fromkeys(VARIABLES, "x"), "TORCH_CUDA_ARCH_LIST": "8.0"}) == []


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("TORCHSCRIPT_BUILD_LIBTORH", "; did you mean 'TORCHSCRIPT_BUILD_LIBTORCH'?"),
        ("TORCHSCRIPT_BUILD_CACHEDIR", "; did you mean 'TORCHSCRIPT_BUILD_CACHE_DIR'?"),
        ("TORCHSCRIPT_BUILD_BUILDTYPE", "; did you mean 'TORCHSCRIPT_BUILD_BUILD_TYPE'?"),
    ],
)
def test_a_misspelt_one_gets_a_suggestion(name: str, end: str) -> None:
    assert unknown_variables({name: "x"}) == [f"{name} is no variable of torchscript-build{end}"]
