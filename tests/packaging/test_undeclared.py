"""Nothing declared, or declared under a wrong name, is an error that says what was found and what was meant."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Optional

import pytest
from children import run_python
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import write

from torchscript_build.packaging import distribution
from torchscript_build.settings.near_misses import find_near_misses
from torchscript_build.settings.read import _parse_toml, is_opted_in

COMMANDS = ("build", "build_ts_app")


def errors(done: Any) -> str:
    """The one error at the end, without traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(re.findall(r"^error", done.stderr, re.MULTILINE)) == 1, done.stderr
    return str(done.stderr[re.search(r"^error", done.stderr, re.MULTILINE).start() :])  # type: ignore[union-attr]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ('[[tool.torchscript_build.app]]\nname = "x"\n', "[tool.torchscript_build]: our table is called [tool.torchsc"),
        ('[torchscript-build]\nlibtorch = "x"\n', "[torchscript-build]: our table is called [tool.torchscript-build]"),
        ('[[tools.torchscript-build.app]]\nname = "x"\n', "[tools.torchscript-build]: our table is called [tool."),
        ('[[tool.TorchScriptBuild.app]]\nname = "x"\n', "[tool.TorchScriptBuild]: our table is called [tool.torch"),
        ('[[tool.torchscript.app]]\nname = "x"\n', "[tool.torchscript]: our table is called [tool.torchscript-build]"),
        ('[[tool.torchscript-build.apps]]\nname = "x"\n', "did you mean [[tool.torchscript-build.app]]?"),
        ('[[tool.torchscript-build.program]]\nname = "x"\n', "did you mean [[tool.torchscript-build.app]]?"),
        ('[[tool.torchscript-build.thing]]\nname = "x"\n', "there are model, ops, app, cmake"),
        ("[tool.torchscript-build]\n", "[tool.torchscript-build] is empty"),
        ('[tool.torchscript-build]\nbuild-type = "Debug"\n', "[tool.torchscript-build] has only build-type"),
    ],
)
def test_tables(tmp_path: Path, run_setup: Any, command: str, settings: str, wanted: str) -> None:
    assert wanted in errors(run_setup(write_project(tmp_path, settings), command))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[[tool.torchscript.build.ops]]\nname = "x"\n', "tool.torchscript.build"),
        ('[[tool.torchscrpt-build.model]]\nname = "x"\n', "tool.torchscrpt-build"),
        ('[tool.tscript-build.app]\nname = "x"\n', "tool.tscript-build"),
        ('[[tool.ts-build.library]]\nname = "x"\n', "tool.ts-build"),
        ('[[tool.torchscript.app]]\nnmae = "x"\n', None),
        ("[tool.torchscript]\napp = 1\n", None),
        ('[tool.scikit-build.cmake]\nversion = "3"\n', None),
        ('[[tool.scikit-build.app]]\nname = "x"\n', None),
    ],
)
def test_tables_with_a_name_like_ours(text: str, name: Optional[str]) -> None:
    assert is_opted_in(text) == (name is not None)
    problems = (
        [f"[{name}]: our table is called [tool.torchscript-build]; write it so in pyproject.toml"] if name else []
    )
    assert find_near_misses(_parse_toml(text)) == problems


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("keyword", distribution.NEAR_KEYWORDS)
def test_keywords(tmp_path: Path, run_setup: Any, command: str, keyword: str) -> None:
    setup = f"from setuptools import setup\nsetup({keyword}=[dict(name='x')])\n"
    text = errors(run_setup(write_project(tmp_path, setup=setup), command))
    assert f"1 problem in the settings:\n  - setup({keyword}=…): unknown" in text


