"""Fetching a libtorch: wheels through pip from a folder, archives, bad archives, races, sudden ends."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional

import pytest
from children import clean_variables, started
from trees import FakeTorch, make_archive, make_wheel, write

from torchscript_build import find_libtorch
from torchscript_build.cli import fetch as cli_fetch
from torchscript_build.errors import LibTorchNotFoundError, LibTorchUnusableError, SettingsError, ToolNotFoundError
from torchscript_build.libtorch.fetch import obtain as fetch
from torchscript_build.libtorch.fetch import unpack
from torchscript_build.libtorch.fetch.obtain import (
    Fetched,
    PipOptions,
    fetch_archive,
    fetch_release,
    list_fetched,
    remove_fetched,
)
from torchscript_build.libtorch.fetch.pip_wheels import is_no_such_build, parse_versions_offered
from torchscript_build.libtorch.fetch.wheel_tags import parse_wanted, plan_tries, tag_options
from torchscript_build.system import Environment, PythonTarget

CU124 = FakeTorch("2.6.0", "cu124", cuda="12.4", architectures=("80", "90"))
CPU = FakeTorch("2.6.0", "cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "libtorch"


@pytest.fixture
def machine(tmp_path: Path) -> Environment:
    """The running Python with its pip, without the user's configuration of it."""
    variables = clean_variables(
        TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"),
        HOME=str(tmp_path),
        PIP_CONFIG_FILE=os.devnull,
        PIP_NO_CACHE_DIR="1",
    )
    return Environment(variables, tmp_path, "linux", "x86_64", PythonTarget.current())


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


def options(index: Path) -> PipOptions:
    return PipOptions(find_links=(str(index),), no_index=True)


