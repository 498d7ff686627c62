"""What is put into place: whole or not at all, remembered, and taken away when nobody asks for it any more."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from children import run_child, run_python
from small_projects import ANSWER_APP, NATIVE_TABLE, write_answer, write_project
from support import stub, write
from tiny_torch import copy_torch

from torchscript_build import system
from torchscript_build.packaging.staged import APPS, OPS, Place, StagedFile, make_place, stage, take_away_others


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path / "lib", tmp_path / "build")


def put(place: Place, *names: str, owner: str = APPS) -> None:
    stage([StagedFile(name, name.encode()) for name in names], place, owner)


def staged(place: Place) -> list[str]:
    return sorted(p.relative_to(place.root).as_posix() for p in place.root.rglob("*") if not p.is_dir())


def test_what_is_not_asked_for_any_more_is_taken_away_with_its_folders(place: Place) -> None:
    write(place.root / "demo/__init__.py")
    put(place, "demo/bin/old", "demo/models/m.pt")
    put(place, "demo/models/m.pt", "demo/x")
    assert staged(place) == ["demo/__init__.py", "demo/models/m.pt", "demo/x"]
    assert not (place.root / "demo/bin").exists()


def test_owners_do_not_touch_each_others_files(place: Place) -> None:
    put(place, "demo/a", "demo/both", owner=OPS)
    put(place, "demo/b", "demo/both", owner=APPS)
    put(place, "demo/c", owner=OPS)
    assert staged(place) == ["demo/b", "demo/both", "demo/c"]
    take_away_others(place, {OPS})
    assert staged(place) == ["demo/c"]
    take_away_others(place, set())
    assert staged(place) == []


def test_a_file_that_was_changed_since_stays(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    put(place, "demo/a")
    write(place.root / "demo/a", "mine")
    put(place, "demo/b")
    assert staged(place) == ["demo/a", "demo/b"]
    assert "demo/a was put there by an earlier build and has been changed since: it stays" in capsys.readouterr().out


def test_a_model_in_build_lib_is_the_same_file(tmp_path: Path) -> None:
    model = write(tmp_path / "m.pt", "model")
    model.chmod(0o644)
    place = make_place(tmp_path / "lib", tmp_path / "build", links=True)
    for _ in range(2):
        stage([StagedFile("demo/m.pt", model, is_model=True), StagedFile("demo/a", model)], place, APPS)
    assert [(place.root / f"demo/{name}").samefile(model) for name in ("m.pt", "a")] == [True, False]
    assert not list(place.records.rglob("*m.pt*"))
    model.write_text("made again, in place", encoding="utf-8")
    put(place, "demo/b")
    assert (staged(place), model.is_file()) == (["demo/b"], True)


def test_a_model_is_copied_where_it_cannot_be_the_same_file(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    secret, other = write(tmp_path / "secret.pt", "model"), write(tmp_path / "m.pt", "model")
    secret.chmod(0o600)
    links = make_place(tmp_path / "links", tmp_path / "build", links=True)
    stage([StagedFile("m.pt", other, is_model=True)], place, APPS)  # in a source tree, a prefix
    stage([StagedFile("secret.pt", secret, is_model=True)], links, APPS)
    assert links("secret.pt").stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(os, "link", refuse)
    stage([StagedFile("secret.pt", secret, is_model=True), StagedFile("m.pt", other, is_model=True)], links, APPS)
    assert [p.stat().st_nlink for p in (place("m.pt"), links("secret.pt"), links("m.pt"))] == [1, 1, 1]


def test_what_a_killed_build_was_about_to_put_there_is_taken_away_too(place: Place) -> None:
    put(place, "demo/a")
    record = place.records / "staged.json"
    data = json.loads(record.read_text())
    data[place.key][APPS]["demo/b"] = None
    record.write_text(json.dumps(data))
    write(place.root / "demo/b", "half")
    put(place, "demo/a")
    assert staged(place) == ["demo/a"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"../lib": 1}',
        '{"../lib": {"apps": [1]}}',
        '{"../lib": {"apps": {"a": 1}}}',
        '{"%s": {}}' % ("9" * 5000),
    ],
)
def test_a_damaged_record_harms_nothing(place: Place, text: str) -> None:
    put(place, "demo/a")
    write(place.records / "staged.json", text)
    put(place, "demo/b")
    take_away_others(place, {APPS})
    assert "demo/b" in staged(place)


def test_nothing_outside_the_place_is_removed(place: Place, tmp_path: Path) -> None:
    precious = [write(tmp_path / "precious"), write(tmp_path / "lib2/x")]
    put(place, "demo/a")
    record = place.records / "staged.json"
    data = json.loads(record.read_text())
    data[place.key][APPS].update({"../precious": None, str(precious[0]): None, "demo/../../lib2/x": None})
    record.write_text(json.dumps(data))
    put(place, "demo/a")
    assert all(p.is_file() for p in precious)


def test_a_copied_project_takes_its_record_along(tmp_path: Path, place: Place) -> None:
    put(place, "demo/a")
    (tmp_path / "copy").mkdir()
    for name in ("lib", "build"):
        run_child(["cp", "-a", tmp_path / name, tmp_path / "copy"], check=True)
    put(make_place(tmp_path / "copy/lib", tmp_path / "copy/build"), "demo/b")
    assert staged(place) == ["demo/a"]
    assert [p.name for p in (tmp_path / "copy/lib/demo").iterdir()] == ["b"]


def test_leftovers_of_killed_builds_are_removed_and_nothing_else(place: Place) -> None:
    keep = [".mod.pt.toolongname", ".mod.pt.ABCDEFGH", ".other.pt.trcz7aq0", "mod.pt.trcz7aq0"]
    for name in (".mod.pt.trcz7aq0", ".mod.pt.aaaaaaaa", *keep):
        write(place.root / "demo" / name)
    put(place, "demo/mod.pt")
    assert staged(place) == sorted(f"demo/{name}" for name in [*keep, "mod.pt"])


def test_no_part_of_a_file_lies_where_packages_are_collected(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    plain = os.replace

    def replace(source: str, target: Any) -> None:
        seen.append(Path(source).parent)
        plain(source, target)

    monkeypatch.setattr(os, "replace", replace)
    stage([StagedFile("demo/a", b"x"), StagedFile("demo/b", stub(place.records / "b"))], place, APPS)
    assert set(seen) == {place.records, place.records / "scratch"}
    assert staged(place) == ["demo/a", "demo/b"]


def test_another_file_system_gets_whole_files_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: object) -> None:
        if "scratch" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        plain(source, target)  # type: ignore[arg-type]

    plain = os.replace
    monkeypatch.setattr(os, "replace", refuse)
    source = stub(place.records / "b", "true")
    for _ in range(2):
        stage([StagedFile("demo/a", b"x"), StagedFile("demo/b", source)], place, APPS)
    assert (place.root / "demo/b").read_bytes() == source.read_bytes()
    assert (place.root / "demo/b").stat().st_mode & 0o777 == 0o755
    assert not list(place.records.glob("scratch/*"))


def test_a_folder_in_the_way_is_a_sentence(place: Place) -> None:
    (place.root / "demo/a").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="a folder is in the way"):
        put(place, "demo/a")
    assert list((place.records / "scratch").iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o777, 0o755])
def test_a_copy_has_the_same_mode_whatever_the_umask_was(tmp_path: Path, mode: int) -> None:
    source = stub(tmp_path / "a", "true")
    source.chmod(mode)
    system.copy_if_changed(source, tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o755
    assert not system.copy_if_changed(source, tmp_path / "b")
    source.chmod(0o600)
    assert system.copy_if_changed(source, tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o644


# --- real builds ---------------------------------------------------------------------------------------------------

OTHER = ANSWER_APP.replace('name = "answer"', 'name = "renamed"')


def build_wheel(folder: Path, variables: Mapping[str, str], umask: int = 0o022) -> Path:
    for old in (folder / "dist").glob("*.whl"):
        old.unlink()
    code = f"import os; os.umask({umask})\nimport setuptools; setuptools.setup()"
    done = run_python("-c", code, "-q", "bdist_wheel", cwd=folder, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def names_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {n for n in archive.namelist() if ".dist-info/" not in n}


@pytest.mark.compile
def test_the_second_wheel_has_only_what_the_settings_name(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_answer(tmp_path / "project")
    assert names_of(build_wheel(project, variables)) == {
        "demo/__init__.py",
        "demo/_torchscript_apps.py",
        "demo/bin/answer",
    }
    write_project(project, OTHER)
    write(project / "build/bdist.linux-x86_64/wheel/demo/of_a_killed_build")
    assert names_of(build_wheel(project, variables)) == {
        "demo/__init__.py",
        "demo/_torchscript_apps.py",
        "demo/bin/renamed",
    }
    write_project(project, OTHER + "install = false\n")
    assert names_of(build_wheel(project, variables)) == {"demo/__init__.py"}


@pytest.mark.compile
@pytest.mark.parametrize("option", ["--inplace", "--prefix=there"])
def test_the_source_tree_and_a_prefix_have_only_that_too(tmp_path: Path, run_setup: Any, option: str) -> None:
    project = write_answer(tmp_path / "project")
    folder = project / ("demo/bin" if option == "--inplace" else "there/bin")
    write(folder / "others")
    for settings, name in ((ANSWER_APP, "answer"), (OTHER, "renamed")):
        write_project(project, settings)
        done = run_setup(project, "build_ts_app", option)
        assert done.returncode == 0, done.stdout + done.stderr
        assert sorted(p.name for p in folder.iterdir()) == sorted([name, "others"])


@pytest.mark.compile
def test_the_same_bytes_in_another_folder_at_another_time_with_another_umask(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    wheels = []
    for name, umask, date in (("a", 0o022, 10**9), ("another/deeper", 0o077, 1.5 * 10**9)):
        before = os.umask(umask)
        try:
            project = write_answer(tmp_path / name)
        finally:
            os.umask(before)
        for path in project.rglob("*"):
            os.utime(path, (date, date))
        wheels.append(build_wheel(project, variables, umask).read_bytes())
    assert wheels[0] == wheels[1]
    with zipfile.ZipFile(tmp_path / "a/dist" / next((tmp_path / "a/dist").iterdir()).name) as archive:
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        modes = {i.filename: i.external_attr >> 16 & 0o777 for i in archive.infolist()}
    assert modes.pop("demo/bin/answer") == 0o755
    assert {mode for name, mode in modes.items() if not name.endswith("RECORD")} == {0o644}


@pytest.mark.compile
def test_the_same_bytes_with_libtorch_in_another_isolated_environment(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path
) -> None:
    """pip makes a new one for each build, of which only a few letters differ."""
    wheels = []
    for name in ("pip-build-env-k3x0qz1a", "pip-build-env-w9_bb2c7"):
        torch = copy_torch(fake_torch, tmp_path / name / "torch")
        project = write_answer(tmp_path / f"for-{name}")
        wheel = build_wheel(project, {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": str(torch)})
        wheels.append(wheel.read_bytes())
        with zipfile.ZipFile(wheel) as archive:
            archive.extract("demo/bin/answer", tmp_path)
        notes = run_child(["readelf", "-n", tmp_path / "demo/bin/answer"], capture_output=True, encoding="utf-8")
        assert "Build ID: " in notes.stdout
    assert wheels[0] == wheels[1]


@pytest.mark.compile
def test_source_date_epoch_is_honoured(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_answer(tmp_path / "project")
    wheel = build_wheel(project, {**variables, "SOURCE_DATE_EPOCH": "1000000000"})
    with zipfile.ZipFile(wheel) as archive:
        assert {i.date_time for i in archive.infolist()} == {(2001, 9, 9, 1, 46, 40)}


@pytest.mark.compile
def test_a_cmake_project_in_the_source_tree(tmp_path: Path, variables: dict[str, str]) -> None:
    project = write_answer(tmp_path / "project", NATIVE_TABLE)
    write(
        project / "native/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.18)\nproject(native NONE)\ninstall(FILES a.txt DESTINATION share)\n",
    )
    write(project / "native/a.txt")
    done = run_python("setup.py", "build_ts_app", "--inplace", cwd=project, variables=variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("program answer, CMake project native\n     demo/bin/answer\n     demo\n")
    assert (project / "demo/share/a.txt").is_file()
