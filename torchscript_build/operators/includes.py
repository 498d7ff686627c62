"""What a C++ source includes, and what of torch's heavy headers' content it names, read from its text.

The lean form of a heavy header may be given only where nothing could compile with it and mean something else: so a
source is followed into all that it includes of the project, and one that asks what there is (conditions on macros that
the project does not define itself, detection by templates), or that includes what nobody can look into, gets the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.operators.names import read_named_parts
from torchscript_build.plan.headers import PRECOMPILABLE, UMBRELLAS, HeaderUse

_NEEDS_ALL = re.compile(
    r"\btorch\s*::\s*(nn|optim|data|jit|serialize|save|load|python|pickle_\w+|OrderedDict|ExpandingArray\w*|detail)\b"
    r"|\busing\s+namespace\s+(::\s*)?torch\b|\bnamespace\s+torch\b|\bnamespace\s+\w+\s*=\s*(::\s*)?torch\b"
    r"|\bTORCH_(MODULE|ARG)\w*"
)
_ASKS = re.compile(r"\b(__has_include|void_t|is_detected\w*|is_invocable\w*|declval|requires|type_caster)\b")
"""Words by which code finds out whether something is declared, or declares it itself where torch may have done so."""
_NEEDS_PYTHON = re.compile(r"\bpy\b|pybind|PYBIND|\bPy[A-Z_]\w*|\bTHP|\bPython\.h")
"""A forecast: a source that it misjudges does not compile, see templates/ops/lean_without_python."""
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)[ \t]*((?:\\\r?\n|[^\n])*)", re.MULTILINE)
_INCLUDES_UMBRELLA = re.compile(rf'^[ \t]*#[ \t]*include[ \t]*[<"]({"|".join(UMBRELLAS)})[>"]', re.MULTILINE)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
_LITERAL_OR_COMMENT = re.compile(
    r'R"([^()\\\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL
)

_TORCH = ("torch/", "ATen/", "c10/", "caffe2/")
_SYSTEM = re.compile(
    r"[a-z_]+|(assert|complex|ctype|errno|fenv|float|inttypes|limits|locale|malloc|math|memory|omp|pthread|setjmp|signal"
    r"|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|tgmath|unistd|wchar|dlfcn|fcntl|[a-z0-9]*intrin"
    r"|arm_neon|arm_sve|cuda|cuda_\w+|cublas\w*|cudnn\w*|cufft\w*|curand\w*|cusolver\w*|cusparse\w*|nccl|nvToolsExt"
    r"|device_\w+|driver_types|vector_\w+|mma)\.h|(sys|bits|cub|thrust|cooperative_groups|cuda)/.+"
)
"""Headers of the languages, the system and CUDA, which know nothing of torch."""
_KNOWN_MACRO = re.compile(
    r"_.*|defined|(WITH|USE)_(CUDA|ROCM|HIP|XPU|PYTHON)|\w+_EXPORTS|TORCH_VERSION\w*|TORCH_EXTENSION_NAME"
    r"|TORCH_API_INCLUDE_EXTENSION_H|CUDA_VERSION|CUDART_VERSION|CUDNN_VERSION|NDEBUG|WIN32|Py_LIMITED_API|true|false|and|or|not"
)
"""What conditions may ask: compilers, settings and the headers that the lean form has, too."""


def read_header_use(
    source: Path, include_dirs: Sequence[str] = (), definitions: Iterable[str] = (), torch_headers: Sequence[Path] = ()
) -> HeaderUse:
    """Read one source and all that it includes of the project.

    :param include_dirs: the project's folders.
    :param definitions: the macros that the settings define: ``A``, ``A=1``.
    :param torch_headers: libtorch's include directories.
    """
    text = _read(source)
    if text is None:
        return HeaderUse()
    text = without_comments(text)
    names = _whole_text(text, source, include_dirs)
    included = _INCLUDES_UMBRELLA.search(names or text)
    umbrella = included[1] if included else None
    header = None
    for directive, rest in _DIRECTIVE.findall(text):
        included = re.match(r'[<"]([^>"]+)[>"]', rest) if directive == "include" else None
        if included and included[1] in PRECOMPILABLE:
            header = included[1]
            break
        if not (included and rest.startswith("<")):
            break
    if header is None and umbrella is None:
        return HeaderUse()
    definitions = tuple(definitions)
    if names is not None:
        names = "\n".join([names, *(d.partition("=")[2] for d in definitions)])
    lean = (
        names is not None
        and umbrella is not None
        and not _NEEDS_ALL.search(names)
        and not _ASKS.search(names)
        and not _asks_for_macros(names, definitions)
    )
    python = names is None or _NEEDS_PYTHON.search(names) is not None
    named = read_named_parts(names, torch_headers, python=python) if lean and names else None
    return HeaderUse(header, umbrella, lean, python, named)


def included_files(sources: Iterable[Path], include_dirs: Sequence[Path]) -> list[Path]:
    """The files below the sources' own folders and the include directories that sources include, sorted."""
    found: set[Path] = set()
    todo = list(sources)
    while todo:
        file = todo.pop()
        text = _read(file)
        for _, path in _includes(without_comments(text or ""), file, include_dirs):
            if path is not None and path not in found:
                found.add(path)
                todo.append(path)
    return sorted(found)