def add_wheel(
    index: Path,
    fake: FakeTorch,
    *,
    local: Optional[str] = None,
    python: str = "311",
    platform: str = "manylinux1_x86_64",
    requires: tuple[str, ...] = (),
) -> Path:
    """A tiny torch wheel; ``local`` is in its file name, as on torch's own index."""
    site = index.parent / "tree" / f"{fake.full}-{local}-{python}"
    make_wheel(site, fake)
    write(site / "torch" / "nn" / "functional.py", "pass\n")
    write(site / "torch" / "bin" / "protoc", "program\n")
    write(site / "torch" / "lib" / "helper.py", "pass\n")
    write(site / "torch.libs" / "libgomp-1.so.1", "library\n")
    write(site / "functorch" / "__init__.py", "pass\n")
    version = f"{fake.version}+{local}" if local else fake.version
    (old,) = site.glob("torch-*.dist-info")
    info = old.rename(site / f"torch-{version}.dist-info") if old.name != f"torch-{version}.dist-info" else old
    lines = ["Metadata-Version: 2.1", "Name: torch", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    write(info / "METADATA", "\n".join(lines) + "\n\n")
    write(info / "WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp{python}-cp{python}-{platform}\n")
    return zip_folder(site, index / f"torch-{version}-cp{python}-cp{python}-{platform}.whl")


def add_nvidia_wheel(index: Path, name: str, folder: str) -> Path:
    """A tiny wheel of one of CUDA's libraries."""
    wheel = index / f"{name}-1.0-py3-none-manylinux2014_x86_64.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("nvidia/__init__.py", "")
        archive.writestr(f"nvidia/{folder}/lib/libx.so.1", "library")
        archive.writestr("cusparselt/lib/libcusparseLt.so.0", "library")  # as nvidia-cusparselt-cu12 0.6 has it
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-manylinux2014_x86_64\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def zip_folder(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return file


def zip_archive(tmp_path: Path, fake: FakeTorch = CPU, name: str = "libtorch.zip") -> Path:
    """A zip as one downloads it."""
    tree = tmp_path / f"tree-{name}"
    root = make_archive(tree, fake)
    write(root / "bin" / "protoc", "program")
    return zip_folder(tree, tmp_path / name)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(e.name for e in folder.iterdir())


# Wheels.


def test_the_default_build_is_fetched_from_the_wheel_without_a_local_version(
    machine: Environment, index: Path, cache: Path
) -> None:
    add_wheel(index, CPU, local="cpu", platform="linux_x86_64")
    wheel = add_wheel(index, CU124)
    checksum = sha256(wheel)
    lines: list[str] = []
    fetched = fetch_release("2.6.0", machine, pip=options(index), report=lines.append)
    assert (fetched.name, fetched.source, fetched.new) == (
        "2.6.0+cu124",
        "torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl",
        True,
    )
    assert (fetched.sha256, fetched.python, fetched.folder) == (checksum, "3.11", cache / "2.6.0+cu124")
    assert lines[-1] == "unpacking torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl"
    libtorch = find_libtorch("fetched:2.6.0+cu124", environment=machine)
    assert (libtorch.root, libtorch.full_version) == (cache / "2.6.0+cu124" / "torch", "2.6.0+cu124")
    assert libtorch.python_library == libtorch.root / "lib" / "libtorch_python.so"


def test_the_python_part_and_programs_are_left_away(machine: Environment, index: Path, cache: Path) -> None:
    add_wheel(index, CU124)
    fetched = fetch_release("2.6.0", machine, pip=options(index))
    assert names(fetched.folder) == ["fetched.json", "torch", "torch-2.6.0.dist-info", "torch.libs"]
    assert names(fetched.folder / "torch") == ["include", "lib", "share", "version.py"]
    assert [p for p in fetched.folder.rglob("*.py") if p.name != "version.py"] == []
    assert names(cache) == [".lock", "2.6.0+cu124"]


def test_a_second_call_asks_nobody(machine: Environment, index: Path) -> None:
    wheel = add_wheel(index, CU124)
    first = fetch_release("2.6.0", machine, pip=options(index))
    wheel.unlink()
    for same in ({}, {"cuda": "12.4"}, {"abi": "old"}):
        second = fetch_release("2.6.0", machine, pip=options(index), **same)  # type: ignore[arg-type]
        assert (second.folder, second.new) == (first.folder, False)


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ({"cpu": True}, "2.6.0+cpu"),
        ({"cuda": "cu118"}, "2.6.0+cu118"),
        ({"cuda": "12.4"}, "2.6.0+cu124"),
        ({"cpu": True, "abi": "new"}, "2.6.0+cpu.cxx11.abi"),
    ],
    ids=str,
)
def test_a_build_is_asked_for_by_its_tag(
    machine: Environment, index: Path, question: dict[str, object], name: str
) -> None:
    add_wheel(index, CU124)
    add_wheel(index, FakeTorch("2.6.0", "cu118", cuda="11.8"), local="cu118", platform="linux_x86_64")
    add_wheel(index, CPU, local="cpu", platform="linux_x86_64")
    new = FakeTorch("2.6.0", "cpu.cxx11.abi", abi=True)
    add_wheel(index, new, local="cpu.cxx11.abi", platform="linux_x86_64")
    assert fetch_release("2.6.0", machine, pip=options(index), **question).name == name  # type: ignore[arg-type]


def test_an_index_of_one_variant_serves_the_default_question(machine: Environment, index: Path) -> None:
    add_wheel(index, CPU, local="cpu", platform="linux_x86_64")
    assert fetch_release("2.6.0", machine, pip=options(index)).name == "2.6.0+cpu"


def test_a_build_that_the_index_lacks_names_the_way(machine: Environment, index: Path, cache: Path) -> None:
    add_wheel(index, CU124)
    with pytest.raises(LibTorchNotFoundError) as caught:
        fetch_release("2.6.0", machine, cpu=True, python="3.11", pip=options(index))
    assert str(caught.value) == (
        "no index (--no-index) has no torch 2.6.0+cpu for linux x86_64\n"
        "  looked in:\n"
        "    torch===2.6.0+cpu, Python 3.11  none; it has 2.6.0\n"
        "  do one of these:\n"
        "    - name an index that has it: torchscript-build fetch 2.6.0 --cpu --index-url URL/cpu\n"
        "    - take the default build: torchscript-build fetch 2.6.0\n"
        "    - leave --python away: the wheel of any Python will do"
    )
    assert names(cache) == [".lock"]


