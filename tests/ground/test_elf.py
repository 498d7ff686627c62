"""Reading ELF files: tables, the ABI of any C++ library, and where the loader looks."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from children import run_child
from trees import NEW, OLD, build_elf, write

from torchscript_build.system.elf import (
    ElfError,
    MissingLibrary,
    cxx11_abi_of,
    find_missing,
    header_machine,
    is_elf,
    read_elf,
    resolve_needed,
    speaks_old_abi,
)

NO_FOLDERS: tuple[Path, ...] = ()


def test_a_library_is_read(tmp_path: Path) -> None:
    data = build_elf(
        soname="libx.so.1",
        needed=["libc10.so", "libc.so.6"],
        rpath="$ORIGIN:/opt/lib",
        exported=["run"],
        undefined=["puts"],
        local=["inner"],
        hidden=["secret"],
        versions=[("libc.so.6", ["GLIBC_2.17", "GLIBC_2.4"]), ("libstdc++.so.6", ["GLIBCXX_3.4.19"])],
    )
    info = read_elf(write(tmp_path / "libx.so", data))
    assert (info.machine, info.soname, info.interpreter) == ("x86_64", "libx.so.1", None)
    assert info.needed == ("libc10.so", "libc.so.6")
    assert (info.rpath, info.runpath) == (("$ORIGIN", "/opt/lib"), ())
    assert info.needed_versions == ("GLIBC_2.4", "GLIBC_2.17", "GLIBCXX_3.4.19")
    assert info.exported_symbols == {"run"}
    assert info.undefined_symbols == {"puts"}
    assert "run" in info.exported_symbols
    assert "puts" not in info.exported_symbols
    assert info.interpreter is None


def test_a_program_names_its_loader(tmp_path: Path) -> None:
    program = write(tmp_path / "run", build_elf(interpreter="/lib64/ld-linux-x86-64.so.2", runpath="$ORIGIN/../lib"))
    info = read_elf(program)
    assert info.interpreter is not None
    assert info.interpreter == "/lib64/ld-linux-x86-64.so.2"
    assert info.runpath == ("$ORIGIN/../lib",)


def test_the_machine_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "libx.so", build_elf(machine="aarch64"))
    assert read_elf(path).machine == "aarch64"
    assert header_machine(path) == "aarch64"
    assert is_elf(path)


@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf")
def test_readelf_finds_nothing_wrong_with_our_fake_files(tmp_path: Path) -> None:
    data = build_elf(soname="libx.so", needed=["libc.so.6"], exported=["f"], versions=[("libc.so.6", ["GLIBC_2.17"])])
    command = ["readelf", "-a", "-W", str(write(tmp_path / "libx.so", data))]
    done = run_child(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "Shared library: [libc.so.6]" in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\n", "is not an ELF file"),
        (b"MZ\0\0", "is not an ELF file"),
        (b"\x7fELF", "is a broken ELF file"),
        (build_elf(needed=["liba.so"])[:200], "is a broken ELF file"),
    ],
)
def test_what_is_no_elf_file_is_an_error_with_its_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = write(tmp_path / "libx.so", content)
    with pytest.raises(ElfError, match=rf"libx\.so {words}"):
        read_elf(path)


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ElfError, match=r"libx\.so cannot be read: No such file"):
        read_elf(tmp_path / "libx.so")


def test_a_flipped_byte_never_escapes_as_another_error(tmp_path: Path) -> None:
    whole = build_elf(soname="libx.so", needed=["liba.so"], exported=[OLD], versions=[("liba.so", ["V_1"])])
    path = tmp_path / "libx.so"
    for at in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        write(path, bytes(broken))
        with contextlib.suppress(ElfError):
            _ = read_elf(path).exported_symbols


# The ABI.

LEFTOVERS = ["_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE9_M_createERmm", "_ZTINSt7__cxx118messagesIcEE"]


@pytest.mark.parametrize(
    ("exported", "undefined", "abi"),
    [
        ([NEW], [], True),
        ([OLD], [], False),
        ([], [NEW], True),
        ([], [OLD], False),
        ([OLD, *LEFTOVERS], [], False),
        (LEFTOVERS, [], None),
        ([], LEFTOVERS, True),
        ([], ["_ZNSs4_Rep10_M_disposeERKSaIcE"], False),
        ([OLD, NEW], [], None),
        (["main", "_Z3addii"], ["puts"], None),
        (["_ZN3app4joinERKSt4listIiSaIiEE"], [], False),
    ],
)
def test_the_abi_follows_from_what_is_passed_through_functions(
    tmp_path: Path, exported: list[str], undefined: list[str], abi: bool | None
) -> None:
    path = write(tmp_path / "libx.so", build_elf(exported=exported, undefined=undefined))
    assert cxx11_abi_of(path) is abi


@pytest.mark.parametrize(
    "name",
    [
        "_Z4passSs",
        "_ZN3c105ErrorC1ENS_14SourceLocationESs",
        "_ZN1a1bESt6vectorISsSaISsEE",
        "_ZN1aILi5EE1bESs",
    ],
)
def test_names_with_an_old_string(name: str) -> None:
    assert speaks_old_abi(name)


@pytest.mark.parametrize(
    "name",
    [
        "_ZN6MySs_xC1Ev",
        "_ZN3AppSt4SessEi",
        "_ZN4SsSs3runEi",
        "_ZTSs",
        "_Z1fS_s",
        "Ss",
        NEW,
    ],
)
def test_names_without_an_old_string(name: str) -> None:
    assert not speaks_old_abi(name)


@pytest.mark.compile
@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("abi", [0, 1])
def test_the_abi_of_a_compiled_library(tmp_path: Path, abi: int) -> None:
    source = write(
        tmp_path / "x.cpp", "#include <string>\nint size(std::string s) { return s.size() + s.find('x'); }\n"
    )
    library = tmp_path / "libx.so"
    define = f"-D_GLIBCXX_USE_CXX11_ABI={abi}"
    run_child(["c++", "-shared", "-fPIC", define, str(source), "-o", str(library)], check=True)
    assert cxx11_abi_of(library) is bool(abi)


# The loader.


def test_rpath_is_ignored_where_there_is_a_runpath(tmp_path: Path) -> None:
    write(tmp_path / "one" / "liba.so", build_elf())
    write(tmp_path / "two" / "liba.so", build_elf())
    path = write(tmp_path / "x.so", build_elf(needed=["liba.so"], rpath="$ORIGIN/one", runpath="$ORIGIN/two"))
    found = resolve_needed(read_elf(path), default_folders=NO_FOLDERS)
    assert found == {"liba.so": tmp_path / "two" / "liba.so"}


def test_library_path_comes_between_rpath_and_runpath(tmp_path: Path) -> None:
    for folder in ("own", "path"):
        write(tmp_path / folder / "liba.so", build_elf())
    by_rpath = write(tmp_path / "x.so", build_elf(needed=["liba.so"], rpath="${ORIGIN}/own"))
    by_runpath = write(tmp_path / "y.so", build_elf(needed=["liba.so"], runpath="$ORIGIN/own"))
    path = [tmp_path / "path"]
    assert resolve_needed(read_elf(by_rpath), library_path=path)["liba.so"] == tmp_path / "own" / "liba.so"
    assert resolve_needed(read_elf(by_runpath), library_path=path)["liba.so"] == tmp_path / "path" / "liba.so"


def test_a_library_for_another_processor_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "liba.so", build_elf(machine="aarch64"))
    path = write(tmp_path / "x.so", build_elf(needed=["liba.so"], runpath="$ORIGIN"))
    assert resolve_needed(read_elf(path), default_folders=NO_FOLDERS) == {"liba.so": None}


def test_children_inherit_rpath_but_not_runpath(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "libb.so", build_elf())
    write(tmp_path / "lib" / "liba.so", build_elf(needed=["libb.so"]))
    by_rpath = write(tmp_path / "x.so", build_elf(needed=["liba.so"], rpath="$ORIGIN/lib:$ORIGIN/deep"))
    by_runpath = write(tmp_path / "y.so", build_elf(needed=["liba.so"], runpath="$ORIGIN/lib:$ORIGIN/deep"))
    assert find_missing([by_rpath], default_folders=NO_FOLDERS) == ()
    assert find_missing([by_runpath], default_folders=NO_FOLDERS) == (
        MissingLibrary("libb.so", tmp_path / "lib" / "liba.so"),
    )


def test_a_library_that_is_loaded_already_is_not_missing(tmp_path: Path) -> None:
    write(tmp_path / "lib" / "liba.so", build_elf(needed=["libb.so"]))
    write(tmp_path / "lib" / "libb.so", build_elf(needed=["liba.so"], runpath="$ORIGIN"))
    program = write(tmp_path / "x", build_elf(needed=["liba.so", "libb.so"], runpath="$ORIGIN/lib"))
    assert find_missing([program], default_folders=NO_FOLDERS) == ()


def test_what_the_system_provides_is_not_looked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "x.so", build_elf(needed=["libc.so.6", "libcuda.so.1"]))
    assert find_missing([path], provided=["libc.so.6", "libcuda.so.1"], default_folders=NO_FOLDERS) == ()
