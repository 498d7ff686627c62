"""What auditwheel must leave out of a wheel for torch."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import pytest
from tiny_torch import compile_library

from torchscript_build.__main__ import main
from torchscript_build.errors import VerificationError
from torchscript_build.libtorch import LibTorch, find_libtorch
from torchscript_build.packaging.auditwheel import (
    TORCH_NAMES,
    auditwheel_arguments,
    excluded_libraries,
    needed_by_wheel,
)

pytestmark = pytest.mark.compile


@pytest.fixture
def libtorch(fake_torch: Path) -> LibTorch:
    return find_libtorch(fake_torch)


def make_wheel(folder: Path, *needs: str) -> Path:
    """A wheel with one library and one text."""
    compile_library(folder / "libmine.so", "", "-Wl,--no-as-needed", *needs)
    with zipfile.ZipFile(folder / "mine-1.0-py3-none-linux_x86_64.whl", "w") as archive:
        archive.write(folder / "libmine.so", "mine/lib/libmine.so")
        archive.writestr("mine/__init__.py", "")
    return Path(str(archive.filename))


def test_all_that_libtorch_brings_is_left_out(libtorch: LibTorch) -> None:
    excluded = excluded_libraries(libtorch)
    assert {"libc10.so", "libtorch.so", "libtorch_cpu.so", "libcudart.so.*", "libcuda.so.*"} <= set(excluded)
    assert list(excluded) == sorted(excluded)


def test_folder_that_libtorch_shares_does_not_count(libtorch: LibTorch) -> None:
    only = dataclasses.replace(libtorch, layout="conda", libraries=libtorch.libraries[:1], python_library=None)
    assert {n for n in excluded_libraries(only) if "*" not in n} == {*TORCH_NAMES, libtorch.libraries[0].name}


def test_arguments_without_a_wheel_hold_everything() -> None:
    assert auditwheel_arguments(["libc10.so", "libcudart.so.*"]) == [
        *("--exclude", "libc10.so"),
        *("--exclude", "libcudart.so.*"),
    ]


def test_arguments_for_a_wheel_hold_what_it_needs_by_name() -> None:
    needed = {"libcudart.so.13", "libc.so.6", "libc10.so"}
    assert auditwheel_arguments(["libc10.so", "libcudart.so.*", "libtorch.so"], needed) == [
        *("--exclude", "libc10.so"),
        *("--exclude", "libcudart.so.13"),
    ]
    assert auditwheel_arguments(["libc10.so"], ()) == []


def test_command(tmp_path: Path, fake_torch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = make_wheel(tmp_path, f"-L{fake_torch / 'lib'}", "-lc10", "-ltorch")
    assert "libc10.so" in needed_by_wheel(wheel)
    assert main(["auditwheel-args", "--wheel", str(wheel), "--libtorch", str(fake_torch)]) == 0
    assert capsys.readouterr().out == "--exclude libc10.so --exclude libtorch.so\n"


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.whl").write_text("no wheel")
    for name in ("file.whl", "absent.whl"):
        with pytest.raises(VerificationError, match=rf"{name} cannot be read as a wheel"):
            needed_by_wheel(tmp_path / name)
