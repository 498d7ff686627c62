"""Where a recipe on disk differs from what the project says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchscript_build.generate.templates import FileSet

KEEP = "# keep"
"""Lines that end in this are the recipe's own."""


def find_drift(files: FileSet, folder: Path) -> list[str]:
    """Where the recipe in a folder differs from what the project says, one line of words each.

    Lines of the recipe that end in ``# keep`` may be there, also in place of others.
    """
    words: list[str] = []
    for name, content in files.items():
        try:
            have = (folder / name).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            words.append(f"{name}: is missing")
            continue
        except (OSError, UnicodeDecodeError) as error:
            words.append(f"{name}: cannot be read: {error}")
            continue
        words += _differences(name, have, content.decode().splitlines())
    return words


def _differences(name: str, have: Sequence[str], want: Sequence[str]) -> Iterator[str]:
    for what, start, end, first, last in difflib.SequenceMatcher(None, have, want, autojunk=False).get_opcodes():
        kept = any(line.rstrip().endswith(KEEP) for line in have[start:end])
        if what == "equal" or (kept and what != "insert"):
            continue
        for line in want[first:last]:
            yield f"{name}:{start + 1}: the project wants `{line.strip()}`"
        for number, line in enumerate(have[start:end], start + 1):
            yield f"{name}:{number}: has `{line.strip()}`, of which the project knows nothing"


def read_maintainers(folder: Path) -> list[str]:
    """Who a recipe on disk names as its maintainers: the recipe says so, not the project."""
    names: list[str] = []
    for name in ("meta.yaml", "recipe.yaml"):
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found = re.search(r"^ +recipe-maintainers:.*\n((?: +- .*\n?)+)", text, re.MULTILINE)
        names += re.findall(r"^ +- +[\"']?([\w./-]+)", found[1], re.MULTILINE) if found else []
    return list(dict.fromkeys(names))
