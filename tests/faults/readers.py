"""The readers of files that others wrote, each with good files to begin with."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from handmade import exported_records, net_records
from nobodys_machine import linux_torch, make_plan
from support import write

from torchscript_build.build import compiler_cache, ninja_log, pipeline, runner_cache
from torchscript_build.build.explain import explain_log
from torchscript_build.generate.project import render_project
from torchscript_build.libtorch.fetch.store import read_record
from torchscript_build.libtorch.fetch.unpack import unpack_libtorch, unpack_nvidia
from torchscript_build.models.archive import read_archive
from torchscript_build.models.contents import read_contents
from torchscript_build.operators.includes import read_header_use
from torchscript_build.operators.registrations import read_registrations
from torchscript_build.packaging.auditwheel import needed_by_wheel
from torchscript_build.packaging.check_wheel import check_wheel
from torchscript_build.packaging.staged import APPS, StagedFile, make_place, stage
from torchscript_build.settings.read import collect_settings, is_opted_in, read_pyproject
from torchscript_build.system import Probes, elf
from torchscript_build.toolchain.cuda.cudnn import parse_header
from torchscript_build.toolchain.cuda.read import parse_dryrun, parse_host_config

from .mutate import mutated, odd_tar, odd_zip


@dataclass(frozen=True)
class Reader:
    """One reader of ours."""

    read: Callable[[Path], object]
    """Given a file; raises our own errors only."""
    seeds: Callable[[], Sequence[bytes]]
    """Good files."""
    odd: Optional[Callable[[random.Random], bytes]] = None
    """Makes files that are whole and odd."""


LIBTORCH = ("torch/lib/libc10.so", "torch/version.py", "torch/include/a.h", "torch/lib", "torch/lib/libc10.so/x")
MODEL = ("m/version", "m/constants.pkl", "m/code/__torch__.py", "m/data.pkl", "m/.data/version")


def _zip(names: Sequence[str], method: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"3\nops.my.add" * 20 if "version" not in name else b"3\n")
    return stream.getvalue()


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in LIBTORCH[:3]:
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"12345"))
    return gzip.compress(stream.getvalue(), 1)


def _unpack(how: Callable[..., object]) -> Callable[[Path], None]:
    def read(file: Path) -> None:
        target = file.parent / "unpacked"
        with file.open("rb") as opened:
            try:
                how(opened, "archive", target)
            finally:
                outside = sorted(p.name for p in file.parent.iterdir() if p not in (file, target))
                shutil.rmtree(target, ignore_errors=True)
        if outside:
            raise AssertionError(f"written outside: {outside}")

    return read


def _settings(file: Path) -> None:
    text = file.read_bytes().decode("utf-8", "replace")
    is_opted_in(text)
    spec = collect_settings(
        root=file.parent,
        pyproject=read_pyproject(file),
        keywords={},
        command={},
        variables={},
        packages=["demo"],
    )
    render_project(make_plan(spec))


def _toml() -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(__file__).parents[2].glob("examples/*/pyproject.toml"))]


def _elf() -> list[bytes]:
    """The smallest extension module that is installed."""
    found = Path(sysconfig.get_path("purelib")).glob("*/*.so")
    return [min(found, key=lambda p: p.stat().st_size).read_bytes()]


def _read_elf(file: Path) -> None:
    if elf.is_elf(file):
        found = elf.read_elf(file)
        elf.cxx11_abi_of(file)
        elf.header_machine(file)
        len(found.exported_symbols | found.undefined_symbols)


def _compiler_entry(file: Path) -> None:
    entry = file.with_name("0" * 32 + ".json")
    os.replace(file, entry)
    compiler_cache.read_entry(entry)


def _good_entry() -> list[bytes]:
    entry = {
        "key": "0" * 32,
        "files": dict.fromkeys(compiler_cache.FILES, "x"),
        "answers": [["CMAKE_AR", "PATH", "/x"]],
    }
    return [json.dumps({**entry, "sha256": compiler_cache._digest(entry)}).encode()]


def _runner_key(file: Path) -> None:
    entry = file.parent / runner_cache.digest_of({"a": 1})
    write(entry / "libts_runner.a", "!<arch>\n")
    os.replace(file, entry / runner_cache.KEY)
    runner_cache.list_entries(file.parent)
    runner_cache.read_library(entry, "libts_runner.a")
    shutil.rmtree(entry, ignore_errors=True)


def _records(file: Path) -> None:
    pipeline._read_state(file)
    Probes({}, file)._load()
    place = make_place(file.parent / "lib", file.parent)
    place.records.mkdir(exist_ok=True)
    shutil.copy(file, place.records / "staged.json")
    stage([StagedFile("demo/a", b"x")], place, APPS)
    folder = file.parent / "2.6.0+cpu"
    folder.mkdir(exist_ok=True)
    shutil.copy(file, folder / "fetched.json")
    read_record(folder)


def _good_records() -> list[bytes]:
    return [
        b'{"../lib": {"apps": {"demo/a": [1, 2], "demo/b": null}}}',
        b'{"identity": ["a"], "fingerprint": "b", "artifacts": [["a", "EXECUTABLE", "/x"]], "installed": {"apps": {}}}',
        b'{"name": "a", "source": "b", "sha256": "c", "size": 1, "python": "3.11", "asked": ""}',
    ]


def _ninja(file: Path) -> None:
    text = file.read_text(encoding="utf-8", errors="surrogateescape")
    ninja_log.edges_of_run("", text, began=0.0)


def _sources(file: Path) -> None:
    source = file.with_suffix(".cpp")
    os.replace(file, source)
    read_registrations([source])
    read_header_use(source, (str(file.parent),))


def _cpp() -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(__file__).parents[2].glob("examples/*/cpp/*.cpp"))[:6]]


def _one_record_changed(chance: random.Random) -> bytes:
    """A whole archive of a model or of torch.export, with one record that is malformed."""
    good = chance.choice((net_records, exported_records))()
    records = {name: text.encode() if isinstance(text, str) else text for name, text in good.items()}
    name = chance.choice(sorted(records))
    return _zip_of({**records, name: mutated(records[name], chance, list(records.values()))})


def _zip_of(records: Mapping[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in records.items():
            archive.writestr(zipfile.ZipInfo(f"net/{name}"), content)
    return stream.getvalue()


def _check_wheel(file: Path) -> None:
    wheel = file.with_name("demo-1.5-py3-none-linux_x86_64.whl")
    os.replace(file, wheel)
    check_wheel(wheel, linux_torch(layout="archive"))


def _wheel() -> list[bytes]:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("demo/x.so", _elf()[0])
        archive.writestr("demo-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nRequires-Dist: torch ==2.13.*\n")
        archive.writestr("demo-1.5.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-linux_x86_64\n")
    return [stream.getvalue()]


def _odd_wheel(chance: random.Random) -> bytes:
    """A whole wheel, with one file that is malformed."""
    (good,) = _wheel()
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(files))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for file, content in {**files, name: mutated(files[name], chance)}.items():
            archive.writestr(file, content)
    return stream.getvalue()


def _log(file: Path) -> None:
    explain_log(file.read_bytes().decode("utf-8", "replace"))


def _logs() -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(__file__).parents[1].glob("build/*.txt"))]


def _headers(file: Path) -> None:
    text = file.read_bytes().decode("utf-8", "replace")
    parse_host_config(text)
    parse_header(text)
    parse_dryrun(text)


HEADERS = b"""\
#define CUDNN_MAJOR 9
#define CUDNN_MINOR 20
#define CUDNN_PATCHLEVEL 0
#if __GNUC__ > 15
#error -- unsupported GNU version! gcc versions later than 15 are not supported!
#endif
#if (__clang_major__ >= 21) || (__clang_major__ < 7)
#$ _HERE_=/usr/local/cuda/bin
#$ TOP=/usr/local/cuda/bin/..
#$ INCLUDES="-I/usr/local/cuda/include"
"""
READERS: Mapping[str, Reader] = {
    "models to inspect": Reader(
        read_contents, lambda: [_zip_of(net_records()), _zip_of(exported_records())], _one_record_changed
    ),
    "wheels to check": Reader(_check_wheel, _wheel, _odd_wheel),
    "build logs": Reader(_log, _logs),
    "CUDA's headers": Reader(_headers, lambda: [HEADERS]),
    "model archives": Reader(read_archive, lambda: [_zip(MODEL), _zip(MODEL, 8)], lambda c: odd_zip(c, MODEL)),
    "libtorch in a zip file": Reader(
        _unpack(unpack_libtorch), lambda: [_zip(LIBTORCH[:3]), _zip(LIBTORCH[:3], 8)], lambda c: odd_zip(c, LIBTORCH)
    ),
    "libtorch in a tar file": Reader(_unpack(unpack_libtorch), lambda: [_tar()], lambda c: odd_tar(c, LIBTORCH)),
    "NVIDIA's wheels": Reader(
        _unpack(unpack_nvidia), lambda: [_zip(("nvidia/a/lib/x.so", "a.dist-info/METADATA"))], lambda c: odd_zip(c)
    ),
    "wheels": Reader(needed_by_wheel, lambda: [_zip(("demo/x.so", "demo/y"))], lambda c: odd_zip(c)),
    "ELF files": Reader(_read_elf, _elf),
    "settings": Reader(_settings, _toml),
    "entries of the compiler cache": Reader(_compiler_entry, _good_entry),
    "entries of the runner cache": Reader(_runner_key, lambda: [b'{"inputs": {"a": 1}, "sha256": "x"}']),
    "records": Reader(_records, _good_records),
    "ninja's log": Reader(_ninja, lambda: [b"# ninja log v5\n0\t10\t123\ta.o\tabc\n5\t20\t124\tb\tdef\n"]),
    "C++ sources": Reader(_sources, _cpp),
}
