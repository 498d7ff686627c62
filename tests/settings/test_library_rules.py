"""What a C library may be called, and what it may refer to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import write

from torchscript_build.errors import SettingsError
from torchscript_build.settings.read import collect_settings
from torchscript_build.settings.specs import CLibrary, ProjectSpec


def collect(root: Path, *libraries: dict[str, Any], **others: Any) -> ProjectSpec:
    table = {"library": list(libraries), **others}
    return collect_settings(
        root=root,
        pyproject={"tool": {"torchscript-build": table}},
        keywords={},
        command={},
        variables={},
        packages=["pkg"],
    )


def problems(root: Path, *libraries: dict[str, Any], **others: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        collect(root, *libraries, **others)
    return list(caught.value.problems)


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Any]:
    write(tmp_path / "net.pt", "")
    return {"name": "net", "file": "net.pt"}


def test_defaults(tmp_path: Path, model: dict[str, Any]) -> None:
    spec = collect(tmp_path, {"name": "net-1", "models": ["net"]}, model=[model])
    assert spec.libraries == (CLibrary("net-1", package="pkg", models=("net",)),)
    assert spec.is_buildable
    assert spec.is_packaged
    assert spec.libraries[0].prefix == "net_1"


def test_without_install_nothing_is_packaged(tmp_path: Path) -> None:
    spec = collect(tmp_path, {"name": "net", "install": False})
    assert (spec.is_buildable, spec.is_packaged) == (True, False)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("1net", "C library '1net': a C library's name begins with a letter, as its functions do"),
        ("m", "C library 'm': libm is a library of the system; use another name"),
        ("sem", "C library 'sem': sem_open is a function of the system; use another name"),
        ("torch", "'torch': CMake or libtorch already has a target of that name"),
    ],
)
def test_names_that_others_have(name: str, problem: str, tmp_path: Path) -> None:
    assert problems(tmp_path, {"name": name}) == [problem]


def test_two_libraries_need_two_prefixes(tmp_path: Path) -> None:
    assert problems(tmp_path, {"name": "a-b"}, {"name": "a.b"}) == [
        "C libraries 'a-b' and 'a.b': the functions of both begin with a_b_"
    ]


def test_it_is_a_target_as_apps_are(tmp_path: Path) -> None:
    assert problems(tmp_path, {"name": "net"}, app=[{"name": "net"}]) == ["two targets are called 'net'"]


def test_references(tmp_path: Path, model: dict[str, Any]) -> None:
    library = {"name": "lib", "models": ["nett"], "ops": ["warp"], "rtol": -1.0, "external-ops": {"x": "x.so"}}
    assert problems(tmp_path, library, model=[model]) == [
        "C library 'lib': models: there is no model 'nett'; did you mean 'net'?",
        "C library 'lib': ops: there is no operator library 'warp'; the project has none",
        "C library 'lib': rtol must not be negative, not -1.0",
        "C library 'lib': external-ops: x: there is no file 'x.so'",
    ]


def test_verify_needs_inputs(tmp_path: Path, model: dict[str, Any]) -> None:
    library = {"name": "lib", "models": ["net"], "verify": True}
    assert problems(tmp_path, library, model=[model]) == ["C library 'lib': verify needs a model with example-inputs"]
    collect(tmp_path, library, model=[{**model, "example-inputs": ["int:1"]}])


def test_unknown_keys_are_told(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"name": "lib", "model": ["net"]})
    assert problem == "[[tool.torchscript-build.library]] 1 ('lib'): unknown key 'model'; did you mean 'models'?"
