"""Runs CMake and the build tool, and reads CMake's file API."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.build.compile_commands import keep_commands
from torchscript_build.build.damage import DamagedTreeError, find_damage, inputs_of_the_future, read_text
from torchscript_build.build.excerpt import build_excerpt, configure_excerpt, indent
from torchscript_build.errors import BuildError, ConfigureError
from torchscript_build.log import columns
from torchscript_build.plan.build_plan import Toolchain
from torchscript_build.records import dataclass
from torchscript_build.toolchain.launchers import Launcher

CLIENT = "client-torchscript-build"


@dataclass(frozen=True)
class Artifact:
    """A file that a target made."""

    target: str
    type: str
    """CMake's: ``EXECUTABLE``, ``SHARED_LIBRARY``, ``MODULE_LIBRARY``, ``STATIC_LIBRARY``."""
    path: Path
    """Absolute, in the build tree."""


def configure(
    source: Path,
    tree: Path,
    toolchain: Toolchain,
    *,
    build_type: str,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    languages: Sequence[str] = (),
) -> None:
    """Configure a project; what the user's arguments already set is not set again.

    :param languages: CMake's languages for which the toolchain's launcher is set.
    :raises ConfigureError: with CMake's own words at its end.
    """
    query = tree / ".cmake/api/v1/query" / CLIENT / "query.json"
    system.write_if_changed(query, b'{"requests": [{"kind": "codemodel", "version": 2}]}\n')
    command: list[str] = [str(toolchain.cmake.path), "-S", str(source), "-B", str(tree)]
    if toolchain.generator.name:
        command += ["-G", toolchain.generator.name]
    if (tree / "CMakeCache.txt").is_file():
        command.append("-UCMAKE_*_COMPILER_LAUNCHER")  # that of an earlier configure
    defaults = {} if toolchain.generator.multi_config else {"CMAKE_BUILD_TYPE": build_type}
    defaults["CMAKE_EXPORT_COMPILE_COMMANDS"] = "ON"
    if "CMAKE_COLOR_DIAGNOSTICS" not in variables:
        defaults["CMAKE_COLOR_DIAGNOSTICS"] = "ON"  # always, so that nothing is compiled again in a log, without them
    if toolchain.generator.ninja:
        defaults["CMAKE_MAKE_PROGRAM"] = toolchain.generator.ninja.as_posix()
    if toolchain.cxx.command and not variables.get("CXX"):
        defaults["CMAKE_CXX_COMPILER"] = Path(toolchain.cxx.command[0]).as_posix()
    defaults.update(launcher_variables(toolchain.launcher, languages))
    command += [f"-D{name}={value}" for name, value in defaults.items() if not is_set(name, arguments)]
    command += arguments
    log.say_command(command)
    # CMAKE_GENERATOR is decided in the toolchain; left in the environment it could contradict an old tree.
    clean = {k: v for k, v in variables.items() if k not in ("CMAKE_GENERATOR", "CMAKE_EXPORT_COMPILE_COMMANDS")}
    done = system.run(command, variables=clean, show=log.tool_line)
    if done.returncode != 0:
        words = indent(configure_excerpt(done.output))
        raise ConfigureError(f"CMake could not configure {source} (exit code {done.returncode})\n{words}")
    if not (tree / ".cmake/api/v1/reply").is_dir():
        words = " ".join(shlex.quote(argument) for argument in arguments)
        raise ConfigureError(
            f"CMake ended well and configured nothing: do its arguments ask for something else? {words}"
        )
    ahead = inputs_of_the_future(tree, now=time.time())
    if ahead:
        named = ", ".join(str(path) for path in ahead[:5])
        raise ConfigureError(
            f"CMake would run for ever: files that it reads are dated in the future, {len(ahead)} of them: {named}",
            cures=[f"touch {shlex.quote(str(ahead[0]))}", "set this machine's clock"],
        )


