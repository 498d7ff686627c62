"""cuDNN: its headers and its library. Only the stock packages of old releases and sources that include it need one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Union

from torchscript_build.errors import ToolNotFoundError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.steps import named_path
from torchscript_build.records import dataclass, field
from torchscript_build.system import Environment
from torchscript_build.toolchain.cuda.search import nvidia_folders

ROOT_VARIABLES = ("CUDNN_ROOT", "CUDNN_ROOT_DIR")
INCLUDE_VARIABLES = ("CUDNN_INCLUDE_DIR", "CUDNN_INCLUDE_PATH")
LIBRARY_VARIABLES = ("CUDNN_LIBRARY", "CUDNN_LIBRARY_PATH")
"""CMake's, and those of the FindCUDNN that torch's packages up to 1.13 bring along; the first that is set counts."""

SYSTEM_FOLDERS = ("/usr", "/usr/local", "/usr/local/cuda", "/opt/cuda")
LIBRARY_FOLDERS = ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib/x64", "Library/lib", "")
INCLUDE_FOLDERS = ("include", "Library/include", "include/x86_64-linux-gnu", "include/aarch64-linux-gnu")


@dataclass(frozen=True)
class Cudnn:
    """A cuDNN; headers or library may be missing where nobody named them."""

    include_dir: Optional[Path]
    library: Optional[Path]
    """What a linker takes: ``libcudnn.so.9`` of a wheel is as good as ``libcudnn.so``."""
    version: Optional[str]
    """As exactly as it is told: ``"9.20.0"``, or ``"9"`` by a file's name."""
    found_by: str
    witnesses: Mapping[str, str] = field(default_factory=dict, hash=False)


class _Place(NamedTuple):
    """Folders where headers and a library may be."""

    include_dirs: tuple[Path, ...]
    library_dirs: tuple[Path, ...]
    library: Optional[Path] = None
    """A file that somebody named."""
    needed: tuple[str, ...] = ()
    """Of ``"cudnn.h"`` and ``"libcudnn"``, what somebody named and must be there."""


Answer = Union[Sequence[_Place], str]


class Step(NamedTuple):
    """One place to look: candidates, best first, or the reason why there are none."""

    name: str
    look: Callable[[Optional[LibTorch], Environment], Answer]
    named: bool = False


def find_cudnn(environment: Environment, libtorch: Optional[LibTorch] = None, *, headers: bool = False) -> Cudnn:
    """Find a cuDNN that suits libtorch: the major version that it was built with, where both are known.

    Order: the variables ``CUDNN_…`` (used or refused); the ``nvidia-cudnn-cu*`` wheel beside libtorch, then the
    interpreter's; libtorch's own library folder; conda's prefixes; system folders.

    :param headers: one without headers will not do.
    :raises ToolNotFoundError: there is none, or the named one is none or has another major version.
    """
    found, trace = locate_cudnn(environment, libtorch, headers=headers)
    if found is not None:
        return found
    wanted = f" {libtorch.cudnn_version}" if libtorch is not None and libtorch.cudnn_version else ""
    if trace and trace[-1][0] == NAMED:
        raise ToolNotFoundError(
            f"the CUDNN_… variables name no cuDNN{wanted} that can be used: {trace[-1][1]}",
            cures=["let CUDNN_ROOT name a folder with include/cudnn.h and lib/libcudnn.so", "unset them"],
        )
    cuda = (libtorch.cuda_version or "") if libtorch is not None else ""
    major = cuda.split(".")[0] or "13"
    raise ToolNotFoundError(
        f"no cuDNN{wanted} found",
        looked_in=trace,
        cures=[f"pip install nvidia-cudnn-cu{major}", "set CUDNN_ROOT to a folder with include/cudnn.h"],
    )


def locate_cudnn(
    environment: Environment, libtorch: Optional[LibTorch] = None, *, headers: bool = False
) -> tuple[Optional[Cudnn], tuple[tuple[str, str], ...]]:
    """As ``find_cudnn``: the cuDNN or ``None``, and what each place held."""
    trace: list[tuple[str, str]] = []
    for step in STEPS:
        answer = step.look(libtorch, environment)
        if isinstance(answer, str):
            trace.append((step.name, answer))
            continue
        reasons = []
        for place in answer:
            found = _read(place, step.name)
            reason = found if isinstance(found, str) else _unsuitable(found, libtorch, headers)
            if reason is None and isinstance(found, Cudnn):
                return found, (*trace, (step.name, f"cuDNN {found.version or 'of unknown version'}"))
            reasons.append(str(reason))
        trace.append((step.name, "; ".join(dict.fromkeys(reasons))))
        if step.named:
            break
    return None, tuple(trace)


def _unsuitable(found: Cudnn, libtorch: Optional[LibTorch], headers: bool) -> Optional[str]:
    where = found.include_dir or found.library
    wanted = libtorch.cudnn_version if libtorch is not None else None
    if wanted and found.version and wanted.split(".")[0] != found.version.split(".")[0]:
        return f"{where}: it is {found.version}, libtorch was built with {wanted}"
    if headers and found.include_dir is None:
        return f"{where}: without headers"
    return None


