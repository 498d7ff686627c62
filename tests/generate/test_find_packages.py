"""What a found package offers is told where nothing of it is linked: finding it alone changes no target."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from children import run_child
from support import write

from torchscript_build.generate.templates import templates_dir

MODERN = "add_library(Box::core INTERFACE IMPORTED)\nadd_library(Box::gui INTERFACE IMPORTED)\n"
VARIABLES = "set(Box_LIBRARIES /usr/lib/libbox.so)\nset(BOX_LIBRARIES /usr/lib/libbox.so)\n"


def configure(folder: Path, package: str, linked: str) -> str:
    write(folder / "BoxConfig.cmake", package)
    write(
        folder / "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.18)\nproject(p LANGUAGES NONE)\n"
        f"include({templates_dir() / 'cmake/TorchScriptBuild.cmake'})\n"
        "add_library(Other::one INTERFACE IMPORTED)\nts_remember_targets()\n"
        f"find_package(Box REQUIRED CONFIG PATHS {folder} NO_DEFAULT_PATH)\n"
        f"ts_tell_unlinked(Box {linked})\n",
    )
    done = run_child(["cmake", "-S", folder, "-B", folder / "b"], stdout=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 0
    return "\n".join(line for line in done.stdout.splitlines() if "advice" in line)


@pytest.mark.parametrize(("package", "offered"), [(MODERN, "Box::core Box::gui"), (VARIABLES, "/usr/lib/libbox.so")])
def test_nothing_is_linked(tmp_path: Path, package: str, offered: str) -> None:
    wanted = f"-- advice: nothing of Box is linked; link-libraries can name of it: {offered}"
    for linked in ("", "LINK_LIBRARIES z Other::one"):
        assert configure(tmp_path, package, linked) == wanted


@pytest.mark.parametrize(
    ("package", "linked"),
    [(MODERN, "Box::gui"), (MODERN, "z Box::core"), (VARIABLES, "box"), (VARIABLES, "/usr/lib/libbox.so"), ("", "z")],
)
def test_something_is_linked(tmp_path: Path, package: str, linked: str) -> None:
    assert configure(tmp_path, package, f"LINK_LIBRARIES {linked}") == ""
