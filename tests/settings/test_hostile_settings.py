"""Settings that nobody writes on purpose: each is a sentence of ours, or is fine; nothing is lost without a word."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from children import run_child, run_python
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nobodys_machine import make_plan
from small_projects import ANSWER_APP, read_project, write_project
from support import words, write

from torchscript_build.errors import SettingsError
from torchscript_build.generate.project import render_project
from torchscript_build.settings.read import collect_settings, is_opted_in, read_pyproject
from torchscript_build.settings.specs import (
    BuildOptions,
    CLibrary,
    CMakeProject,
    OpLibrary,
    ProjectSpec,
    ScriptModel,
    TorchScriptApp,
)

SURROGATE = "a\udcffb"


def app(**fields: Any) -> dict[str, Any]:
    return {"tool": {"torchscript-build": {"app": [{"name": "a", "install": False, **fields}]}}}


def general(**fields: Any) -> dict[str, Any]:
    return {"tool": {"torchscript-build": {key.replace("_", "-"): value for key, value in fields.items()}}}


def collect(root: Path, pyproject: Any, **more: Any) -> ProjectSpec:
    arguments: dict[str, Any] = {"keywords": {}, "command": {}, "variables": {}, "packages": [], **more}
    return collect_settings(root=root, pyproject=pyproject, **arguments)


TABLE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a pattern": (app(sources=["src/**.cpp"]), ["sources:", "src/**.cpp"]),
    "a pattern with a NUL": (app(sources=["*\0"]), ["NUL"]),
    "an empty package": (app(**{"find-packages": [""]}), ["find-packages: '' must begin with a package"]),
    "a package of blanks": (app(**{"find-packages": [" \t"]}), ["find-packages:"]),
    "a package that is code": (app(**{"find-packages": ["A)\nmessage(x"]}), ["find-packages:"]),
    "a NUL in a path": (app(**{"include-dirs": ["a\0b"]}), ["include-dirs", "NUL"]),
    "a NUL in a definition": (app(definitions=["A=\0"]), ["definitions", "NUL"]),
    "a surrogate in a path": (app(**{"include-dirs": [SURROGATE]}), ["include-dirs", "not UTF-8"]),
    "a surrogate in a definition": (app(definitions=[f"A={SURROGATE}"]), ["definitions", "not UTF-8"]),
    "a surrogate in a table": (
        {"tool": {"torchscript-build": {"cmake": [{"name": "c", "source-dir": ".", "options": {"A": SURROGATE}}]}}},
        ["options", "not UTF-8"],
    ),
    "a pattern of 300 folders": (app(sources=["*/" * 300]), ["sources:", "is no pattern", "recursion"]),
    "a path that is too long": (app(sources=["x" * 5000]), ["sources: there is no file"]),
    "a value that is too long": (app(definitions=["A=" + "x" * 200_000]), ["definitions", "200002 characters"]),
    "a comment that does not end": (app(definitions=["A=1 /* x"]), ["begins a comment that does not end"]),
    "a version of 5,000 digits": (general(libtorch_version="9" * 5000), ["libtorch-version", "no version or range"]),
    "a range of 5,000 digits": (general(libtorch_version=">=" + "9" * 5000), ["libtorch-version"]),
    "a CUDA of 5,000 digits": (general(cuda="9" * 5000), ["cuda must be true"]),
    "a CUDA number of 300 digits": (general(cuda=10**300), ["cuda must be true"]),
    "a CUDA of other digits": (general(cuda="١٢"), ["cuda must be true"]),
    "too many jobs": (general(jobs=10**100), ["jobs must be at most 10000"]),
    "a number beyond all that are real": (app(rtol=10**400), ["rtol must be a number"]),
    "an infinite number": (app(rtol=float("inf")), ["rtol"]),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_sentence_for_each(tmp_path: Path, case: str) -> None:
    pyproject, wanted = TABLE[case]
    with pytest.raises(SettingsError) as caught:
        collect(tmp_path, pyproject)
    assert words(caught.value.problems, *wanted), caught.value.problems
    assert len(str(caught.value)) < 6000


@pytest.mark.parametrize(
    ("variables", "command"),
    [({"TORCHSCRIPT_BUILD_GENERATOR": SURROGATE}, {}), ({}, {"build_type": "a\0"}), ({}, {"jobs": "9" * 5000})],
)
def test_options_from_elsewhere_too(tmp_path: Path, variables: dict[str, str], command: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        collect(tmp_path, {}, variables=variables, command=command)


def test_a_comment_in_a_literal_or_with_an_end_is_fine(tmp_path: Path) -> None:
    collect(tmp_path, app(definitions=['A="/*"', "B='/*'", "C=1 /* x */", 'D="\\"/*"']))


def test_a_long_chain_of_libraries(tmp_path: Path) -> None:
    write(tmp_path / "a.cpp")
    chain = [
        {"name": f"o{i}", "install": False, "sources": ["a.cpp"], "depends": [f"o{i + 1}"] if i < 1999 else []}
        for i in range(2000)
    ]
    spec = collect(tmp_path, {"tool": {"torchscript-build": {"ops": chain}}})
    assert [o.name for o in make_plan(spec).ops] == [f"o{i}" for i in reversed(range(2000))]
    chain[-1]["depends"] = ["o0"]
    with pytest.raises(SettingsError) as caught:
        collect(tmp_path, {"tool": {"torchscript-build": {"ops": chain}}})
    assert len(caught.value.problems) == 1


def test_many_ways_to_one_library_are_walked_once() -> None:
    layers = [OpLibrary(name="o0", sources=("a.cpp",), install=False)]
    for i in range(1, 60):
        depends = tuple(f"o{j}" for j in (i - 1, i - 2) if j >= 0)
        layers.append(OpLibrary(name=f"o{i}", sources=("a.cpp",), install=False, depends=depends))
    assert [o.name for o in make_plan(ProjectSpec(ops=tuple(reversed(layers)))).ops] == [f"o{i}" for i in range(60)]


def test_a_pyproject_that_is_a_folder_or_deep(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(SettingsError, match=r"pyproject\.toml cannot be read: Is a directory"):
        read_pyproject(tmp_path / "pyproject.toml")
    deep = write(tmp_path / "deep.toml", "torchscript-build = " + "[" * 50_000 + "]" * 50_000)
    with pytest.raises(SettingsError, match=r"deep\.toml is no TOML: it is nested"):
        read_pyproject(deep)
    assert not is_opted_in(deep.read_text())


def test_no_definition_swallows_the_next(tmp_path: Path) -> None:
    """A value that ends in a backslash, beside one that needs the header, too; compiled by the real preprocessor."""
    definitions = ("A=x\\", "B=\u00e9y", "C=z\\\\", "D=(;)", "E=q??/", "F=(a;b)")
    spec = ProjectSpec(ops=(OpLibrary(name="o", sources=("a.cpp",), install=False, definitions=definitions),))
    header = render_project(make_plan(spec))["options/o.h"]
    for standard in ("c++14", "c++17"):
        done = run_child(
            ["c++", f"-std={standard}", "-E", "-dM", "-x", "c++", "-"], input=header, capture_output=True, check=True
        )
        found = {
            line for line in done.stdout.decode().splitlines() if line.startswith("#define ") and line[9:10] == " "
        }
        assert found >= {"#define A x\\", "#define B \u00e9y", "#define C z\\\\", "#define D (;)", "#define F (a;b)"}


def test_a_folder_that_is_not_utf8(tmp_path: Path, variables: dict[str, str]) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xffb"))
    write_project(folder, ANSWER_APP, files={"answer.cpp": "int main() {}\n"})
    for command in ("build_ts_app", "egg_info"):
        done = run_python("setup.py", command, cwd=folder, variables=variables)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "is not UTF-8" in done.stderr


ODD = ["*", "**", "[", "a\0", SURROGATE, "../..", "/", "~", "$", "\\"]
TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(ODD)
VALUE = st.recursive(
    TEXT | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SPECS = (ScriptModel, OpLibrary, TorchScriptApp, CMakeProject, CLibrary, BuildOptions)
KEYS = st.sampled_from(sorted({f.name.replace("_", "-") for spec in SPECS for f in dataclasses.fields(spec)}))
ENTRY = st.dictionaries(KEYS, VALUE | st.lists(TEXT, max_size=3), max_size=6)


@given(
    st.fixed_dictionaries(
        {}, optional={name: st.lists(ENTRY, max_size=3) for name in ("model", "ops", "app", "cmake", "library")}
    ),
    ENTRY,
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_settings_are(tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any]) -> None:
    with contextlib.suppress(SettingsError):
        spec = collect(tmp_path, {"tool": {"torchscript-build": {**options, **arrays}}}, packages=["demo"])
        render_project(make_plan(spec))


def test_a_project_without_any_settings_is_read(tmp_path: Path) -> None:
    assert read_project(write_project(tmp_path, "")) is not None
