"""Where the parts of one libtorch lie below a folder that somebody named.

Five shapes are known: a wheel's ``torch`` folder, an unpacked archive, a conda prefix (torch's libraries in the prefix,
its Python part in site-packages, or all of it in site-packages), an install prefix, a distribution's ``/usr``.
Paths are joined, never resolved: the door by which libtorch was found is the one that RPATHs and messages show.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional, Union

LIBRARY_NAMES = {"linux": ("lib", ".so"), "darwin": ("lib", ".dylib"), "win32": ("", ".lib")}
"""Platform → prefix and suffix of the files that a linker takes."""

LIBRARY_FOLDERS = ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")
"""Where a prefix keeps its libraries: by custom, on Fedora, on Debian."""

PYTHON_MINORS = range(6, 30)
"""Python 3.x whose site-packages are looked for in a prefix; cheaper than listing a big ``lib``."""


class Layout(NamedTuple):
    """The folders of one libtorch; nothing in them has been read yet."""

    root: Path
    """Holds ``include`` and ``lib``."""
    kind: str
    """``"wheel"``, ``"archive"``, ``"conda"`` or ``"install"``."""
    platform: str
    """``"linux"``, ``"darwin"`` or ``"win32"``, from the libraries' file names."""
    include: Path
    libraries: Path
    """The folder of the files that a linker takes."""
    runtime: Path
    """The folder of the shared libraries; differs from ``libraries`` in a Windows conda prefix."""
    cmake: Optional[Path] = None
    """The folder that holds ``Torch/TorchConfig.cmake``."""
    package: Optional[Path] = None
    """Torch's Python package, which may be the root itself."""
    conda_records: tuple[str, ...] = ()
    """Paths of conda's records of the packages libtorch and pytorch."""

    def library(self, name: str) -> Path:
        """The path that the linker's file of this name would have."""
        prefix, suffix = LIBRARY_NAMES[self.platform]
        return self.libraries / f"{prefix}{name}{suffix}"


def locate_layout(
    path: Path,
    *,
    include: Optional[Path] = None,
    libraries: Optional[Path] = None,
) -> Union[Layout, str]:
    """The libtorch that a folder is, holds, or belongs to; else the reason why there is none.

    :param include: take headers from here instead (``LIBTORCH_INCLUDE``).
    :param libraries: take libraries from here instead (``LIBTORCH_LIB``).
    """
    name = os.fspath(path)
    if libraries is not None:
        folders = _named_folders(name, os.fspath(libraries))
        return folders if isinstance(folders, str) else _complete(*folders, include)
    if not os.path.isdir(name):
        return _no_folder(name)
    both = [os.path.join(name, child) for child in ("libtorch", "torch")]
    if _folders(name) is None and all(_folders(child) for child in both):
        return "holds both libtorch and torch: name one of them"
    for root in _roots(name):
        found = _folders(root)
        if found:
            return _complete(root, *found, include)
    return _nothing_in(name)


def _roots(name: str) -> Iterator[str]:
    """The folders that may be the root meant by a named one, best first."""
    yield name
    yield os.path.join(name, "Library")
    yield os.path.join(name, "libtorch")
    yield os.path.join(name, "torch")
    prefix = _prefix_of_cmake_folder(name)
    if prefix:
        yield prefix
    written = _prefix_in_our_package(name)
    if written:
        yield written
    for packages in site_packages_in(name):
        yield os.path.join(packages, "torch")
    if os.path.isfile(os.path.join(name, "version.py")):
        above = _prefix_of_packages(os.path.dirname(name))
        yield above
        yield os.path.join(above, "Library")
    inside = os.path.join(name, "torch")
    if os.path.isfile(os.path.join(inside, "version.py")):
        above = _prefix_of_packages(name)
        yield above
        yield os.path.join(above, "Library")


