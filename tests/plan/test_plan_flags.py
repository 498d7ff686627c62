"""Flags that libtorch cannot live with are told before a compiler sees them."""

from __future__ import annotations

import pytest
from nobodys_machine import linux_torch, mac_torch

from torchscript_build.plan.flags import find_unfit_flags
from torchscript_build.settings.specs import OpLibrary, ProjectSpec


def problems(flags: str = "", **fields: tuple[str, ...]) -> list[str]:
    spec = ProjectSpec(ops=(OpLibrary(name="mine", sources=("a.cpp",), **fields),))  # type: ignore[arg-type]
    return find_unfit_flags(spec, {"CXXFLAGS": flags} if flags else {}, linux_torch())


def test_a_standard_that_is_too_old() -> None:
    sentence = "-std=c++14: the headers of libtorch 2.13.0 need C++20; leave it out, and the right standard is chosen"
    assert problems("-O2 -std=c++14") == [f"CXXFLAGS: {sentence}"]
    assert problems(cxx_options=("-std=c++14",)) == [f"'mine': cxx-options: {sentence}"]


@pytest.mark.parametrize("flag", ["-std=gnu++17", "-std=c++1z", "-std=c++98", "/std:c++17", "-std=c++03"])
def test_other_spellings(flag: str) -> None:
    assert len(problems(flag)) == 1


@pytest.mark.parametrize("flag", ["-std=c++20", "-std=gnu++2a", "-std=c++23", "-std=c++2b", "-std=c11", "-O3", "'"])
def test_what_is_new_enough_or_no_concern(flag: str) -> None:
    assert problems(flag) == []


@pytest.mark.parametrize("how", [{"definitions": ("_GLIBCXX_DEBUG",)}, {"compile_options": ("-D_GLIBCXX_DEBUG=1",)}])
def test_the_debug_mode_of_the_standard_library(how: dict[str, tuple[str, ...]]) -> None:
    (problem,) = problems(**how)
    assert "_GLIBCXX_DEBUG changes the layout of the standard library's containers" in problem
    assert problems("-D_GLIBCXX_DEBUG_PEDANTIC")
    assert problems("-D_GLIBCXX_ASSERTIONS") == []
    assert find_unfit_flags(ProjectSpec(), {"CXXFLAGS": "-D_GLIBCXX_DEBUG"}, mac_torch()) == []


def test_the_other_abi_is_told_before_anything_is_compiled() -> None:
    (problem,) = problems("-D_GLIBCXX_USE_CXX11_ABI=0")
    assert "-D_GLIBCXX_USE_CXX11_ABI=0: libtorch 2.13.0 was compiled with 1" in problem
    assert problems("-D_GLIBCXX_USE_CXX11_ABI=1") == []


def test_a_standard_by_two_hyphens_and_of_nvcc() -> None:
    assert "need C++20" in problems("--std=c++14")[0]
    target = OpLibrary(name="o", cuda_options=("-std=c++17",))
    (problem,) = find_unfit_flags(ProjectSpec(ops=(target,)), {}, linux_torch())
    assert problem.startswith("'o': cuda-options: -std=c++17: the headers of libtorch 2.13.0 need C++20")
