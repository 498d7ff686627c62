"""The search for a CUDA toolkit; nothing depends on a GPU or a driver."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

from torchscript_build.errors import ToolNotFoundError
from torchscript_build.libtorch.steps import Step, argument_step, named_path, outside_conda_build, variable_step
from torchscript_build.system import Environment, StrPath
from torchscript_build.toolchain.cuda.read import CudaToolkit, read_toolkit
from torchscript_build.toolchain.programs import parse_version

NAMED_VARIABLES = ("CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT", "CUDACXX")
"""In this order; the first is torch's own, the last CMake's, and names nvcc itself."""

SYSTEM_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "linux": ("/usr/local", "/opt/cuda", "/usr/lib/nvidia-cuda-toolkit", "/usr/lib/cuda"),
    "win32": ("C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA",),
}
"""Folders that are toolkits, or hold some named ``cuda``, ``cuda-13.0``, ``v13.0``."""


Answer = Union[Sequence[Path], str]


def find_cuda_toolkit(
    asked: Optional[StrPath],
    environment: Environment,
    *,
    series: Optional[str] = None,
) -> CudaToolkit:
    """Find a CUDA toolkit, that is, an nvcc and what belongs to it.

    Order: ``asked``; ``CUDA_HOME``; ``CUDA_PATH``; ``CUDAToolkit_ROOT``; ``CUDACXX`` (these are used or refused);
    conda's build and host prefix; nvcc on PATH; the interpreter's ``nvidia-*`` wheels; ``CONDA_PREFIX``; system
    folders.

    :param asked: a toolkit's folder, its nvcc, or a folder that holds one; relative to the environment's ``cwd``.
    :param series: libtorch's CUDA release (``"13.0"``): one of another major version that nobody named is passed over.
    :raises ToolNotFoundError: there is none, or a named one is none.
    """
    toolkit, trace = locate_cuda_toolkit(asked, environment, series=series)
    if toolkit is not None:
        return toolkit
    place, reason = trace[-1]
    if place == "asked for" or place in NAMED_VARIABLES:
        raise ToolNotFoundError(
            f"no CUDA toolkit in what {_named_by(place)} names: {reason}",
            cures=[
                "name a folder with bin/nvcc, such as /usr/local/cuda",
                "leave it away, so that the usual places are searched",
            ],
        )
    wanted = f" (wanted {series.split('.')[0]}.x, as libtorch)" if series else ""
    raise ToolNotFoundError(
        f"no CUDA toolkit found{wanted}; sources in CUDA need its compiler nvcc",
        looked_in=[t for t in trace if t[0] != "asked for"],
        cures=_cures(series, environment),
    )


def locate_cuda_toolkit(
    asked: Optional[StrPath],
    environment: Environment,
    *,
    series: Optional[str] = None,
) -> tuple[Optional[CudaToolkit], tuple[tuple[str, str], ...]]:
    """As ``find_cuda_toolkit``: the toolkit or ``None``, and what each place held. The last entry of a trace without
    toolkit is the named place that was refused, where there was one."""
    trace: list[tuple[str, str]] = []
    for step in (argument_step("asked for", asked, named_path), *STEPS):
        answer = step.look(environment)
        if isinstance(answer, str):
            trace.append((step.name, answer))
            continue
        for path in answer:
            found = read_toolkit(path, environment, step.name)
            if isinstance(found, CudaToolkit) and not step.named and series and not _same_major(found, series):
                found = f"{found.root}: CUDA {found.release}, libtorch wants {series.split('.')[0]}.x"
            if isinstance(found, CudaToolkit):
                trace.append((step.name, f"CUDA {found.version} in {found.root}"))
                return found, tuple(trace)
            trace.append((step.name, found))
        if step.named:
            return None, tuple(trace)
    return None, tuple(trace)


def _same_major(toolkit: CudaToolkit, series: str) -> bool:
    return str(toolkit.major) == series.split(".")[0]


def _named_by(place: str) -> str:
    return "the setting" if place == "asked for" else place


def _cures(series: Optional[str], environment: Environment) -> list[str]:
    major = (series or "13").split(".")[0]
    release = series if series and "." in series else f"{major}.0"
    cures = []
    if int(major) >= 13:
        cures.append(f"pip install 'nvidia-cuda-nvcc=={release}.*' 'nvidia-cuda-cccl=={release}.*'")
    conda = environment.get("CONDA_PREFIX") is not None or environment.get("CONDA_BUILD") == "1"
    package = f"cuda-nvcc cuda-version={release}"
    cures.append(
        f"conda install -c conda-forge {package}" if conda else f"apt install cuda-toolkit-{major}-{_two(release)}"
    )
    cures.append(f"set CUDA_HOME to the folder of a CUDA {major} toolkit")
    return cures


def _two(release: str) -> str:
    return release.split(".")[1]


def _look_cudacxx(environment: Environment) -> Answer:
    """CMake's variable: a compiler, by name or path, with a launcher or arguments around it."""
    value = environment.get("CUDACXX")
    if not value:
        return "not set"
    words = [value] if Path(value).is_file() else shlex.split(value, posix=environment.platform != "win32")
    named = next((w for w in words if Path(w).name.lower().startswith("nvcc")), words[0] if words else value)
    return [environment.which(named) or named_path(named, environment)]


