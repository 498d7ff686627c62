"""Bundles: what they hold, that they run where nothing else is, and that the same files give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import ANSWER_APP, ANSWER_CPP, compile_library, copy_torch, made_up, run_child, write, write_project

from torchscript_build import elf
from torchscript_build.errors import ToolNotFoundError, VerificationError
from torchscript_build.packaging.bundle.closure import find_closure, glibc_floor, is_left_out
from torchscript_build.packaging.bundle.empty_root import run_in_root, verify_bundle
from torchscript_build.packaging.bundle.formats import DebianFacts, format_of, render_control, write_deb, write_tar
from torchscript_build.packaging.bundle.make import debian_name
from torchscript_build.packaging.bundle.report import size_table
from torchscript_build.packaging.bundle.sbom import Component, render_sbom
from torchscript_build.system import Environment, StrPath

FACTS = DebianFacts(
    package="demo",
    version="1.5",
    machine="x86_64",
    glibc="2.31",
    cxx_runtime=False,
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
    assert "Depends: libc6 (>= 2.31), libstdc++6, libgcc-s1\n" in fields
    run_child(["dpkg-deb", "-x", tmp_path / "demo.deb", tmp_path / "root"], check=True)
    assert os.readlink(tmp_path / "root/usr/bin/answer") == "../../opt/demo/bin/answer"
    assert output_of([tmp_path / "root/usr/bin/answer"]) == "42\n"


def test_a_package_with_the_runtime_depends_on_libc_only() -> None:
    assert "Depends: libc6 (>= 2.31)\n" in render_control(
        DebianFacts(**{**vars(FACTS), "cxx_runtime": True}), 10
    )  # fmt: skip


@pytest.mark.parametrize(("project", "name"), [("My_Project", "my-project"), ("x", "x-app"), ("a.b+c", "a.b+c")])
def test_a_name_as_debian_has_it(project: str, name: str) -> None:
    assert debian_name(project) == name


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


# --- the whole, with the tiny libtorch -------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP, "LICENSE": "mine"})


def with_license(torch: Path, folder: Path) -> Path:
    root = copy_torch(torch, folder / "site/torch")
    write(folder / "site/torch-2.13.0.dist-info/licenses/LICENSE", "torch's terms")
    return root


@pytest.mark.compile
def test_a_bundle_runs_where_nothing_else_is(
    project: Path, tmp_path: Path, run_setup: Any, fake_torch: Path, machine: Environment
) -> None:
    torch = with_license(fake_torch, tmp_path)
    done = run_setup(
        project, "build_ts_app", "--bundle", "out", TORCHSCRIPT_BUILD_LIBTORCH=str(torch), PATH=os.environ["PATH"]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    out = project / "out"
    files = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert {"bin/answer", "lib/libc10.so", "lib/libtorch_cpu.so", "bom.json", "bundle.json"} <= files
    assert {"licenses/torch/LICENSE", "licenses/demo/LICENSE"} <= files
    assert elf.read_elf(out / "bin/answer").rpath == ("$ORIGIN/../lib",)
    told = json.loads((out / "bundle.json").read_text("utf-8"))
    assert set(told["files"]) == files - {"bundle.json"}
    assert str(tmp_path) not in "".join(
        p.read_text("utf-8", "replace") for p in (out / "bundle.json", out / "bom.json")
    )
    torch.rename(tmp_path / "gone")  # nothing of the bundle may lead there
    program = out / "bin/answer"
    assert output_of([program], env={}) == "answer 42\n"
    moved = out.rename(tmp_path / "moved")
    assert output_of([moved / "bin/answer"], env={}) == "answer 42\n"
    left = ["libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"]
    here = Environment.current()
    try:
        verify_bundle(moved, {"answer": ["{note.txt}"]}, [write(tmp_path / "note.txt")], left, tmp_path / "root", here)
    except ToolNotFoundError as error:
        pytest.skip(str(error))
    (moved / "lib/libc10.so").unlink()
    with pytest.raises(VerificationError, match=r"does not run from the bundle in an empty root:\n.*libc10\.so"):
        verify_bundle(moved, {"answer": []}, [], left, tmp_path / "root", here)
    assert not (tmp_path / "root").exists()


@pytest.mark.compile
def test_a_bundle_without_torchs_licence_is_refused(project: Path, run_setup: Any) -> None:
    done = run_setup(project, "build_ts_app", "--bundle", "out")
    assert done.returncode == 1
    assert "error: the licence of torch is not in" in done.stderr
    assert not (project / "out").exists()


@pytest.mark.compile
def test_a_prefix_says_what_must_be_beside_it(project: Path, tmp_path: Path, run_setup: Any) -> None:
    done = run_setup(project, "build_ts_app", "--prefix", str(tmp_path / "prefix"))
    assert done.returncode == 0, done.stderr
    assert elf.read_elf(tmp_path / "prefix/bin/answer").rpath[0] == "$ORIGIN/../lib"
    assert f"on another machine, its libraries must lie in {tmp_path / 'prefix/lib'}" in done.stdout


def test_where_nobody_may_change_the_root_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError, match="--verify needs the program unshare"):
        run_in_root(tmp_path, ["/bundle/bin/answer"], made_up(tmp_path))
