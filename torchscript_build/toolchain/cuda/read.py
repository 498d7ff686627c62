"""A folder or an nvcc → the facts about the CUDA toolkit that it belongs to, as nvcc itself tells them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Union

from torchscript_build import system
from torchscript_build.records import dataclass, field
from torchscript_build.system import Environment, StrPath
from torchscript_build.toolchain.cuda.tables import host_compilers, tabled_architectures
from torchscript_build.toolchain.programs import parse_version


@dataclass(frozen=True)
class CudaToolkit:
    """A CUDA toolkit whose nvcc answered."""

    root: Path
    """What nvcc itself takes for its toolkit."""
    nvcc: Path
    version: str
    """With all its numbers, ``"13.0.88"``."""
    include_dirs: tuple[Path, ...] = ()
    """That nvcc searches by itself and that are there."""
    library_dirs: tuple[Path, ...] = ()
    architectures: tuple[str, ...] = ()
    """That nvcc compiles for, lowest first: ``("75", "80", "90")``; empty where it does not tell."""
    found_by: str = ""
    highest_gcc: Optional[int] = None
    """The newest major version of GCC that it takes; ``None`` where nothing is known."""
    highest_clang: Optional[int] = None
    witnesses: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Fact name → the file, command or table that it was read from."""

    @property
    def release(self) -> str:
        """Major and minor: ``"13.0"``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def read_toolkit(path: Path, environment: Environment, found_by: str = "") -> Union[CudaToolkit, str]:
    """The toolkit that a folder or an nvcc belongs to; else the reason why it is none. Runs nvcc three times."""
    nvcc = _locate_nvcc(path, environment)
    if isinstance(nvcc, str):
        return nvcc
    variables = environment.variables
    done = system.probe([nvcc, "--version"], variables=variables)
    match = re.search(r"release \d+\.\d+, V(\d+\.\d+\.\d+)", done.output) if done and done.returncode == 0 else None
    if match is None:
        return f"{nvcc}: does not run"
    version = match[1]
    release = parse_version(version)
    told = _dryrun(nvcc, environment)
    root = _existing(told.top) or Path(os.path.realpath(nvcc)).parent.parent
    include_dirs = _unique((*told.include_dirs, root / "include"))
    gcc, clang, limits = _host_limits(include_dirs, release)
    architectures, architectures_witness = _architectures(nvcc, release, variables)
    return CudaToolkit(
        root=root,
        nvcc=nvcc,
        version=version,
        include_dirs=include_dirs,
        library_dirs=_unique((*told.library_dirs, root / "lib64", root / "lib" / "x64", root / "lib")),
        architectures=architectures,
        found_by=found_by,
        highest_gcc=gcc,
        highest_clang=clang,
        witnesses={
            "version": f"{nvcc} --version",
            "root": f"{nvcc} --dryrun" if told.top else str(nvcc),
            "architectures": architectures_witness,
            "host_compilers": limits,
        },
    )


def _dryrun(nvcc: Path, environment: Environment) -> Dryrun:
    """What nvcc says about its folders. It says nothing where it finds no host compiler, which it asks first."""
    null = "NUL" if environment.platform == "win32" else "/dev/null"
    host = environment.get("CUDAHOSTCXX") or environment.get("CXX")
    found = environment.which(host) if host else None
    command: list[StrPath] = [nvcc, "--dryrun", "-x", "cu", "-c", null]
    if found is not None:
        command += ["-ccbin", found]
    done = system.probe(command, variables=environment.variables)
    return parse_dryrun(done.output if done else "")


def _locate_nvcc(path: Path, environment: Environment) -> Union[Path, str]:
    """The nvcc that a path is or holds."""
    exe = "nvcc.exe" if environment.platform == "win32" else "nvcc"
    if path.is_file():
        return path
    if not path.is_dir():
        return f"{path}: does not exist"
    folders = [path / "bin", path, path / "Library" / "bin", *sorted(path.glob("nvidia/cu[0-9]*/bin"), reverse=True)]
    if path.parent.name == "targets":  # P/targets/x86_64-linux, as conda's activation names it
        folders.append(path.parent.parent / "bin")
    for folder in folders:
        if (folder / exe).is_file():
            return folder / exe
    if any((path / f).exists() for f in ("bin/ptxas", "nvidia/cuda_nvcc/bin/ptxas")):
        # nvidia-cuda-nvcc-cu11 and -cu12 have ptxas and libnvvm for just-in-time compilers, nothing more
        return f"{path}: has ptxas but no nvcc (the wheels nvidia-cuda-nvcc-cu11 and -cu12 have none)"
    return f"{path}: no bin/{exe}"


class Dryrun(NamedTuple):
    """What nvcc's dry run says about its folders, as it says it."""

    top: Optional[Path]
    include_dirs: tuple[Path, ...]
    library_dirs: tuple[Path, ...]


