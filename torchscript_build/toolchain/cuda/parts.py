"""Parts of a CUDA toolkit that lie in several folders: NVIDIA's wheels, beside each other and beside a toolkit.

Wheels for CUDA 13 share one folder, ``nvidia/cu13``, but have neither ``lib64`` nor ``libcudart.so``; those for CUDA 12
have a folder each (``nvidia/cuda_runtime``, ``nvidia/cusparse``). A merged view makes one toolkit of them by links.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.system import Environment
from torchscript_build.toolchain.cuda.read import CudaToolkit
from torchscript_build.toolchain.cuda.search import nvidia_folders
from torchscript_build.toolchain.cuda.tables import TORCH_HEADERS, Header

OTHER_WHEELS = ("cudnn", "nccl", "nvshmem", "cusparselt")
"""Folders below ``nvidia`` that are no parts of the toolkit."""


class Headers(NamedTuple):
    """Where the headers of CUDA that torch's own include are found."""

    include_dirs: tuple[Path, ...]
    """Beyond those that nvcc searches by itself. To be given with ``-isystem``: so nvcc's own come first, and a wheel
    of another patch release does not mix with them."""
    missing: tuple[Header, ...]


class Link(NamedTuple):
    """One link to make."""

    path: str
    """Relative to the merged folder, with ``/``."""
    target: Path


def find_parts(toolkit: CudaToolkit, libtorch: Optional[LibTorch], environment: Environment) -> tuple[Path, ...]:
    """Folders with ``include`` or ``lib`` of the toolkit's major version, outside its root: NVIDIA's wheels beside
    libtorch, then those of the interpreter, then conda's prefixes."""
    found: dict[str, Path] = {}
    own = os.path.realpath(toolkit.root)
    for part in _candidates(toolkit, libtorch, environment):
        real = os.path.realpath(part)
        if real != own and ((part / "include").is_dir() or (part / "lib").is_dir()):
            found.setdefault(real, part)
    return tuple(found.values())


def _candidates(toolkit: CudaToolkit, libtorch: Optional[LibTorch], environment: Environment) -> Iterator[Path]:
    beside = [libtorch.root.parent / "nvidia"] if libtorch is not None else []
    for folder in (*beside, *nvidia_folders(environment)):
        if (folder / f"cu{toolkit.major}").is_dir():
            yield folder / f"cu{toolkit.major}"
        for part in sorted(folder.glob("*")) if folder.is_dir() else ():
            if part.name not in OTHER_WHEELS and not re.fullmatch(r"cu\d+", part.name) and _is_of(part, toolkit.major):
                yield part
    for name in ("PREFIX", "BUILD_PREFIX", "CONDA_PREFIX"):
        prefix = environment.get(name)
        if prefix is not None:
            yield from sorted(Path(prefix).glob("targets/*-linux"))


def _is_of(part: Path, major: int) -> bool:
    """Is a wheel's folder one of this major version of CUDA? By the runtime wheel beside it, whose library tells."""
    libraries = list((part.parent / "cuda_runtime").glob("lib/libcudart.so.*"))
    return not libraries or any(re.search(rf"\.so\.{major}(\.|$)", library.name) for library in libraries)


def find_headers(
    toolkit: CudaToolkit,
    parts: Iterable[Path],
    wanted: Sequence[Header] = TORCH_HEADERS,
) -> Headers:
    """The include directories to add to nvcc's own, and the headers that are nowhere."""
    extra: list[Path] = []
    missing = []
    folders = [folder for part in parts for folder in (part / "include", part / "include" / "cccl")]
    for header in wanted:
        if any((folder / header.name).is_file() for folder in (*toolkit.include_dirs, *extra)):
            continue
        folder = next((f for f in folders if (f / header.name).is_file()), None)
        if folder is None:
            missing.append(header)
        else:
            extra.append(folder)
    return Headers(tuple(extra), tuple(missing))


def needs_merging(toolkit: CudaToolkit) -> bool:
    """Would CMake fail with it as it is? It wants a ``libcudart.so`` to link, which wheels do not have."""
    return not any(
        (folder / name).is_file()
        for folder in toolkit.library_dirs
        for name in ("libcudart.so", "cudart.lib", "libcudart.dylib")
    )


def plan_merged_toolkit(toolkit: CudaToolkit, parts: Sequence[Path] = ()) -> tuple[Link, ...]:
    """The links that make one toolkit out of a toolkit and further parts; where two have the same file, the first wins.

    ``bin`` is a real folder of links: nvcc takes the folder that it was started from for its toolkit. Libraries go into
    ``lib64``, to which ``lib`` leads, with the names without version that linkers want.
    """
    programs = toolkit.root / "bin" if (toolkit.root / "bin" / toolkit.nvcc.name).is_file() else toolkit.nvcc.parent
    links = {f"bin/{name}": programs / name for name in _names(programs)}
    nvvm = next((root / "nvvm" for root in (toolkit.root, *parts) if (root / "nvvm").is_dir()), None)
    if nvvm is not None:
        links["nvvm"] = nvvm
    include_dirs = [f for f in toolkit.include_dirs if f.name != "cccl"]
    _merge(links, "include", [*include_dirs, *(part / "include" for part in parts)])
    library_dirs = [*toolkit.library_dirs, *(part / n for part in parts for n in ("lib64", "lib"))]
    _merge(links, "lib64", [f for f in library_dirs if f.is_dir() and f.name != "stubs"])
    for path, target in list(links.items()):
        match = re.fullmatch(r"(lib64/lib[^/]+\.so)\.\d+(?:\.\d+)*", path)
        if match and match[1] not in links:
            links[match[1]] = target
    return tuple(Link(path, target) for path, target in sorted(links.items()))


def _merge(links: dict[str, Path], path: str, folders: Sequence[Path]) -> None:
    """Link every entry of several folders; a folder that several have becomes a real one."""
    holders: dict[str, list[Path]] = {}
    for folder in folders:
        for name in _names(folder):
            holders.setdefault(name, []).append(folder / name)
    for name, entries in sorted(holders.items()):
        same = {os.path.realpath(e) for e in entries}
        if len(same) > 1 and all(e.is_dir() for e in entries):
            _merge(links, f"{path}/{name}", entries)
        else:
            links[f"{path}/{name}"] = entries[0]


def _names(folder: Path) -> list[str]:
    """What a folder holds, without Python's files, which wheels for CUDA 12 have everywhere."""
    try:
        return sorted(n for n in os.listdir(folder) if not n.startswith(("__init__.py", "__pycache__", ".")))
    except OSError:
        return []


def write_merged_toolkit(links: Iterable[Link], folder: Path) -> bool:
    """Make the links in a folder of its own; what is there and not planned is removed. Returns whether it changed."""
    wanted = {link.path: link.target for link in (*links, Link("lib", Path("lib64")))}
    changed = False
    for path, directories, files in os.walk(folder):
        for name in (*files, *(d for d in directories if os.path.islink(os.path.join(path, d)))):
            there = Path(path, name)
            if there.relative_to(folder).as_posix() not in wanted:
                there.unlink()
                changed = True
    for relative, target in wanted.items():
        link = folder / relative
        if os.path.islink(link) and os.readlink(link) == os.fspath(target):
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        _replace_by_link(link, target)
        changed = True
    return changed


def _replace_by_link(link: Path, target: Path) -> None:
    """Atomically where a link or nothing was there; a real folder of an earlier plan is removed first."""
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    os.symlink(target, temporary)
    os.replace(temporary, link)
