"""One ``compile_commands.json`` for editors, in the build folder: what all build trees compile, for clang's tools."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import system

NAME = "compile_commands.json"
TREES = ("*/tree", "*/cmake/*/tree")
"""Build trees in ``build/torchscript``: of generated projects, and of existing ones."""

_GCC_ONLY = ("-fno-canonical-system-headers", "-Winvalid-pch")


def keep_commands(tree: Path) -> Optional[Path]:
    """Put what a configured build tree compiles into the build folder's file, with what all other trees compile.

    What is there already stays as it is while no tree has been configured since.

    :returns: the file; ``None`` for a tree that is not one of a build folder, or has no commands.
    """
    trees = next((p for p in tree.parents if p.name == "torchscript"), None)
    own = _age(tree / NAME)
    if trees is None or own is None:
        return None
    target = trees.parent / NAME
    kept = _age(target)
    if kept is None or kept < own:
        files = sorted((f for pattern in TREES for f in trees.glob(f"{pattern}/{NAME}")), key=lambda f: -(_age(f) or 0))
        entries = merge_commands([_read(file) for file in files])
        system.write_atomically(target, (json.dumps(entries, indent=1) + "\n").encode())
    return target


def link_commands(root: Path, build_base: Path) -> Optional[str]:
    """Make the project's own folder have a link to the build folder's file.

    :returns: why that cannot be, in a sentence.
    """
    target, link = build_base / NAME, root / NAME
    if not target.is_file():
        return None
    if link.is_symlink() or not link.exists():
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(target, root))
        except OSError as error:
            return f"ide: {root} can hold no link to {target} ({error.strerror})"
        return None
    return (
        f"ide: {link} is there already, and not ours: name {build_base} to your editor (clangd --compile-commands-dir)"
    )


def merge_commands(databases: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One entry for each source, of the first database that has it; sources that are gone are left out."""
    merged: dict[str, dict[str, Any]] = {}
    for database in databases:
        for entry in database:
            file = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
            if file not in merged and os.path.isfile(file):
                words = entry.get("arguments") or shlex.split(entry["command"])
                merged[file] = {"directory": entry["directory"], "file": file, "arguments": list(for_clang(words))}
    return [merged[file] for file in sorted(merged)]


def for_clang(words: Sequence[str]) -> Iterator[str]:
    """A compiler's words without what only GCC has: its parameters, and precompiled headers that clang cannot read."""
    rest = iter(words)
    for word in rest:
        if word == "-include":
            header = next(rest, "")
            if not header.endswith(("/cmake_pch.hxx", "/cmake_pch.h")):
                yield from (word, header)
        elif word == "--param":
            next(rest, "")
        elif word not in _GCC_ONLY and not word.startswith("--param="):
            yield word


def _read(file: Path) -> list[Mapping[str, Any]]:
    try:
        data = system.parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return (
        [e for e in data if isinstance(e, dict) and "file" in e and "directory" in e] if isinstance(data, list) else []
    )


def _age(file: Path) -> Optional[int]:
    stamp = system.stamp(file)
    return stamp[1] if stamp else None