def test_every_near_keyword_is_registered() -> None:
    """Otherwise setuptools drops it with a warning, before anybody of us is asked."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    section = text.split('[project.entry-points."distutils.setup_keywords"]\n')[1].split("\n[")[0]
    registered = set(re.findall(r"^(\w+) =", section, re.MULTILINE))
    assert registered == {*distribution.KEYWORDS, *distribution.NEAR_KEYWORDS}


def test_an_explicit_command_without_anything_declared(tmp_path: Path, run_setup: Any) -> None:
    project = write_project(tmp_path / "project")
    write_project(project / "native", ANSWER_APP)
    assert errors(run_setup(project, "build_ts_app")) == (
        "error: nothing to build is declared\n"
        "  looked in:\n"
        f"    {project}/pyproject.toml  no table [tool.torchscript-build]\n"
        f"    {'setup()':<{len(str(project)) + 15}}  none of ts_models, ts_ops, ts_apps, ts_cmake, ts_c_libraries\n"
        "  do one of these:\n"
        "    - declare it: [[tool.torchscript-build.app]], [[tool.torchscript-build.ops]] or "
        '[[tool.torchscript-build.cmake]], each with a name = "…"\n'
        "    - cd native, a project with our table\n"
        "    - write a project to look at: torchscript-build new project NAME\n"
    )


def test_no_pyproject_at_all(tmp_path: Path, run_setup: Any) -> None:
    write(tmp_path / "setup.py", "from setuptools import setup\nsetup(name='demo')\n")
    assert f"{tmp_path}/pyproject.toml  no such file" in errors(run_setup(tmp_path, "build_ts_app"))


@pytest.mark.parametrize("command", COMMANDS)
def test_models_that_no_app_takes(tmp_path: Path, run_setup: Any, command: str) -> None:
    project = write_project(tmp_path, '[[tool.torchscript-build.model]]\nname = "net"\nfactory = "a:b"\n')
    text = errors(run_setup(project, command))
    assert "models are declared, and no app that takes them" in text
    assert 'models = ["net"]' in text


def test_no_operator_libraries(tmp_path: Path, run_setup: Any) -> None:
    project = write_project(tmp_path, ANSWER_APP, files={"answer.cpp": ANSWER_CPP})
    text = errors(run_setup(project, "build_ts_ops"))
    assert text.startswith("error: no operator library is declared\n")
    assert "python setup.py build_ts_app" in text


def test_an_empty_list_is_a_decision(tmp_path: Path, run_setup: Any) -> None:
    """setup.py decides that there is nothing on this platform; the table's options stay."""
    setup = "from setuptools import setup\nsetup(ts_apps=[])\n"
    project = write_project(tmp_path, '[tool.torchscript-build]\nbuild-type = "Debug"\n', setup=setup)
    assert run_setup(project, "build").returncode == 0
    assert "ts_apps" in errors(run_setup(project, "build_ts_app"))


@pytest.mark.parametrize("command", COMMANDS)
def test_setup_py_from_another_folder(tmp_path: Path, variables: dict[str, str], command: str) -> None:
    write_project(tmp_path / "project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP})
    done = run_python("project/setup.py", command, cwd=tmp_path, variables=variables)
    text = errors(done)
    assert f"project/setup.py was started in {tmp_path}: setuptools reads the current folder's pyproject.toml" in text
    assert f"    - cd project && python setup.py {command}\n" in text


def test_a_foreign_setup_py_from_another_folder(tmp_path: Path, variables: dict[str, str]) -> None:
    write_project(tmp_path / "project")
    assert run_python("project/setup.py", "build", cwd=tmp_path, variables=variables).returncode == 0


def test_a_setup_py_that_goes_home_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    for started in ("project/setup.py", str(tmp_path / "project/setup.py"), "setup.py", "-c"):
        monkeypatch.setattr(sys, "argv", [started])
        assert distribution.setup_elsewhere() is None
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "setup.py")])
    assert distribution.setup_elsewhere() == str(tmp_path)


def test_broken_toml_is_told_with_its_place(tmp_path: Path, run_setup: Any) -> None:
    project = write_project(tmp_path, '[[tool.torchscript-build.app]]\nname = "x\n')
    lines = (project / "pyproject.toml").read_text().splitlines()
    text = errors(run_setup(project, "build_ts_app"))
    assert f"  - pyproject.toml:{len(lines)}:10: " in text
    assert '\n      name = "x\n               ^\n' in text


def test_a_folder_without_pyproject_is_not_ours(tmp_path: Path) -> None:
    assert not distribution.is_ours(tmp_path)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["build_ts_app", "--libtroch", "x"], "option --libtroch not recognized; did you mean --libtorch?"),
        (["build_ts_app", "--vrify"], "option --vrify not recognized; did you mean --verify?"),
        (["build_ts_ops", "--build-tpye=Debug"], "option --build-tpye not recognized; did you mean --build-type?"),
        (["build_ts_ops", "--xyz"], "option --xyz not recognized; see python setup.py build_ts_ops --help"),
        (["build_ts_apps"], "invalid command 'build_ts_apps'; did you mean build_ts_app?"),
        (["build", "--xyz"], "option --xyz not recognized\n"),
        (["bild"], "invalid command 'bild'\n"),
    ],
)
def test_what_is_misspelt_on_the_command_line(tmp_path: Path, run_setup: Any, words: list[str], wanted: str) -> None:
    project = write_project(tmp_path, ANSWER_APP, files={"answer.cpp": ANSWER_CPP})
    assert wanted in errors(run_setup(project, *words))
