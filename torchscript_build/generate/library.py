"""A planned C library → its sources and header under its own names, and the files that tell others how to link it."""

from __future__ import annotations

import posixpath
import re

from torchscript_build.generate.templates import FileSet, read_static, render
from torchscript_build.plan.build_plan import PlannedLibrary

SOURCES = ("failure.cpp", "models.cpp", "place.cpp", "tensors.cpp", "values.cpp")
_HEADERS = ("failure.h", "handles.h", "things.h")


def library_folder(library: PlannedLibrary) -> str:
    """Where its sources lie in the generated project."""
    return f"libraries/{library.name}"


def library_sources(library: PlannedLibrary) -> list[str]:
    """Its sources in the generated project."""
    return [f"{library_folder(library)}/{name}" for name in SOURCES]


def exports_file(library: PlannedLibrary) -> str:
    """Its version script in the generated project."""
    return f"{library_folder(library)}/exports.map"


def symbols_file(library: PlannedLibrary) -> str:
    """The same for macOS' linker."""
    return f"{library_folder(library)}/exports.txt"


def render_library(library: PlannedLibrary) -> FileSet:
    """The sources of a library, which are the same in all but for their names."""
    folder, header = library_folder(library), render_header(library)
    files = {f"{folder}/{name}": _named(library, read_static(f"library/{name}")) for name in (*SOURCES, *_HEADERS)}
    names = exported_names(header)
    version = f"{library.prefix.upper()}_1"
    script = f"{version} {{\n  global:\n{''.join(f'    {n};{chr(10)}' for n in names)}  local:\n    *;\n}};\n"
    return {
        **files,
        f"{folder}/{library.name}.h": header,
        exports_file(library): script.encode(),
        symbols_file(library): "".join(f"_{name}\n" for name in names).encode(),
    }


def render_header(library: PlannedLibrary) -> bytes:
    """Its public header."""
    text = read_static("library/library.h").replace(b"/* @DLPACK@ */\n", read_static("library/dlpack.h"))
    return _named(library, text)


def exported_names(header: bytes) -> list[str]:
    """The functions that a header declares."""
    return re.findall(r"^\w+_API [^(]*?(\w+)\(", header.decode(), flags=re.MULTILINE)


def package_files(library: PlannedLibrary, version: str) -> FileSet:
    """What lies beside an installed library: path in the package tree → content."""
    root, name = library.root, library.name
    values = {"name": name, "version": version, "file_name": library.file_name, "prefix": library.prefix}
    templates = {
        f"pkgconfig/{name}.pc": "library/library.pc.in",
        f"cmake/{name}/{name}Config.cmake": "library/Config.cmake.in",
        f"cmake/{name}/{name}ConfigVersion.cmake": "library/ConfigVersion.cmake.in",
    }
    files = {posixpath.join(root, "lib", target): render(template, **values) for target, template in templates.items()}
    return {posixpath.join(root, "include", f"{name}.h"): render_header(library), **files}


def _named(library: PlannedLibrary, text: bytes) -> bytes:
    """A source with the library's own names in the place of the template's."""
    lower, upper = library.prefix.encode(), library.prefix.upper().encode()
    text = text.replace(b'#include "library.h"', f'#include "{library.name}.h"'.encode())
    return re.sub(rb"\bTSL(?=_)", upper, re.sub(rb"\btsl(?=_)", lower, text))
