"""Copies a library with operators from elsewhere in a form that a program can load."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torchscript_build import log, system
from torchscript_build.errors import ModelError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import ExternalLibrary
from torchscript_build.system import elf

PYTHON_LIBRARY = "libtorch_python.so"


def carry(source: Path, target: Path, library: ExternalLibrary, libtorch: LibTorch) -> None:
    """Copy a library, less its need for Python where it has none.

    :raises ModelError: no program can load it, or none with this libtorch.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not elf.is_elf(source):
        shutil.copy2(source, target)
    else:
        info = elf.read_elf(source)
        _check_needs(source, info, library, libtorch)
        data = source.read_bytes()
        if PYTHON_LIBRARY in info.needed:
            data = without_needed(source, data, PYTHON_LIBRARY)
            log.say(f"-- {source.name} of {library.namespace}: linked with {PYTHON_LIBRARY}, of which it uses nothing")
        system.write_atomically(target, data)


def _check_needs(source: Path, info: elf.ElfInfo, library: ExternalLibrary, libtorch: LibTorch) -> None:
    python = sorted(s for s in info.undefined_symbols if s.startswith(("Py", "_Py")))
    if python:
        raise ModelError(
            f"{source} (external-ops: {library.namespace}) needs Python itself ({python[0]}): no program can load it",
            cures=[
                "use a build of its operators without Python bindings",
                "build its sources as [[ops]] of this project",
            ],
        )
    own = {path.name for folder in libtorch.library_dirs for path in folder.glob("*.so*")}
    torchs = [n for n in info.needed if n.startswith(("libtorch", "libc10")) and n != PYTHON_LIBRARY]
    missing = [name for name in torchs if name not in own]
    if missing:
        raise ModelError(
            f"{source} (external-ops: {library.namespace}) needs {', '.join(missing)}, which libtorch "
            f"{libtorch.full_version} ({libtorch.backend}) does not have: it was built for another variant of torch",
            cures=["install the variant of that package for this torch", "use the libtorch that it was built for"],
        )


def without_needed(path: Path, data: bytes, name: str) -> bytes:
    """An ELF file without one DT_NEEDED entry: those behind it move up, and the table ends one sooner.

    :param data: the file's content.
    """
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        image = ELFFile(file)
        section: Any = next(s for s in image.iter_segments() if s["p_type"] == "PT_DYNAMIC")
        tags = list(section.iter_tags())
        size = 16 if image.elfclass == 64 else 8
        offset = int(section["p_offset"])
        index = next(i for i, tag in enumerate(tags) if tag.entry.d_tag == "DT_NEEDED" and str(tag.needed) == name)
    end = offset + size * len(tags)
    begin = offset + size * index
    null = bytes(size)  # DT_NULL
    return data[:begin] + data[begin + size : end] + null + data[end:]