def site_packages_in(prefix: str) -> Iterator[str]:
    """The site-packages folders of a prefix that hold a ``torch``."""
    candidates = [os.path.join(prefix, "Lib", "site-packages")]
    for lib in ("lib", "lib64"):
        if os.path.isdir(os.path.join(prefix, lib)):
            candidates += [os.path.join(prefix, lib, f"python3.{n}", "site-packages") for n in PYTHON_MINORS]
    candidates.append(os.path.join(prefix, "lib", "python3", "dist-packages"))
    return (c for c in candidates if os.path.isdir(os.path.join(c, "torch")))


def _prefix_of_packages(packages: str) -> str:
    """``P/lib/python3.N/site-packages`` → ``P``; on Windows ``P/Lib/site-packages`` → ``P``."""
    parent = os.path.dirname(packages)
    if os.path.basename(parent).lower() == "lib":
        return os.path.dirname(parent)
    return os.path.dirname(os.path.dirname(parent))


def _prefix_of_cmake_folder(name: str) -> Optional[str]:
    """``P/share/cmake/Torch``, ``P/lib/cmake`` → ``P``: what a ``Torch_DIR`` names."""
    head, tail = os.path.split(name.rstrip("/\\"))
    if tail == "Torch":
        head, tail = os.path.split(head)
    if tail != "cmake":
        return None
    while head:
        head, tail = os.path.split(head)
        if tail in ("share", "lib", "lib64"):
            return head
        if not tail:
            break
    return None


def _prefix_in_our_package(name: str) -> Optional[str]:
    """The libtorch behind a CMake package that torchscript-build wrote: ``Torch_DIR`` may name one, too."""
    try:
        with open(os.path.join(name, "TorchConfig.cmake"), encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 16)
    except OSError:
        return None
    match = re.search(r'set\(_ts_torch_prefix (?:"([^"\n]+)"|\[(=*)\[([^\n]+?)\]\2\])\)', text)
    return (match[1] or match[3]) if match else None


def _folders(root: str) -> Optional[tuple[str, str, str]]:
    """Platform, the folder of what is linked, the folder of what is loaded; ``None`` where there is no c10."""
    for folder in LIBRARY_FOLDERS:
        libraries = os.path.join(root, *folder.split("/"))
        if folder != "lib" and not os.path.isdir(libraries):
            continue
        for platform, (prefix, suffix) in LIBRARY_NAMES.items():
            if os.path.isfile(os.path.join(libraries, f"{prefix}c10{suffix}")):
                runtime = libraries
                if platform == "win32" and not os.path.isfile(os.path.join(libraries, "c10.dll")):
                    runtime = os.path.join(root, "bin")
                return platform, libraries, runtime
    return None


def _named_folders(root: str, libraries: str) -> Union[tuple[str, str, str, str], str]:
    """As ``_folders`` for libraries that were named apart from the root; tch means the folder above ``lib``."""
    for folder in (os.path.join(libraries, "lib"), libraries):
        for platform, (prefix, suffix) in LIBRARY_NAMES.items():
            if os.path.isfile(os.path.join(folder, f"{prefix}c10{suffix}")):
                return root, platform, folder, folder
    return f"no libc10 in {libraries} or {os.path.join(libraries, 'lib')}"


def _complete(root: str, platform: str, libraries: str, runtime: str, include: Optional[Path]) -> Layout:
    """Find the other parts of a libtorch whose libraries are known."""
    package = _package_of(root, libraries, platform)
    records = _conda_records(root, package)
    has = os.path.exists
    built = has(os.path.join(root, "build-version")) or has(os.path.join(root, "build-hash"))
    if package == root and not built:
        # A pip-installed torch in a conda environment is a wheel: conda has no record of its Python part.
        kind = "conda" if any(os.path.basename(r).startswith("pytorch-") for r in records) else "wheel"
        if kind == "wheel":
            records = ()
    elif records or has(os.path.join(root, "conda-meta")):
        kind = "conda"
    else:
        kind = "archive" if built or os.path.basename(root) == "libtorch" else "install"
    cmake = (os.path.join(root, "share", "cmake"), os.path.join(libraries, "cmake"), os.path.join(root, "lib", "cmake"))
    return Layout(
        root=Path(root),
        kind=kind,
        platform=platform,
        include=_include_folder(include) if include else Path(root, "include"),
        libraries=Path(libraries),
        runtime=Path(runtime),
        cmake=next((Path(c) for c in cmake if os.path.isfile(os.path.join(c, "Torch", "TorchConfig.cmake"))), None),
        package=Path(package) if package else None,
        conda_records=records,
    )


