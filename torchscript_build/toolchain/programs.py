"""CMake, Ninja and the generator: candidates best first, a pure choice, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from torchscript_build.errors import ToolNotFoundError
from torchscript_build.records import dataclass
from torchscript_build.system import Environment, Probes, parse_json

MINIMUM_CMAKE = (3, 18)
"""The generated projects need 3.18 (``LINKER:`` options on imported targets, file API version 1 codemodel 2.1)."""
MINIMUM_NINJA = (1, 5)
_EXE = {"win32": ".exe"}


@dataclass(frozen=True)
class Program:
    """A program that was found and answered."""

    path: Path
    version: str
    found_by: str


def parse_version(text: str) -> tuple[int, ...]:
    """The leading dotted number of a version: ``"3.25.1-rc2"`` → ``(3, 25, 1)``; empty if there is none."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def cmake_candidates(environment: Environment) -> Iterator[tuple[str, Path]]:
    """Where CMake may be: PATH, the interpreter's scripts, the ``cmake`` wheel."""
    yield from _candidates("cmake", environment, wheel_folder="cmake/data/bin")


def ninja_candidates(environment: Environment) -> Iterator[tuple[str, Path]]:
    """Where Ninja may be: PATH (also as ``ninja-build``), the interpreter's scripts, the ``ninja`` wheel."""
    yield from _candidates("ninja", environment, wheel_folder="ninja/data/bin")
    other = environment.which("ninja-build")
    if other:
        yield "PATH", other


def _candidates(name: str, environment: Environment, *, wheel_folder: str) -> Iterator[tuple[str, Path]]:
    on_path = environment.which(name)
    if on_path:
        yield "PATH", on_path
    file = name + _EXE.get(environment.platform, "")
    scripts = environment.python.scripts
    if scripts and (scripts / file).is_file():
        yield "the interpreter's scripts", scripts / file
    for folder in dict.fromkeys((*environment.python.search_path, *environment.python.site_packages)):
        if (folder / wheel_folder / file).is_file():
            yield f"Python package {name}", folder / wheel_folder / file


def locate_cmake(
    environment: Environment, probes: Optional[Probes] = None
) -> tuple[Optional[Program], tuple[tuple[str, str], ...]]:
    """The first CMake that is new enough, and what each place held."""
    trace = []
    probes = probes or Probes(environment.variables)
    for place, path in cmake_candidates(environment):
        done = probes.ask([path, "-E", "capabilities"])
        if done is None or done.returncode != 0:
            trace.append((place, f"{path}: does not run"))
            continue
        try:
            version = str(parse_json(done.output)["version"]["string"])
        except (ValueError, KeyError, TypeError):
            trace.append((place, f"{path}: gives no version"))
            continue
        if parse_version(version) < MINIMUM_CMAKE:
            trace.append((place, f"{path}: {version} is older than {_dotted(MINIMUM_CMAKE)}"))
            continue
        return Program(path, version, place), tuple(trace)
    return None, tuple(trace) or (("PATH", "no cmake"), ("Python package cmake", "not installed"))


def find_cmake(environment: Environment, probes: Optional[Probes] = None) -> Program:
    """CMake, new enough for the generated projects.

    :raises ToolNotFoundError: there is none; says where we looked.
    """
    program, trace = locate_cmake(environment, probes)
    if program is None:
        raise ToolNotFoundError(
            f"no usable CMake found (wanted {_dotted(MINIMUM_CMAKE)} or newer)",
            looked_in=trace,
            cures=["pip install --upgrade cmake", "install it with the system's package manager (apt install cmake)"],
        )
    return program


def locate_ninja(environment: Environment, probes: Optional[Probes] = None) -> Optional[Program]:
    """Ninja, or ``None``."""
    probes = probes or Probes(environment.variables)
    for place, path in ninja_candidates(environment):
        done = probes.ask([path, "--version"])
        if done is not None and done.returncode == 0 and parse_version(done.output) >= MINIMUM_NINJA:
            return Program(path, done.output.strip(), place)
    return None


@dataclass(frozen=True)
class Generator:
    """CMake's generator and, for Ninja, the program that it needs."""

    name: Optional[str]
    """``None``: CMake's own choice."""
    ninja: Optional[Path] = None
    multi_config: bool = False


def choose_generator(asked: Optional[str], environment: Environment, probes: Optional[Probes] = None) -> Generator:
    """The generator: what was asked, else ``CMAKE_GENERATOR``, else Ninja where there is one, else CMake's choice.

    conda-build and rattler-build export ``CMAKE_GENERATOR=Unix Makefiles`` for everybody, which is nobody's choice;
    there Ninja wins if it is found.

    :raises ToolNotFoundError: Ninja was asked for and is not there.
    """
    exported = environment.get("CMAKE_GENERATOR")
    if exported == "Unix Makefiles" and environment.get("CONDA_BUILD") == "1":
        exported = None
    name = asked or exported
    if name is not None and not name.startswith("Ninja"):
        return Generator(name, multi_config=name.startswith(("Visual Studio", "Xcode")))
    ninja = locate_ninja(environment, probes)
    if ninja is None:
        if name is None:
            return Generator(None, multi_config=environment.platform == "win32")
        raise ToolNotFoundError(
            f"the generator {name!r} was asked for, but no ninja was found",
            looked_in=[("PATH", "no ninja"), ("Python package ninja", "not installed")],
            cures=["pip install --upgrade ninja", "choose another generator: --generator 'Unix Makefiles'"],
        )
    return Generator(name or "Ninja", ninja.path, multi_config=name == "Ninja Multi-Config")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
