"""The four sources of settings: which wins, what is refused, and that everything wrong is said at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from small_projects import read_project, write_project
from support import words, write

from torchscript_build.errors import SettingsError
from torchscript_build.settings.docs import json_schema, markdown_tables
from torchscript_build.settings.read import collect_settings, is_opted_in, read_pyproject
from torchscript_build.settings.specs import (
    BuildOptions,
    CMakeProject,
    OpLibrary,
    ProjectSpec,
    ScriptModel,
    TorchScriptApp,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
ROOT_PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
APP = '[[tool.torchscript-build.app]]\nname = "app"\nsources = ["main.cpp"]\n'
MAIN = {"main.cpp": "int main() {}\n"}


def read(folder: Path, settings: str = "", **more: Any) -> ProjectSpec:
    return read_project(write_project(folder, settings, files=MAIN), **more)


def problems_of(folder: Path, settings: str = "", **more: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(folder, settings, **more)
    return caught.value.problems


# --- one entry, from either source ---------------------------------------------------------------------------------


def test_a_table_becomes_a_spec(tmp_path: Path) -> None:
    spec = read(tmp_path, APP + 'include-dirs = ["demo"]\nconsole-script = "start"\nrtol = 1\n')
    assert spec.apps == (
        TorchScriptApp(
            name="app", sources=("main.cpp",), package="demo", include_dirs=("demo",), console_script="start", rtol=1.0
        ),
    )


@pytest.mark.parametrize(
    "app",
    [
        {"name": "app", "sources": ["main.cpp"], "include_dirs": ["demo"]},
        {"name": "app", "sources": ("main.cpp",), "include_dirs": ("demo",)},
        TorchScriptApp(name="app", sources=("main.cpp",), include_dirs=("demo",)),
        TorchScriptApp(name="app", sources=["main.cpp"], include_dirs=["demo"]),  # type: ignore[arg-type]
    ],
)
def test_keywords_take_dicts_and_specs(tmp_path: Path, app: object) -> None:
    spec = read(tmp_path, keywords={"ts_apps": [app]})
    assert spec.apps == (TorchScriptApp(name="app", sources=("main.cpp",), package="demo", include_dirs=("demo",)),)


def test_each_keyword_has_its_array(tmp_path: Path) -> None:
    write(tmp_path / "native/CMakeLists.txt")
    spec = read(
        tmp_path,
        keywords={
            "ts_models": [ScriptModel(name="m", factory="demo.m:make")],
            "ts_ops": [OpLibrary(name="o", sources=("main.cpp",))],
            "ts_apps": [TorchScriptApp(name="a", sources=("main.cpp",))],
            "ts_cmake": [CMakeProject(name="c", source_dir="native")],
        },
    )
    assert [spec.models[0].name, spec.ops[0].name, spec.apps[0].name, spec.cmake[0].name] == ["m", "o", "a", "c"]


def test_tables_and_keywords_add_up(tmp_path: Path) -> None:
    spec = read(tmp_path, APP, keywords={"ts_apps": [{"name": "second", "sources": ["main.cpp"]}]})
    assert [a.name for a in spec.apps] == ["app", "second"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("sourcs = []", ("unknown key 'sourcs'", "did you mean 'sources'?", "app]] 1 ('x')")),
        ("include_dirs = []", ("unknown key 'include_dirs'", "did you mean 'include-dirs'?")),
        ("zzzz = 1", ("unknown key 'zzzz'", "known: name, sources")),
        ('sources = "main.cpp"', ("sources must be a list of strings, not 'main.cpp'",)),
        ("sources = [1]", ("sources must be a list of strings, not a list of int",)),
        ('install = "yes"', ("install must be true or false, not 'yes'",)),
        ("package = 3", ("package must be a string, not 3",)),
        ("rtol = true", ("rtol must be a number, not True",)),
        ("console-script = 1", ("console-script must be true or false or a string, not 1",)),
        ("models = { a = 1 }", ("models must be a list of strings, not a table",)),
    ],
)
def test_wrong_keys_and_types_in_a_table(tmp_path: Path, line: str, wanted: tuple[str, ...]) -> None:
    problems = problems_of(tmp_path, f'[[tool.torchscript-build.app]]\nname = "x"\n{line}\n')
    assert words(problems, *wanted), problems


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ([{"name": "x", "sourcs": []}], ("setup(ts_apps=…) item 1 ('x')", "unknown key 'sourcs'", "'sources'")),
        ([{"name": "x", "include-dirs": []}], ("unknown key 'include-dirs'", "did you mean 'include_dirs'?")),
        ([{"name": "x", 3: []}], ("a key must be a string, not 3",)),
        ([TorchScriptApp(name="x", sources="main.cpp")], ("sources must be a list of strings",)),
        ([TorchScriptApp(name="x", install=None)], ("install must be true or false, not None",)),
        (["x"], ("item 1: must be a TorchScriptApp or a table, not 'x'",)),
        ([ScriptModel(name="x")], ("must be a TorchScriptApp or a table, not ScriptModel",)),
        ([{"sources": ["main.cpp"]}], ("item 1: name is missing",)),
        ([{"name": ""}], ("item 1: name is missing",)),
        ({"name": "x"}, ("setup(ts_apps=…) must be a list, not a table",)),
        ("x", ("setup(ts_apps=…) must be a list, not 'x'",)),
    ],
)
def test_wrong_keywords(tmp_path: Path, value: object, wanted: tuple[str, ...]) -> None:
    problems = problems_of(tmp_path, keywords={"ts_apps": value})
    assert words(problems, *wanted), problems


def test_options_of_a_cmake_project_are_plain(tmp_path: Path) -> None:
    write(tmp_path / "native/CMakeLists.txt")
    head = '[[tool.torchscript-build.cmake]]\nname = "c"\nsource-dir = "native"\n'
    assert read(tmp_path, head + 'options = { A = "x", B = true, C = 3 }\n').cmake[0].options == {
        "A": "x",
        "B": True,
        "C": 3,
    }
    problems = problems_of(tmp_path, head + "options = { A = [1] }\n")
    assert words(problems, "options must be", "not"), problems


def test_an_array_must_be_an_array(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, '[tool.torchscript-build.app]\nname = "x"\n')
    assert words(problems, "must be an array of tables", "[[tool.torchscript-build.app]]")


def test_the_table_must_be_a_table(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "[tool]\ntorchscript-build = 3\n") == ("[tool.torchscript-build] must be a table",)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(
            tmp_path,
            '[tool.torchscript-build]\npin = "never"\n'
            + APP
            + 'rtoll = 1\n[[tool.torchscript-build.model]]\nname="m"\n',
            keywords={"ts_ops": [{"name": "o"}]},
            variables={"TORCHSCRIPT_BUILD_JOBS": "many"},
        )
    text = str(caught.value)
    assert text.startswith("5 problems in the settings:\n  - ")
    for word in ("pin must be", "'rtoll'", "give either file or factory", "sources is missing", "JOBS"):
        assert word in text


def test_one_problem_is_said_in_the_singular(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^1 problem in the settings:\n  - "):
        read(tmp_path, '[tool.torchscript-build]\npin = "never"\n')


# --- sources with patterns, defaults -------------------------------------------------------------------------------


def test_patterns_are_expanded_sorted_and_once(tmp_path: Path) -> None:
    for name in ("cpp/b.cpp", "cpp/a.cpp", "cpp/deep/c.cpp", "cpp/not.h"):
        write(tmp_path / name)
    line = '[[tool.torchscript-build.app]]\nname = "x"\nsources = ["main.cpp", "cpp/**/*.cpp", "cpp/a.cpp"]\n'
    assert read(tmp_path, line).apps[0].sources == ("main.cpp", "cpp/a.cpp", "cpp/b.cpp", "cpp/deep/c.cpp")


def test_a_pattern_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, '[[tool.torchscript-build.app]]\nname = "x"\nsources = ["cpp/*.cpp"]\n')
    assert words(problems, "app 'x'", "nothing matches 'cpp/*.cpp'")


def test_a_pattern_may_lead_to_sources_outside_of_the_project(tmp_path: Path) -> None:
    for name in ("csrc/b.cpp", "csrc/a.cpp", "csrc/a.h"):
        write(tmp_path / name)
    (tmp_path / "python").mkdir()
    spec = read(tmp_path / "python", '[[tool.torchscript-build.app]]\nname = "x"\nsources = ["../csrc/*.cpp"]\n')
    assert spec.apps[0].sources == ("../csrc/a.cpp", "../csrc/b.cpp")


@pytest.mark.parametrize("pattern", ["/abs/*.cpp"])
def test_an_absolute_pattern_is_an_error_in_words(tmp_path: Path, pattern: str) -> None:
    write(tmp_path / "outside.cpp")
    folder = tmp_path / "project"
    folder.mkdir()
    problems = problems_of(folder, f'[[tool.torchscript-build.app]]\nname = "x"\nsources = ["{pattern}"]\n')
    assert words(problems, "app 'x'", pattern), problems


def test_the_only_package_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, APP, packages=["demo", "demo.sub"]).apps[0].package == "demo"


def test_of_two_packages_one_must_be_named(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, APP, packages=["demo", "other"])
    assert words(problems, "app 'app'", "not exactly one top-level package", "install = false")


def test_what_is_not_installed_needs_no_package(tmp_path: Path) -> None:
    assert read(tmp_path, APP + "install = false\n", packages=["demo", "other"]).apps[0].package is None


def test_src_is_on_a_factorys_path_where_there_is_one(tmp_path: Path) -> None:
    model = {"ts_models": [{"name": "m", "factory": "a:b", "python_path": ["demo"]}]}
    assert read(tmp_path, keywords=model).models[0].python_path == ("demo", ".")
    write(tmp_path / "src/a.py")
    assert read(tmp_path, keywords=model).models[0].python_path == ("demo", ".", "src")


# --- options, and which source wins --------------------------------------------------------------------------------

GENERAL = "[tool.torchscript-build]\n"


def options(folder: Path, settings: str = "", **more: Any) -> BuildOptions:
    return read(folder, GENERAL + settings, **more).options


def test_the_defaults(tmp_path: Path) -> None:
    assert options(tmp_path) == BuildOptions()


def test_the_environment_beats_pyproject(tmp_path: Path) -> None:
    found = options(
        tmp_path,
        'build-type = "Debug"\ngenerator = "Ninja"\njobs = 3\n',
        variables={
            "TORCHSCRIPT_BUILD_BUILD_TYPE": "MinSizeRel",
            "TORCHSCRIPT_BUILD_GENERATOR": "Unix Makefiles",
            "TORCHSCRIPT_BUILD_JOBS": "5",
        },
    )
    assert (found.build_type, found.generator, found.jobs) == ("MinSizeRel", "Unix Makefiles", 5)


def test_the_command_line_beats_the_environment(tmp_path: Path) -> None:
    found = options(
        tmp_path,
        "jobs = 3\n",
        variables={"TORCHSCRIPT_BUILD_JOBS": "5", "TORCHSCRIPT_BUILD_BUILD_TYPE": "Debug"},
        command={"jobs": "7", "build_type": None, "libtorch": "here"},
    )
    assert (found.jobs, found.build_type, found.libtorch) == (7, "Debug", "here")


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    assert options(tmp_path, "jobs = 3\n", variables={"TORCHSCRIPT_BUILD_JOBS": ""}).jobs == 3


@pytest.mark.parametrize("value", ["none", "ccache", "/opt/bin/sccache", "tools/ccache-4.8", "C:\\\\bin\\\\distcc.exe"])
def test_launchers(tmp_path: Path, value: str) -> None:
    assert options(tmp_path, f'launcher = "{value}"\n').launcher == value.replace("\\\\", "\\")
    assert options(tmp_path, variables={"TORCHSCRIPT_BUILD_LAUNCHER": "off"}).launcher == "off"


@pytest.mark.parametrize(
    ("value", "hint"),
    [("cache", "; did you mean 'ccache'?"), ("/opt/icecc", " (known: auto, none, off, ccache, sccache, distcc)")],
)
def test_a_launcher_that_we_do_not_know(tmp_path: Path, value: str, hint: str) -> None:
    [problem] = problems_of(tmp_path, variables={"TORCHSCRIPT_BUILD_LAUNCHER": value})
    assert problem == (
        f"TORCHSCRIPT_BUILD_LAUNCHER: launcher: {value!r} is none that we know, nor a path to one{hint}; "
        f"CMake takes any, as CMAKE_CXX_COMPILER_LAUNCHER"
    )


def test_cmake_args_of_the_environment_come_after_pyprojects(tmp_path: Path) -> None:
    found = options(tmp_path, 'cmake-args = ["-DA=1"]\n', variables={"TORCHSCRIPT_BUILD_CMAKE_ARGS": "-DB='x y' -DC=2"})
    assert found.cmake_args == ("-DA=1", "-DB=x y", "-DC=2")


def test_the_libtorch_of_the_environment_is_left_to_the_search(tmp_path: Path) -> None:
    assert options(tmp_path, 'libtorch = "mine"\n').libtorch == "mine"
    variables = {"TORCHSCRIPT_BUILD_LIBTORCH": "theirs"}
    assert options(tmp_path, 'libtorch = "mine"\n', variables=variables).libtorch is None
    assert options(tmp_path, variables=variables, command={"libtorch": "ours"}).libtorch == "ours"


def test_libtorch_as_a_table(tmp_path: Path) -> None:
    found = options(tmp_path, 'libtorch = { root = "x", version = ">=2.4", cxx11-abi = true, cuda = 12.4 }\n')
    assert (found.libtorch, found.libtorch_version, found.cxx11_abi, found.cuda) == ("x", ">=2.4", True, "12.4")


@pytest.mark.parametrize(("text", "cuda"), [("true", True), ("false", False), ('"12"', "12"), ("12", "12")])
def test_cuda_as_it_may_be_written(tmp_path: Path, text: str, cuda: object) -> None:
    assert options(tmp_path, f"cuda = {text}\n").cuda == cuda


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('libtorch = { verson = "2" }', ("unknown key 'libtorch.verson'", "did you mean 'version'?")),
        ('libtorch = { version = "2" }\nlibtorch-version = "3"', ("either libtorch.version or libtorch-version",)),
        ("libtorch = 3", ("libtorch must be a string, not 3",)),
        ('libtorch-version = "newest"', ("libtorch-version: 'newest' is no version or range", ">=2.4,<2.7")),
        ('libtorch-version = ">=2.x"', ("'>=2.x' is no version or range",)),
        ('cuda = "twelve"', ("cuda must be true, false or a series", "'twelve'")),
        ("cuda = []", ("cuda must be true or false or a string",)),
        ('cxx11-abi = "1"', ("cxx11-abi must be true or false, not '1'",)),
        ('build-type = "release"', ("must be one of Release, Debug", "did you mean 'Release'?")),
        ('build-type = "Fast"', ("must be one of Release, Debug", "not 'Fast'")),
        ('pin = "minor"', ("pin must be one of series, exact, none, not 'minor'",)),
        ("jobs = 0", ("[tool.torchscript-build]: jobs must be at least 1, not 0",)),
        ("jobs = true", ("jobs must be a whole number",)),
        ("jobz = 1", ("unknown key 'jobz'", "did you mean 'jobs'?")),
        ('cmake-args = "-DA=1"', ("cmake-args must be a list of strings",)),
    ],
)
def test_wrong_options(tmp_path: Path, line: str, wanted: tuple[str, ...]) -> None:
    problems = problems_of(tmp_path, f"{GENERAL}{line}\n")
    assert words(problems, *wanted), problems


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"TORCHSCRIPT_BUILD_JOBS": "two"}, ("TORCHSCRIPT_BUILD_JOBS: must be a whole number, not 'two'",)),
        ({"TORCHSCRIPT_BUILD_JOBS": "-1"}, ("TORCHSCRIPT_BUILD_JOBS: jobs must be at least 1",)),
        ({"TORCHSCRIPT_BUILD_BUILD_TYPE": "debug"}, ("TORCHSCRIPT_BUILD_BUILD_TYPE", "did you mean 'Debug'?")),
        ({"TORCHSCRIPT_BUILD_CMAKE_ARGS": "'-DA"}, ("TORCHSCRIPT_BUILD_CMAKE_ARGS", "No closing quotation")),
    ],
)
def test_wrong_variables_name_the_variable(
    tmp_path: Path, variables: Mapping[str, str], wanted: tuple[str, ...]
) -> None:
    problems = problems_of(tmp_path, variables=variables)
    assert words(problems, *wanted), problems


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ({"jobs": "two"}, ("--jobs: must be a whole number",)),
        ({"jobs": "0"}, ("--jobs: jobs must be at least 1",)),
        ({"jobs": 0}, ("--jobs: jobs must be at least 1",)),  # [tool.distutils.build_ts_app] gives numbers
        ({"jobs": 1.5}, ("--jobs: jobs must be a whole number, not 1.5",)),
        ({"build_type": "Fast"}, ("--build-type: build-type must be one of",)),
        ({"libtorch": 3}, ("--libtorch: libtorch must be a string, not 3",)),
    ],
)
def test_wrong_command_options_name_the_option(
    tmp_path: Path, command: Mapping[str, Any], wanted: tuple[str, ...]
) -> None:
    problems = problems_of(tmp_path, command=command)
    assert words(problems, *wanted), problems


# --- pyproject.toml ------------------------------------------------------------------------------------------------


def test_no_pyproject_is_an_empty_one(tmp_path: Path) -> None:
    assert read_pyproject(tmp_path / "pyproject.toml") == {}


@pytest.mark.parametrize("content", [b"[broken\n", b"name = '\xff'\n"])
def test_a_broken_pyproject_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"pyproject\.toml(:1:8: |, line 1: )"):
        read_pyproject(file)


@pytest.mark.parametrize("text", ["tool = 3", '[project]\nname = "x"\n[[tool]]\n'])
def test_a_pyproject_of_strange_shape_is_no_traceback(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "pyproject.toml", text)
    with pytest.raises(SettingsError, match="tool"):
        collect_settings(root=tmp_path, pyproject=read_pyproject(file), keywords={}, command={}, variables={})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.torchscript-build]", True),
        ("x = 1\n  [[tool.torchscript-build.app]]", True),
        ('[tool."torchscript-build"]', True),
        ("[ tool . torchscript-build ]", True),
        ('[tool]\ntorchscript-build = { pin = "none" }', True),
        ('tool.torchscript-build.pin = "none"', True),
        ('[other]\ntorchscript-build = "1.0"', False),
        ("[tool]\ntorchscript-build = { pin", False),
        ("# [tool.torchscript-build]", False),
        ('requires = ["torchscript-build"]', False),
        ("[tool.torchscript-builder]", False),
        ("", False),
    ],
)
def test_opting_in_is_seen_in_the_text(text: str, expected: bool) -> None:
    assert is_opted_in(text) is expected


# --- the documents -------------------------------------------------------------------------------------------------


def tables() -> list[tuple[str, Mapping[str, Any]]]:
    """The tables of the examples and of this project."""
    found = []
    for file in sorted([ROOT_PYPROJECT, *EXAMPLES.glob("*/pyproject.toml")]):
        table = read_pyproject(file).get("tool", {}).get("torchscript-build")
        if table is not None:
            found.append((file.parent.name, table))
    return found


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    json.dumps(json_schema())


def test_the_schema_takes_every_example() -> None:
    assert len(tables()) > 1
    for name, table in tables():
        problems = [e.message for e in jsonschema.Draft202012Validator(json_schema()).iter_errors(table)]
        assert not problems, name


@pytest.mark.parametrize(
    "table",
    [
        {"jobz": 1},
        {"jobs": "two"},
        {"app": {"name": "x"}},
        {"app": [{"sources": ["x.cpp"]}]},
        {"app": [{"name": "x", "include_dirs": []}]},
        {"ops": [{"name": "x", "sources": "x.cpp"}]},
        {"libtorch": {"verson": "2"}},
        {"model": [{"name": 3}]},
        {"cmake": [{"name": "x", "source-dir": "y", "options": {"A": []}}]},
        {"build-type": "Fast"},
        {"pin": "minor"},
        {"model": [{"name": "x", "method": "guess"}]},
    ],
)
def test_the_schema_refuses_what_settings_refuse(tmp_path: Path, table: Mapping[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(table)
    with pytest.raises(SettingsError):
        collect_settings(
            root=tmp_path,
            pyproject={"tool": {"torchscript-build": table}},
            keywords={},
            command={},
            variables={},
        )


@pytest.mark.parametrize("cuda", [True, False, "12", 12, 12.4])
def test_the_schema_takes_cuda_as_settings_do(cuda: object) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid({"cuda": cuda})
    assert validator.is_valid({"libtorch": {"cuda": cuda}})


def test_every_field_is_documented() -> None:
    text = markdown_tables()
    assert "|  |  |" not in text
    for key in ("`libtorch`", "`example-inputs`", "`python-binding`", "`console-script`", "`source-dir` | required"):
        assert key in text


# --- further forms of a model --------------------------------------------------------------------------------------

TWIN = """\
[[tool.torchscript-build.model]]
name = "net"
factory = "demo:net"
example-inputs = ["ones:2x8"]
seed = 3

[[tool.torchscript-build.model]]
name = "net-pt2"
same-as = "{other}"
method = "aoti"
dynamic-shapes = {{ x = {{ 0 = "batch" }} }}
seed = {seed}
"""


@pytest.mark.parametrize("seed", [0, 7])
def test_another_form_of_a_model_takes_what_it_does_not_give_itself(tmp_path: Path, seed: int) -> None:
    spec = read_project(write_project(tmp_path, TWIN.format(other="net", seed=seed)))
    net, twin = spec.models
    assert (twin.factory, twin.example_inputs, twin.seed) == ("demo:net", ("ones:2x8",), seed or 3)
    assert (net.file_name, twin.file_name) == ("net.pt", "net-pt2.pt2")
    assert twin.dynamic_shapes == {"x": {"0": "batch"}}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("nett", "model 'net-pt2': same-as: there is no model 'nett'; did you mean 'net'?"),
        ("net-pt2", "model 'net-pt2': same-as: 'net-pt2' is itself another form; name the model"),
    ],
)
def test_another_form_of_what(tmp_path: Path, other: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_project(write_project(tmp_path, TWIN.format(other=other, seed=0)))
    assert any(problem.startswith(words) for problem in caught.value.problems)
