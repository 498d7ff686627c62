"""Running a built app on the project's arguments, or against Python's outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import stub

from torchscript_build.errors import ParityError, TorchScriptBuildError
from torchscript_build.models.compare import compare_app, run_app, runs_against_python
from torchscript_build.models.export import Reference
from torchscript_build.settings.specs import TorchScriptApp

RUNNER = TorchScriptApp(name="app", rtol=1e-3, atol=0.0)
OWN = TorchScriptApp(name="app", sources=("main.cpp",))
MODELS = {"net": Path("/m/net.pt"), "other": Path("/m/other.pt")}


def echo(folder: Path, *lines: str) -> Path:
    """A program that prints its arguments, one a line."""
    return stub(folder / "app", 'for word in "$@"; do echo "[$word]"; done', *lines)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("[")]


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (RUNNER, True),
        (OWN, False),
        (TorchScriptApp(name="app", template="minimal"), False),
    ],
)
def test_only_runners_are_compared(app: TorchScriptApp, expected: bool) -> None:
    assert runs_against_python(app) is expected


def test_what_a_comparison_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare_app(RUNNER, echo(tmp_path), Path("/m/net.pt"), Reference(Path("/a.pt"), Path("/e.pt")), variables={})
    assert printed(capsys) == [
        *("--model", "/m/net.pt", "--input", "args:/a.pt", "--expect", "/e.pt"),
        *("--rtol", "0.001", "--atol", "0.0"),
    ]


@pytest.mark.parametrize("tolerable", [True, False])
def test_outputs_that_differ(tmp_path: Path, tolerable: bool) -> None:
    hint = "echo 'hint: --rtol and --atol widen what is taken as equal'"
    program = echo(tmp_path, "echo 'output: 3 of 5 values differ'", *([hint] if tolerable else []), "exit 5")
    with pytest.raises(ParityError) as caught:
        compare_app(RUNNER, program, Path("m"), Reference(Path("a"), Path("e")), variables={})
    text = str(caught.value)
    assert text.startswith("app 'app': its outputs differ from Python's\n")
    assert "  output: 3 of 5 values differ" in text
    assert ("widen rtol and atol of the app" in text) is tolerable


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo boom; exit 3", r"app 'app' failed with exit code 3\n(.*\n)*  boom"),
        ("kill -11 $$", "app 'app' was killed by signal 11"),
    ],
)
def test_an_app_that_fails(tmp_path: Path, line: str, message: str) -> None:
    program = echo(tmp_path, line)
    with pytest.raises(TorchScriptBuildError, match=message):
        compare_app(RUNNER, program, Path("m"), Reference(Path("a"), Path("e")), variables={})
    with pytest.raises(TorchScriptBuildError, match=message):
        run_app(OWN, program, {}, variables={})


@pytest.mark.parametrize(
    ("app", "models", "expected"),
    [
        (RUNNER, MODELS, ["--model", "/m/net.pt", "--info"]),
        (RUNNER, {}, ["--help"]),
        (OWN, MODELS, ["/m/net.pt", "/m/other.pt"]),
        (OWN, {}, []),
        (
            TorchScriptApp(name="a", arguments=("{model}", "x={model:other}", "{model:none}", "a b", "{}")),
            MODELS,
            ["/m/net.pt", "x=/m/other.pt", "{model:none}", "a b", "{}"],
        ),
        (TorchScriptApp(name="a", arguments=("{model}",)), {}, ["{model}"]),
    ],
)
def test_what_an_app_is_run_with(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    app: TorchScriptApp,
    models: dict[str, Path],
    expected: list[str],
) -> None:
    run_app(app, echo(tmp_path), models, variables={})
    assert printed(capsys) == expected


def test_the_command_is_printed_as_one_could_type_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_app(TorchScriptApp(name="a", arguments=("two words",)), echo(tmp_path), {}, variables={})
    assert capsys.readouterr().out.splitlines()[0] == f"+ {tmp_path}/app 'two words'"
