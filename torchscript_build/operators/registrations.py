"""What C++ sources register, read from their text: problems are told before anything is compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.records import dataclass
from torchscript_build.settings.specs import OpLibrary

_TOKEN = re.compile(
    r"""//[^\n]* | /\*.*?\*/
    | R"(?P<delimiter>[^()\\\s]{0,16})\((?P<raw>.*?)\)(?P=delimiter)"
    | (?P<string>"(?:\\.|[^"\\\n])*") | (?P<char>'(?:\\.|[^'\\\n])+')
    | ^[ \t]*\#[ \t]*define\b(?:\\\r?\n|[^\n])*""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_LIBRARY = re.compile(
    r"\b(?:STABLE_)?TORCH_LIBRARY(?P<kind>_FRAGMENT|_IMPL)?\s*\(\s*(?P<namespace>[A-Za-z_]\w*)\s*,\s*(?P<variable>\w*)"
)
_DEFINITION = re.compile(r"\.\s*def\s*\(\s*(?:TORCH_SELECTIVE_SCHEMA\s*\(\s*)?(?=\")")
_NAME = re.compile(r'"\s*(?:(?P<ns>\w+)::)?(?P<name>\w+(?:\.\w+)?)')
_CONDITION = re.compile(r"^[ \t]*#[ \t]*(if|el|endif)", re.MULTILINE)


@dataclass(frozen=True)
class Registrations:
    """What the sources of one library register, as far as their text tells; macros can hide some of it."""

    owners: tuple[str, ...] = ()
    """Namespaces of ``TORCH_LIBRARY``, one entry for each time that it stands there."""
    fragments: tuple[str, ...] = ()
    """Namespaces of ``TORCH_LIBRARY_FRAGMENT``."""
    operators: tuple[str, ...] = ()
    """``"my_ops::add"``, with the overload name where there is one."""

    @property
    def namespaces(self) -> frozenset[str]:
        """All namespaces to which something is added."""
        return frozenset((*self.owners, *self.fragments))


def read_registrations(sources: Iterable[Path]) -> Registrations:
    """Scan the sources of one library; a file that cannot be read is left to the compiler."""
    owners: list[str] = []
    fragments: list[str] = []
    operators: list[str] = []
    for source in sources:
        try:
            text = source.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = parse_registrations(text)
        owners += found.owners
        fragments += found.fragments
        operators += found.operators
    return Registrations(tuple(owners), tuple(fragments), tuple(operators))


def read_library_registrations(libraries: Iterable[OpLibrary], root: Path) -> Mapping[str, Registrations]:
    """Library name → what its sources register."""
    return {o.name: read_registrations(root / source for source in o.sources) for o in libraries}


def operator_names(registered: Registrations, schemas: Optional[Sequence[str]]) -> tuple[str, ...]:
    """Names without overloads, as they were registered when the library was loaded, else as its sources say.

    :param schemas: ``None`` where it was not loaded.
    """
    if schemas is not None:
        return tuple(dict.fromkeys(s.split("(")[0].split(".")[0] for s in schemas))
    return tuple(dict.fromkeys(o.split(".")[0] for o in registered.operators))


def parse_registrations(text: str) -> Registrations:
    """The registrations in the text of one source file."""
    code = _without_comments(text)
    bare = _STRING.sub(lambda m: '"' + " " * (len(m[0]) - 2) + '"', code)
    owners: list[str] = []
    fragments: list[str] = []
    operators: list[str] = []
    for match in _LIBRARY.finditer(bare):
        namespace = match["namespace"]
        if match["kind"] == "_IMPL" or (namespace in owners and _is_alternative(bare, match.start())):
            continue
        (fragments if match["kind"] else owners).append(namespace)
        end = _end_of_block(bare, match.end())
        for found in _DEFINITION.finditer(bare, match.end(), end):
            name = _NAME.match(code, found.end())
            if name and _is_of_library(bare, found.start(), match["variable"]):
                operators.append(f"{name['ns'] or namespace}::{name['name']}")
    return Registrations(tuple(owners), tuple(fragments), tuple(operators))


def find_conflicts(libraries: Mapping[str, Registrations], promised: Mapping[str, Sequence[str]]) -> list[str]:
    """What would only fail when the libraries are loaded, in words.

    :param libraries: library name → what its sources register.
    :param promised: library name → the namespaces that it promises.
    """
    problems = []
    for name, namespaces in promised.items():
        for namespace in namespaces:
            if namespace not in libraries[name].namespaces:
                found = ", ".join(sorted(libraries[name].namespaces)) or "none"
                problems.append(
                    f"operator library {name!r} promises the namespace {namespace!r}, but its sources have no "
                    f"TORCH_LIBRARY({namespace}, m) (they register: {found})"
                )
    for namespace in sorted({n for r in libraries.values() for n in r.owners}):
        holders = [name for name, r in libraries.items() for n in r.owners if n == namespace]
        if len(holders) > 1:
            where = f"twice in {holders[0]!r}" if len(set(holders)) == 1 else "in " + " and ".join(map(repr, holders))
            problems.append(
                f"TORCH_LIBRARY({namespace}, m) stands {where}: only one may own a namespace; "
                f"let the others say TORCH_LIBRARY_FRAGMENT({namespace}, m)"
            )
    owners: dict[str, str] = {}
    for name, registered in libraries.items():
        for operator in dict.fromkeys(registered.operators):
            if operator in owners:
                problems.append(f"operator {operator} is registered by {owners[operator]!r} and by {name!r}")
            owners.setdefault(operator, name)
    return problems


_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')


def _without_comments(text: str) -> str:
    """The code without comments and macros; raw strings become plain ones, so that schemas in them are seen."""

    def plain(match: re.Match[str]) -> str:
        if match["raw"] is not None:
            return '"' + re.sub(r'["\\\n]', " ", match["raw"]) + '"'
        return match["string"] or ("0" if match["char"] else " ")

    return _TOKEN.sub(plain, text)


def _end_of_block(code: str, start: int) -> int:
    """Where the block that begins with the first brace after ``start`` ends."""
    begin = code.find("{", start)
    depth = 0
    for at in range(begin, len(code)) if begin >= 0 else ():
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        if depth == 0:
            return at
    return len(code)


def _is_of_library(code: str, at: int, variable: str) -> bool:
    """Is a call that begins at ``at`` one of the library, ``m.def(…).def(…)``, and not ``m.class_<…>(…).def(…)``?"""
    chain = ""
    depth = 0
    while at > 0:
        at -= 1
        depth += {")": 1, "}": 1, "(": -1, "{": -1}.get(code[at], 0) if depth or code[at] in "({)" else 0
        if depth < 0 or (depth == 0 and code[at] in ";}"):
            break
        if depth == 0:
            chain = code[at] + chain
    return re.search(rf"\b{variable}\s*(\.|\Z)", chain) is not None and "class_" not in chain


def _is_alternative(code: str, at: int) -> bool:
    """Does a place lie behind an ``#else`` or ``#elif``, so that what stands before it may not be compiled?"""
    branches: list[bool] = []
    for match in _CONDITION.finditer(code, 0, at):
        if match[1] == "if":
            branches.append(False)
        elif branches and match[1] == "el":
            branches[-1] = True
        elif branches:
            branches.pop()
    return any(branches)
