"""``torchscript-build new``: what it writes works as it is, and it overwrites nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from support import write

from torchscript_build.__main__ import main
from torchscript_build.cli.new import missing_here
from torchscript_build.errors import ScaffoldError
from torchscript_build.operators.includes import read_header_use
from torchscript_build.operators.registrations import read_registrations
from torchscript_build.scaffold.projects import KINDS, check_name, render_scaffold, write_scaffold
from torchscript_build.settings.read import collect_settings, read_pyproject
from torchscript_build.settings.specs import ProjectSpec

VARIABLES = clean_variables(
    MAX_JOBS="2",
    PYTHONDONTWRITEBYTECODE="1",
    TORCHSCRIPT_BUILD_CACHE_DIR=os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"],
)


def new(kind: str, folder: Path, name: str = "my_things") -> Path:
    assert main(["new", kind, name, "--directory", str(folder)]) == 0
    return folder


def spec_of(folder: Path) -> ProjectSpec:
    """The settings of a project, which are right."""
    return collect_settings(
        root=folder,
        pyproject=read_pyproject(folder / "pyproject.toml"),
        keywords={},
        command={},
        variables={},
        packages=[p.name for p in (folder / "src").iterdir()],
    )


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_settings_are_right(kind: str, tmp_path: Path) -> None:
    spec = spec_of(new(kind, tmp_path / "new"))
    assert bool(spec.packaged_ops) == (kind != "app")
    assert bool(spec.packaged_apps) == bool(spec.models) == (kind != "ops")
    assert all(app.verify for app in spec.apps)


def test_same_name_same_bytes() -> None:
    assert render_scaffold("project", "a_b") == render_scaffold("project", "a_b")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_file_is_whole(kind: str) -> None:
    for target, content in render_scaffold(kind, "my_things").items():
        text = content.decode()
        assert text.endswith("\n"), target
        assert not re.search(r"[{]{2}|[}]{2}(?!;)|[ \t]\n|\n\n\Z", text), target


def test_an_operator_library_for_every_torch(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert main(["new", "ops", "my_things", "--stable", "--directory", str(folder)]) == 0
    (library,) = spec_of(folder).ops
    assert (library.abi, library.torch_target, library.python_parts) == ("stable", "2.10", "my_things.parts")
    assert read_registrations(folder / source for source in library.sources).namespaces == {"my_things"}
    assert 'register_fake("my_things::soft_clip")' in (folder / "src/my_things/parts.py").read_text()
    assert 'dependencies = ["torch>=2.10"]' in (folder / "pyproject.toml").read_text()


def test_only_operators_can_be_for_every_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "app", "my_things", "--stable", "--directory", str(tmp_path / "new")]) == 1
    assert "--stable is for operators" in capsys.readouterr().err


def test_kinds_on_the_command_line_are_those_there_are() -> None:
    from torchscript_build.cli import new

    assert set(new.KINDS) == set(KINDS)


@pytest.mark.parametrize("kind", ["ops", "project"])
def test_sources_register_what_is_promised_and_need_little(kind: str, tmp_path: Path) -> None:
    folder = new(kind, tmp_path / "new")
    (library,) = spec_of(folder).ops
    found = read_registrations(folder / source for source in library.sources)
    assert found.namespaces == {"my_things"}
    headers = tmp_path / "include"  # ATen's operators, as far as the lean forms look at them
    write(headers / "ATen/Functions.h", "#include <ATen/ops/tanh.h>\n#include <ATen/ops/relu.h>\n")
    write(headers / "torch/csrc/autograd/generated/variable_factories.h")
    for source in library.sources:
        use = read_header_use(folder / source, torch_headers=[headers])
        assert use.umbrella is None or (use.lean and not use.python and use.named is not None)
        assert use.named is None or {"factories", "intrinsics", "profiler"} <= set(use.named.without)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("tool", [("ruff", "check"), ("ruff", "format", "--check")])
def test_python_files_are_good_style(kind: str, tool: tuple[str, ...], tmp_path: Path) -> None:
    ruff = shutil.which(tool[0], path=str(Path(sys.executable).parent)) or shutil.which(tool[0])
    if ruff is None:
        pytest.skip("needs ruff")
    select = ["--select", "E,F,I,B,UP,ANN,RUF"] if tool[1] == "check" else []
    done = run_child([ruff, *tool[1:], *select, "."], cwd=new(kind, tmp_path / "new"), capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def test_cxx_files_are_good_style(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("clang-format")
    if not program.exists():
        pytest.skip("needs clang-format")
    style = Path(__file__).parents[2] / ".clang-format"
    source = new("ops", tmp_path / "new") / "cpp/ops.cpp"
    done = run_child([program, f"--style=file:{style}", "--dry-run", "--Werror", source], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


# --- on request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_licence_is_a_line_of_the_project(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", kind, "my_things", "--directory", str(tmp_path / "new"), "--license", "bsd-3-clause"]) == 0
    pyproject = read_pyproject(tmp_path / "new/pyproject.toml")
    assert pyproject["project"]["license"] == "BSD-3-Clause"
    assert pyproject["build-system"]["requires"][0] == "setuptools>=77"  # the first that knows such a line
    assert f"put the text of BSD-3-Clause into {tmp_path / 'new/LICENSE'}" in capsys.readouterr().out
    assert not (tmp_path / "new/.github").exists()


def test_what_is_no_licence_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "ops", "my_things", "--directory", str(tmp_path / "new"), "--license", "My own"]) == 1
    assert "error: 'My own' is no licence by SPDX" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_yes_gives_everything(tmp_path: Path) -> None:
    assert main(["new", "ops", "my_things", "--directory", str(tmp_path / "new"), "--yes"]) == 0
    assert read_pyproject(tmp_path / "new/pyproject.toml")["project"]["license"] == "MIT"
    assert (tmp_path / "new/.github/workflows/wheels.yml").is_file()


def workflow_settings() -> dict[str, str]:
    """What the workflow tells cibuildwheel."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    workflow = yaml.safe_load(render_scaffold("project", "my_things", with_ci=True)[".github/workflows/wheels.yml"])
    steps = workflow["jobs"]["wheels"]["steps"]
    (settings,) = [step["env"] for step in steps if "env" in step]
    return settings


