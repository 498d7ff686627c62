"""Bundles: what they hold, that they run where nothing else is, and that the same files give the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from children import run_child
from nobodys_machine import made_up
from support import write
from tiny_torch import compile_library

from torchscript_build.errors import BuildError, ToolNotFoundError, VerificationError
from torchscript_build.packaging.bundle.closure import cxx_runtime_floor, find_closure, glibc_floor, is_left_out
from torchscript_build.packaging.bundle.formats import (
    DebianFacts,
    check_output,
    debian_name,
    debian_version,
    format_of,
    render_control,
    write_deb,
    write_tar,
)
from torchscript_build.packaging.bundle.report import size_table
from torchscript_build.packaging.bundle.sbom import Component, render_sbom
from torchscript_build.system import Environment, StrPath

FACTS = DebianFacts(
    package="demo",
    version="1.5",
    machine="x86_64",
    glibc="2.31",
    cxx_runtime="12",
    maintainer="A Name <a@example.org>",
    description="demo",
    programs=("answer",),
)


def output_of(command: Sequence[StrPath], **options: Any) -> str:
    return str(run_child(command, capture_output=True, check=True, encoding="utf-8", **options).stdout)


# --- which libraries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cxx_runtime", "left_out"),
    [
        ("libc.so.6", True, True),
        ("libmvec.so.1", True, True),
        ("ld-linux-x86-64.so.2", True, True),
        ("libcuda.so.1", True, True),
        ("libnvidia-ml.so.1", True, True),
        ("libcudart.so.13", True, False),
        ("libcurl.so.4", True, False),
        ("libstdc++.so.6", True, False),
        ("libstdc++.so.6", False, True),
        ("libgomp.so.1", False, False),
    ],
)
def test_the_c_library_and_drivers_are_the_machines(name: str, cxx_runtime: bool, left_out: bool) -> None:
    assert is_left_out(name, cxx_runtime=cxx_runtime) is left_out


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``libtop.so`` needs ``libdeep.so``, which lies in a folder that only its RUNPATH names."""
    folder = tmp_path_factory.mktemp("libraries")
    (folder / "deep").mkdir()
    compile_library(folder / "deep/libdeep.so", '#include <cstdio>\nint deep() { return std::puts(""); }')
    compile_library(
        folder / "libtop.so",
        "int deep();\nint top() { return deep(); }",
        *(f"-L{folder}/deep", "-ldeep", "-Wl,-rpath,$ORIGIN/deep"),
    )
    return folder


@pytest.mark.compile
def test_what_is_needed_through_others_is_found(libraries: Path) -> None:
    closure = find_closure([libraries / "libtop.so"], library_path=[], cxx_runtime=False)
    assert closure.libraries == {"libdeep.so": libraries / "deep/libdeep.so"}
    assert "libc.so.6" in closure.left_to_the_machine


@pytest.mark.compile
def test_a_library_that_is_not_there_is_named_with_who_needs_it(libraries: Path, tmp_path: Path) -> None:
    shutil.copyfile(libraries / "libtop.so", tmp_path / "libtop.so")
    with pytest.raises(VerificationError, match=r"libdeep\.so, which libtop\.so needs"):
        find_closure([tmp_path / "libtop.so"], library_path=[], cxx_runtime=False)


@pytest.mark.compile
def test_what_is_loaded_by_name_comes_along(tmp_path: Path) -> None:
    for name in ("libcudnn.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9", "libother.so.9"):
        compile_library(tmp_path / name, "")
    compile_library(tmp_path / "libapp.so", "", "-Wl,--no-as-needed", "-l:libcudnn.so.9")
    closure = find_closure([tmp_path / "libapp.so"], library_path=[], cxx_runtime=False)
    assert list(closure.libraries) == ["libcudnn.so.9", "libcudnn_cnn.so.9", "libcudnn_ops.so.9"]