def test_a_wheel_that_is_something_else_is_refused(machine: Environment, index: Path, cache: Path) -> None:
    add_wheel(index, FakeTorch("2.6.0", "cu126", cuda="12.6"))
    with pytest.raises(LibTorchUnusableError) as caught:
        fetch_release("2.6.0", machine, cuda="cu124", pip=options(index))
    assert caught.value.problem == (
        "torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl is not what was asked for: it is the build cu126"
    )
    assert names(cache) == [".lock"]


def test_an_abi_that_no_wheel_has_is_refused_before_any_download(machine: Environment) -> None:
    with pytest.raises(LibTorchNotFoundError) as caught:
        fetch_release("2.6.0", machine, abi="new", pip=PipOptions(index_url="http://127.0.0.1:9/"))
    assert caught.value.problem == ("torch 2.6.0 for linux x86_64 has the old cxx11 ABI; asked for was the new one")
    assert caught.value.cures[0] == ("torchscript-build fetch 2.6.0 --cpu --abi new --index-url URL/cpu-cxx11-abi")
    with pytest.raises(LibTorchNotFoundError, match="has the new cxx11 ABI; asked for was the old one"):
        fetch_release("2.13.0", machine, abi="old", cpu=True)


def test_another_pythons_wheel_does_not_replace_the_one_that_is_there(machine: Environment, index: Path) -> None:
    add_wheel(index, CU124)
    add_wheel(index, CU124, python="312")
    assert fetch_release("2.6.0", machine, python="3.11", pip=options(index)).python == "3.11"
    with pytest.raises(LibTorchUnusableError, match=r"there already, from the wheel for Python 3\.11") as caught:
        fetch_release("2.6.0", machine, python="3.12", pip=options(index))
    assert caught.value.cures[0] == "torchscript-build fetch --remove 2.6.0+cu124, then fetch it again"


def test_cuda_libraries_lie_where_torchs_rpath_looks(machine: Environment, index: Path) -> None:
    requires = (
        "filelock",
        'nvidia-cublas-cu12==1.0; platform_system == "Linux" and platform_machine == "x86_64"',
        'nvidia-nowhere-cu12==1.0; platform_machine == "aarch64"',
    )
    add_wheel(index, CU124, requires=requires)
    add_nvidia_wheel(index, "nvidia_cublas_cu12", "cublas")
    plain = fetch_release("2.6.0", machine, pip=options(index))
    assert not plain.cuda_libraries
    full = fetch_release("2.6.0", machine, pip=options(index), with_cuda_libraries=True)
    assert full.cuda_libraries
    # $ORIGIN is torch/lib
    assert (full.folder / "torch" / "lib" / ".." / ".." / "nvidia" / "cublas" / "lib" / "libx.so.1").is_file()
    assert list((full.folder / "nvidia").rglob("*.py")) == []
    assert (full.folder / "torch" / "lib" / ".." / ".." / "cusparselt" / "lib" / "libcusparseLt.so.0").is_file()


def test_a_python_without_pip_says_what_to_do(machine: Environment, tmp_path: Path) -> None:
    program = write(tmp_path / "python", "#!/bin/sh\necho 'No module named pip'; exit 1\n")
    program.chmod(0o755)
    without = Environment(machine.variables, tmp_path, "linux", "x86_64", PythonTarget(program))
    with pytest.raises(ToolNotFoundError, match="has no pip") as caught:
        fetch_release("2.6.0", without)
    assert caught.value.cures[0] == f"{program} -m ensurepip"


