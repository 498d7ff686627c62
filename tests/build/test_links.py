"""An install tree without links: copies of what they lead to, wherever they were made to lead."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import write

from torchscript_build.build.links import WORTH_A_LINE, replace_links

PREFIX = Path("/configured/prefix")


def test_links_of_files_and_folders_whichever_way_they_are_written(tmp_path: Path) -> None:
    write(tmp_path / "lib/libx.so.1.2", "x")
    for name, target in (
        ("lib/libx.so", "libx.so.1"),  # a chain
        ("lib/libx.so.1", "libx.so.1.2"),
        ("absolute.so", f"{PREFIX}/lib/libx.so"),
        ("lib64", "lib"),
        ("share/deep", f"{PREFIX}/lib"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    replace_links(tmp_path, PREFIX)
    assert not [p for p in tmp_path.rglob("*") if p.is_symlink()]
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    versions = ("libx.so", "libx.so.1", "libx.so.1.2")
    assert names == {"absolute.so", *(f"{d}/{v}" for d in ("lib", "lib64", "share/deep") for v in versions)}
    assert {(tmp_path / name).read_text() for name in names} == {"x"}


@pytest.mark.parametrize("target", ["nobody", ".", "../..", "itself", "/usr/include"])
def test_what_leads_nowhere_or_round_in_circles_is_left_out(
    tmp_path: Path, target: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "tree/bin/tool")
    (tmp_path / "tree/bin/itself").symlink_to(target)
    replace_links(tmp_path / "tree", PREFIX)
    assert [p.name for p in (tmp_path / "tree/bin").iterdir()] == ["tool"]
    assert "bin/itself is installed as a link that leads to nothing of it: it is left out" in capfd.readouterr().err


@pytest.mark.parametrize("size", [WORTH_A_LINE - 1, WORTH_A_LINE])
def test_large_copies_are_told(tmp_path: Path, size: int, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "libx.so.1").write_bytes(bytes(size))
    (tmp_path / "libx.so").symlink_to("libx.so.1")
    replace_links(tmp_path, PREFIX)
    told = "-- libx.so: links, which no package has, become copies of 1 MB" in capfd.readouterr().out
    assert told is (size >= WORTH_A_LINE)
