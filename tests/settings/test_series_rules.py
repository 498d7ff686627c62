"""What can be put into one wheel for several series of torch."""

from __future__ import annotations

from typing import Any

import pytest

from torchscript_build.settings.series_rules import check_series
from torchscript_build.settings.specs import (
    BuildOptions,
    CLibrary,
    CMakeProject,
    OpLibrary,
    ProjectSpec,
    ScriptModel,
    TorchScriptApp,
)

SEVERAL = ("2.11", "2.13")


def problems(*series: str, options: dict[str, Any] = {}, **parts: Any) -> list[str]:  # noqa: B006
    found: list[str] = []
    check_series(ProjectSpec(options=BuildOptions(series=series or SEVERAL, **options), **parts), found)
    return found


def test_plain_libraries_and_programs_have_no_problems() -> None:
    model = ScriptModel(name="net", factory="a:b")
    app = TorchScriptApp(name="app", models=("net",), external_ops=("given_at_run_time",))
    bound = (OpLibrary(name="ops"), OpLibrary(name="stable", install=False, abi="stable"))
    unpacked = (CMakeProject(name="native", install=False),)
    assert problems(models=(model,), ops=bound, apps=(app,), cmake=unpacked) == []
    assert problems("2.11", "2.13.0", "1.8", "2.12.1+cu130") == []


@pytest.mark.parametrize("entry", ["2", "torch2.13", "2.13.*", "2.13+cpu", ">=2.13", "", "2.13.0.0", "2.1٣"])
def test_what_is_no_series(entry: str) -> None:
    assert problems("2.11", entry) == [
        f'series: {entry!r} is no series of torch; write "2.13", or a build: "2.13.0+cpu"'
    ]


@pytest.mark.parametrize("entry", ["2.13", "2.13.0", "2.13.1+cpu"])
def test_a_series_that_is_named_twice(entry: str) -> None:
    assert problems("2.13", "2.11", entry) == ["series: 2.13 is named twice"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"libtorch": "fetched:2.13.0"}, "give series or libtorch: each series has a libtorch of its own"),
        ({"libtorch_version": ">=2.1"}, "give series or libtorch-version: each series has a libtorch of its own"),
        ({"pin": "exact"}, 'pin = "exact" names one release; what is built for several requires their series'),
    ],
)
def test_options_that_name_one_libtorch(options: dict[str, Any], problem: str) -> None:
    assert problems(options=options) == [f"series: {problem}"]


ONE = "is put into one place, whatever torch is there: build a wheel for each series, without series"
PACKAGE = ScriptModel(name="net", factory="a:b", method="aoti")


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (
            {"ops": (OpLibrary(name="o", abi="stable"),)},
            (
                "operator library 'o': abi = \"stable\" is for every torch from its torch-target on: leave series "
                'out, or abi = "stable"'
            ),
        ),
        (
            {"ops": (OpLibrary(name="o", python_module=True),)},
            (
                "operator library 'o': a python-module is imported by Python itself, which knows of no series: build a "
                "wheel for each series, without series"
            ),
        ),
        ({"cmake": (CMakeProject(name="c"),)}, f"CMake project 'c': what it installs {ONE}"),
        ({"libraries": (CLibrary(name="c"),)}, f"C library 'c': it {ONE}"),
        (
            {"apps": (TorchScriptApp(name="a", models=("net",)),), "models": (PACKAGE,)},
            "app 'a': model 'net' is a .pt2, which is compiled for one series of torch",
        ),
        (
            {"apps": (TorchScriptApp(name="a", external_ops={"torchvision": "torchvision:_C.so"}),)},
            "app 'a': external-ops: a library from elsewhere is for one series of torch",
        ),
    ],
)
def test_what_can_be_there_only_once(parts: dict[str, Any], problem: str) -> None:
    assert problems(**parts) == [problem]