@pytest.mark.compile
@pytest.mark.parametrize(
    ("loader", "loaded", "other"),
    [
        ("libmkl_core.so.2", "libmkl_avx2.so.2", "libmkl_scalapack.so.2"),
        ("libnvrtc.so.13", "libnvrtc-builtins.so.13.0", "libnvrtc.alt.so.13"),
        ("libtorch_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so"),
    ],
)
def test_so_do_others_that_are_loaded_by_name(loader: str, loaded: str, other: str, tmp_path: Path) -> None:
    for name in (loader, loaded, other):
        compile_library(tmp_path / name, "")
    compile_library(tmp_path / "libapp.so", "", "-Wl,--no-as-needed", f"-l:{loader}")
    closure = find_closure([tmp_path / "libapp.so"], library_path=[], cxx_runtime=False)
    assert list(closure.libraries) == sorted([loader, loaded])


@pytest.mark.compile
def test_python_is_never_in_a_bundle(tmp_path: Path) -> None:
    compile_library(tmp_path / "libtorch_python.so", "")
    compile_library(tmp_path / "libmine.so", "", "-Wl,--no-as-needed", "-l:libtorch_python.so")
    with pytest.raises(VerificationError, match=r"has no Python.*\n  - libtorch_python\.so, which libmine\.so needs"):
        find_closure([tmp_path / "libmine.so"], library_path=[], cxx_runtime=False)


@pytest.mark.compile
def test_a_library_without_a_soname_is_refused(tmp_path: Path) -> None:
    run_child(["c++", "-shared", "-x", "c++", "/dev/null", "-o", tmp_path / "libdeep.so"], check=True)
    compile_library(tmp_path / "libtop.so", "", "-Wl,--no-as-needed", str(tmp_path / "libdeep.so"))
    with pytest.raises(VerificationError) as caught:
        find_closure([tmp_path / "libtop.so"], library_path=[], cxx_runtime=False)
    assert f"  - {tmp_path}/libdeep.so, which libtop.so needs" in str(caught.value)


@pytest.mark.compile
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("libcuda.so.1", "belongs to the GPU's driver"),
        ("libnvidia-ml.so.1", "belongs to the GPU's driver"),
        ("libm.so.6", "is a part of the C library"),
        ("libpython3.11.so.1.0", "is for Python"),
    ],
)
def test_what_no_bundle_may_have_is_refused_by_name(name: str, words: str, tmp_path: Path) -> None:
    compile_library(tmp_path / name, "")
    with pytest.raises(VerificationError, match=f"{name} {words}"):
        find_closure([], library_path=[], cxx_runtime=False, further=[tmp_path / name])


@pytest.mark.compile
def test_so_is_a_driver_by_another_name(tmp_path: Path) -> None:
    compile_library(tmp_path / "libcuda.so.1", "")
    (tmp_path / "libinnocent.so").symlink_to("libcuda.so.1")
    with pytest.raises(VerificationError, match=r"libinnocent\.so belongs to the GPU's driver"):
        find_closure([], library_path=[], cxx_runtime=False, further=[tmp_path / "libinnocent.so"])


def test_a_further_library_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        find_closure([], library_path=[], cxx_runtime=False, further=[tmp_path / "gone.so", write(tmp_path / "a.txt")])
    assert "gone.so: there is no such file" in str(caught.value)
    assert "a.txt is not a shared library" in str(caught.value)


@pytest.mark.compile
def test_what_the_linker_had_comes_before_the_systems(libraries: Path, tmp_path: Path) -> None:
    """What is installed has lost the folder that it was linked in; the library's own RUNPATH counts for others."""
    shutil.copyfile(libraries / "libtop.so", tmp_path / "libtop.so")
    closure = find_closure([tmp_path / "libtop.so"], library_path=[libraries / "deep"], cxx_runtime=False)
    assert closure.libraries == {"libdeep.so": libraries / "deep/libdeep.so"}


