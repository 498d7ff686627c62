"""Runs CMake and the build tool, and reads CMake's file API."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.build.compile_commands import keep_commands
from torchscript_build.errors import BuildError, ConfigureError
from torchscript_build.plan.build_plan import Toolchain
from torchscript_build.toolchain.launchers import Launcher

CLIENT = "client-torchscript-build"
EXCERPT_LINES = 40
"""How much of a failing compiler's output is repeated in the error."""


_DAMAGE = re.compile(
    r"^(ninja: error: loading '.*|ninja: error: [^:\n]*\.ninja:\d+: .*|[^:\n]*Makefile[^:\n]*:\d+: \*\*\* .*)$",
    re.MULTILINE,
)
"""What build tools say of their own files."""


class DamagedTreeError(BuildError):
    """A build tree's own files are damaged; configured anew, it is as good as before."""


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
        words = _indent(configure_excerpt(done.output))
        raise ConfigureError(f"CMake could not configure {source} (exit code {done.returncode})\n{words}")
    ahead = inputs_of_the_future(tree, now=time.time())
    if ahead:
        named = ", ".join(str(path) for path in ahead[:5])
        raise ConfigureError(
            f"CMake would run for ever: files that it reads are dated in the future, {len(ahead)} of them: {named}",
            cures=[f"touch {shlex.quote(str(ahead[0]))}", "set this machine's clock"],
        )


def inputs_of_the_future(tree: Path, *, now: float) -> list[Path]:
    """The files that a tree is configured from and that are newer than now, as far as ninja knows them.

    Ninja would configure a hundred times ("manifest still dirty") and then give up.
    """
    rule = re.search(r"^build build\.ninja[^\n]*: RERUN_CMAKE \|(.*)$", _read(tree / "build.ninja"), re.MULTILINE)
    found = []
    for word in re.findall(r"(?:\$.|[^ $])+", rule.group(1)) if rule else ():
        path = tree / re.sub(r"\$(.)", r"\1", word)
        stamp = system.stamp(path)
        if stamp is not None and stamp[1] > (now + 2) * 1e9:
            found.append(path)
    return found


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
    """
    command, own = build_command(
        tree, toolchain, build_type=build_type, jobs=jobs, variables=variables, targets=targets
    )
    keep_commands(tree)
    log.say_command(command)
    with edges_kept(tree):
        done = system.run(command, variables=own, show=log.tool_line)
    damage = _DAMAGE.search(done.output) if done.returncode != 0 else None
    if damage:
        system.remove_tree(tree / "CMakeCache.txt")  # so that the next build configures it anew, whoever asks for it
        raise DamagedTreeError(f"the build tree {tree} is damaged: {damage.group()}", output=done.output)
    if done.returncode != 0:
        words = _indent(build_excerpt(done.output))
        raise BuildError(f"the build failed (exit code {done.returncode})\n{words}", output=done.output)
    return "ninja: no work to do." not in done.output


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
    if toolchain.generator.ninja and not toolchain.generator.multi_config:
        command = [str(toolchain.generator.ninja), "-C", str(tree), "-j", str(jobs), *targets]
    else:
        command = [str(toolchain.cmake.path), "--build", str(tree), "--parallel", str(jobs), "--config", build_type]
        command += ["--target", *targets] if targets else []
    launcher_settings = toolchain.launcher.variables if toolchain.launcher else {}
    return command, {**launcher_settings, **variables}


@contextmanager
def edges_kept(tree: Path) -> Iterator[None]:
    """Keep what ninja runs in a tree, also if it fails; other build tools have no log of it."""
    file = tree / ".ninja_log"
    before, began = _read(file), time.monotonic()
    try:
        yield
    finally:
        after = _read(file)
        if after != before:
            from torchscript_build.build import ninja_log

            log.edges.extend(ninja_log.edges_of_run(before, after, began=began))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


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
            raise DamagedTreeError(f"the build tree {tree} is damaged; build again\n{_indent(done.output[-4000:])}")
        raise BuildError(f"CMake could not install what was built\n{_indent(done.output[-4000:])}")


def read_artifacts(tree: Path, build_type: str) -> tuple[Artifact, ...]:
    """What the targets of a configured tree make, from CMake's file API.

    :raises ConfigureError: the tree has no reply to our query.
    """
    return tuple(
        Artifact(t["name"], t["type"], tree / a["path"])
        for t in sorted(_read_targets(tree, build_type), key=lambda t: str(t["name"]))
        for a in t.get("artifacts", ())[:1]
    )


def read_linked_files(tree: Path, build_type: str) -> tuple[tuple[str, Path], ...]:
    """Pairs (target, library file that it links) of a configured tree, without what the tree makes itself.

    :raises ConfigureError: the tree has no reply to our query.
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
        index = json.loads(max(reply.glob("index-*.json")).read_text(encoding="utf-8"))
        model = _json(reply / index["reply"][CLIENT]["query.json"]["responses"][0]["jsonFile"])
        configurations = {c["name"]: c for c in model["configurations"]}
        chosen = configurations.get(build_type) or next(iter(configurations.values()))
        return [_json(reply / t["jsonFile"]) for t in chosen["targets"]]
    except (OSError, ValueError, KeyError, IndexError, StopIteration) as error:
        raise ConfigureError(f"{tree} has no answer of CMake's file API; remove the folder and build again") from error


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# --- the words of a failure ----------------------------------------------------------------------------------------


def configure_excerpt(output: str) -> str:
    """CMake's output from its first error on; all of it if it names none."""
    match = re.search(r"^CMake Error", output, re.MULTILINE)
    return _head(output[match.start() :] if match else output)


def build_excerpt(output: str) -> str:
    """What the first failing command printed, without its command line; the last lines if none can be told."""
    failed = re.search(r"^FAILED: [^\n]*\n", output, re.MULTILINE)
    if failed:
        rest = output[failed.end() :].split("\n", 1)[-1]  # the command line follows
        end = re.search(r"^(\[\d+/\d+\] |ninja: |FAILED: )", rest, re.MULTILINE)
        return _head(rest[: end.start()] if end else rest)
    error = re.search(r"^.*(\berror\b|\bError \d+|undefined reference|\*\*\* .*Stop\.).*$", output, re.MULTILINE)
    return _head(output[error.start() :]) if error else "\n".join(output.splitlines()[-EXCERPT_LINES:])


def _head(text: str) -> str:
    """The beginning: a compiler's first error is the one that counts."""
    lines = text.strip("\n").splitlines()
    if len(lines) > EXCERPT_LINES:
        lines = [*lines[:EXCERPT_LINES], f"… {len(lines) - EXCERPT_LINES} more lines above"]
    return "\n".join(lines)


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())
