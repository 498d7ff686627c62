"""A wheel's tag, its requirement of torch, and the last look at its files before they are packed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Optional

import pytest
from children import run_child
from nobodys_machine import linux_torch
from packaging.requirements import Requirement
from support import write

from torchscript_build.errors import SettingsError, VerificationError
from torchscript_build.packaging.wheel import add_requirement, oldest_torch_of, pin, pin_series
from torchscript_build.packaging.wheel_files import (
    NativeFiles,
    check_wheel_files,
    find_native_files,
    promised_pythons,
    wheel_tag,
)
from torchscript_build.packaging.wiring import with_dynamic_requirement
from torchscript_build.settings.specs import CLibrary, CMakeProject, OpLibrary, ProjectSpec, TorchScriptApp

EXACT = ("cp311", "cp311", "linux_x86_64")
OURS = "demo/m.abi3.so"


@pytest.mark.parametrize(
    ("files", "tag"),
    [
        (NativeFiles(), ("py3", "none", "linux_x86_64")),
        (NativeFiles(plain=("demo/lib/libx.so",)), ("py3", "none", "linux_x86_64")),
        (NativeFiles(exact=("demo/m.cpython-311-x86_64-linux-gnu.so",)), EXACT),
        (NativeFiles(limited=(OURS,)), ("cp39", "abi3", "linux_x86_64")),
        (NativeFiles(limited=(OURS,), exact=("demo/c.cpython-311-x86_64-linux-gnu.so",)), EXACT),
    ],
)
def test_a_tag_is_that_of_the_files(files: NativeFiles, tag: tuple[str, str, str]) -> None:
    assert wheel_tag(files, EXACT, promised=["3.9"] if files.limited else [], building="3.11") == tag


@pytest.mark.parametrize(
    ("ops", "projects", "files", "setuptools_own", "tag"),
    [
        (["3.9", "3.10"], [], [OURS], None, "cp310"),
        (["3.9"], [], [OURS, "demo/cython.abi3.so"], "cp310", "cp310"),
        (["3.9"], [], [OURS, "demo/cython.abi3.so"], None, "cp311"),
        ([], [None], ["demo/_native.abi3.so"], None, "cp311"),
        ([], ["3.9"], ["demo/_native.abi3.so"], None, "cp39"),
    ],
)
def test_a_limited_modules_python_is_promised_or_the_one_that_builds(
    ops: list[str], projects: list[Optional[str]], files: list[str], setuptools_own: Optional[str], tag: str
) -> None:
    spec = ProjectSpec(
        ops=tuple(OpLibrary(name="m", package="demo", python_module=True, limited_api=v) for v in ops),
        cmake=tuple(CMakeProject(name="c", package="demo", limited_api=v) for v in projects),
    )
    promised = promised_pythons(spec, files, {OURS}, setuptools_own, "3.11")
    found = wheel_tag(NativeFiles(limited=tuple(files)), EXACT, promised=promised, building="3.11")
    assert found == (tag, "abi3", "linux_x86_64")


@pytest.mark.parametrize(
    ("how", "requirement"), [("series", "torch ==2.13.*"), ("exact", "torch ==2.13.0"), ("none", None)]
)
def test_pins(how: str, requirement: Optional[str]) -> None:
    assert pin("2.13.0", how) == requirement


@pytest.mark.parametrize(
    ("series", "requirement"),
    [
        (["2.12", "2.13"], "torch >=2.12,<2.14"),
        (["2.11", "2.13"], "torch >=2.11,<2.14,!=2.12.*"),
        (["2.9", "2.11", "2.14"], "torch >=2.9,<2.15,!=2.10.*,!=2.12.*,!=2.13.*"),
        (["1.12", "2.1"], "torch >=1.12,<2.2,!=1.13.*,!=2.0.*"),
        (["2.15", "2.17"], "torch >=2.15,<2.18,!=2.16.*"),  # newer than the table
    ],
)
def test_several_series_are_required_and_no_other(series: list[str], requirement: str) -> None:
    assert pin_series(series) == requirement
    specifier = Requirement(requirement).specifier
    assert [s for s in series if specifier.contains(f"{s}.1")] == series
    assert not specifier.contains("2.16.0")


def test_the_projects_own_requirement_and_several_series_are_one_line() -> None:
    wanted = "torch >=2.11,<2.14,!=2.12.*"
    metadata = "Name: demo\nRequires-Dist: torch[opt-einsum]>=2.4,!=2.13.1\n"
    added = add_requirement(metadata, wanted, ["2.11", "2.13"])
    assert added == "Name: demo\nRequires-Dist: torch[opt-einsum] >=2.11,<2.14,!=2.12.*,!=2.13.1\n"
    assert add_requirement(added, wanted, ["2.11", "2.13"]) == added
    for theirs in ("torch>=2.12", "torch==2.13.0+cpu", "torch<2.13"):
        with pytest.raises(SettingsError, match=r"but what libtorch it is built for makes torch >=2\.11"):
            add_requirement(f"Name: demo\nRequires-Dist: {theirs}\n", wanted, ["2.11", "2.13"])


@pytest.mark.parametrize("body", ["", "\n# Text\n\nRequires-Dist: not a header\n"])
def test_a_requirement_goes_to_the_end_of_the_headers(body: str) -> None:
    metadata = f"Metadata-Version: 2.4\nName: demo\nRequires-Dist: numpy\n{body}"
    added = add_requirement(metadata, "torch ==2.13.*")
    assert added == f"Metadata-Version: 2.4\nName: demo\nRequires-Dist: numpy\nRequires-Dist: torch ==2.13.*\n{body}"
    assert add_requirement(added, "torch ==2.13.*") == added


@pytest.mark.parametrize(
    ("theirs", "together"),
    [
        ("torch", "torch ==2.13.*"),
        ("torch>=2.1", "torch ==2.13.*"),
        ("torch >=2.1,<3", "torch ==2.13.*"),
        ("torch!=2.13.1", "torch ==2.13.*,!=2.13.1"),
        ("torch>=2.13.1", "torch ==2.13.*,>=2.13.1"),
        ("Torch==2.13.0", "torch ==2.13.*,==2.13.0"),
        ("torch==2.13.0+cpu", "torch ==2.13.*,==2.13.0+cpu"),
        ("torch[opt-einsum]>=2.1", "torch[opt-einsum] ==2.13.*"),
        ("torch>=2.13.5,<2.13.9", "torch ==2.13.*,<2.13.9,>=2.13.5"),
    ],
)
def test_the_projects_own_requirement_and_the_pin_are_one_line(theirs: str, together: str) -> None:
    metadata = f"Name: demo\nRequires-Dist: {theirs}\nRequires-Dist: torchvision>=0.9\n"
    lines = add_requirement(metadata, "torch ==2.13.*").splitlines()
    assert lines == ["Name: demo", "Requires-Dist: torchvision>=0.9", f"Requires-Dist: {together}"]


def test_a_release_that_any_from_one_on_includes() -> None:
    added = add_requirement("Name: demo\nRequires-Dist: torch==3.0.0\n", "torch >=2.10")
    assert added == "Name: demo\nRequires-Dist: torch >=2.10,==3.0.0\n"


def test_a_requirement_under_a_condition_stays() -> None:
    metadata = 'Name: demo\nRequires-Dist: torch>=2.1; extra == "gpu"\n'
    assert add_requirement(metadata, "torch ==2.13.*") == f"{metadata}Requires-Dist: torch ==2.13.*\n"


def test_several_requirements_of_the_project_become_one() -> None:
    metadata = "Name: demo\nRequires-Dist: torch>=2.13.1\nRequires-Dist: torch[a]<3\nRequires-Dist: torch[b]\n"
    assert add_requirement(metadata, "torch ==2.13.*") == "Name: demo\nRequires-Dist: torch[a,b] ==2.13.*,>=2.13.1\n"


@pytest.mark.parametrize("theirs", ["torch>=2.14", "torch!=2.13.*", "torch==2.12.0+cpu", "torch<2.13"])
def test_what_no_release_of_the_series_meets_is_refused(theirs: str) -> None:
    with pytest.raises(SettingsError, match="but what libtorch it is built for makes torch ==2"):
        add_requirement(f"Name: demo\nRequires-Dist: {theirs}\n", "torch ==2.13.*")


def test_a_requirement_that_the_pin_contradicts_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"the project requires torch<2\.10, but"):
        add_requirement("Name: demo\nRequires-Dist: torch<2.10\n", "torch ==2.13.*")


@pytest.mark.parametrize(
    ("head", "added"),
    [("Metadata-Version: 2.4\nName: x", True), ("Metadata-Version: 2.1\nName: x", False), ("Name: x", False)],
)
def test_an_sdist_tells_that_wheels_require_more(head: str, added: bool) -> None:
    for body in ("", "\nText\n"):
        expected = f"{head}\nDynamic: Requires-Dist\n{body}" if added else f"{head}\n{body}"
        assert with_dynamic_requirement(f"{head}\n{body}") == expected


def library(path: Path, source: str, *options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "x.c").write_text(source)
    run_child(["cc", "-shared", "-fPIC", "x.c", "-o", path.name, *options], cwd=path.parent, check=True)
    (path.parent / "x.c").unlink()
    return path


@pytest.mark.compile
def test_native_files_are_sorted_by_what_they_are(tmp_path: Path) -> None:
    library(tmp_path / "demo/_C.so", "void* PyInit__C(void) { return 0; }")
    library(tmp_path / "demo/lib/libplain.so", "int f(void) { return 0; }")
    write(tmp_path / "demo/c.cpython-311-x86_64-linux-gnu.so")
    write(tmp_path / "demo/l.abi3.so")
    write(tmp_path / "demo/text.txt")
    found = find_native_files(tmp_path)
    assert found.exact == ("demo/_C.so", "demo/c.cpython-311-x86_64-linux-gnu.so")
    assert found.limited == ("demo/l.abi3.so",)
    assert found.plain == ("demo/lib/libplain.so",)


@pytest.mark.compile
def test_what_could_not_start_is_refused_and_what_others_built_is_told(
    tmp_path: Path, fake_torch: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    libtorch = linux_torch(site=str(fake_torch.parent))
    root, away = tmp_path / "wheel", tmp_path / "away"
    library(away / "libaway.so", "int f(void) { return 0; }", "-Wl,-soname,libaway.so")
    needs = (f"-L{away}", "-Wl,--no-as-needed", "-laway")
    library(root / "demo/lib/libours.so", "int g(void) { return 0; }", *needs)
    check_wheel_files(root, libtorch, declared=[], own=[])
    assert "demo/lib/libours.so would not find libaway.so beside the torch" in capfd.readouterr().err
    with pytest.raises(VerificationError, match=r"demo/lib/libours\.so would not find libaway\.so"):
        check_wheel_files(root, libtorch, declared=[], own=["demo/lib/libours.so"])
    check_wheel_files(root, libtorch, declared=[], own=["demo/lib/libours.so"], link_dirs=[away])
    library(root / "demo/deps/libaway.so", "int f(void) { return 0; }", "-Wl,-soname,libaway.so")
    library(root / "demo/lib/libours.so", "int g(void) { return 0; }", *needs, "-Wl,-rpath,$ORIGIN/../deps")
    check_wheel_files(root, libtorch, declared=[], own=["demo/lib/libours.so"])


def test_what_was_declared_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"lacks what the settings declare:\n  - demo/bin/app"):
        check_wheel_files(tmp_path, linux_torch(), declared=["demo/bin/app"], own=[])


@pytest.mark.compile
def test_what_the_project_links_of_its_own_folder_must_be_in_the_wheel(tmp_path: Path, fake_torch: Path) -> None:
    libtorch = linux_torch(site=str(fake_torch.parent))
    third = library(tmp_path / "third/libthird.so", "int f(void) { return 0; }", "-Wl,-soname,libthird.so")
    root = tmp_path / "wheel"
    library(root / "demo/_C.so", "int g(void) { return 0; }", "-Wl,--no-as-needed", os.fspath(third))
    with pytest.raises(
        VerificationError, match=r"libthird\.so beside the torch(.*\n)*.*put the library that is linked"
    ):
        check_wheel_files(root, libtorch, declared=[], own=["demo/_C.so"], own_libraries=[third])


@pytest.mark.compile
def test_a_module_of_another_name_and_a_program_that_may_not_be_started(tmp_path: Path, fake_torch: Path) -> None:
    libtorch = linux_torch(site=str(fake_torch.parent))
    name = f"demo/_x.cpython-{sys.version_info[0]}{sys.version_info[1]}-x86_64-linux-gnu.so"
    library(tmp_path / name, "void* PyInit__y(void) { return 0; }")
    write(tmp_path / "x.c", "int main(void) { return 0; }\n")
    run_child(["cc", "x.c", "-o", "demo/tool"], cwd=tmp_path, check=True)
    check_wheel_files(tmp_path, libtorch, declared=[], own=["demo/tool"])
    (tmp_path / "demo/tool").chmod(0o644)
    with pytest.raises(VerificationError) as caught:
        check_wheel_files(tmp_path, libtorch, declared=[], own=[name, "demo/tool"])
    assert f"{name} is no Python module: it has PyInit__y, wanted is PyInit__x" in str(caught.value)
    assert "demo/tool is a program that has no right to be started" in str(caught.value)


STABLE = OpLibrary(name="mine", abi="stable")


@pytest.mark.parametrize(
    ("spec", "oldest"),
    [
        (ProjectSpec(ops=(STABLE,)), "2.10"),
        (ProjectSpec(ops=(STABLE, OpLibrary(name="newer", abi="stable", torch_target="2.11"))), "2.11"),
        (ProjectSpec(ops=(STABLE, OpLibrary(name="other"))), None),
        (ProjectSpec(ops=(STABLE,), apps=(TorchScriptApp(name="app"),)), None),
        (ProjectSpec(ops=(STABLE,), libraries=(CLibrary(name="c"),)), None),
        (ProjectSpec(ops=(STABLE,), cmake=(CMakeProject(name="sdk"),)), None),
        (ProjectSpec(), None),
    ],
)
def test_only_what_keeps_to_the_stable_abi_takes_every_torch(spec: ProjectSpec, oldest: Optional[str]) -> None:
    assert oldest_torch_of(spec) == oldest
