"""docs/architecture.md names the rooms that there are, and no others."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rooms_of(folder: Path) -> set[str]:
    """The folders and modules in a folder, as the document writes them."""
    entries = (e for e in folder.iterdir() if e.name != "__pycache__")
    return {f"{e.relative_to(ROOT).as_posix()}/" if e.is_dir() else e.relative_to(ROOT).as_posix() for e in entries}


def test_every_room_is_in_the_tables_once() -> None:
    named = re.findall(r"^\| `((?:torchscript_build|templates)/[^`]*)` \|", TEXT, re.MULTILINE)
    assert sorted(named) == sorted(
        rooms_of(ROOT / "torchscript_build") | rooms_of(ROOT / "templates") - {"templates/__init__.py"}
    )


def test_what_a_room_is_for_stands_in_its_package_in_one_sentence() -> None:
    for folder in (ROOT / "torchscript_build").glob("**/__init__.py"):
        if folder.parent.name == "torchscript_build":
            continue
        docstring = re.match(r'"""([^"]+)"""', folder.read_text(encoding="utf-8"))
        assert docstring, folder
        first = docstring[1].split("\n\n")[0]
        assert len(re.findall(r"\.(?=\s|$)", first)) == 1, folder


def test_every_room_is_packed() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packed = re.findall(r'"([\w.]+)"', text.split("\npackages = [")[1].split("]")[0])
    rooms = {".".join(f.parent.relative_to(ROOT).parts) for f in (ROOT / "torchscript_build").glob("**/__init__.py")}
    templates = {"torchscript_build.templates", "torchscript_build.templates.cmake_root"}
    assert sorted(packed) == sorted(rooms | templates)


def test_the_picture_has_every_room_that_is_a_folder() -> None:
    picture = TEXT.split("```mermaid")[1].split("```")[0]
    wanted = {r.split("/")[1] for r in rooms_of(ROOT / "torchscript_build") if r.endswith("/")}
    assert set(re.findall(r'\["(\w+)/ ', picture)) == wanted


def test_every_module_that_the_walk_names_is_there() -> None:
    walk = TEXT.split("## A walk")[1]
    named = re.findall(r"`([\w/]+\.py)`", walk)
    assert len(named) > 20
    missing = [name for name in named if not (ROOT / "torchscript_build" / name).is_file()]
    assert missing == ["setup.py"] * missing.count("setup.py")