def test_pips_words_are_understood() -> None:
    output = (
        "Looking in links: /index\n"
        "ERROR: Could not find a version that satisfies the requirement torch===2.6.0+cpu "
        "(from versions: 2.5.0, 2.6.0)\n"
        "ERROR: No matching distribution found for torch===2.6.0+cpu\n"
    )
    assert is_no_such_build(output)
    assert parse_versions_offered(output) == ("2.5.0", "2.6.0")
    unreachable = (
        "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError()': /torch/\n"
        "ERROR: Could not find a version that satisfies the requirement torch===2.6.0 (from versions: none)\n"
        "ERROR: No matching distribution found for torch===2.6.0\n"
    )
    assert not is_no_such_build(unreachable)
    assert not is_no_such_build("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n")


# What is asked for, and which wheels.


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"version": "newest"}, "'newest' is no release of torch"),
        ({"version": "2.6"}, "write the whole version"),
        ({"version": "1.7.1"}, "older than 1.8.1"),
        ({"version": "2.6.0", "cuda": "x"}, "cuda: 'x' is no CUDA release"),
        ({"version": "2.6.0+cpu", "cuda": "cu124"}, "cpu and cu124 are different builds"),
        ({"version": "2.6.0", "python": "2.7"}, "python: '2.7' is no Python version"),
    ],
    ids=str,
)
def test_a_question_that_means_nothing_is_refused(arguments: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem.replace(".", r"\.")):
        parse_wanted(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "running", "pythons"),
    [
        ("1.8.1", (3, 11), [(3, 9), (3, 8), (3, 7)]),
        ("2.6.0", (3, 11), [(3, 11), (3, 13), (3, 12), (3, 10)]),
        ("2.15.0", (3, 9), [(3, 15), (3, 14), (3, 13)]),
    ],
)
def test_the_running_python_is_tried_first_where_it_has_a_wheel(
    version: str, running: tuple[int, int], pythons: list[tuple[int, int]]
) -> None:
    tries = plan_tries(parse_wanted(version), platform="linux", machine="x86_64", running=running)
    assert [t.python for t in tries if t.requirement == f"torch==={version}"] == pythons
    assert tries[-1].requirement == f"torch=={version}"


@pytest.mark.parametrize(
    ("platform", "machine", "question", "requirements"),
    [
        ("linux", "x86_64", {"cpu": True}, ["torch===2.6.0+cpu"]),
        ("linux", "x86_64", {"cuda": "12.4"}, ["torch===2.6.0+cu124", "torch===2.6.0"]),
        ("linux", "aarch64", {"cpu": True}, ["torch===2.6.0+cpu", "torch===2.6.0"]),
        ("darwin", "arm64", {"cpu": True}, ["torch===2.6.0+cpu", "torch===2.6.0"]),
        ("linux", "x86_64", {"cpu": True, "abi": "new"}, ["torch===2.6.0+cpu.cxx11.abi", "torch===2.6.0+cpu"]),
    ],
    ids=str,
)
def test_the_builds_that_will_do(
    platform: str, machine: str, question: dict[str, object], requirements: list[str]
) -> None:
    wanted = parse_wanted("2.6.0", **question)  # type: ignore[arg-type]
    tries = plan_tries(wanted, platform=platform, machine=machine, running=(3, 11))
    assert list(dict.fromkeys(t.requirement for t in tries)) == requirements


def test_the_tags_of_each_machine() -> None:
    def platforms(platform: str, machine: str) -> list[str]:
        words = tag_options((3, 9), platform=platform, machine=machine)
        return [b for a, b in zip(words, words[1:]) if a == "--platform"]

    assert {"manylinux1_x86_64", "manylinux_2_28_x86_64", "linux_x86_64"} <= set(platforms("linux", "x86_64"))
    assert {"manylinux2014_aarch64", "manylinux_2_28_aarch64"} <= set(platforms("linux", "aarch64"))
    assert platforms("darwin", "arm64") == ["macosx_26_0_arm64", "macosx_26_0_universal2"]
    assert platforms("win32", "AMD64") == ["win_amd64"]
    assert "cp37m" in tag_options((3, 7), platform="linux", machine="x86_64")


