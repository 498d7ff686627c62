"""A finished file gets another RUNPATH within its own string table, or is left as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from children import run_child

from torchscript_build.build.runpath import ROOM, write_runpath
from torchscript_build.system.elf import read_elf

pytestmark = pytest.mark.compile


@pytest.mark.parametrize("program", [True, False])
def test_a_runpath_is_written_within_the_files_own_table(tmp_path: Path, program: bool) -> None:
    source = tmp_path / "x.c"
    source.write_text("int f(void) { return 3; }\nint main(void) { return f() - 3; }\n")
    file = tmp_path / "x"
    kind = [] if program else ["-shared", "-fPIC"]
    run_child(["cc", source, "-o", file, *kind, f"-Wl,-rpath,{ROOM}"], check=True)
    size = file.stat().st_size
    for entries in (("$ORIGIN/../a", "$ORIGIN/b"), ("$ORIGIN",), (), ("$ORIGIN/" + "x" * 300,)):
        assert write_runpath(file, entries, program=program)
        info = read_elf(file)
        assert (info.rpath, info.runpath) == ((entries, ()) if program else ((), entries))
        assert file.stat().st_size == size
    assert not write_runpath(file, ("$ORIGIN/" + "x" * 3000,), program=program)
    if program:
        assert "libc.so.6" in read_elf(file).needed
        assert run_child([file]).returncode == 0
