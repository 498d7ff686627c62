"""Compiler flags that libtorch cannot live with, told in a sentence instead of a thousand errors."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Union

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, TorchScriptApp

_STANDARD = re.compile(r"(?:--?|/)std[=:](?:c|gnu)\+\+(\w+)")
_YEARS = {"98": 98, "03": 98, "0x": 11, "1y": 14, "1z": 17, "2a": 20, "2b": 23, "2c": 26, "latest": 99}
_ABI = re.compile(r"(?:[-/]D\s*)?_GLIBCXX_USE_CXX11_ABI=([01])")
_DEBUG_MODE = re.compile(r"(?:[-/]D\s*)?(_GLIBCXX_DEBUG(?:_PEDANTIC)?)(?:=.*)?")


def find_unfit_flags(spec: ProjectSpec, flags: Mapping[str, str], libtorch: LibTorch) -> list[str]:
    """One sentence for each flag of the settings or the environment that cannot work with this libtorch."""
    problems = []
    for where, flag in _flags(spec, flags):
        match = _STANDARD.fullmatch(flag)
        if match and _is_older(match[1], libtorch.cxx_standard):
            problems.append(
                f"{where}: {flag}: the headers of libtorch {libtorch.version} need C++{libtorch.cxx_standard}; leave "
                "it out, and the right standard is chosen"
            )
        debug = _DEBUG_MODE.fullmatch(flag)
        if debug and libtorch.cxx11_abi is not None:
            problems.append(
                f"{where}: {debug[1]} changes the layout of the standard library's containers, and libtorch was "
                "compiled without it: leave it out (_GLIBCXX_ASSERTIONS checks without that)"
            )
        abi = _ABI.fullmatch(flag)
        if abi and libtorch.cxx11_abi is not None and bool(int(abi[1])) != libtorch.cxx11_abi:
            problems.append(
                f"{where}: {flag}: libtorch {libtorch.version} was compiled with {int(libtorch.cxx11_abi)}; leave it "
                "out, and libtorch's own is chosen"
            )
    return problems


def _is_older(year: str, wanted: int) -> bool:
    number = _YEARS.get(year, int(year) if year.isdigit() else 99)
    return number == 98 or number < wanted


def _flags(spec: ProjectSpec, flags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    targets: list[Union[OpLibrary, TorchScriptApp]] = [*spec.ops, *spec.apps]
    for target in targets:
        for key in ("definitions", "compile_options", "cxx_options", "cuda_options"):
            for flag in getattr(target, key):
                yield f"{target.name!r}: {key.replace('_', '-')}", flag
    for name in ("CXXFLAGS", "CPPFLAGS"):
        try:
            words = shlex.split(flags.get(name, ""))
        except ValueError:  # the shell that CMake starts will say so
            continue
        for flag in words:
            yield name, flag
