"""What is wrong around a libtorch that was found: a second one in the way, libraries that it needs and are not there.

Each finding is a sentence or two for people: what is the case, what it leads to, what to do. Slower than the search
(it opens libraries), so that ``find_libtorch`` does not run it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.layout import LIBRARY_NAMES
from torchscript_build.libtorch.machine import same_machine
from torchscript_build.libtorch.versions import parse_python_part, read_text
from torchscript_build.system import Environment

ALWAYS_THERE = (
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "linux-vdso.so.1",
)
"""The C library's own files: wherever a program starts at all, they are there."""

FROM_THE_DRIVER = ("libcuda.so.1", "libnvidia-ml.so.1", "libcudadebugger.so.1")
"""They come with the GPU's driver, which a build machine need not have."""


def diagnose(libtorch: LibTorch, environment: Environment) -> tuple[str, ...]:
    """Known troubles with this libtorch on this machine, most dangerous first; empty where there are none."""
    return (
        *_foreign(libtorch, environment),
        *_second_torch(libtorch, environment),
        *_in_the_way(libtorch, environment),
        *_missing_libraries(libtorch, environment),
    )


def _foreign(libtorch: LibTorch, environment: Environment) -> Iterator[str]:
    if not _is_native(libtorch, environment):
        yield (
            f"{libtorch.root} was made for {libtorch.platform} {libtorch.machine}, this machine is "
            f"{environment.platform} {environment.machine}: what is built with it cannot run here"
        )


def _is_native(libtorch: LibTorch, environment: Environment) -> bool:
    return libtorch.platform == environment.platform and same_machine(libtorch.machine, environment.machine)


def _second_torch(libtorch: LibTorch, environment: Environment) -> Iterator[str]:
    """Torches that the interpreter would import, other than the one that was chosen."""
    prefix, suffix = LIBRARY_NAMES[libtorch.platform]
    c10 = f"{prefix}c10{suffix}"
    own = {_identity(libtorch.root)} | {_identity(folder / c10) for folder in libtorch.library_dirs}
    for folder in dict.fromkeys((*environment.python.search_path, *environment.python.site_packages)):
        package = folder / "torch"
        if not (package / "version.py").is_file():
            continue
        theirs = package / "lib" / c10
        if _identity(package) in own or _identity(theirs) in own or not theirs.exists():
            continue
        part = parse_python_part(read_text(package / "version.py") or "", package / "version.py")
        version = part.version if part else "unknown version"
        own.add(_identity(package))
        yield (
            f"Python has another torch: {version} in {package}, while {libtorch.full_version} in {libtorch.root} was "
            "chosen. A process that loads both crashes: build against the one that will be imported, or remove one"
        )


def _identity(path: Path) -> str:
    """The same for every door to one file."""
    return os.path.realpath(path)


def _in_the_way(libtorch: LibTorch, environment: Environment) -> Iterator[str]:
    """Headers or libraries of another libtorch that a variable puts before the chosen one's."""
    own = {_identity(folder) for folder in (*libtorch.include_dirs, *libtorch.library_dirs)}
    prefix, suffix = LIBRARY_NAMES[libtorch.platform]
    for variable, mark, effect in (
        ("CPATH", "torch/script.h", "the compiler reads these headers first"),
        ("CPLUS_INCLUDE_PATH", "torch/script.h", "the compiler may read these headers instead"),
        ("LD_LIBRARY_PATH", f"{prefix}c10{suffix}", "the loader takes these libraries before those in a RUNPATH"),
        ("DYLD_LIBRARY_PATH", f"{prefix}c10{suffix}", "the loader takes these libraries first"),
    ):
        for entry in (environment.get(variable) or "").split(os.pathsep):
            folder = Path(environment.cwd, entry)
            if entry and (folder / mark).is_file() and _identity(folder) not in own:
                yield f"{variable} names {folder}, which belongs to another libtorch: {effect}; remove it from there"


def _missing_libraries(libtorch: LibTorch, environment: Environment) -> Iterator[str]:
    """The closure of libtorch's libraries: what they need and the loader would not find."""
    if libtorch.platform != "linux" or not _is_native(libtorch, environment):
        return
    from torchscript_build.system.elf import DEFAULT_FOLDERS, find_missing

    library_path = [Path(p) for p in (environment.get("LD_LIBRARY_PATH") or "").split(":") if p]
    try:
        missing = find_missing(
            libtorch.libraries,
            provided=(*ALWAYS_THERE, *FROM_THE_DRIVER),
            library_path=library_path,
            default_folders=(*map(Path, DEFAULT_FOLDERS), *_configured_folders()),
        )
    except TorchScriptBuildError as error:
        yield error.problem
        return
    wanted_by: dict[Path, list[str]] = {}
    for one in missing:
        wanted_by.setdefault(one.needed_by, []).append(one.name)
    for path, names in wanted_by.items():
        yield (
            f"missing libraries: {', '.join(names)}. {path} needs them, and they are neither beside it, nor on its "
            f"RPATH, nor among the system's: programs that link it will not start. {_cure(names)}"
        )


def _configured_folders() -> Iterator[Path]:
    """The folders in ``/etc/ld.so.conf.d``, where a CUDA toolkit or a distribution adds its own."""
    try:
        files = sorted(Path("/etc/ld.so.conf.d").glob("*.conf"))
    except OSError:
        return
    for file in files:
        for line in (read_text(file) or "").splitlines():
            if line.startswith("/"):
                yield Path(line.strip())


def _cure(names: Sequence[str]) -> str:
    if any(name.startswith(("libcu", "libnv", "libnccl")) for name in names):
        return "Install the nvidia-* wheels that this torch asks for, or its CUDA toolkit"
    if any(name.startswith("libmkl") for name in names):
        return "Install mkl of the version that this libtorch was built with"
    return "Install the packages that have them"
