"""Which release a libtorch is: every witness of its version that lies in its folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from torchscript_build.errors import LibTorchUnusableError
from torchscript_build.libtorch.layout import Layout

MOST_BYTES = 1 << 20
"""More of a text file is not read."""


class VersionWitness(NamedTuple):
    """One place that says which version this is."""

    version: str
    """As written, with its local part where there is one."""
    source: Path

    @property
    def release(self) -> tuple[int, ...]:
        """Major, minor, patch: what all witnesses must agree upon."""
        return release_of(self.version)

    @property
    def local(self) -> Optional[str]:
        """The part after ``+``."""
        return self.version.partition("+")[2] or None


class PythonPart(NamedTuple):
    """What torch's ``version.py`` says."""

    source: Path
    version: str
    cuda: Optional[str] = None
    hip: Optional[str] = None
    xpu: Optional[str] = None


class Metadata(NamedTuple):
    """What the Python distribution's metadata say."""

    source: Path
    version: str
    requirements: tuple[str, ...] = ()


def read_text(path: Path) -> Optional[str]:
    """A small text file; ``None`` where it is not there.

    :raises LibTorchUnusableError: it is there and cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LibTorchUnusableError(f"{path} cannot be read: {error.strerror}") from error


def release_of(version: str) -> tuple[int, ...]:
    """``"2.13.0a0+git1"`` → ``(2, 13, 0)``; empty where the text is no version."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version.strip())
    return tuple(int(n or 0) for n in match.groups()) if match else ()


def parse_python_part(text: str, source: Path) -> Optional[PythonPart]:
    """Torch's ``version.py``, both as up to 2.1 (``cuda = '10.2'``) and since (``cuda: Optional[str] = '12.1'``)."""
    found = dict(re.findall(r"""^(__version__|cuda|hip|xpu)\s*(?::[^=\n]*)?=\s*['"]([^'"\n]*)['"]""", text, re.M))
    version = found.get("__version__")
    if not version or not release_of(version):
        return None
    return PythonPart(source, version, found.get("cuda"), found.get("hip"), found.get("xpu"))


def read_python_part(layout: Layout) -> Optional[PythonPart]:
    """Torch's ``version.py``, where this libtorch has a Python part.

    :raises LibTorchUnusableError: there is one that names no version.
    """
    if layout.package is None:
        return None
    path = layout.package / "version.py"
    text = read_text(path)
    if text is None:
        return None
    part = parse_python_part(text, path)
    if part is None:
        raise LibTorchUnusableError(
            f"{path} names no version (wanted a line like __version__ = '2.6.0+cu124')",
            cures=["pip install --force-reinstall torch"],
        )
    return part


def read_metadata(layout: Layout) -> tuple[Metadata, ...]:
    """The metadata of every distribution ``torch`` that lies beside the package."""
    if layout.package is None:
        return ()
    site = layout.package.parent
    try:
        names = sorted(os.listdir(site))
    except OSError:
        return ()
    found = []
    for name in names:
        if name.startswith("torch-") and name.endswith((".dist-info", ".egg-info")):
            file = site / name / ("METADATA" if name.endswith(".dist-info") else "PKG-INFO")
            text = read_text(file)
            if text is not None:
                found.append(_parse_metadata(text, file))
    return tuple(m for m in found if m.version)


def _parse_metadata(text: str, source: Path) -> Metadata:
    version, requirements = "", []
    for line in text.splitlines():
        if not line:
            break  # the description follows
        key, _, value = line.partition(": ")
        if key == "Version":
            version = value.strip()
        elif key == "Requires-Dist":
            requirements.append(value.strip())
    return Metadata(source, version, tuple(requirements))


def read_versions(
    layout: Layout, python: Optional[PythonPart], metadata: Sequence[Metadata]
) -> tuple[VersionWitness, ...]:
    """Every witness of the version, most trusted first."""
    return tuple(w for w in _witnesses(layout, python, metadata) if w.release)


def _witnesses(layout: Layout, python: Optional[PythonPart], metadata: Sequence[Metadata]) -> Iterator[VersionWitness]:
    built = layout.root / "build-version"
    text = read_text(built)
    if text is not None:
        yield VersionWitness(text.strip(), built)
    if python is not None:
        yield VersionWitness(python.version, python.source)
    for one in metadata:
        yield VersionWitness(one.version, one.source)
    for record in layout.conda_records:
        yield VersionWitness(os.path.basename(record).split("-")[1], Path(record))
    if layout.cmake is not None:
        file = layout.cmake / "Torch" / "TorchConfigVersion.cmake"
        match = re.search(r'set\(PACKAGE_VERSION "([^"]*)"\)', read_text(file) or "")
        if match:
            yield VersionWitness(match[1], file)
    for header in ("torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"):
        file = layout.include / header
        numbers = dict(re.findall(r"#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +(\d+)", read_text(file) or ""))
        if len(numbers) == 3:
            yield VersionWitness("{MAJOR}.{MINOR}.{PATCH}".format(**numbers), file)
            break


def agreed_version(layout: Layout, witnesses: Sequence[VersionWitness]) -> tuple[str, Optional[str], VersionWitness]:
    """Version without local part, local part, and the witness of it.

    :raises LibTorchUnusableError: nobody tells, or two of them disagree.
    """
    if not witnesses:
        raise LibTorchUnusableError(
            f"{layout.root} looks like a libtorch, but nothing in it tells its version "
            "(looked for build-version, version.py, TorchConfigVersion.cmake, torch/version.h)",
            cures=["unpack the archive anew, or install the whole package"],
        )
    first = witnesses[0]
    with_local = [w for w in witnesses if _is_variant(w.local)]
    other = next((w for w in witnesses if w.release != first.release), None) or next(
        (w for w in with_local if w.local != with_local[0].local), None
    )
    if other is not None:
        one = first if other.release != first.release else with_local[0]
        raise LibTorchUnusableError(
            f"{layout.root} is a mixed installation: two releases of libtorch in one folder\n"
            f"  {one.version} says {one.source}\n"
            f"  {other.version} says {other.source}",
            cures=[
                "remove the folder and install one release into its place"
                if layout.package is None
                else "pip uninstall torch (until nothing is left of it), then install one release",
            ],
        )
    local = next((w.local for w in witnesses if w.local), None)
    return first.version.partition("+")[0], local, first


def _is_variant(local: Optional[str]) -> bool:
    """Does a local part name a build variant (``cpu``, ``cu124``) rather than a commit?"""
    return bool(local and re.fullmatch(r"(cpu|cu\d+|rocm[\d.]+|xpu)", local))