def launcher_variables(launcher: Optional[Launcher], languages: Sequence[str]) -> dict[str, str]:
    """CMake's variables that start the compilers of some languages through a launcher."""
    names = [name for name in languages if launcher and name in launcher.languages]
    return {f"CMAKE_{name}_COMPILER_LAUNCHER": Path(launcher.path).as_posix() for name in names if launcher}


def is_set(name: str, arguments: Sequence[str]) -> bool:
    """Do CMake arguments set a cache entry (``-DNAME=…``, ``-DNAME:TYPE=…``)?"""
    return any(re.match(rf"-D\s*{re.escape(name)}(:[A-Z]+)?=", a) for a in arguments)


def build(
    tree: Path,
    toolchain: Toolchain,
    *,
    build_type: str,
    jobs: int,
    variables: Mapping[str, str],
    targets: Sequence[str] = (),
) -> bool:
    """Build; Ninja is called directly, everything else through CMake.

    :returns: whether anything was done.
    :raises BuildError: with the compiler's message at its end.
    :raises DamagedTreeError: the tree's own files cannot be read; it is to be configured anew.
    """
    command, own = build_command(
        tree, toolchain, build_type=build_type, jobs=jobs, variables=variables, targets=targets
    )
    keep_commands(tree)
    log.say_command(command)
    ahead = _edges_ahead(command, own) if _calls_ninja(toolchain) and log.is_live() else []
    with edges_kept(tree):
        done = system.run(command, variables=own, show=log.ToolLines(ahead, jobs))
    output = columns.plain(done.output)
    damage = find_damage(output) if done.returncode != 0 else None
    if damage:
        system.remove_tree(tree / "CMakeCache.txt")  # so that the next build configures it anew, whoever asks for it
        raise DamagedTreeError(f"the build tree {tree} is damaged: {damage}", output=output)
    if done.returncode != 0:
        words = indent(build_excerpt(done.output if log.colours else output))
        raise BuildError(f"the build failed (exit code {done.returncode})\n{words}", output=output)
    return "ninja: no work to do." not in output


