"""What a compiler and a linker are given for one libtorch, as words and in the files of pkg-config and Bazel."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build.generate.templates import FileSet, render
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.records import dataclass

KERNELS = re.compile(r"libtorch\.")
"""Nothing refers to it by a symbol; it needs the libraries that register the kernels of CUDA, ROCm, XPU."""
ACCELERATORS = re.compile(r"lib(torch|c10)_(cuda|hip|xpu)\w*\.")
"""Linked where the code itself refers to them."""


@dataclass(frozen=True)
class Flags:
    """The words for one libtorch, in the order in which they must stand."""

    version: str
    cxx_standard: int
    cxx11_abi: Optional[bool]
    include_dirs: tuple[str, ...]
    definitions: tuple[str, ...]
    library_dirs: tuple[str, ...]
    libraries: tuple[str, ...]
    """Files, in link order."""
    python_library: Optional[str]
    """For extension modules only."""
    cflags: tuple[str, ...]
    libs: tuple[str, ...]

    @property
    def libs_without_rpath(self) -> tuple[str, ...]:
        """For what is installed elsewhere, and gets an RPATH of its own."""
        own = [word for folder in self.library_dirs for word in _rpath(folder)]
        return tuple(word for word in self.libs if word not in own)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)


def compiler_flags(libtorch: LibTorch) -> Flags:
    """The words that suffice to compile, link and start a program: the loader finds libtorch where it is now."""
    make = _msvc_words if libtorch.platform == "win32" else _unix_words
    cflags, libs = make(libtorch)
    return Flags(
        version=libtorch.full_version,
        cxx_standard=libtorch.cxx_standard,
        cxx11_abi=libtorch.cxx11_abi,
        include_dirs=tuple(d.as_posix() for d in libtorch.include_dirs),
        definitions=libtorch.definitions,
        library_dirs=tuple(d.as_posix() for d in libtorch.library_dirs),
        libraries=tuple(p.as_posix() for p in libtorch.libraries),
        python_library=libtorch.python_library.as_posix() if libtorch.python_library else None,
        cflags=tuple(cflags),
        libs=tuple(libs),
    )


def shell_words(words: Sequence[str]) -> str:
    """Words as a shell's ``$(…)`` splits them; only what it cannot have otherwise is quoted, for ``eval``."""
    return " ".join(map(shlex.quote, words))


def _unix_words(libtorch: LibTorch) -> tuple[list[str], list[str]]:
    # -isystem: torch's headers are not free of what -Wall and -Wextra tell of.
    includes = [word for d in libtorch.include_dirs for word in ("-isystem", d.as_posix())]
    cflags = [f"-std=c++{libtorch.cxx_standard}", *includes, *(f"-D{d}" for d in libtorch.definitions)]
    libs = [f"-L{d.as_posix()}" for d in libtorch.library_dirs]
    libs += [word for d in libtorch.library_dirs for word in _rpath(d.as_posix())]
    return cflags, [*libs, *_libraries(libtorch)]


def _libraries(libtorch: LibTorch) -> list[str]:
    if libtorch.platform == "darwin":
        return [_named(p) for p in libtorch.libraries]
    kernels = [p for p in libtorch.libraries if KERNELS.match(p.name)]
    accelerators = [p for p in libtorch.libraries if ACCELERATORS.match(p.name)]
    others = [p for p in libtorch.libraries if p not in (*kernels, *accelerators)]
    # One word each, so that a tool which sorts words or drops one that it has seen leaves them together.
    words = [_in_state("--no-as-needed", kernels)] if kernels else []
    words += [_in_state("--as-needed", accelerators)] if accelerators else []
    words += [_named(p) for p in others]
    # What libtorch's own libraries need is found by their own RPATH when the program starts.
    return [*words, *(["-Wl,--allow-shlib-undefined"] if libtorch.backend != "cpu" else [])]


def _in_state(option: str, libraries: Sequence[Path]) -> str:
    return ",".join(["-Wl,--push-state", option, *map(_named, libraries), "--pop-state"])


def _named(library: Path) -> str:
    return "-l" + library.name.partition(".")[0].removeprefix("lib")


def _rpath(folder: str) -> list[str]:
    """``-Wl,`` splits at commas, which a path may have."""
    return ["-Xlinker", "-rpath", "-Xlinker", folder] if "," in folder else [f"-Wl,-rpath,{folder}"]


def _msvc_words(libtorch: LibTorch) -> tuple[list[str], list[str]]:
    standard = {14: "/std:c++14", 17: "/std:c++17", 20: "/std:c++20"}[libtorch.cxx_standard]
    cflags = [standard, "/EHsc", *(f"/I{d.as_posix()}" for d in libtorch.include_dirs)]
    cflags += [f"/D{d}" for d in libtorch.definitions]
    libs = [p.as_posix() for p in libtorch.libraries]
    return cflags, [*libs, *(["/INCLUDE:?warp_size@cuda@at@@YAHXZ"] if libtorch.backend == "cuda" else [])]


def render_pkg_config(flags: Flags) -> FileSet:
    """``torch.pc``. The standard is a variable of it: C sources, which get the same words, have none of C++."""
    cflags = [word for word in flags.cflags if not word.startswith(("-std=", "/std:"))]
    return {
        "torch.pc": render(
            "flags/torch.pc.in",
            version=flags.version,
            cxx_standard=flags.cxx_standard,
            cflags=_pkg_config_words(cflags),
            libs=_pkg_config_words(flags.libs),
        )
    }


def _pkg_config_words(words: Sequence[str]) -> str:
    return " ".join(re.sub(r"([\s\\\"'$#])", r"\\\1", word) for word in words)


def render_bazel(flags: Flags, root: Path, *, package: str) -> FileSet:
    """A module segment and a build file for Bazel, for ``include("//package:libtorch.MODULE.bazel")``.

    :param root: the folder that becomes the repository ``libtorch``; the headers lie below it.
    :param package: the files' folder in the workspace.
    """
    return {
        "BUILD.bazel": b"",
        "libtorch.MODULE.bazel": render(
            "flags/libtorch.MODULE.bazel.in", path=_starlark(root.as_posix()), package=package
        ),
        "libtorch.BUILD.bazel": render(
            "flags/libtorch.BUILD.bazel.in",
            includes=[_starlark(Path(d).relative_to(root).as_posix()) for d in flags.include_dirs],
            headers=[_starlark(f"{Path(d).relative_to(root).as_posix()}/**") for d in flags.include_dirs],
            defines=[_starlark(d) for d in flags.definitions],
            linkopts=[_starlark(w) for w in flags.libs],
        ),
    }


def _starlark(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
