"""What a C++ source includes of torch's heavy headers and names of their content, read from its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.plan.headers import PRECOMPILABLE, UMBRELLAS, HeaderUse

_NEEDS_ALL = re.compile(
    r"\btorch\s*::\s*(nn|optim|data|jit|serialize|save|load|python|pickle_\w+|OrderedDict|ExpandingArray\w*|detail)\b"
    r"|\busing\s+namespace\s+(::\s*)?torch\b|\bnamespace\s+torch\b|\bnamespace\s+\w+\s*=\s*(::\s*)?torch\b"
    r"|\bTORCH_(MODULE|ARG)\w*"
)
_NEEDS_PYTHON = re.compile(r"\bpy\b|pybind|PYBIND|\bPy[A-Z_]\w*|\bTHP")
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)[ \t]*([^\n]*)", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def read_header_use(source: Path, include_dirs: Sequence[str] = ()) -> HeaderUse:
    """Read one source and, for what they name, the headers of the project that it includes in quotes."""
    text = _read(source)
    if text is None or not any(header in text for header in PRECOMPILABLE):
        return HeaderUse()
    text = _COMMENT.sub(" ", text)
    header = None
    for directive, rest in _DIRECTIVE.findall(text):
        included = re.match(r'[<"]([^>"]+)[>"]', rest) if directive == "include" else None
        if included and included[1] in PRECOMPILABLE:
            header = included[1]
            break
        if not (included and rest.startswith("<")):
            break
    names = _whole_text(text, source, include_dirs)
    included = re.search(rf'^[ \t]*#[ \t]*include[ \t]*[<"]({"|".join(UMBRELLAS)})[>"]', text, re.MULTILINE)
    umbrella = included[1] if included else None
    lean = names is not None and umbrella is not None and not _NEEDS_ALL.search(names)
    return HeaderUse(header, umbrella, lean, python=names is None or _NEEDS_PYTHON.search(names) is not None)


def _whole_text(text: str, source: Path, include_dirs: Sequence[str]) -> Optional[str]:
    """A source with all that it includes in quotes; ``None`` if something of that cannot be found."""
    texts, seen, open_files = [text], {source}, [(source, text)]
    while open_files:
        file, content = open_files.pop()
        for name in re.findall(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', content, re.MULTILINE):
            places = [folder / name for folder in (file.parent, *map(Path, include_dirs))]
            found = next((p for p in places if p.is_file()), None)
            if found is None and name.startswith(("torch/", "ATen/", "c10/")):
                continue
            included = _read(found) if found else None
            if found is None or included is None:
                return None
            if found not in seen:
                seen.add(found)
                included = _COMMENT.sub(" ", included)
                texts.append(included)
                open_files.append((found, included))
    return "\n".join(texts)


def _read(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