# Archives.


def test_an_archive_with_its_checksum(machine: Environment, tmp_path: Path, cache: Path) -> None:
    file = zip_archive(tmp_path)
    fetched = fetch_archive("libtorch.zip", sha256(file).upper(), machine)
    assert (fetched.name, fetched.source, fetched.new) == ("2.6.0+cpu", "libtorch.zip", True)
    assert find_libtorch("fetched:2.6.0", environment=machine).root == cache / "2.6.0+cpu" / "libtorch"
    assert names(fetched.folder / "libtorch") == ["build-hash", "build-version", "include", "lib", "share"]
    assert fetch_archive(str(file), sha256(file), machine).new is False


def test_an_archive_by_its_address(machine: Environment, tmp_path: Path) -> None:
    file = zip_archive(tmp_path)
    lines: list[str] = []
    fetched = fetch_archive(file.as_uri(), sha256(file), machine, report=lines.append)
    assert (fetched.source, lines[0]) == (file.as_uri(), f"downloading {file.as_uri()}")
    with pytest.raises(LibTorchNotFoundError, match="cannot be downloaded"):
        fetch_archive((tmp_path / "none.zip").as_uri(), "0" * 64, machine)


def test_credentials_are_neither_shown_nor_kept() -> None:
    address = "https://user:secret@example.org/libtorch.zip?token=secret#secret"
    assert fetch._without_credentials(address) == "https://example.org/libtorch.zip"


def test_a_wheel_and_a_tar_file_are_archives_too(machine: Environment, index: Path, tmp_path: Path) -> None:
    wheel = add_wheel(index, CU124)
    assert fetch_archive(str(wheel), sha256(wheel), machine).name == "2.6.0+cu124"
    tree = tmp_path / "packed"
    root = make_archive(tree / "somewhere", FakeTorch("2.5.1"))
    real = root / "lib" / "libc10.so.2"
    (root / "lib" / "libc10.so").rename(real)
    (root / "lib" / "libc10.so").symlink_to(real.name)
    file = tmp_path / "libtorch.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        archive.add(tree / "somewhere", ".")
    fetched = fetch_archive(str(file), sha256(file), machine)
    assert fetched.name == "2.5.1+cpu"
    assert os.readlink(fetched.folder / "libtorch" / "lib" / "libc10.so") == "libc10.so.2"


def test_archives_of_both_abis_have_different_names(machine: Environment, tmp_path: Path) -> None:
    for fake, name in (
        (FakeTorch("2.6.0", abi=False), "2.6.0+cpu"),
        (FakeTorch("2.6.0", abi=True), "2.6.0+cpu.cxx11.abi"),
    ):
        file = zip_archive(tmp_path, fake, f"{name}.zip")
        assert fetch_archive(str(file), sha256(file), machine).name == name


def test_one_for_another_machine_says_so_in_its_name(machine: Environment, tmp_path: Path) -> None:
    file = zip_archive(tmp_path, FakeTorch("2.6.0", machine="aarch64"))
    assert fetch_archive(str(file), sha256(file), machine).name == "2.6.0+cpu.cxx11.abi-linux-aarch64"


@pytest.mark.parametrize("checksum", [None, "", "abc", "0" * 63])
def test_an_archive_without_a_checksum_is_refused(machine: Environment, checksum: Optional[str]) -> None:
    with pytest.raises(SettingsError, match=r"--sha256.* sha256sum FILE"):
        fetch_archive("libtorch.zip", checksum, machine)