def test_workflow_builds_audits_and_tests(tmp_path: Path) -> None:
    settings = workflow_settings()
    assert settings["CIBW_BUILD_FRONTEND"] == "build; args: --no-isolation"
    assert settings["CIBW_REPAIR_WHEEL_COMMAND"].startswith("auditwheel repair $(torchscript-build auditwheel-args ")
    assert settings["CIBW_TEST_COMMAND"] == "pytest {project}/tests"


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "problem", "cure"),
    [
        ("my-ops", "letters, digits and underscores", "my_ops"),
        ("my ops", "letters, digits and underscores", "my_ops"),
        ("3d", "no digit at its beginning", "my_3d"),
        ("my__ops", "one at a time", "my_ops"),
        ("_ops", "one at a time", "ops"),
        ("lambda", "a word of Python's", "my_lambda"),
        ("namespace", "a word of C++", "my_namespace"),
        ("torch", "something else is called so", "my_torch"),
        ("json", "something else is called so", "my_json"),
        ("größe", "letters, digits and underscores", "gr_e"),
        ("", "letters, digits and underscores", None),
    ],
)
def test_wrong_name_comes_back_with_a_right_one(name: str, problem: str, cure: str | None) -> None:
    if name == "json" and sys.version_info < (3, 10):
        pytest.skip("this Python does not tell its own modules")
    with pytest.raises(ScaffoldError) as caught:
        check_name(name, "ops")
    assert problem in str(caught.value)
    assert caught.value.cures == ((f"torchscript-build new ops {cure}",) if cure else ())
    if cure:
        check_name(cure)


@pytest.mark.parametrize("name", ["ops", "my_ops2", "Warp", "a"])
def test_right_names(name: str) -> None:
    check_name(name)


# --- where -----------------------------------------------------------------------------------------------------------


