"""The C++ compiler: which one CMake will use, and whether it can compile this libtorch's headers."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import ToolNotFoundError
from torchscript_build.libtorch.releases import Release
from torchscript_build.records import dataclass
from torchscript_build.system import Environment, Probes
from torchscript_build.toolchain.programs import parse_version


@dataclass(frozen=True)
class CxxCompiler:
    """A C++ compiler that answered."""

    command: tuple[str, ...]
    """As in ``CXX``: the program, after a launcher such as ccache where there is one, and before fixed arguments."""
    id: str
    """CMake's name for it: ``"GNU"``, ``"Clang"``, ``"AppleClang"``, ``"MSVC"``, or ``""`` where unknown."""
    version: str
    found_by: str


def find_cxx(environment: Environment, release: Release, probes: Optional[Probes] = None) -> CxxCompiler:
    """The C++ compiler that CMake would take: ``CXX``, else the first of c++, g++, clang++ on PATH (cl on Windows).

    :param release: libtorch's row in the table by release, which knows the oldest compilers for its headers.
    :raises ToolNotFoundError: there is none, ``CXX`` does not run, or it is too old for the headers.
    """
    probes = probes or Probes(environment.variables)
    named = environment.get("CXX")
    if named:
        command = _split(named, environment)
        compiler = _probe(command, "CXX", probes)
        if compiler is None:
            raise ToolNotFoundError(
                f"CXX names a compiler that does not run: {named}",
                cures=[
                    "set CXX to a C++ compiler, or unset it",
                    "apt install g++   (conda: conda install cxx-compiler)",
                ],
            )
        return _check(compiler, release)
    names = ("cl",) if environment.platform == "win32" else ("c++", "g++", "clang++")
    trace = []
    for name in names:
        path = environment.which(name)
        if path is None:
            trace.append((name, "not on PATH"))
            continue
        if name == "cl":
            return CxxCompiler((str(path),), "MSVC", "", "PATH")
        compiler = _probe((str(path),), "PATH", probes)
        if compiler is not None:
            return _check(compiler, release)
        trace.append((name, f"{path}: does not run"))
    if environment.platform == "win32":  # CMake's Visual Studio generators find it without PATH
        return CxxCompiler((), "MSVC", "", "CMake")
    raise ToolNotFoundError(
        "no C++ compiler found",
        looked_in=[("CXX", "not set"), *trace],
        cures=[
            "apt install g++   (dnf install gcc-c++, conda install cxx-compiler, xcode-select --install)",
            "set CXX to a C++ compiler",
        ],
    )


def locate_library(
    compiler: CxxCompiler, name: str, folders: Sequence[str], environment: Environment
) -> Optional[Path]:
    """The file that the linker would take for ``-lNAME``: in the folders given, else in the compiler's own."""
    files = [f"lib{name}{suffix}" for suffix in (".so", ".dylib", ".tbd", ".a")] + [name]
    for folder in folders:
        for file in files:
            if Path(folder, file).is_file():
                return Path(folder, file)
    for file in files[:-1]:
        done = system.probe([*compiler.command, f"-print-file-name={file}"], variables=environment.variables)
        if done is not None and done.returncode == 0 and Path(done.output.strip()).is_absolute():
            return Path(done.output.strip())
    return None


def _split(text: str, environment: Environment) -> tuple[str, ...]:
    """CXX as words; a path with spaces that exists is one word."""
    if environment.which(text) or Path(text).is_file():
        return (text,)
    try:
        return tuple(shlex.split(text, posix=os.name == "posix"))
    except ValueError as error:
        raise ToolNotFoundError(f"CXX cannot be split as a shell would ({error}): {text}") from error


def _probe(command: tuple[str, ...], found_by: str, probes: Probes) -> Optional[CxxCompiler]:
    done = probes.ask([*command, "--version"])
    if done is None or done.returncode != 0:
        return None
    name, version = parse_compiler_version(done.output)
    return CxxCompiler(command, name, version, found_by)


def parse_compiler_version(text: str) -> tuple[str, str]:
    """``--version``'s text → CMake's compiler ID and the version; empty strings where unknown."""
    clang = re.search(r"(Apple )?clang version (\d+(?:\.\d+)*)", text)
    if clang:
        return ("AppleClang" if clang.group(1) else "Clang"), clang.group(2)
    lines = text.splitlines()
    if lines and ("Free Software Foundation" in text or re.match(r"(\S*-)?(g\+\+|gcc|c\+\+)", lines[0])):
        # g++ (Debian 12.2.0-14+deb12u1) 12.2.0: the last number on the line is the compiler's
        numbers = re.findall(r"(?<![\w.])(\d+\.\d+(?:\.\d+)?)(?![\w.])", re.sub(r"\([^)]*\)", "", lines[0]))
        if numbers:
            return "GNU", numbers[0]
    return "", ""


def _check(compiler: CxxCompiler, release: Release) -> CxxCompiler:
    least = {"GNU": release.gcc, "Clang": release.clang}.get(compiler.id)
    if least and compiler.version and parse_version(compiler.version) < least:
        wanted = ".".join(map(str, least))
        series = ".".join(map(str, release.series))
        raise ToolNotFoundError(
            f"{' '.join(compiler.command)} is {compiler.id} {compiler.version}; the headers of libtorch {series} "
            f"are C++{release.cxx_standard} and need {compiler.id} {wanted} or newer",
            cures=[
                f"install {compiler.id} {wanted} or newer and set CXX to it",
                "use an older libtorch (--libtorch, or libtorch-version in the settings)",
            ],
        )
    return compiler