def _edges_ahead(command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """What Ninja would do, in its own words; nothing where it cannot tell."""
    done = system.probe([*command, "-n"], variables=variables)
    found = re.findall(r"^\[\d+/\d+\] (.*\S)", done.output if done else "", re.MULTILINE)
    return [edge for edge in found if not edge.startswith("Re-")]


def build_command(
    tree: Path,
    toolchain: Toolchain,
    *,
    build_type: str,
    jobs: int,
    variables: Mapping[str, str],
    targets: Sequence[str],
) -> tuple[list[str], Mapping[str, str]]:
    """What ``build`` starts, and the environment that it gets."""
    if _calls_ninja(toolchain):
        command = [str(toolchain.generator.ninja), "-C", str(tree), "-j", str(jobs), *targets]
    else:
        command = [str(toolchain.cmake.path), "--build", str(tree), "--parallel", str(jobs), "--config", build_type]
        command += ["--target", *targets] if targets else []
    launcher_settings = toolchain.launcher.variables if toolchain.launcher else {}
    # Ninja takes compilers' colours away unless it is told this.
    colours = {"CLICOLOR_FORCE": "1"} if log.colours else {}
    status = {"NINJA_STATUS": "[%f/%t] "}  # its lines are read
    return command, {**launcher_settings, **colours, **variables, **status}


def _calls_ninja(toolchain: Toolchain) -> bool:
    return bool(toolchain.generator.ninja) and not toolchain.generator.multi_config


@contextmanager
def edges_kept(tree: Path) -> Iterator[None]:
    """Keep what ninja runs in a tree, also if it fails; other build tools have no log of it."""
    file = tree / ".ninja_log"
    before, began = read_text(file), time.monotonic()
    try:
        yield
    finally:
        after = read_text(file)
        if after != before:
            from torchscript_build.build import ninja_log

            log.edges.extend(ninja_log.edges_of_run(before, after, began=began))


def install(
    tree: Path,
    prefix: Path,
    toolchain: Toolchain,
    *,
    build_type: str,
    variables: Mapping[str, str],
    component: Optional[str] = None,
    destdir: Optional[Path] = None,
) -> None:
    """Install a tree into a folder, which also gives binaries their final RUNPATH.

    :param destdir: a folder that stands for the root of the file system, so that nothing is written elsewhere.
    :raises BuildError: with CMake's own words.
    :raises DamagedTreeError: the tree's own files cannot be read.
    """
    command = [str(toolchain.cmake.path), "--install", str(tree), "--prefix", str(prefix), "--config", build_type]
    command += ["--component", component] if component else []
    command += ["--strip"] if build_type in ("Release", "MinSizeRel") else []
    clean = {k: v for k, v in variables.items() if k != "DESTDIR"}
    if destdir is not None:
        clean["DESTDIR"] = str(destdir)
    done = system.run(command, variables=clean, echo=False)
    if done.returncode != 0:
        log.say_command(command)
        if "Parse error." in done.output:
            system.remove_tree(tree / "CMakeCache.txt")
            raise DamagedTreeError(f"the build tree {tree} is damaged; build again\n{indent(done.output[-4000:])}")
        raise BuildError(f"CMake could not install what was built\n{indent(done.output[-4000:])}")


def read_artifacts(tree: Path, build_type: str) -> tuple[Artifact, ...]:
    """What the targets of a configured tree make, from CMake's file API.

    :raises DamagedTreeError: the tree has no reply to our query.
    """
    return tuple(
        Artifact(t["name"], t["type"], tree / a["path"])
        for t in sorted(_read_targets(tree, build_type), key=lambda t: str(t["name"]))
        for a in t.get("artifacts", ())[:1]
    )


def read_linked_files(tree: Path, build_type: str) -> tuple[tuple[str, Path], ...]:
    """Pairs (target, library file that it links) of a configured tree, without what the tree makes itself.

    :raises DamagedTreeError: the tree has no reply to our query.
    """
    pairs = []
    for target in _read_targets(tree, build_type):
        words = [(f["role"], w) for f in target.get("link", {}).get("commandFragments", ()) for w in _words(f)]
        folders = [Path(w[2:]) for role, w in words if role == "libraryPath" and w.startswith("-L")]
        for role, word in words:
            path = _linked_file(word, folders) if role == "libraries" else None
            if path and path.is_absolute() and path.is_file() and tree not in path.parents:
                pairs.append((str(target["name"]), path))
    return tuple(dict.fromkeys(pairs))


def _words(fragment: Mapping[str, str]) -> list[str]:
    return shlex.split(fragment["fragment"])


def _linked_file(word: str, folders: Sequence[Path]) -> Optional[Path]:
    """The file of a linker argument; CMake says ``-L`` and ``-l`` for the path of a library that has no soname."""
    if not word.startswith("-"):
        return Path(word)
    names = [f"lib{word[2:]}{suffix}" for suffix in (".so", ".dylib", ".a")] if word.startswith("-l") else []
    return next((folder / n for folder in folders for n in names if (folder / n).is_file()), None)


def _read_targets(tree: Path, build_type: str) -> list[Any]:
    reply = tree / ".cmake/api/v1/reply"
    try:
        index = _json(max(reply.glob("index-*.json")))
        model = _json(reply / index["reply"][CLIENT]["query.json"]["responses"][0]["jsonFile"])
        configurations = {c["name"]: c for c in model["configurations"]}
        chosen = configurations.get(build_type) or next(iter(configurations.values()))
        return [_json(reply / t["jsonFile"]) for t in chosen["targets"]]
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, StopIteration) as error:
        raise DamagedTreeError(
            f"the build tree {tree} is damaged: it has no answer of CMake's file API; remove the folder and build again"
        ) from error


def _json(path: Path) -> Any:
    return system.parse_json(path.read_text(encoding="utf-8"))
