"""The build ID of what is shipped, made from its own content.

The linker makes one from the file in the build tree, whose RUNPATH names a folder of this machine: with an isolated pip
build, another one each time. ``cmake --install`` takes that away, and the ID would be all that differs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

SECTION = ".note.gnu.build-id"
LENGTHS = (16, 20)
"""Bytes of the IDs that linkers make (``--build-id=md5``, ``uuid``, ``sha1``); a user's own has seldom as many."""


def renew_build_id(path: Path) -> None:
    """Replace a binary's build ID by a digest of all the rest of it; one without is left as it is."""
    from elftools.elf.elffile import ELFFile

    with path.open("r+b") as file:
        section: Any = ELFFile(file).get_section_by_name(SECTION)
        note = next(iter(section.iter_notes()), None) if section is not None else None
        if note is None or note["n_descsz"] not in LENGTHS:
            return
        length = int(note["n_descsz"])
        start = int(section["sh_offset"]) + int(section["sh_size"]) - length
        file.seek(0)
        content = bytearray(file.read())
        content[start : start + length] = bytes(length)
        file.seek(start)
        file.write(hashlib.sha256(content).digest()[:length])
