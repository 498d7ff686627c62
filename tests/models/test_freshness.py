"""A model is made again when what its factory used has changed, and the log says why."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import write
from test_export import environment as environment
from test_export import export_one, model, project  # noqa: F401 - the fixture

from torchscript_build.models.child.used import _file_of
from torchscript_build.settings.specs import ScriptModel
from torchscript_build.system import Environment

LOADING = """\
import os, pathlib, sys, tempfile, torch
def opens():
    open("weights.bin", "rb").read()
    return torch.nn.Module()
def opens_natively():
    torch.jit.load("weights.bin")
    return torch.nn.Module()
def writes():
    pathlib.Path("cache.bin").write_bytes(os.urandom(8))
    open("cache.bin", "rb").read()
    return torch.nn.Module()
def imports_installed():
    import lamps
    lamps.DATA.read_text()
    return torch.nn.Module()
def takes_the_newest():
    import glob
    assert glob.glob("ckpt/*.bin")
    return torch.nn.Module()
def has_a_fallback():
    try:
        open("best.bin").read()
    except OSError:
        pass
    return torch.nn.Module()
def queries():
    import sqlite3
    sqlite3.connect("rates.db").execute("select * from rates").fetchall()
    return torch.nn.Module()
def queries_by_uri():
    import sqlite3
    sqlite3.connect("file:rates.db?mode=ro", uri=True).execute("select * from rates").fetchall()
    return torch.nn.Module()
def starts():
    from subprocess import run
    import subprocess
    run([sys.executable, "-c", "", "rates.db"], check=True)
    return torch.nn.Module()
def starts_elsewhere():
    from subprocess import run
    import subprocess
    run([sys.executable, "-c", "", "--from=rates.db"], check=True, cwd=".")
    return torch.nn.Module()
def starts_a_shell():
    os.system("true < 'rates.db'")
    return torch.nn.Module()
def lists():
    sorted(os.listdir("data"))
    return torch.nn.Module()
"""


@pytest.fixture
def why(
    project: Path,  # noqa: F811
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[ScriptModel], list[str]]:
    """Bring the model up to date, and say why it was made again; the factory runs in the project's folder."""
    write(project / "demo/loading.py", LOADING)
    write(project / "weights.bin", "old")
    monkeypatch.chdir(project)

    def make(spec: ScriptModel) -> list[str]:
        capsys.readouterr()
        export_one(project, environment, spec)
        out = capsys.readouterr().out
        reasons = [line.partition(": ")[2] for line in out.splitlines() if " is made again: " in line]
        made = "-- model net: scripted by" in out
        return reasons if reasons or not made else ["first"]

    return make


