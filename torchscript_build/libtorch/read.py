"""A folder → the facts about the libtorch in it, each with its witness; torch is never imported."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Optional

from torchscript_build.errors import LibTorchUnusableError
from torchscript_build.libtorch.abi import read_sentinels, symbol_name
from torchscript_build.libtorch.accelerator import read_accelerator
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.layout import Layout, locate_layout
from torchscript_build.libtorch.machine import read_machine
from torchscript_build.libtorch.releases import OLDEST, Version, release_row
from torchscript_build.libtorch.versions import (
    agreed_version,
    read_metadata,
    read_python_part,
    read_text,
    read_versions,
)
from torchscript_build.system import StrPath

LINK_ORDER = (
    "torch",
    "torch_cuda",
    "torch_cuda_cu",
    "torch_cuda_cpp",
    "torch_hip",
    "torch_xpu",
    "torch_cpu",
    "c10_cuda",
    "c10_hip",
    "c10_xpu",
    "c10",
)
"""Every library that a consumer may have to link, dependents first; what is there is taken."""

NEEDED_LIBRARIES = ("torch", "torch_cpu", "c10")
NEEDED_HEADERS = ("torch/script.h", "torch/library.h", "ATen", "c10")


def read_libtorch(path: StrPath) -> LibTorch:
    """The facts about the libtorch that a folder is, holds, or belongs to.

    :raises LibTorchUnusableError: there is none, or an incomplete or contradictory one.
    """
    layout = locate_layout(Path(path))
    if isinstance(layout, str):
        raise LibTorchUnusableError(f"no libtorch in {os.fspath(path)}: {layout}")
    return read_layout(layout)


def read_layout(layout: Layout, found_by: str = "") -> LibTorch:
    """The facts about a libtorch whose folders are known.

    :param found_by: the search step that named it.
    :raises LibTorchUnusableError: it is incomplete, or two of its witnesses disagree.
    """
    python = read_python_part(layout)
    metadata = read_metadata(layout)
    version, local, witness = agreed_version(layout, read_versions(layout, python, metadata))
    release = witness.release
    if release < OLDEST:
        raise LibTorchUnusableError(
            f"{layout.root} is libtorch {version}; the oldest that torchscript-build supports is 1.8.1",
            cures=["use a newer libtorch"],
        )
    libraries = _libraries(layout)
    names = tuple(name for name in LINK_ORDER if layout.library(name) in libraries)
    machine, machine_file = _machine(layout, libraries)
    _require_headers(layout)
    accelerator = read_accelerator(layout, names, local, python, metadata)
    config = layout.cmake / "Torch" / "TorchConfig.cmake" if layout.cmake else None
    config_text = (read_text(config) if config else None) or ""
    witnesses = {
        "version": str(witness.source),
        "machine": str(machine_file),
        "platform": str(libraries[-1]),
        **accelerator.witnesses,
    }
    cxx11_abi = None
    if layout.platform == "linux":
        cxx11_abi, witnesses["cxx11_abi"] = _cxx11_abi(layout, release, config, config_text)
    cxx_standard, witnesses["cxx_standard"] = _cxx_standard(release, config, config_text)
    return LibTorch(
        root=layout.root,
        version=version,
        local_version=local,
        cxx11_abi=cxx11_abi,
        cxx_standard=cxx_standard,
        backend=accelerator.backend,
        cuda_version=accelerator.cuda_version,
        cudnn_version=accelerator.cudnn_version,
        cuda_architectures=accelerator.cuda_architectures,
        include_dirs=_include_dirs(layout),
        library_dirs=tuple(dict.fromkeys((layout.runtime, layout.libraries))),
        libraries=libraries,
        python_library=_python_library(layout),
        definitions=() if cxx11_abi is None else (f"_GLIBCXX_USE_CXX11_ABI={int(cxx11_abi)}",),
        layout=layout.kind,
        platform=layout.platform,
        machine=machine,
        found_by=found_by,
        witnesses=witnesses,
    )


def _libraries(layout: Layout) -> tuple[Path, ...]:
    """The libraries that are there, in link order."""
    missing = [path.name for path in map(layout.library, NEEDED_LIBRARIES) if not path.is_file()]
    if missing:
        raise LibTorchUnusableError(
            f"{layout.root} is an incomplete libtorch: {_and(missing)} missing in {layout.libraries}",
            cures=[_whole(layout)],
        )
    return tuple(path for path in map(layout.library, LINK_ORDER) if path.is_file())


def _machine(layout: Layout, libraries: tuple[Path, ...]) -> tuple[str, Path]:
    """The processor that c10 was made for; every library must be whole and for the same one."""
    if layout.platform == "win32":
        dll = layout.runtime / "c10.dll"
        if not dll.is_file():
            raise LibTorchUnusableError(
                f"{layout.root} is an incomplete libtorch: c10.dll missing in {layout.runtime}", cures=[_whole(layout)]
            )
        return read_machine(dll, layout.platform), dll
    machine = read_machine(libraries[-1], layout.platform)
    for path in libraries[:-1]:
        other = read_machine(path, layout.platform)
        if other != machine:
            raise LibTorchUnusableError(
                f"{layout.root} is a mixed installation: {libraries[-1].name} was made for {machine}, "
                f"{path.name} for {other}",
                cures=[_whole(layout)],
            )
    return machine, libraries[-1]


def _require_headers(layout: Layout) -> None:
    missing = [name for name in NEEDED_HEADERS if not os.path.exists(layout.include / name)]
    if missing:
        raise LibTorchUnusableError(
            f"{layout.root} is an incomplete libtorch: {_and(missing)} missing in {layout.include}",
            cures=[_whole(layout)],
        )


def _include_dirs(layout: Layout) -> tuple[Path, ...]:
    api = layout.include / "torch" / "csrc" / "api" / "include"
    return (layout.include, api) if api.is_dir() else (layout.include,)


def _python_library(layout: Layout) -> Optional[Path]:
    path = layout.library("torch_python")
    if path.is_file():
        return path
    if layout.package is not None:
        path = layout.package / "lib" / path.name
        if path.is_file():
            return path
    return None


def _cxx11_abi(layout: Layout, release: Version, config: Optional[Path], config_text: str) -> tuple[bool, str]:
    """libstdc++'s ABI: from the binary; else from TorchConfig.cmake; else, from 2.8 on, there is only the new one."""
    c10 = layout.library("c10")
    old, new = read_sentinels(c10)
    flag = re.search(r"_GLIBCXX_USE_CXX11_ABI=([01])", config_text)
    said = flag[1] == "1" if flag else None
    if old != new:
        if said is not None and said is not new:
            raise LibTorchUnusableError(
                f"{layout.root} contradicts itself about the cxx11 ABI\n"
                f"  {c10} exports {symbol_name(new)}: _GLIBCXX_USE_CXX11_ABI={int(new)}\n"
                f"  {config} says _GLIBCXX_USE_CXX11_ABI={int(said)}",
                cures=[_whole(layout)],
            )
        return new, f"symbol {symbol_name(new)} in {c10}"
    if said is not None:
        return said, str(config)
    if layout.kind == "conda":
        return True, "conda packages are built with the new ABI"
    tabled = release_row(release).cxx11_abi
    if tabled is not None:
        return tabled, f"every Linux build of {release[0]}.{release[1]}"
    both = "both ABIs' symbols" if old else "neither ABI's symbol"
    raise LibTorchUnusableError(
        f"cannot tell the cxx11 ABI of {layout.root}: {c10} has {both} for c10::Error, "
        "and no TorchConfig.cmake says it",
        cures=[_whole(layout)],
    )


def _cxx_standard(release: Version, config: Optional[Path], config_text: str) -> tuple[int, str]:
    """The C++ standard that TorchConfig.cmake asks for; else the table's."""
    row = release_row(release)
    match = re.search(r"CXX_STANDARD (\d+)|cxx_std_(\d+)\)", config_text)
    if not match:
        return row.cxx_standard, f"every build of {release[0]}.{release[1]}"
    standard = int(match[1] or match[2])
    differs = "" if standard == row.cxx_standard else f" (the table of releases says {row.cxx_standard})"
    return standard, f"{config}{differs}"


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _whole(layout: Layout) -> str:
    """How to get a whole libtorch, by how this one came."""
    if layout.kind == "wheel":
        return "pip install --force-reinstall torch (the whole wheel; slim images remove files from it)"
    if layout.kind == "conda":
        return "conda install --force-reinstall libtorch pytorch"
    if layout.kind == "archive":
        return "unpack the archive anew"
    return "install the development files of this libtorch, too"
