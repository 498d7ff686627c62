"""The fetched libtorches in the user's cache: their records, the lock, temporary folders, removal.

A folder has its name only when it is whole: everything is made in a temporary folder, checked, and then renamed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import LibTorchUnusableError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.places import fetched_dir, fetched_names, locate_fetched
from torchscript_build.libtorch.versions import release_of
from torchscript_build.records import dataclass
from torchscript_build.system import Environment

RECORD = "fetched.json"
PART = ".part-"
"""What the names of temporary folders begin with; whoever holds the lock removes those of dead processes."""


@dataclass(frozen=True)
class Fetched:
    """One libtorch in the cache."""

    name: str
    """By which ``fetched:<name>`` names it: ``"2.6.0+cu124"``."""
    folder: Path
    source: str
    """The wheel's file name, or the archive's name or address without credentials; empty where unknown."""
    sha256: str
    """Of the wheel or archive."""
    size: int
    """Bytes on disk, CUDA's libraries not counted."""
    python: Optional[str] = None
    """The Python that its libtorch_python was built for: ``"3.11"``; ``None`` for an archive."""
    asked: str = ""
    """The question that it answered; asked again, it is answered at once."""
    new: bool = False
    """Was it fetched by this very call?"""

    @property
    def cuda_libraries(self) -> bool:
        """Are CUDA's own libraries beside it?"""
        return (self.folder / "nvidia").is_dir()


def list_fetched(environment: Environment) -> tuple[Fetched, ...]:
    """Every libtorch in the cache, by name."""
    store = fetched_dir(environment)
    return tuple(read_record(store / name) for name in fetched_names(environment))


def remove_fetched(name: str, environment: Environment) -> Fetched:
    """Remove a libtorch from the cache; it is gone from the lists before its files are.

    :raises LibTorchUnusableError: there is none of that name, or more than one.
    """
    store = fetched_dir(environment)
    with opened_store(store) as part:
        folder = locate_fetched(name, environment)
        if folder is None:
            there = ", ".join(fetched_names(environment)) or "none"
            raise LibTorchUnusableError(f"libtorch {name} has not been fetched (there: {there})")
        gone = read_record(folder)
        os.replace(folder, part / "removed")
    return gone


@contextlib.contextmanager
def opened_store(store: Path) -> Iterator[Path]:
    """Hold the cache alone; gives a temporary folder in it, which is removed afterwards, as are those of the dead."""
    with _explained(store):
        system.make_private(store, store.parent)
    with _explained(store), system.locked(store / ".lock", "the fetched libtorches"):
        for leftover in store.glob(f"{PART}*"):
            system.remove_tree(leftover)
        part = Path(tempfile.mkdtemp(dir=store, prefix=PART))
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _explained(store: Path) -> Iterator[None]:
    """A full disk or a folder without rights, as one of our errors."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise LibTorchUnusableError(
            f"the libtorch cannot be stored in {store}: {error.strerror or error}{where}",
            cures=["set TORCHSCRIPT_BUILD_CACHE_DIR to a folder with room for it", "torchscript-build fetch --list"],
        ) from error


def variant_tag(libtorch: LibTorch) -> str:
    """The build variant as a local version: ``cu124``, ``cpu``."""
    if libtorch.backend == "cuda":
        return "cu" + (libtorch.cuda_version or "").replace(".", "")
    return libtorch.backend


def build_name(libtorch: LibTorch, environment: Environment) -> str:
    """The name in the cache, one per build: version, variant; more only where two builds would have the same."""
    name = f"{libtorch.version}+{libtorch.local_version or variant_tag(libtorch)}"
    if (
        libtorch.layout == "archive"
        and libtorch.cxx11_abi
        and release_of(libtorch.version) < (2, 8)
        and "cxx11" not in name
    ):
        name += ".cxx11.abi"  # archives of both ABIs say the same version inside
    if (libtorch.platform, libtorch.machine) != (environment.platform, environment.machine):
        name += f"-{libtorch.platform}-{libtorch.machine}"
    return re.sub(r"[^0-9A-Za-z.+_-]", "_", name)


def write_record(file: Path, fetched: Fetched, libtorch: LibTorch) -> None:
    data = {
        "name": fetched.name,
        "source": fetched.source,
        "sha256": fetched.sha256,
        "size": fetched.size,
        "python": fetched.python,
        "asked": fetched.asked,
        "variant": libtorch.variant,
    }
    system.write_atomically(file, json.dumps(data, indent=2).encode() + b"\n")


def read_record(folder: Path) -> Fetched:
    """What the record says; a folder without one (put there by hand) is listed with its name alone."""
    try:
        data = system.parse_json((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    if not isinstance(data, Mapping):
        data = {}
    size, python = data.get("size"), data.get("python")
    return Fetched(
        name=folder.name,
        folder=folder,
        source=str(data.get("source") or ""),
        sha256=str(data.get("sha256") or ""),
        size=size if isinstance(size, int) else 0,
        python=python if isinstance(python, str) else None,
        asked=str(data.get("asked") or ""),
    )