def loading(factory: str, **fields: object) -> ScriptModel:
    return ScriptModel(name="net", factory=f"demo.loading:{factory}", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("factory", ["opens", "opens_natively"])
def test_a_file_that_the_factory_opened(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
    factory: str,
) -> None:
    assert why(loading(factory)) == ["first"]
    assert why(loading(factory)) == []
    write(project / "weights.bin", "new")
    assert why(loading(factory)) == ["weights.bin has changed"]
    assert why(loading(factory)) == []


@pytest.mark.parametrize("factory", ["queries", "queries_by_uri", "starts", "starts_elsewhere", "starts_a_shell"])
def test_a_file_that_python_does_not_open_itself(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
    factory: str,
) -> None:
    with contextlib.closing(sqlite3.connect(project / "rates.db")) as base:
        base.execute("create table rates (rate)")
        base.commit()
        assert why(loading(factory)) == ["first"]
        assert why(loading(factory)) == []
        base.execute("insert into rates values (7)")
        base.commit()
    assert why(loading(factory)) == ["rates.db has changed"]
    assert why(loading(factory)) == []


def test_a_folder_whose_files_the_factory_asked_for(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
) -> None:
    write(project / "ckpt/1.bin")
    assert why(loading("takes_the_newest")) == ["first"]
    write(project / "other.txt")
    write(project / "ckpt/.partial")
    assert why(loading("takes_the_newest")) == []
    write(project / "ckpt/2.bin")
    assert why(loading("takes_the_newest")) == ["ckpt/2.bin is new"]
    (project / "ckpt/1.bin").unlink()
    assert why(loading("takes_the_newest")) == ["ckpt/1.bin is gone"]
    assert why(loading("takes_the_newest")) == []


def test_a_file_that_was_not_there(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
) -> None:
    assert why(loading("has_a_fallback")) == ["first"]
    assert why(loading("has_a_fallback")) == []
    write(project / "best.bin")
    assert why(loading("has_a_fallback")) == ["best.bin is new"]
    assert why(loading("has_a_fallback")) == []


def test_a_file_that_was_only_touched(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
) -> None:
    why(loading("opens"))
    os.utime(project / "weights.bin", (1, 1))
    assert why(loading("opens")) == []


def test_a_file_that_was_replaced_with_the_same_size_and_time(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
) -> None:
    why(loading("opens"))
    status = (project / "weights.bin").stat()
    write(project / "other.bin", "new")
    os.replace(project / "other.bin", project / "weights.bin")
    os.utime(project / "weights.bin", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert why(loading("opens")) == ["weights.bin has changed"]


def test_what_the_factory_wrote_itself_is_no_input(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
) -> None:
    why(loading("writes"))
    write(project / "cache.bin", "changed")
    assert why(loading("writes")) == []


def test_a_release_of_an_installed_package(why: Callable[[ScriptModel], list[str]], tmp_path: Path) -> None:
    module = "import pathlib\nDATA = pathlib.Path(__file__).with_name('data.txt')\n"
    write(tmp_path / "site/lamps/__init__.py", module)
    write(tmp_path / "site/lamps/data.txt")
    info = write(tmp_path / "site/lamps-1.0.dist-info/RECORD", "lamps/__init__.py,,\nlamps/data.txt,,\n").parent
    assert why(loading("imports_installed")) == ["first"]
    write(tmp_path / "site/lamps/data.txt", "its release tells")
    assert why(loading("imports_installed")) == []
    info.rename(tmp_path / "site/lamps-1.1.dist-info")
    assert why(loading("imports_installed")) == ["lamps is not 1.0 any more"]


def test_a_distribution_that_the_factory_does_not_use(why: Callable[[ScriptModel], list[str]], tmp_path: Path) -> None:
    for name in ("candles", "lamps"):
        info = tmp_path / f"site/{name}-1.0.dist-info"
        write(info / "RECORD", f"{name}/__init__.py,sha256=x,1\n{info.name}/RECORD,,\n")
    write(tmp_path / "site/lamps/__init__.py", "import pathlib\nDATA = pathlib.Path(__file__)\n")
    assert why(loading("imports_installed")) == ["first"]
    (tmp_path / "site/candles-1.0.dist-info").rename(tmp_path / "site/candles-1.1.dist-info")
    assert why(loading("imports_installed")) == []


def test_a_module_that_no_distribution_owns(why: Callable[[ScriptModel], list[str]], tmp_path: Path) -> None:
    write(tmp_path / "site/lamps.py", "import pathlib\nDATA = pathlib.Path(__file__)\n")
    why(loading("imports_installed"))
    write(tmp_path / "site/lamps.py", "import pathlib\nDATA = pathlib.Path(__file__)  # new\n")
    (reason,) = why(loading("imports_installed"))
    assert reason.endswith("site/lamps.py has changed")


def test_inputs_that_cannot_be_seen(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
) -> None:
    spec = loading("lists", inputs=("data/**",))
    write(project / "data/a.csv")
    assert why(spec) == ["first"]
    assert why(spec) == []
    write(project / "data/deep/b.csv")
    assert why(spec) == ["data/deep/b.csv is new"]
    write(project / "data/a.csv", "new")
    assert why(spec) == ["data/a.csv has changed"]
    (project / "data/a.csv").unlink()
    assert why(spec) == ["data/a.csv is gone"]
    assert why(spec) == []


def test_settings(why: Callable[[ScriptModel], list[str]]) -> None:
    why(loading("opens"))
    assert why(loading("opens", seed=1, show_code=True)) == ["seed, show-code have changed in the settings"]
    assert why(loading("opens", seed=2, show_code=True)) == ["seed has changed in the settings"]
    # The comparison's inputs make no other model.
    assert why(loading("opens", seed=2, show_code=True, example_inputs=("ones:2",), check_inputs=(("ones:3",),))) == []


def test_always(why: Callable[[ScriptModel], list[str]]) -> None:
    assert why(loading("opens", always=True)) == ["first"]
    assert why(loading("opens", always=True)) == ["always = true"]


def test_a_module_of_the_project(
    why: Callable[[ScriptModel], list[str]],
    project: Path,  # noqa: F811
) -> None:
    why(model())
    write(project / "demo/helper.py", "# new\n")
    assert why(model()) == ["demo/helper.py has changed"]


class Lazy(types.ModuleType):
    """A module that is imported when something is asked of it; here what it needs is not installed."""

    def __getattr__(self, name: str) -> Any:
        raise ImportError(f"{name}: install it first")


def test_modules_that_are_imported_when_they_are_asked_stay_as_they_are() -> None:
    assert _file_of(Lazy("lazy")) == ""
    assert _file_of(types) == types.__file__