def _include_folder(named: Path) -> Path:
    """tch's ``LIBTORCH_INCLUDE`` names the folder above ``include``; the folder itself is understood, too."""
    return named / "include" if (named / "include").is_dir() else named


def _package_of(root: str, libraries: str, platform: str) -> Optional[str]:
    """Torch's Python package: the root itself, or the one in the prefix's site-packages that shares the libraries."""
    if os.path.isfile(os.path.join(root, "version.py")):
        return root
    if os.path.basename(root) == "Library":
        root = os.path.dirname(root)
    prefix, suffix = LIBRARY_NAMES[platform]
    c10 = f"{prefix}c10{suffix}"
    for packages in site_packages_in(root):
        package = os.path.join(packages, "torch")
        own = os.path.join(package, "lib", c10)
        if os.path.isfile(os.path.join(package, "version.py")) and (
            not os.path.exists(own) or os.path.samefile(own, os.path.join(libraries, c10))
        ):
            return package
    return None


def _conda_records(root: str, package: Optional[str]) -> tuple[str, ...]:
    """conda's records of libtorch and pytorch in the prefix; their names tell version and build string."""
    if package == root:
        prefix = _prefix_of_packages(os.path.dirname(root))
    else:
        prefix = os.path.dirname(root) if os.path.basename(root) == "Library" else root
    meta = os.path.join(prefix, "conda-meta")
    try:
        names = os.listdir(meta)
    except OSError:
        return ()
    return tuple(
        os.path.join(meta, n)
        for n in sorted(names)
        if n.endswith(".json") and n.startswith(("libtorch-", "pytorch-")) and n.split("-")[1][:1].isdigit()
    )


def _no_folder(name: str) -> str:
    """Why a named path is not a folder."""
    try:
        os.stat(name)
    except FileNotFoundError:
        return "points to nothing (a broken symbolic link)" if os.path.islink(name) else "does not exist"
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a symbolic link that leads back to itself"
        return f"cannot be read: {error.strerror}"
    if name.endswith((".zip", ".whl")):
        return "is an archive: unpack it and name the folder"
    return "is a file, not a folder"


def _nothing_in(name: str) -> str:
    """Why a folder holds no libtorch, as specifically as its content allows."""
    for folder in LIBRARY_FOLDERS:
        for stem in ("libc10.so", "libc10.dylib", "c10.lib"):
            file = os.path.join(name, *folder.split("/"), stem)
            if os.path.islink(file):
                return f"{folder}/{stem} is a symbolic link that leads nowhere"
        if os.path.isfile(os.path.join(name, *folder.split("/"), "libc10.a")):
            return f"a static libtorch ({folder}/libc10.a); torchscript-build links the shared one"
    if any(os.path.isfile(os.path.join(name, n)) for n in ("libc10.so", "libc10.dylib", "c10.lib")):
        return f"is the library folder of a libtorch: name its parent, {os.path.dirname(name)}"
    if os.path.isfile(os.path.join(name, "version.py")) and os.path.isdir(os.path.join(name, "nn")):
        return "is torch's Python package without its libraries (no lib/libc10.so)"
    try:
        empty = not os.listdir(name)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "is empty" if empty else "no lib/libc10.so"
