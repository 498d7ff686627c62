"""Defaults for all entries of a kind, and the package that is meant where none is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_projects import read_project, write_project
from support import write

from torchscript_build.errors import SettingsError
from torchscript_build.settings.specs import ProjectSpec

TWO = """\
[tool.torchscript-build.defaults.ops]
python-binding = "none"
cxx-options = ["-O3"]

[[tool.torchscript-build.ops]]
name = "a"
sources = ["a.cpp"]

[[tool.torchscript-build.ops]]
name = "b"
sources = ["a.cpp"]
cxx-options = []
"""


def read(folder: Path, settings: str, **more: object) -> ProjectSpec:
    return read_project(write_project(folder, settings, files={"a.cpp": ""}), **more)


def test_each_entry_has_the_defaults_that_it_does_not_give_itself(tmp_path: Path) -> None:
    a, b = read(tmp_path, TWO).ops
    assert (a.python_binding, a.cxx_options, b.python_binding, b.cxx_options) == ("none", ("-O3",), "none", ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.torchscript-build.defaults.opps]\nx = 1\n", "[tool.torchscript-build.defaults]: unknown key 'opps'"),
        ("[tool.torchscript-build.defaults.ops]\nname = 'x'\n", "must be a table of settings without a name"),
        ("[tool.torchscript-build.defaults.ops]\ncxx = 'x'\n", "unknown key 'cxx'"),
        (
            "[tool.torchscript-build]\ndefaults = 3\n",
            "tool.torchscript-build.defaults must be a table of tables, not 3",
        ),
    ],
)
def test_what_no_default_can_be(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("packages", "files", "package"),
    [
        (["demo", "demo.sub"], ["demo/__init__.py"], "demo"),
        (["acme", "acme.tool", "acme.tool.x"], ["src/acme/tool/__init__.py"], "acme.tool"),
        (["acme.tool"], ["acme/tool/__init__.py"], "acme.tool"),
        (["acme", "acme.a", "acme.b"], ["acme/a/__init__.py", "acme/b/__init__.py"], None),
        (["a", "b"], ["a/__init__.py", "b/__init__.py"], None),
    ],
)
def test_the_package_that_is_meant(tmp_path: Path, packages: list[str], files: list[str], package: str) -> None:
    for name in files:
        write(tmp_path / name)
    settings = '[[tool.torchscript-build.ops]]\nname = "a"\nsources = ["a.cpp"]\n'
    write(tmp_path / "a.cpp")
    write(tmp_path / "pyproject.toml", settings)
    if package is None:
        with pytest.raises(SettingsError, match="not exactly one top-level package"):
            read_project(tmp_path, packages=packages)
    else:
        assert read_project(tmp_path, packages=packages).ops[0].package == package