def _look_conda_build(environment: Environment) -> Answer:
    if environment.get("CONDA_BUILD") != "1":
        return "not a conda build"
    prefixes = [Path(p) for p in (environment.get("BUILD_PREFIX"), environment.get("PREFIX")) if p]
    return prefixes or "neither BUILD_PREFIX nor PREFIX is set"


def _look_path(environment: Environment) -> Answer:
    found = environment.which("nvcc")
    return [found] if found else "no nvcc"


def _look_wheels(environment: Environment) -> Answer:
    """``nvidia-cuda-nvcc`` from 13 on, which installs into ``nvidia/cu13`` together with the other wheels."""
    folders = [
        toolkit
        for site in nvidia_folders(environment)
        for toolkit in (*sorted(site.glob("cu[0-9]*"), reverse=True), site / "cuda_nvcc")
        if (toolkit / "bin").is_dir()
    ]
    return folders or "not installed"


def nvidia_folders(environment: Environment) -> tuple[Path, ...]:
    """The folders ``nvidia`` of the interpreter's packages, into which NVIDIA's wheels install."""
    python = environment.python
    sites = dict.fromkeys((*python.search_path, *python.site_packages))
    return tuple(site / "nvidia" for site in sites if (site / "nvidia").is_dir())


def _look_system(environment: Environment) -> Answer:
    folders = SYSTEM_FOLDERS.get(environment.platform, ())
    return list(_toolkits_in(folders)) or f"none in {', '.join(folders)}"


def _toolkits_in(folders: Sequence[str]) -> Iterator[Path]:
    """The plain name first, which the machine's owner points to the one to use, then the newest."""
    for folder in map(Path, folders):
        if (folder / "bin" / "nvcc").is_file() and folder.name != "local":
            yield folder
        try:
            names = [n for n in os.listdir(folder) if re.fullmatch(r"cuda|cuda-[\d.]+|v\d+\.\d+", n)]
        except OSError:
            continue
        for name in sorted(names, key=lambda n: (n == "cuda", parse_version(n.lstrip("cudav-"))), reverse=True):
            yield folder / name


STEPS: tuple[Step[Path], ...] = (
    variable_step("CUDA_HOME", named_path),
    variable_step("CUDA_PATH", named_path),
    variable_step("CUDAToolkit_ROOT", named_path),
    Step("CUDACXX", _look_cudacxx, named=True),
    Step("conda build prefixes", _look_conda_build),
    outside_conda_build(Step("PATH", _look_path)),
    outside_conda_build(Step("nvidia-* wheels", _look_wheels)),
    outside_conda_build(variable_step("CONDA_PREFIX", named_path, named=False)),
    outside_conda_build(Step("system folders", _look_system)),
)
"""The documented order, after what was asked for."""