def test_default_folder_is_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "ops", "fresh"]) == 0
    assert (tmp_path / "fresh/src/fresh/__init__.py").is_file()


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    new("ops", tmp_path / "new")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("setup.py", "b", "c", "d", "e", "f"):
        (tmp_path / name).write_text("mine")
    assert main(["new", "ops", "fresh", "--directory", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"error: {tmp_path} is not empty, and nothing is overwritten: it has b, c, d, e, f and 1 more" in error
    assert "--directory FOLDER" in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "c", "d", "e", "f", "setup.py"]
    assert (tmp_path / "setup.py").read_text() == "mine"


def test_file_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ScaffoldError, match="is a file"):
        write_scaffold({}, file)


def test_files_and_the_next_step_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = new("app", tmp_path / "new")
    lines = capsys.readouterr().out.splitlines()
    assert {Path(line) for line in lines[:-1]} == {p for p in folder.rglob("*") if p.is_file()}
    rest = "pip install --no-build-isolation -e . && python -m pytest"
    assert lines[-1] in (f"now type: cd {folder} && {rest}", f"now type: cd {folder} && pip install torch && {rest}")


def test_what_is_not_installed_is_named_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in (("setuptools", "65.5.0"), ("torch", "2.13.0")):
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        write(tmp_path / f"{name}-{version}.dist-info/METADATA", head)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert missing_here(with_license=False) == ["pytest"]
    assert missing_here(with_license=True) == ["pytest", "setuptools>=77"]


# --- it works --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with both, installed as the last line of ``new`` says."""
    folder = new("project", tmp_path_factory.mktemp("new") / "my_things")
    setup(folder, "build_ts_app", "--inplace")
    return folder


def setup(folder: Path, *arguments: str) -> str:
    done = run_python("setup.py", *arguments, cwd=folder, variables=VARIABLES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.compile
@pytest.mark.torch
def test_new_project_passes_its_own_tests(built: Path) -> None:
    variables = {**VARIABLES, "PYTHONPATH": str(built / "src")}
    done = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=built, variables=variables)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b6 passed", done.stdout)


@pytest.mark.slow
@pytest.mark.compile
@pytest.mark.torch
def test_wheel_passes_the_workflows_audit(built: Path, tmp_path: Path) -> None:
    pytest.importorskip("auditwheel", reason="auditwheel is not installed")
    wheels = ["-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--wheel-dir", str(tmp_path), "."]
    done = run_python(*wheels, cwd=built, variables=VARIABLES)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    command = workflow_settings()["CIBW_REPAIR_WHEEL_COMMAND"].format(wheel=wheel, dest_dir=tmp_path / "repaired")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    audit = run_child(
        command, shell=True, env={**VARIABLES, "PATH": path}, capture_output=True, encoding="utf-8", check=False
    )
    assert audit.returncode == 0, audit.stderr
    (repaired,) = (tmp_path / "repaired").glob("my_things-0.1.0-py3-none-manylinux*.whl")
    assert repaired.stat().st_size < 2 * wheel.stat().st_size  # torch is not in it


@pytest.mark.compile
@pytest.mark.torch
def test_operators_given_at_run_time(built: Path) -> None:
    """An app that was built without the operator library runs the model when it is told the library's file."""
    pyproject = built / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text()
        + '\n[[tool.torchscript-build.app]]\nname = "loose"\nmodels = ["my_things"]\nexternal-ops = ["my_things"]\n'
        + "install = false\n"
    )
    log = setup(built, "build_ts_app")
    program = built / re.findall(r"^ {5}(\S*/loose)$", log, re.MULTILINE)[0]
    model = next((built / "build").glob("torchscript/*/models/my_things.pt"))
    command = [str(program), "--model", str(model), "--input", "full:0.5:2x4", "--json"]
    without = run_child(command, capture_output=True, encoding="utf-8")
    assert without.returncode != 0
    assert "my_things::soft_clip" in without.stderr
    library = built / "src/my_things/lib/libmy_things.so"
    given = run_child([*command, "--ops", str(library)], capture_output=True, encoding="utf-8")
    assert given.returncode == 0, given.stderr
    linked = run_child(
        [str(built / "src/my_things/bin/run-my-things"), "--input", "full:0.5:2x4", "--json"],
        capture_output=True,
        encoding="utf-8",
    )
    assert json.loads(given.stdout)["output"] == json.loads(linked.stdout)["output"]
