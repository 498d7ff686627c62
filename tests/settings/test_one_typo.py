"""One mistake makes one problem: nothing is told that only follows from another."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_projects import read_project, write_project

from torchscript_build.errors import SettingsError

GOOD = """\
[tool.torchscript-build]
build-type = "Debug"
libtorch = { version = ">=2.4", cuda = "12" }

[[tool.torchscript-build.model]]
name = "net"
factory = "demo.net:make"
method = "trace"
example-inputs = ["ones:1x3"]

[[tool.torchscript-build.ops]]
name = "ops"
sources = ["*.cpp"]

[[tool.torchscript-build.ops]]
name = "more_ops"
sources = ["ops.cpp"]
depends = ["ops"]

[[tool.torchscript-build.app]]
name = "app"
models = ["net"]
ops = ["ops"]
template = "runner"
verify = true
"""


def read(folder: Path, settings: str) -> None:
    read_project(write_project(folder, settings, files={"ops.cpp": ""}))


def test_it_is_good(tmp_path: Path) -> None:
    read(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ('build-type = "Debug"', 'build-typ = "Debug"', "did you mean 'build-type'?"),
        ('build-type = "Debug"', 'build-type = "Debgu"', "did you mean 'Debug'?"),
        ('cuda = "12"', 'cuda = "twelve"', "cuda must be"),
        ("[[tool.torchscript-build.model]]", "[[tool.torchscript-build.models]]", "[[tool.torchscript-build.model]]?"),
        ("[[tool.torchscript-build.model]]", "[tool.torchscript-build.model]", "must be an array of tables"),
        ("[[tool.torchscript-build.model]]", "[[tool.torchscript-build.network]]", "[[tool.torchscript-build.model]]?"),
        ("[[tool.torchscript-build.model]]", "[[tool.torchscript_build.model]]", "our table is called"),
        ('name = "net"', 'nmae = "net"', "did you mean 'name'?"),
        ('name = "net"', 'name = "nte"', "there is no model 'net'; did you mean 'nte'?"),
        ('name = "net"', "name = 5", "name must be a string"),
        ('name = "net"\n', "", "name is missing"),
        ('factory = "demo.net:make"', 'factroy = "demo.net:make"', "did you mean 'factory'?"),
        ('factory = "demo.net:make"', 'factory = "demo.net"', "factory must look like"),
        ('method = "trace"', 'method = "trcae"', "method must be one of"),
        ("example-inputs", "exmaple-inputs", "did you mean 'example-inputs'?"),
        ('example-inputs = ["ones:1x3"]', 'example-inputs = "ones:1x3"', "example-inputs must be a list of strings"),
        ('example-inputs = ["ones:1x3"]\n', "", "tracing needs example-inputs"),
        ('sources = ["*.cpp"]', 'sorces = ["*.cpp"]', "did you mean 'sources'?"),
        ('sources = ["*.cpp"]', 'sources = ["*.cc"]', "nothing matches '*.cc'"),
        ('depends = ["ops"]', 'depends = ["opps"]', "did you mean 'ops'?"),
        ('models = ["net"]', 'models = ["nett"]', "there is no model 'nett'; did you mean 'net'?"),
        ('ops = ["ops"]', 'ops = ["opz"]', "there is no operator library 'opz'"),
        ('template = "runner"', 'template = "runer"', "did you mean 'runner'?"),
        ('name = "app"', 'name = "the app"', "'the app': a name has letters"),
        ("verify = true", 'verify = "yes"', "verify must be true or false"),
    ],
)
def test_one_typo_makes_one_problem(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    assert GOOD.count(right) == 1 or right.startswith("[[")
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, GOOD.replace(right, wrong, 1))
    assert len(caught.value.problems) == 1, caught.value.problems
    assert problem in caught.value.problems[0]


def test_two_mistakes_are_both_told(tmp_path: Path) -> None:
    """A library that cannot be read hides what is said of itself only."""
    wrong = GOOD.replace('sources = ["*.cpp"]', 'sorces = ["*.cpp"]').replace('models = ["net"]', 'models = ["nett"]')
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, wrong)
    assert len(caught.value.problems) == 2


def test_a_keyword_that_is_no_list(tmp_path: Path) -> None:
    settings = (
        GOOD[: GOOD.index("[[tool.torchscript-build.model]]")] + GOOD[GOOD.index("[[tool.torchscript-build.ops]]") :]
    )
    project = write_project(tmp_path, settings, files={"ops.cpp": ""})
    with pytest.raises(SettingsError) as caught:
        read_project(project, keywords={"ts_models": {"name": "net", "factory": "a:b"}})
    assert caught.value.problems == ("setup(ts_models=…) must be a list, not a table",)