def test_a_wrong_checksum_is_refused_before_unpacking(machine: Environment, tmp_path: Path, cache: Path) -> None:
    file = zip_archive(tmp_path)
    with pytest.raises(LibTorchUnusableError) as caught:
        fetch_archive(str(file), "0" * 64, machine)
    assert sha256(file) in caught.value.problem
    assert "0" * 64 in caught.value.problem
    assert names(cache) == [".lock"]


def refuse(machine: Environment, file: Path) -> str:
    """The reason why an archive is refused; nothing of it may be left."""
    with pytest.raises(LibTorchUnusableError) as caught:
        fetch_archive(str(file), sha256(file), machine)
    assert names(Path(machine.variables["TORCHSCRIPT_BUILD_CACHE_DIR"]) / "libtorch") == [".lock"]
    return caught.value.problem


def with_member(tmp_path: Path, name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Path:
    """A good zip with one more member."""
    file = zip_archive(tmp_path)
    with zipfile.ZipFile(file, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, content)
    return file


def with_tar_member(tmp_path: Path, info: tarfile.TarInfo) -> Path:
    file = tmp_path / "libtorch.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        archive.add(make_archive(tmp_path / "tar", CPU), "libtorch")
        archive.addfile(info, io.BytesIO(b""))
    return file


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("libtorch/lib/../../../escaped", "leads out of the archive"),
        ("../escaped", "leads out of the archive"),
        ("/tmp/escaped", "is an absolute path"),
        ("libtorch/lib/a\\..\\b", "has a character"),
        ("C:/escaped", "has a character"),
    ],
)
def test_names_that_lead_out_are_refused(machine: Environment, tmp_path: Path, name: str, reason: str) -> None:
    assert reason in refuse(machine, with_member(tmp_path, name))
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../secret", "../../x", "d/../../../x", ""])
def test_links_that_lead_out_are_refused(machine: Environment, tmp_path: Path, target: str) -> None:
    file = with_member(tmp_path, "libtorch/lib/link.so", target.encode(), stat.S_IFLNK | 0o777)
    assert "leads out of the libtorch" in refuse(machine, file)


def test_files_under_a_link_are_refused(machine: Environment, tmp_path: Path) -> None:
    file = with_member(tmp_path, "libtorch/lib/d", b"../include", stat.S_IFLNK | 0o777)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("libtorch/lib/d/evil.h", "x")
    assert "lies under a link" in refuse(machine, file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubles_are_refused(machine: Environment, tmp_path: Path) -> None:
    assert "is there twice" in refuse(machine, with_member(tmp_path, "libtorch/lib/libc10.so"))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_devices_pipes_and_hard_links_are_refused(machine: Environment, tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("libtorch/lib/odd")
    info.type, info.linkname = kind, "libtorch/lib/libc10.so"
    assert "is a device or a pipe" in (reason := refuse(machine, with_tar_member(tmp_path, info))) or "hard" in reason


def test_a_tar_link_that_leads_out_is_refused(machine: Environment, tmp_path: Path) -> None:
    info = tarfile.TarInfo("libtorch/lib/odd.so")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    assert "leads out of the libtorch" in refuse(machine, with_tar_member(tmp_path, info))


def test_a_bomb_is_refused(machine: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "RATIO_FLOOR", 1 << 20)
    file = zip_archive(tmp_path)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("libtorch/lib/bomb", bytes(16 << 20))
    assert "this is no libtorch" in refuse(machine, file)
    tar = tmp_path / "libtorch.tar.gz"
    with tarfile.open(tar, "w:gz") as packed:
        info = tarfile.TarInfo("libtorch/lib/bomb")
        info.size = 16 << 20
        packed.addfile(info, io.BytesIO(bytes(info.size)))
    assert "this is no libtorch" in refuse(machine, tar)


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_archive_is_refused(machine: Environment, tmp_path: Path, keep: float) -> None:
    file = zip_archive(tmp_path)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * keep)])
    assert "is damaged or cut off" in refuse(machine, file)
    tar = with_tar_member(tmp_path, tarfile.TarInfo("libtorch/x"))
    tar.write_bytes(tar.read_bytes()[: int(tar.stat().st_size * keep)])
    assert "is damaged or cut off" in refuse(machine, tar)