def _read(place: _Place, found_by: str) -> Union[Cudnn, str]:
    """The cuDNN in some folders; else why there is none."""
    include_dir = next((f for f in place.include_dirs if (f / "cudnn.h").is_file()), None)
    library = place.library or next(filter(None, map(_library_in, place.library_dirs)), None)
    absent = {name for name, there in (("cudnn.h", include_dir), ("libcudnn", library)) if there is None}
    for name in place.needed:
        if name in absent:
            folders = place.include_dirs if name == "cudnn.h" else place.library_dirs
            return f"no {name} in {' or '.join(map(str, folders))}"
    if len(absent) == 2:
        places = dict.fromkeys(map(str, (*place.include_dirs[:1], *place.library_dirs[:1])))
        return f"neither cudnn.h nor libcudnn in {' or '.join(places)}"
    witnesses = {}
    version = None
    if include_dir is not None:
        for header in (include_dir / "cudnn_version.h", include_dir / "cudnn.h"):
            version = parse_header(_text(header))
            if version:
                witnesses["version"] = str(header)
                break
    if library is not None and version is None:
        version = version_of_file(library)
        if version:
            witnesses["version"] = str(library)
    return Cudnn(include_dir, library, version, found_by, witnesses)


def parse_header(text: str) -> Optional[str]:
    """``CUDNN_MAJOR``, ``_MINOR``, ``_PATCHLEVEL`` of ``cudnn_version.h`` (from 8 on) or ``cudnn.h``."""
    numbers = dict(re.findall(r"^#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) +(\d+)", text, re.MULTILINE))
    return "{MAJOR}.{MINOR}.{PATCHLEVEL}".format(**numbers) if len(numbers) == 3 else None


def version_of_file(library: Path) -> Optional[str]:
    """``libcudnn.so`` → ``libcudnn.so.8.9.2`` → ``"8.9.2"``; also as auditwheel and Windows write it."""
    for name in (os.path.basename(os.path.realpath(library)), library.name):
        match = re.fullmatch(r"libcudnn(?:-[0-9a-f]+)?\.so\.([\d.]+)|cudnn64_(\d+)\.(?:dll|lib)", name)
        if match:
            return match[1] or match[2]
    return None


def _library_in(folder: Path) -> Optional[Path]:
    """The file to link: the name without version, else the one with the fewest numbers."""
    try:
        names = [
            n for n in os.listdir(folder) if re.match(r"libcudnn(-[0-9a-f]+)?\.(so|dylib)|cudnn(64_\d+)?\.lib$", n)
        ]
    except OSError:
        return None
    return folder / min(names, key=lambda n: (len(n), n)) if names else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _of_root(root: Path) -> _Place:
    """A folder with ``include`` and ``lib``, in whichever custom."""
    return _Place(tuple(root / f for f in (*INCLUDE_FOLDERS, "")), tuple(root / f for f in LIBRARY_FOLDERS))


def _look_named(_libtorch: Optional[LibTorch], environment: Environment) -> Answer:
    """The variables together: a root, and headers or a library from elsewhere."""

    def first(names: Sequence[str]) -> Optional[Path]:
        value = next((v for v in map(environment.get, names) if v), None)
        return named_path(value, environment) if value else None

    root, include, library = first(ROOT_VARIABLES), first(INCLUDE_VARIABLES), first(LIBRARY_VARIABLES)
    if root is None and include is None and library is None:
        return "not set"
    place = _of_root(root) if root else _Place((), ())
    if include is not None:
        place = place._replace(include_dirs=(include, include / "include"), needed=("cudnn.h",))
    if library is not None:
        file = library if library.is_file() else None
        folders = () if file else (library, library / "lib")
        place = place._replace(library=file, library_dirs=folders, needed=(*place.needed, "libcudnn"))
    return [place]


def _look_wheels(libtorch: Optional[LibTorch], environment: Environment) -> Answer:
    beside = [libtorch.root.parent / "nvidia"] if libtorch is not None else []
    folders = dict.fromkeys(f / "cudnn" for f in (*beside, *nvidia_folders(environment)))
    return [_of_root(f) for f in folders if f.is_dir()] or "not installed"


def _look_libtorch(libtorch: Optional[LibTorch], _environment: Environment) -> Answer:
    """Archives bring the library along, without headers."""
    if libtorch is None:
        return "no libtorch"
    holding = [f for f in libtorch.library_dirs if _library_in(f)]
    return [_Place((), (f,)) for f in holding] or f"none in {', '.join(map(str, libtorch.library_dirs))}"


def _look_conda(_libtorch: Optional[LibTorch], environment: Environment) -> Answer:
    names = ("PREFIX",) if environment.get("CONDA_BUILD") == "1" else ("CONDA_PREFIX",)
    prefixes = [Path(p) for p in map(environment.get, names) if p]
    return [_of_root(p) for p in prefixes] or "not set"


def _look_system(_libtorch: Optional[LibTorch], environment: Environment) -> Answer:
    if environment.get("CONDA_BUILD") == "1":
        return "not searched in a conda build"
    return list(_holding(SYSTEM_FOLDERS)) or f"none in {', '.join(SYSTEM_FOLDERS)}"


def _holding(folders: Sequence[str]) -> Iterator[_Place]:
    for folder in map(Path, folders):
        place = _of_root(folder)
        if any((f / "cudnn.h").is_file() for f in place.include_dirs) or any(map(_library_in, place.library_dirs)):
            yield place


NAMED = "CUDNN_… variables"
STEPS: tuple[Step, ...] = (
    Step(NAMED, _look_named, named=True),
    Step("nvidia-cudnn wheel", _look_wheels),
    Step("libtorch's libraries", _look_libtorch),
    Step("conda prefix", _look_conda),
    Step("system folders", _look_system),
)
"""The documented order."""
