"""Running a built app on the project's arguments, and why one does not start."""

from __future__ import annotations

from pathlib import Path

import pytest
from nobodys_machine import linux_torch
from support import stub, write

from torchscript_build import log
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.models.running import check_run, is_runner, run_app
from torchscript_build.settings.specs import TorchScriptApp
from torchscript_build.system import Completed

RUNNER = TorchScriptApp(name="app", rtol=1e-3, atol=0.0)
OWN = TorchScriptApp(name="app", sources=("main.cpp",))
MODELS = {"net": Path("/m/net.pt"), "other": Path("/m/other.pt")}


def echo(folder: Path, *lines: str) -> Path:
    """A program that prints its arguments, one a line."""
    return stub(folder / "app", 'for word in "$@"; do echo "[$word]"; done', *lines)


def run(app: TorchScriptApp, program: Path, models: dict[str, Path], **variables: str) -> None:
    run_app(app, program, models, libtorch=linux_torch(), variables=variables)


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (RUNNER, True),
        (OWN, False),
        (TorchScriptApp(name="app", template="minimal"), False),
    ],
)
def test_only_runners_have_options_that_we_know(app: TorchScriptApp, expected: bool) -> None:
    assert is_runner(app) is expected


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
    run(app, echo(tmp_path), models)
    lines = capsys.readouterr().out.splitlines()
    assert [line[1:-1] for line in lines if line.startswith("[")] == expected


def test_the_command_is_printed_as_one_could_type_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "level", log.VERBOSE)
    run(TorchScriptApp(name="a", arguments=("two words",)), echo(tmp_path), {})
    assert capsys.readouterr().out.splitlines()[0] == f"+ {tmp_path}/app 'two words'"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo boom; exit 3", r"app 'app' failed with exit code 3\n(.*\n)*  boom"),
        ("kill -11 $$", "app 'app' was killed by signal 11"),
        (
            "echo 'app: error while loading shared libraries: libx.so'; exit 127",
            "app 'app' cannot start: the loader misses a library that libtorch needs\n",
        ),
        (
            "echo 'app: symbol lookup error: app: undefined symbol: _ZN1'; exit 127",
            "app 'app' cannot start: a library that it loads is not the one that it was built with\n",
        ),
        ("echo 'sh: not found'; exit 127", "app 'app' failed with exit code 127"),
    ],
)
def test_an_app_that_fails(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(TorchScriptBuildError, match=message):
        run(OWN, echo(tmp_path, line), {})


def test_a_foreign_libtorch_is_named_with_the_variable(tmp_path: Path) -> None:
    foreign = write(tmp_path / "other/libc10.so")
    program = echo(tmp_path, "echo 'app: symbol lookup error: app: undefined symbol: _ZN1'; exit 127")
    with pytest.raises(TorchScriptBuildError) as caught:
        run(OWN, program, {}, LD_LIBRARY_PATH=f"/nowhere:{foreign.parent}")
    text = str(caught.value)
    assert text.startswith(
        f"app 'app' cannot start: LD_LIBRARY_PATH brings another libtorch, {foreign}, in the place of "
    )
    assert f"- take {foreign.parent} out of LD_LIBRARY_PATH" in text


@pytest.mark.parametrize(
    ("returncode", "message"),
    [
        (127, "app 'app' cannot start: LD_PRELOAD brings another libtorch, {}, in the place of "),
        (-6, "app 'app' was killed by signal 6: LD_PRELOAD brings another libtorch, {}"),
    ],
)
def test_a_foreign_libtorch_that_is_preloaded_is_named(tmp_path: Path, returncode: int, message: str) -> None:
    foreign = write(tmp_path / "other/libtorch_cpu.so")
    done = Completed(("app",), returncode, "app: symbol lookup error: app: undefined symbol: _ZN1")
    with pytest.raises(TorchScriptBuildError) as caught:
        check_run(OWN, done, linux_torch(), {"LD_PRELOAD": f"/nowhere/libm.so:{foreign}"})
    text = str(caught.value)
    assert text.startswith(message.format(foreign))
    assert f"- take {foreign} out of LD_PRELOAD" in text