def test_a_damaged_member_is_refused(machine: Environment, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    make_archive(tree, CPU)
    file = tmp_path / "libtorch.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(tree).as_posix())
    data = file.read_bytes()
    at = data.index(b"\x7fELF") + 40
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert "is damaged or cut off: Bad CRC-32" in refuse(machine, file)


def test_other_files_are_refused(machine: Environment, tmp_path: Path) -> None:
    assert "is neither a zip file" in refuse(machine, write(tmp_path / "x.zip", "<html>not found</html>"))
    assert "holds no libtorch" in refuse(machine, zip_folder(write(tmp_path / "d" / "x").parent, tmp_path / "e.zip"))
    tree = tmp_path / "half"
    root = make_archive(tree, CPU)
    (root / "lib" / "libtorch_cpu.so").unlink()
    assert "the libtorch in half.zip is not usable" in refuse(machine, zip_folder(tree, tmp_path / "half.zip"))


def test_a_full_disk_is_one_message(
    machine: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = zip_archive(tmp_path)
    monkeypatch.setattr(fetch, "unpack_libtorch", full)
    with pytest.raises(LibTorchUnusableError, match=r"cannot be stored in .*No space left") as caught:
        fetch_archive(str(file), sha256(file), machine)
    assert caught.value.cures[0].startswith("set TORCHSCRIPT_BUILD_CACHE_DIR")
    assert names(cache) == [".lock"]


# Races and sudden ends.


def test_calls_at_the_same_time_make_one_copy(machine: Environment, index: Path, cache: Path) -> None:
    add_wheel(index, CU124)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: fetch_release("2.6.0", machine, pip=options(index)), range(4)))
    assert [r.new for r in results].count(True) == 1
    assert {r.folder for r in results} == {cache / "2.6.0+cu124"}
    assert names(cache) == [".lock", "2.6.0+cu124"]


CHILD = """\
import sys, time
from torchscript_build.libtorch.fetch import obtain as fetch
from torchscript_build.system import Environment
real = fetch.unpack_libtorch
def slow(archive, label, target):
    result = real(archive, label, target)
    print("unpacked", flush=True)
    time.sleep(3600)
    return result
fetch.unpack_libtorch = slow
fetch.fetch_archive(sys.argv[1], sys.argv[2], Environment.current())
"""