def parse_dryrun(text: str) -> Dryrun:
    """The lines ``#$ TOP=…``, ``#$ INCLUDES=…``: the folders by nvcc's own profile, whatever wraps or links it."""
    told = dict(re.findall(r"^#\$ (TOP|INCLUDES|SYSTEM_INCLUDES|LIBRARIES)=(.*?)\s*$", text, re.MULTILINE))
    words = [w for name in ("INCLUDES", "SYSTEM_INCLUDES") for w in re.findall(r'"([^"]+)"', told.get(name, ""))]
    include_dirs = [Path(w.removeprefix("-I")) for w in words if w not in ("-isystem", "-I")]
    library_dirs = [Path(w.removeprefix("-L")) for w in re.findall(r'"([^"]+)"', told.get("LIBRARIES", ""))]
    return Dryrun(Path(told["TOP"]) if told.get("TOP") else None, tuple(include_dirs), tuple(library_dirs))


def _existing(path: Optional[Path]) -> Optional[Path]:
    """A folder without its ``bin/..``; through links where the text alone would lead elsewhere."""
    if path is None or not path.is_dir():
        return None
    tidy = os.path.normpath(path)
    return Path(tidy) if os.path.isdir(tidy) and os.path.samefile(tidy, path) else Path(os.path.realpath(path))


def _unique(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The folders that are there, each once, by whichever door comes first."""
    found: dict[str, Path] = {}
    for path in paths:
        tidy = _existing(path)
        if tidy is not None:
            found.setdefault(os.path.realpath(tidy), tidy)
    return tuple(found.values())


def _host_limits(include_dirs: Sequence[Path], release: tuple[int, ...]) -> tuple[Optional[int], Optional[int], str]:
    """The newest GCC and Clang: from the header that refuses newer ones, else from the table."""
    for folder in include_dirs:
        header = folder / "crt" / "host_config.h"
        try:
            gcc, clang = parse_host_config(header.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if gcc is not None:
            return gcc, clang, str(header)
    row = host_compilers(release)
    return (row.gcc, row.clang, "table of CUDA releases") if row else (None, None, "unknown")


def parse_host_config(text: str) -> tuple[Optional[int], Optional[int]]:
    """The newest major versions of GCC and Clang that a ``crt/host_config.h`` lets through."""
    gcc = re.search(r"^#if __GNUC__ > (\d+)", text, re.MULTILINE)
    clang = re.search(r"^#if \(__clang_major__ >= +(\d+)\)", text, re.MULTILINE)
    return int(gcc[1]) if gcc else None, int(clang[1]) - 1 if clang else None


def _architectures(nvcc: Path, release: tuple[int, ...], variables: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    done = system.probe([nvcc, "--list-gpu-arch"], variables=variables)
    names = re.findall(r"^compute_(\d+)$", done.output, re.MULTILINE) if done and done.returncode == 0 else []
    if names:
        return tuple(sorted(set(names), key=int)), f"{nvcc} --list-gpu-arch"
    return tabled_architectures(release), "table of CUDA releases"
