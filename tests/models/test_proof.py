"""The built program's own load of its models."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from nobodys_machine import made_up, make_plan
from support import stub, write

from torchscript_build.errors import ModelError
from torchscript_build.models.archive import ModelArchive
from torchscript_build.models.forecast import Missing
from torchscript_build.models.proof import prove_loads, warn_of_missing
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import ProjectSpec, ScriptModel, TorchScriptApp

APP = TorchScriptApp(name="app", package="demo", models=("net",))
MISSING = (Missing("app", "net", "my::add"),)


@dataclasses.dataclass
class Here:
    root: Path
    app: TorchScriptApp = APP
    compared: tuple[tuple[str, str], ...] = ()

    @property
    def plan(self) -> BuildPlan:
        spec = ProjectSpec(models=(ScriptModel(name="net", file="net.pt"),), apps=(self.app,))
        return make_plan(spec, root=self.root, build_base=self.root / "build")

    def prove(self, *lines: str, missing: tuple[Missing, ...] = ()) -> int:
        """How often the program was asked so far."""
        if lines:
            stub(self.root / "app", f"echo x >> {self.root}/asked", *lines)
        archive = ModelArchive(self.root / "net.pt", 3, ("my::add",), ())
        prove_loads(
            {"app": self.app},
            self.plan,
            {"app": self.root / "app"},
            {"net": archive},
            missing,
            made_up(self.root, PATH="/usr/bin:/bin"),
            compared=self.compared,
        )
        asked = self.root / "asked"
        return len(asked.read_text().splitlines()) if asked.exists() else 0


@pytest.fixture
def here(tmp_path: Path) -> Here:
    write(tmp_path / "net.pt", "old")
    return Here(tmp_path)


def test_a_program_is_asked_once_until_something_changes(here: Here) -> None:
    assert here.prove("exit 0") == 1
    assert here.prove() == 1
    write(here.root / "net.pt", "other")
    assert here.prove() == 2


def test_a_forecast_is_not_the_last_word(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_missing(here.plan, MISSING)
    assert "warning: app 'app': model 'net' needs my::add, which seems to be neither" in capsys.readouterr().err
    assert here.prove("exit 0", missing=MISSING) == 1
    warn_of_missing(here.plan, MISSING)
    assert capsys.readouterr().err == ""


def test_a_program_that_cannot_load_its_model(here: Here) -> None:
    with pytest.raises(ModelError) as caught:
        here.prove("echo 'Unknown builtin op: my::add'; exit 3", missing=MISSING)
    text = str(caught.value)
    assert text.startswith("app 'app' cannot load its model 'net'\n  Unknown builtin op: my::add\n  my::add: neither")
    assert "external-ops" in text
    with pytest.raises(ModelError, match=r"app 'app' cannot load its model 'net'\n  damaged$"):
        here.prove("echo damaged; exit 3")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "echo 'error while loading shared libraries: libx.so'; exit 127",
            "and does not start here: error while",
        ),
        ("echo no; exit 1", "and ended with exit code 1: no"),
    ],
)
def test_a_program_that_does_not_come_so_far(
    here: Here, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    here.prove(line)
    assert f"warning: app 'app' was asked to load its model 'net' {words}" in capsys.readouterr().err
    with pytest.raises(ModelError, match="needs my::add, which neither libtorch has nor what the app links; the"):
        here.prove(line, missing=MISSING)


def test_operators_of_run_time_are_not_asked_for(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    here.app = dataclasses.replace(APP, external_ops=("my",))
    assert here.prove("exit 3") == 0
    assert "-- app was not asked to load net: my is loaded at run time" in capsys.readouterr().out


def test_a_comparison_proves_it_anyway(here: Here) -> None:
    here.compared = (("app", "net"),)
    assert here.prove("exit 3") == 0


def test_an_app_of_the_projects_own_sources_is_not_asked(here: Here) -> None:
    here.app = dataclasses.replace(APP, sources=("main.cpp",))
    assert here.prove("exit 3") == 0
