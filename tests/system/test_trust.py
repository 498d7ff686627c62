"""Which cache is used: this user's own, which nobody else can write; every other is told of and left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nobodys_machine import made_up
from support import write

from torchscript_build import log, system
from torchscript_build.errors import TorchScriptBuildError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_told", set())


def problem(folder: Path, **variables: str) -> str:
    with pytest.raises(TorchScriptBuildError) as caught:
        system.find_cache(made_up(folder, **variables), "runner")
    return caught.value.problem.replace("the cache is not used: ", "")


def test_the_users_own_is_used_and_not_made_before_it_is_needed(tmp_path: Path) -> None:
    assert system.find_cache(made_up(tmp_path), "runner") == tmp_path / ".cache/torchscript-build/runner"
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_there_is_none(tmp_path: Path) -> None:
    assert problem(tmp_path, HOME="") == "this user has no home (HOME)"
    assert problem(tmp_path, HOME="relative") == "this user has no home (HOME)"
    assert problem(tmp_path, HOME=str(tmp_path / "gone")) == f"there is no folder {tmp_path / 'gone'}"
    assert not (tmp_path / "gone").exists()


def test_one_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    for name in ("torchscript-build", "torchscript-build/runner"):
        folder = tmp_path / ".cache" / name
        folder.mkdir(parents=True)
        for mode in (0o777, 0o775, 0o702):
            folder.chmod(mode)
            assert problem(tmp_path) == f"{folder} can be written by others (mode {mode:o})"
        folder.chmod(0o755)
    assert system.find_cache(made_up(tmp_path), "runner").is_dir()


def test_a_folder_above_that_everybody_can_write_unless_it_is_sticky(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache").chmod(0o777)
    assert problem(tmp_path) == f"everybody can write {tmp_path / '.cache'}, above it"
    (tmp_path / ".cache").chmod(0o1777)
    assert system.find_cache(made_up(tmp_path), "runner")


@root_only
@pytest.mark.parametrize("name", ["", "runner"])
def test_somebody_elses_is_not_used_even_by_root(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "cache" / name
    folder.mkdir(parents=True)
    os.chown(folder, 12345, 12345)
    assert problem(tmp_path, TORCHSCRIPT_BUILD_CACHE_DIR="cache") == f"{folder} belongs to user 12345, not to root"


@root_only
def test_nothing_is_made_in_somebody_elses_folder(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    assert problem(tmp_path, TORCHSCRIPT_BUILD_CACHE_DIR="theirs/new") == f"{theirs}, above it, belongs to user 12345"
    assert list(theirs.iterdir()) == []


@root_only
def test_a_link_leads_no_further_than_the_folder_itself_would(tmp_path: Path) -> None:
    theirs, mine = tmp_path / "theirs", tmp_path / "theirs/mine"
    mine.mkdir(parents=True)
    os.chown(theirs, 12345, 12345)
    (tmp_path / "link").symlink_to(mine)
    assert problem(tmp_path, TORCHSCRIPT_BUILD_CACHE_DIR="link") == f"{theirs}, above it, belongs to user 12345"


def test_a_link_in_it_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/runner").symlink_to(tmp_path)
    assert "is no folder" in problem(tmp_path, TORCHSCRIPT_BUILD_CACHE_DIR="cache")


@pytest.mark.parametrize("name", ["/proc/nowhere/cache", "file/cache", "a\0b", "x" * 300])
def test_one_that_cannot_be_is_a_sentence(tmp_path: Path, name: str) -> None:
    write(tmp_path / "file")
    environment = made_up(tmp_path, TORCHSCRIPT_BUILD_CACHE_DIR=name)
    try:
        folder = system.find_cache(environment, "runner")
    except TorchScriptBuildError:
        return
    with pytest.raises(OSError, match=r"\[Errno"):
        system.make_private(folder, folder.parent)


def test_it_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        assert system.locate_cache(made_up(tmp_path, HOME=""), "runner") is None
    assert capsys.readouterr().err == "warning: the cache is not used: this user has no home (HOME)\n"


def test_folders_are_made_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        system.make_private(tmp_path / "home/.cache/ours/kind", tmp_path / "home/.cache/ours")
    finally:
        os.umask(before)
    for name in ("home/.cache", "home/.cache/ours", "home/.cache/ours/kind"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
    (tmp_path / "home/.cache/ours").chmod(0o777)
    with pytest.raises(PermissionError, match="can be written by others"):
        system.make_private(tmp_path / "home/.cache/ours/kind", tmp_path / "home/.cache/ours")
