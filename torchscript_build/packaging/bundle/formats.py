"""Writes a tree of files as a folder, a ``.tar.gz``, a ``.tar.zst`` or a Debian package; same files, same bytes."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Optional, cast

from torchscript_build import system
from torchscript_build.errors import BuildError, ToolNotFoundError
from torchscript_build.records import dataclass
from torchscript_build.system import Environment

TIME = 315532800
"""The time of every entry: the first of 1980, before which GNU tar finds a time implausible."""

SUFFIXES = {".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar.zst": "tar.zst", ".deb": "deb"}
FORMATS = {"dir": "", "tar": ".tar.gz", "tar.gz": ".tar.gz", "tar.zst": ".tar.zst", "deb": ".deb"}
"""What ``--format`` takes → the suffix of the file."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names (``dpkg-architecture -L``)."""


@dataclass(frozen=True)
class DebianFacts:
    """What a Debian package says of itself."""

    package: str
    version: str
    machine: str
    glibc: str
    """The lowest that will do."""
    cxx_runtime: str
    """The lowest version of Debian's libstdc++6 that will do; empty where the package holds libstdc++ itself."""
    maintainer: str
    description: str
    programs: tuple[str, ...]
    """Names in ``bin``, which get links in ``/usr/bin``."""


def format_of(output: Path) -> str:
    """The format that a file's name asks for; a folder where it has none of the suffixes."""
    return next((kind for suffix, kind in SUFFIXES.items() if output.name.endswith(suffix)), "dir")


def check_output(output: Path) -> None:
    """:raises BuildError: something else than a bundle is in its place, which it would take."""
    if format_of(output) == "dir":
        is_other = output.exists() and not (output / "bundle.json").is_file()
        if is_other and not (output.is_dir() and not os.listdir(output)):
            raise BuildError(f"{output} is there and is no bundle; a new one would take its place. Name another folder")
    elif output.is_dir():
        raise BuildError(f"{output} is a folder, and the bundle would be a file of that name. Name another file")


def write_folder(tree: Path, output: Path) -> None:
    """Put the tree in the folder's place, as a whole."""
    part = output.with_name(f".{output.name}.{os.getpid()}")
    system.remove_tree(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tree, part, symlinks=True, copy_function=_link_or_copy)
    system.remove_tree(output)
    os.replace(part, output)


