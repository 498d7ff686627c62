"""Tells whether a build tree is as CMake and the build tool left it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import BuildError

FILES = ("CMakeCache.txt", "build.ninja", ".ninja_log", ".ninja_deps", "cmake_install.cmake", "Makefile")
"""What CMake and the build tool write anew where it is damaged, but not where a folder or a pipe is in the way."""

FUTURE_SECONDS = 60
"""By how much the clocks of a machine and of its file server may differ."""

_WORDS = re.compile(
    r"^(ninja: error: loading '.*|ninja: error: [^:\n]*\.ninja:\d+: .*|[^:\n]*Makefile[^:\n]*:\d+: \*\*\* .*"
    r"|CMake Error at [^\n]*/CMakeFiles/\d[^/\n]*/CMake\w+\.cmake:\d+.*|CMake Error: Parse error in cache file .*)$",
    re.MULTILINE,
)
"""What build tools and CMake say of their own files."""
_RERUN = re.compile(r"^build build\.ninja[^\n]*: RERUN_CMAKE \|(.*)$", re.MULTILINE)
"""How CMake makes build.ninja anew, near that file's end, with all files that it then reads."""
_LINE = re.compile(r"(?:#|//).*|\s*|(?:\"[^\"]*\"|[^:=]+):[A-Z]+=.*")
"""A line of CMakeCache.txt: a comment, nothing, or an entry with its type."""
_NEEDED = ("\nCMAKE_GENERATOR:INTERNAL=", "\nCMAKE_HOME_DIRECTORY:INTERNAL=", "\nCMAKE_ROOT:INTERNAL=")
"""Entries without which CMake configures no tree anew; they stand near the end of the file."""


class DamagedTreeError(BuildError):
    """A build tree's own files are damaged; configured anew, it is as good as before."""


def is_obstructed(tree: Path) -> bool:
    """Is something else where a file of the tree should be?"""
    return any((tree / name).exists() and not (tree / name).is_file() for name in FILES)


def is_configured(tree: Path) -> bool:
    """Has CMake come to its end there, and is what it keeps of that whole?"""
    if is_obstructed(tree):
        return False
    text = read_text(tree / "CMakeCache.txt")
    if not (all(entry in text for entry in _NEEDED) and all(_LINE.fullmatch(line) for line in text.split("\n"))):
        return False
    if "\nCMAKE_GENERATOR:INTERNAL=Ninja\n" not in text:
        return True
    rules = read_text(tree / "build.ninja")  # of an empty one, ninja says that there is nothing to do
    return "\0" not in rules and _RERUN.search(rules) is not None


def find_damage(output: str) -> Optional[str]:
    """The line in which a build tool says that its own files are damaged."""
    found = _WORDS.search(output)
    return found.group() if found else None


def is_of_the_future(file: Path) -> bool:
    """Was a record written while the clock was ahead? What was made then would never be made again."""
    written = system.stamp(file)
    return written is not None and written[1] > (time.time() + FUTURE_SECONDS) * 1e9


def inputs_of_the_future(tree: Path, *, now: float) -> list[Path]:
    """The files that a tree is configured from and that are newer than now, as far as ninja knows them.

    Ninja would configure a hundred times ("manifest still dirty") and then give up.
    """
    rule = _RERUN.search(read_text(tree / "build.ninja"))
    found = []
    for word in re.findall(r"(?:\$.|[^ $])+", rule.group(1)) if rule else ():
        path = tree / re.sub(r"\$(.)", r"\1", word)
        stamp = system.stamp(path)
        if stamp is not None and stamp[1] > (now + 2) * 1e9:
            found.append(path)
    return found


def read_text(path: Path) -> str:
    """A file of a build tree; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