def without_comments(text: str) -> str:
    """A source's lines, joined where a backslash says so, and without what it only tells to readers."""
    text = re.sub(r"\\[ \t]*\r?\n", "", text)
    return _LITERAL_OR_COMMENT.sub(lambda match: " " if match[0].startswith("/") else match[0], text)


def _includes(text: str, file: Path, include_dirs: Sequence[Path]) -> Iterator[tuple[str, Optional[Path]]]:
    """Pairs (what an include names, the project's file), with ``None`` where it is none of the project's."""
    for quote, name in _INCLUDE.findall(text):
        places = [*([file.parent] if quote == '"' else []), *include_dirs]
        yield name, next((p / name for p in places if _is_file(p / name)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _whole_text(text: str, source: Path, include_dirs: Sequence[str]) -> Optional[str]:
    """A source with all that it includes of the project; ``None`` if nobody can look into something of that."""
    texts, seen, open_files = [text], {source}, [(source, text)]
    folders = [Path(d) for d in include_dirs]
    while open_files:
        file, content = open_files.pop()
        if any(_is_hidden(*found) for found in _DIRECTIVE.findall(content)) or "%:" in content or "??=" in content:
            return None
        for name, found in _includes(content, file, folders):
            if found is None and (name.startswith(_TORCH) or _SYSTEM.fullmatch(name) or _is_python(name)):
                continue
            included = _read(found) if found else None
            if found is None or included is None:
                return None
            if found not in seen:
                seen.add(found)
                included = without_comments(included)
                texts.append(included)
                open_files.append((found, included))
    return "\n".join(texts)


def _is_hidden(directive: str, rest: str) -> bool:
    """Does a directive include what its text does not tell, by a macro for instance?"""
    named = re.match(r"<[^>]+>|\"[^\"]+\"", rest)
    return directive in ("include_next", "import") or (directive == "include" and named is None)


def _is_python(name: str) -> bool:
    return name == "Python.h" or name.startswith("pybind11/")


def _asks_for_macros(text: str, definitions: Iterable[str]) -> bool:
    """Does a condition depend on a macro that may be one of torch's?"""
    directives = _DIRECTIVE.findall(text)
    own = {
        *(re.split(r"\W", d, maxsplit=1)[0] for d in definitions),
        *(m[0] for d, rest in directives if d == "define" and (m := re.match(r"\w+", rest))),
    }
    conditions = [rest for d, rest in directives if d in ("if", "ifdef", "ifndef", "elif")]
    asked = {name for rest in conditions for name in re.findall(r"\b[A-Za-z_]\w*", rest)}
    return any(name not in own and not _KNOWN_MACRO.fullmatch(name) for name in asked)


def _read(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