@pytest.mark.compile
def test_where_one_library_finds_another_is_where_all_have_it_from(tmp_path: Path) -> None:
    """As torchvision's ``_C.so``, which names CUDA's runtime, and only torch's own libraries know where that lies."""
    known, system = tmp_path / "nvidia", tmp_path / "usr/lib"
    known.mkdir()
    system.mkdir(parents=True)
    for folder in (known, system):
        compile_library(folder / "libcudart.so.13", "int run() { return 1; }")
    needed = (f"-L{known}", "-l:libcudart.so.13")
    source = "int run(); int go() { return run(); }"
    compile_library(tmp_path / "libext.so", source, *needed)
    compile_library(tmp_path / "libtorch_cuda.so", source, *needed, f"-Wl,-rpath,{known}")
    files = [tmp_path / "libext.so", tmp_path / "libtorch_cuda.so"]
    closure = find_closure(files, library_path=[], cxx_runtime=False, system=[system])
    assert closure.libraries == {"libcudart.so.13": known / "libcudart.so.13"}
    closure = find_closure(files[:1], library_path=[], cxx_runtime=False, system=[system])
    assert closure.libraries == {"libcudart.so.13": system / "libcudart.so.13"}
    with pytest.raises(VerificationError, match=r"libcudart\.so\.13, which libext\.so needs"):
        find_closure(files[:1], library_path=[], cxx_runtime=False, system=[])


@pytest.mark.compile
def test_the_lowest_libstdcxx_is_told_as_a_gcc(tmp_path: Path) -> None:
    compile_library(tmp_path / "libio.so", "#include <iostream>\nvoid say() { std::cout << 1 << std::endl; }")
    assert cxx_runtime_floor([tmp_path / "libio.so"]) in ("4.8", "9", "11")
    assert cxx_runtime_floor([]) == "4.8"


@pytest.mark.compile
def test_the_lowest_glibc_is_read_from_the_symbols(libraries: Path) -> None:
    version = tuple(map(int, glibc_floor([libraries / "libtop.so"]).split(".")))
    assert (2, 2) <= version <= (3, 0)
    assert glibc_floor([]) == "2.17"


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    write(folder / "bin/answer", "#!/bin/sh\necho 42\n").chmod(0o755)
    write(folder / "share/demo/models/net.pt", "model")
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [("out", "dir"), ("a.tar.gz", "tar.gz"), ("a.tgz", "tar.gz"), ("a.tar.zst", "tar.zst"), ("a.deb", "deb")],
)
def test_the_suffix_says_the_format(name: str, kind: str) -> None:
    assert format_of(Path(name)) == kind


def test_an_archive_has_one_folder_and_no_owner_or_time(tree: Path, tmp_path: Path) -> None:
    write_tar(tree, tmp_path / "a.tar.gz", "demo-1.5", Environment.current())
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        members = {m.name: m for m in archive}
    assert set(members) == {
        "demo-1.5", "demo-1.5/bin", "demo-1.5/bin/answer", "demo-1.5/share", "demo-1.5/share/demo",
        "demo-1.5/share/demo/models", "demo-1.5/share/demo/models/net.pt",
    }  # fmt: skip
    assert members["demo-1.5/bin/answer"].mode == 0o755
    assert members["demo-1.5/share/demo/models/net.pt"].mode == 0o644
    assert {(m.uid, m.gid, m.mtime) for m in members.values()} == {(0, 0, 315532800)}


@pytest.mark.parametrize("suffix", [".tar.gz", ".deb"])
def test_the_same_files_give_the_same_bytes(tree: Path, tmp_path: Path, suffix: str) -> None:
    digests = set()
    for number, umask in enumerate((0o022, 0o077)):
        before = os.umask(umask)
        try:
            copy = tmp_path / f"copy{number}"
            shutil.copytree(tree, copy)
            os.utime(copy / "bin/answer", (number, number))
            output = tmp_path / f"{number}{suffix}"
            if suffix == ".deb":
                write_deb(copy, output, FACTS)
            else:
                write_tar(copy, output, "demo", Environment.current())
        finally:
            os.umask(before)
        digests.add(hashlib.sha256(output.read_bytes()).hexdigest())
    assert len(digests) == 1
    assert [p.name for p in tmp_path.glob(".*")] == []


@pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd")
def test_an_archive_by_zstd(tree: Path, tmp_path: Path) -> None:
    write_tar(tree, tmp_path / "a.tar.zst", "demo", Environment.current())
    listed = output_of(["tar", "--zstd", "-tf", tmp_path / "a.tar.zst"]).splitlines()
    assert "demo/bin/answer" in listed


def test_without_zstd_there_is_a_way_out(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError, match="needs the program zstd") as caught:
        write_tar(tree, tmp_path / "a.tar.zst", "demo", made_up(tmp_path))
    assert "write a .tar.gz" in caught.value.cures


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg-deb")
def test_debians_own_tool_reads_the_package(tree: Path, tmp_path: Path) -> None:
    write_deb(tree, tmp_path / "demo.deb", FACTS)
    fields = output_of(["dpkg-deb", "-f", tmp_path / "demo.deb"])
    assert "Package: demo\nVersion: 1.5\nArchitecture: amd64\n" in fields
    assert "Depends: libc6 (>= 2.31), libstdc++6 (>= 12), libgcc-s1\n" in fields
    run_child(["dpkg-deb", "-x", tmp_path / "demo.deb", tmp_path / "root"], check=True)
    assert os.readlink(tmp_path / "root/usr/bin/answer") == "../../opt/demo/bin/answer"
    assert output_of([tmp_path / "root/usr/bin/answer"]) == "42\n"


def test_a_package_with_the_runtime_depends_on_libc_only() -> None:
    assert "Depends: libc6 (>= 2.31)\n" in render_control(
        DebianFacts(**{**vars(FACTS), "cxx_runtime": ""}), 10
    )  # fmt: skip


@pytest.mark.parametrize(("project", "name"), [("My_Project", "my-project"), ("x", "x-app"), ("a.b+c", "a.b+c")])
def test_a_name_as_debian_has_it(project: str, name: str) -> None:
    assert debian_name(project) == name


@pytest.mark.parametrize(
    ("version", "debian"),
    [
        *(
            ("1.0", "1.0"),
            ("1.0rc1", "1.0~rc1"),
            ("1.0.dev3", "1.0~dev3"),
            ("2!1.0", "2:1.0"),
            ("1.0+ab-c", "1.0+ab.c"),
        ),
        ("1.0a2.post1", "1.0~a2.post1"),
    ],
)
def test_a_version_as_debian_sorts_it(version: str, debian: str) -> None:
    assert debian_version(version) == debian


def test_another_folder_is_never_replaced(tmp_path: Path) -> None:
    mine = write(tmp_path / "home/thesis.tex", "years of work")
    with pytest.raises(BuildError, match="is no bundle; a new one would take its place"):
        check_output(mine.parent)
    (tmp_path / "a.deb").mkdir()
    with pytest.raises(BuildError, match="is a folder, and the bundle would be a file"):
        check_output(tmp_path / "a.deb")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "bundle/bundle.json", "{}")
    for output in ("empty", "bundle", "new", "new.deb"):
        check_output(tmp_path / output)


def test_the_bill_of_materials_is_valid() -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="there is no cyclonedx-python-lib")
    from cyclonedx.schema import SchemaVersion

    parts = [Component("library", "torch", "2.13.0", license="BSD-3-Clause", purl="pkg:pypi/torch@2.13.0")]
    parts.append(Component("machine-learning-model", "net", None, sha256="0" * 64))
    text = render_sbom(Component("application", "demo", "1.5"), parts).decode()
    assert validation.JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None


def test_the_table_of_sizes_adds_up(tree: Path) -> None:
    lines = size_table(tree, most=1)
    assert [line.split("MB")[1].strip() for line in lines] == ["bin/answer", "the rest", "all"]
