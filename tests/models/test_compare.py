"""Comparing three ways: what an app is asked, what the table says, and which cure is offered."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from nobodys_machine import made_up, make_plan
from support import stub, write

from torchscript_build.errors import ModelError, ParityError
from torchscript_build.models import compare
from torchscript_build.models.compare import WIDEN, compare_apps, compared_models
from torchscript_build.models.export import Made
from torchscript_build.models.forecast import Missing
from torchscript_build.models.references import Case, References, Wanted
from torchscript_build.plan.build_plan import BuildPlan, Wishes
from torchscript_build.settings.specs import ProjectSpec, ScriptModel, TorchScriptApp

MODEL = ScriptModel(name="net", factory="demo:net", method="trace", example_inputs=("ones:2",), seed=7)
APP = TorchScriptApp(name="app", package="demo", models=("net",), rtol=1e-3, atol=0.0)
PLAIN = Made()
AGREES = {"place": "", "words": "", "largest": 0.0, "kind": ""}
AGREED = {"match": True, "max_absolute": 1.5e-7, "max_relative": 1e-7}


@dataclasses.dataclass
class Project:
    root: Path
    plan: BuildPlan

    def compare(
        self,
        case: Case,
        *lines: str,
        made: Made = PLAIN,
        missing: tuple[Missing, ...] = (),
        again: bool = False,
        show: bool = False,
    ) -> None:
        """Compare one case with an app that is a few lines of shell."""
        program = self.root / "app"
        if lines:
            stub(program, 'echo "$@" >> asked', *lines)
        compare_apps(
            self.plan,
            made_up(self.root, PATH="/usr/bin:/bin"),
            {"app": APP},
            {"app": program},
            {"app": ["net"]},
            {"net": References((case,), None)},
            {"net": Wanted(("forward",), 1e-3, 0.0)},
            {"net": made},
            missing,
            again=again,
            show=show,
            references_of=self.plan,
        )

    def asked(self) -> list[str]:
        return (self.root / "asked").read_text().splitlines()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    plan = make_plan(ProjectSpec(models=(MODEL,), apps=(APP,)), root=tmp_path, build_base=tmp_path / "build")
    for name in ("a.pt", "e.pt"):
        write(tmp_path / name)
    return Project(tmp_path, plan)


def case(**changes: Any) -> Case:
    fields: dict[str, Any] = {
        "model": "net",
        "method": "forward",
        "label": "check 1",
        "arguments": Path("a.pt"),
        "expected": Path("e.pt"),
        "grad": False,
        "error": None,
        "has_original": True,
        "difference": AGREES,
    }
    return Case(**{**fields, **changes})


def report(comparison: Mapping[str, Any], code: int = 0) -> tuple[str, str]:
    return f"echo '{json.dumps({'comparison': comparison})}'", f"exit {code}"


def differs(message: str) -> tuple[str, str]:
    found = {"match": False, "max_absolute": 1, "max_relative": 1, "place": "output", "message": message}
    return report({**found, "tolerable": "values differ" in message}, 5)


def failure(here: Project, one: Case, *lines: str) -> str:
    with pytest.raises(ParityError) as caught:
        here.compare(one, *lines)
    return str(caught.value)


def test_what_an_app_is_asked(here: Project) -> None:
    here.compare(case(), *report(AGREED))
    (words,) = here.asked()
    assert words == "--model net --input args:a.pt --expect e.pt --rtol 0.001 --atol 0.0 --seed 7 --json"


def test_what_the_program_does_not_do_by_itself_is_said(here: Project) -> None:
    wanted = case(method="encode", grad=True)
    wishes = Wishes(True, "float64", "qnnpack", True, 3, 2, "warn", "high")
    made = Made(dataclasses.replace(wishes, grad=False))
    here.compare(wanted, *report(AGREED), made=made)
    here.plan = here.plan.with_wishes({"net": wishes})
    here.compare(wanted, *report(AGREED), made=made)
    first, second = here.asked()
    options = (
        "--grad --default-dtype float64 --quantized-engine qnnpack --flush-denormal --threads 3 "
        "--interop-threads 2 --deterministic warn --matmul-precision high "
    )
    assert "--method encode" in first
    assert f"{options}--json" in first
    assert second == first.replace(options, "")


def test_a_run_for_people_prints_the_first_call_after_the_table(
    here: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    here.compare(case(), 'case "$*" in *--json) ;; *) echo seen; exit 0 ;; esac', *report(AGREED), show=True)
    said = capfd.readouterr().out
    assert said.index("largest differences") < said.index("seen")
    assert [words.endswith("--json") for words in here.asked()] == [True, False]


def test_the_table(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.compare(case(), *report(AGREED))
    assert [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("   ")] == [
        ["model", "method", "inputs", "original/exported", "exported/C++"],
        ["net", "forward", "check", "1", "0", "1.5e-07"],
    ]


def test_what_agreed_is_compared_again_when_something_changed_or_on_request(here: Project) -> None:
    here.compare(case(), *report(AGREED))
    here.compare(case())
    assert len(here.asked()) == 1
    here.compare(case(), again=True)
    assert len(here.asked()) == 2
    write(here.root / "e.pt", "new")
    here.compare(case())
    assert len(here.asked()) == 3


def test_values_that_differ_may_be_rounding(here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "repeat_case", lambda *_: True)
    text = failure(here, case(), *differs("3 of 5 values differ, largest difference 1 at [0] (1, expected 2)"))
    assert "  - net.forward, check 1: the app differs from the exported model: output 3 of 5 values differ" in text
    assert text.endswith(f"- {WIDEN}")


@pytest.mark.parametrize("message", ["is float32 [2], expected float64 [2]", "is missing", "is a list"])
def test_nothing_else_is_rounding(here: Project, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    monkeypatch.setattr(compare, "repeat_case", lambda *_: True)
    assert WIDEN not in failure(here, case(), *differs(message))


def test_a_model_that_does_not_repeat_itself_is_called_that(here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "repeat_case", lambda *_: False)
    text = failure(here, case(), *differs("3 of 5 values differ"))
    assert "the exported model does not repeat its outputs in Python either, with the same seed" in text
    assert WIDEN not in text


def test_an_export_that_differs_from_the_original(here: Project) -> None:
    difference = {"place": "output", "words": "2 of 2 values differ", "largest": 1.0, "kind": "values"}
    text = failure(here, case(difference=difference), *report(AGREED))
    assert "check 1: the exported model differs from the original: output: 2 of 2 values differ" in text
    assert "method = 'script' keeps branches and loops" in text


def test_an_export_that_fails_where_the_original_does_not(here: Project) -> None:
    text = failure(here, case(error="RuntimeError: shape", difference=None), "exit 1")
    assert "check 1: the original runs, the exported model fails: RuntimeError: shape" in text
    assert not (here.root / "asked").exists()


def test_outputs_that_no_file_carries(here: Project) -> None:
    error = "its outputs hold what no file carries: a nested tensor cannot be carried to C++"
    text = failure(here, case(error=error, carried=False, difference=None), "exit 1")
    assert f"net.forward, check 1: {error}" in text
    assert not (here.root / "asked").exists()


def test_inputs_that_fail_in_python_anyhow(here: Project) -> None:
    text = failure(here, case(error="TypeError: no", eager_error="TypeError: no", difference=None), "exit 1")
    assert "check 1: it fails in Python: TypeError: no" in text


def test_an_original_that_is_random_is_told_and_no_failure(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    difference = {"place": "output", "words": "2 of 2 values differ", "largest": 1.0, "kind": "values"}
    here.compare(case(difference=difference, repeats=False), *report(AGREED))
    assert "net.forward, check 1: the original does not repeat itself with the same seed" in capsys.readouterr().out


def test_a_program_that_cannot_load_its_model(here: Project) -> None:
    with pytest.raises(ModelError) as caught:
        here.compare(case(), "echo 'Unknown builtin op'; exit 3", missing=(Missing("app", "net", "my::add"),))
    text = str(caught.value)
    assert text.startswith("app 'app' cannot load its model 'net'\n  Unknown builtin op\n  my::add: neither libtorch's")
    assert "name the operator library that has it in the app's ops" in text


@pytest.mark.parametrize(
    ("app", "flags", "expected"),
    [
        (APP, {}, []),
        (dataclasses.replace(APP, verify=True), {}, ["net"]),
        (APP, {"verify": True}, ["net"]),
        (APP, {"run": True}, ["net"]),
        (dataclasses.replace(APP, arguments=("x",)), {"run": True}, []),
        (dataclasses.replace(APP, template="minimal"), {"verify": True}, []),
        (dataclasses.replace(APP, models=("bare",)), {"verify": True}, []),
        (dataclasses.replace(APP, models=("bare", "net")), {"verify": True}, ["net"]),
    ],
)
def test_which_models_are_compared(app: TorchScriptApp, flags: dict[str, bool], expected: list[str]) -> None:
    spec = ProjectSpec(models=(MODEL, ScriptModel(name="bare", file="bare.pt")), apps=(app,))
    assert compared_models(app, spec, run=flags.get("run", False), verify=flags.get("verify", False)) == expected
