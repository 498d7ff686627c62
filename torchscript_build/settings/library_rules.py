"""What must hold in the specs of C libraries: names that C can have, references, files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.settings.rules import (
    Doubts,
    check_package,
    check_references,
    is_file,
    is_package_file,
    lacks_inputs_for_tracing,
    where_of,
)
from torchscript_build.settings.specs import CLibrary, ProjectSpec

_SYSTEM = frozenset(("c", "m", "dl", "rt", "pthread", "util", "z", "stdc++", "gcc_s", "gomp", "omp"))
"""Libraries that every program finds by such a name."""
_POSIX = frozenset(("mq", "sem", "shm"))
"""``sem_open`` and its like are the C library's."""


def check_libraries(
    spec: ProjectSpec, root: Path, packages: Optional[Sequence[str]], problems: list[str], doubts: Doubts
) -> None:
    """Check the C libraries; problems are added to the list. Parameters as for ``rules.check_spec``."""
    prefixes: dict[str, str] = {}
    for library in spec.libraries:
        where = where_of(library)
        prefix = library.prefix
        other = prefixes.setdefault(prefix.lower(), library.name)
        if not re.match(r"[A-Za-z]", library.name):
            problems.append(f"{where}: a C library's name begins with a letter, as its functions do")
        elif library.name in _SYSTEM:
            problems.append(f"{where}: lib{library.name} is a library of the system; use another name")
        elif library.name in _POSIX:
            problems.append(f"{where}: {library.name}_open is a function of the system; use another name")
        elif other != library.name:
            problems.append(f"C libraries {other!r} and {library.name!r}: the functions of both begin with {prefix}_")
        check_package(library, packages, problems)
        _check_library(library, spec, root, problems, doubts)


def _check_library(library: CLibrary, spec: ProjectSpec, root: Path, problems: list[str], doubts: Doubts) -> None:
    where = where_of(library)
    models = [m.name for m in spec.models]
    check_references(where, "models", library.models, models, problems, doubts.get("model", set()))
    check_references(where, "ops", library.ops, [o.name for o in spec.ops], problems, doubts.get("ops", set()))
    for ops in (o for o in spec.ops if o.name in library.ops):
        if ops.python_module:
            problems.append(f"{where}: ops: {ops.name!r} is a Python module; a C library cannot link it")
        elif library.install and not ops.install:
            problems.append(f"{where}: ops: {ops.name!r} has install = false, so the installed library would miss it")
    for key in ("rtol", "atol"):
        if not 0 <= getattr(library, key) < float("inf"):
            problems.append(f"{where}: {key} must not be negative, not {getattr(library, key)}")
    own = [m for m in spec.models if m.name in library.models]
    given = [m for m in own if m.example_inputs or m.check_inputs or lacks_inputs_for_tracing(m)]
    if library.verify and not given and (own or not library.models):
        problems.append(f"{where}: verify needs a model with example-inputs")
    if isinstance(library.external_ops, Mapping):
        for namespace, file in library.external_ops.items():
            if not is_package_file(file) and not is_file(root / file):
                problems.append(f"{where}: external-ops: {namespace}: there is no file {file!r}")