@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
def test_a_killed_one_leaves_a_temporary_folder_that_the_next_removes(
    machine: Environment, tmp_path: Path, cache: Path
) -> None:
    file = zip_archive(tmp_path)
    variables = {**machine.variables, "PYTHONPATH": str(Path(fetch.__file__).parents[3])}
    command = [sys.executable, "-c", CHILD, str(file), sha256(file)]
    with started(command, env=variables, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"unpacked\n"
        os.kill(child.pid, signal.SIGKILL)
    (leftover,) = cache.glob(".part-*")
    assert (leftover / "libtorch" / "libtorch" / "lib").is_dir()
    assert list_fetched(machine) == ()
    assert fetch_archive(str(file), sha256(file), machine).new
    assert names(cache) == [".lock", "2.6.0+cpu"]


def test_a_second_caller_waits_for_the_first(
    machine: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = zip_archive(tmp_path)
    began, proceed = threading.Event(), threading.Event()
    real = fetch.unpack_libtorch

    def slow(*arguments: object) -> object:
        began.set()
        assert proceed.wait(1800)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fetch, "unpack_libtorch", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch_archive, str(file), sha256(file), machine)
        assert began.wait(1800)
        second = pool.submit(fetch_archive, str(file), sha256(file), machine)
        assert not second.done()
        proceed.set()
        assert (first.result().new, second.result().new) == (True, False)


# What is there.


def test_list_and_remove(machine: Environment, tmp_path: Path, cache: Path) -> None:
    assert list_fetched(machine) == ()
    file = zip_archive(tmp_path)
    fetch_archive(str(file), sha256(file), machine)
    make_archive(cache / "2.5.0+cpu", FakeTorch("2.5.0"))  # put there by hand, without a record
    assert [(f.name, f.source) for f in list_fetched(machine)] == [("2.5.0+cpu", ""), ("2.6.0+cpu", "libtorch.zip")]
    assert remove_fetched("2.6.0", machine).name == "2.6.0+cpu"
    assert names(cache) == [".lock", "2.5.0+cpu"]
    with pytest.raises(LibTorchUnusableError, match=r"2\.6\.0 has not been fetched \(there: 2\.5\.0\+cpu\)"):
        remove_fetched("2.6.0", machine)
    with pytest.raises(LibTorchUnusableError, match="names no fetched libtorch"):
        remove_fetched("../libtorch", machine)


def test_the_record_says_where_it_comes_from(machine: Environment, tmp_path: Path) -> None:
    file = zip_archive(tmp_path)
    fetched = fetch_archive(str(file), sha256(file), machine)
    record = json.loads((fetched.folder / "fetched.json").read_text())
    assert record == {
        "name": "2.6.0+cpu",
        "source": "libtorch.zip",
        "sha256": sha256(file),
        "size": fetched.size,
        "python": None,
        "asked": "",
        "variant": "torch26-cpu-x86_64-linux",
    }
    for damaged in ("[]", "", "[" * 100_000):
        (fetched.folder / "fetched.json").write_text(damaged)
        assert list_fetched(machine) == (Fetched(fetched.name, fetched.folder, "", "", 0),)


# The command.


def run(machine: Environment, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    cli_fetch.add_parser(parser.add_subparsers())
    monkeypatch.setattr(Environment, "current", lambda: machine)
    parsed = parser.parse_args(["fetch", *words])
    parsed.command(parsed)


def test_the_command(
    machine: Environment,
    tmp_path: Path,
    index: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(machine, monkeypatch, "--list")
    assert capsys.readouterr().out == "nothing has been fetched\n"
    add_wheel(index, CU124)
    run(machine, monkeypatch, "2.6.0", "--no-index", "--find-links", str(index))
    out = capsys.readouterr().out
    folder = tmp_path / "cache" / "libtorch" / "2.6.0+cu124"
    assert f"fetched 2.6.0+cu124: {folder} (1 MB)\n" in out
    assert out.endswith("use it: --libtorch fetched:2.6.0+cu124, or TORCHSCRIPT_BUILD_LIBTORCH=fetched:2.6.0+cu124\n")
    run(machine, monkeypatch, "--list")
    assert capsys.readouterr().out == "2.6.0+cu124      1 MB  torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl\n"
    run(machine, monkeypatch, "2.6.0", "--cuda", "cu124")
    assert capsys.readouterr().out.startswith(f"2.6.0+cu124 is there already: {folder}\n")
    run(machine, monkeypatch, "--remove", "2.6.0")
    assert capsys.readouterr().out == "removed 2.6.0+cu124\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "name a release"),
        (("2.6.0", "--list"), "fetch --list: VERSION does not go with it"),
        (("--archive", "x", "--cpu"), "fetch --archive: --cpu does not go with it"),
        (("2.6.0", "--sha256", "0"), "goes with --archive only"),
    ],
)
def test_options_that_do_not_go_together(
    machine: Environment, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        run(machine, monkeypatch, *words)


@pytest.mark.network
@pytest.mark.parametrize(("version", "name"), [("1.8.1", "1.8.1+cu102"), ("2.13.0", "2.13.0+cu130")])
def test_real_releases(tmp_path: Path, version: str, name: str) -> None:
    environment = Environment.current().with_variables(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path))
    assert fetch_release(version, environment).name == name
    assert find_libtorch(f"fetched:{version}", environment=environment).full_version == name