def _link_or_copy(source: str, target: str) -> None:
    """Gigabytes need not lie there twice; the next bundle is made from files of its own."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def write_tar(tree: Path, output: Path, top: str, environment: Environment) -> None:
    """The tree below one folder ``top``, compressed by what the file's name says.

    :raises ToolNotFoundError: there is no zstd.
    """
    zstd = format_of(output) == "tar.zst"
    if zstd and environment.which("zstd") is None:
        raise ToolNotFoundError("a .tar.zst needs the program zstd", cures=["apt install zstd", "write a .tar.gz"])
    with _replacing(output) as part:
        if zstd:
            plain = part.with_suffix(".tar")
            with open(plain, "wb") as file:
                _write_entries(file, tree, top)
            command = ["zstd", "-q", "-f", "--rm", str(plain), "-o", str(part)]
            done = system.run(command, variables=environment.variables, echo=False)
            if done.returncode != 0:
                raise BuildError(f"zstd failed for {output}\n{done.output.rstrip()}")
        else:
            with open(part, "wb") as file, _gzipped(file) as packed:
                _write_entries(packed, tree, top)


def write_deb(tree: Path, output: Path, facts: DebianFacts) -> None:
    """A package that installs into ``/opt/<package>`` (deb(5): three members of an ar archive)."""
    home = f"opt/{facts.package}"
    links = {f"usr/bin/{name}": f"../../{home}/bin/{name}" for name in facts.programs}
    control = io.BytesIO()
    with _gzipped(control) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        text = render_control(facts, sum(p.stat().st_size for p in tree.rglob("*") if p.is_file())).encode()
        archive.addfile(_entry("./control", len(text), 0o644), io.BytesIO(text))
    with _replacing(output) as part:
        data = part.with_suffix(".data")
        with open(data, "wb") as file, _gzipped(file) as packed:
            _write_entries(packed, tree, home, links)
        with open(part, "wb") as out:
            out.write(b"!<arch>\n")
            for name, member in (("debian-binary", io.BytesIO(b"2.0\n")), ("control.tar.gz", control)):
                _add_member(out, name, member, len(member.getvalue()))
            with open(data, "rb") as packed:
                _add_member(out, "data.tar.gz", packed, data.stat().st_size)
        data.unlink()


def render_control(facts: DebianFacts, size: int) -> str:
    """The control file (Debian policy, chapter 5)."""
    needs = [f"libc6 (>= {facts.glibc})"]
    if facts.cxx_runtime:
        needs += [f"libstdc++6 (>= {facts.cxx_runtime})", "libgcc-s1"]
    return (
        f"Package: {facts.package}\n"
        f"Version: {debian_version(facts.version)}\n"
        f"Architecture: {ARCHITECTURES.get(facts.machine, facts.machine)}\n"
        f"Maintainer: {facts.maintainer or 'nobody in particular <nobody@localhost>'}\n"
        f"Installed-Size: {-(-size // 1024)}\n"
        f"Depends: {', '.join(needs)}\n"
        "Section: science\n"
        "Priority: optional\n"
        f"Description: {facts.description}\n"
    )


def debian_name(project: str) -> str:
    """A project's name as Debian's policy has it: lower case, ``a-z0-9+.-``, at least two characters."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "+.-") else "-" for c in project.lower()).strip("-.+")
    return name if len(name) > 1 else f"{name}-app"


def debian_version(version: str) -> str:
    """A version of Python's as Debian sorts it: ``1.0rc1`` before ``1.0``, an epoch before a colon."""
    epoch, _, rest = version.rpartition("!")
    rest = re.sub(r"\.?(a|b|rc|dev)(\d+)", r"~\1\2", rest)
    rest = re.sub(r"[^A-Za-z0-9.+~]", ".", rest)
    return f"{epoch}:{rest}" if epoch else rest


@contextlib.contextmanager
def _replacing(output: Path) -> Iterator[Path]:
    """A file beside the output that takes its place when all went well."""
    part = output.with_name(f".{output.name}.{os.getpid()}")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        os.replace(part, output)
    finally:
        for leftover in output.parent.glob(f"{part.name}*"):
            leftover.unlink()


def _gzipped(file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6))


def _add_member(out: IO[bytes], name: str, content: IO[bytes], size: int) -> None:
    out.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}`\n".encode())
    content.seek(0)
    shutil.copyfileobj(content, out)
    out.write(b"\n" * (size % 2))


def _write_entries(out: IO[bytes], tree: Path, top: str, links: Optional[Mapping[str, str]] = None) -> None:
    links = links or {}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder in _folders_above(f"{top}/"):
            archive.addfile(_folder(folder))
        for path in sorted(tree.rglob("*")):
            name = f"{top}/{path.relative_to(tree).as_posix()}"
            if path.is_dir():
                archive.addfile(_folder(name))
            else:
                with open(path, "rb") as file:
                    mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                    archive.addfile(_entry(name, path.stat().st_size, mode), file)
        for folder in sorted({folder for name in links for folder in _folders_above(name)}):
            archive.addfile(_folder(folder))
        for name, target in sorted(links.items()):
            entry = _entry(name, 0, 0o777)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)


def _folders_above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _folder(name: str) -> tarfile.TarInfo:
    entry = _entry(name, 0, 0o755)
    entry.type = tarfile.DIRTYPE
    return entry


def _entry(name: str, size: int, mode: int) -> tarfile.TarInfo:
    """Root's, and of one time, so that the same files give the same bytes."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, mode, TIME
    entry.uname = entry.gname = "root"
    return entry
