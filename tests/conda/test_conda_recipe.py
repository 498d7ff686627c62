"""``torchscript-build conda-recipe``: what it writes for a project, and what it says when they have drifted apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from conda_support import ask_rattler
from support import write_project

from torchscript_build.cli import run_command
from torchscript_build.cli.conda import project_facts
from torchscript_build.conda.facts import Line, RecipeFacts, recipe_facts
from torchscript_build.conda.render import render_recipe
from torchscript_build.conda.selectors import CROSS, CUDA
from torchscript_build.errors import ScaffoldError, SettingsError
from torchscript_build.settings.specs import BuildOptions, OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp

OPS = OpLibrary(name="fast", sources=("fast.cpp",), package="demo")
APP = TorchScriptApp(name="demo-app", models=("m",), package="demo")
MODEL = ScriptModel(name="m", file="m.pt")
PYPROJECT = {"project": {"name": "Demo_Project", "version": "1.5", "description": 'A "demo": quoted'}}

Make = Callable[..., RecipeFacts]


def facts(spec: ProjectSpec, **project: Any) -> RecipeFacts:
    pyproject = {"project": {**PYPROJECT["project"], **project}}
    return recipe_facts(pyproject, spec, root="..", packages=["demo"], license_files=["LICENSE"])


def texts(lines: Iterable[Line], *, cross: bool = False) -> list[str]:
    """The lines that every build has, or those for another platform than the build machine's."""
    return [line.text for line in lines if line.only == (CROSS if cross else None)]


def without_python(*models: ScriptModel, **changes: Any) -> ProjectSpec:
    app = TorchScriptApp(name="demo-app", models=tuple(m.name for m in models), install=False, **changes)
    return ProjectSpec(models=models, apps=(app,))


def test_operator_library_takes_pytorch() -> None:
    found = facts(ProjectSpec(ops=(OPS,)))
    assert found.torch_name == "pytorch"
    pytorch = ["pytorch", "pytorch * {{ proc }}*"]
    assert texts(found.host) == ["python", "pip", "setuptools", "torchscript-build", *pytorch]
    assert texts(found.run) == ["python"]
    assert found.imports == ("demo",)
    assert texts(found.tests) == ["python -m pip check"]


def test_program_without_python_takes_libtorch() -> None:
    found = facts(without_python(MODEL))
    assert found.torch_name == "libtorch"
    assert texts(found.host) == ["libtorch", "libtorch * {{ proc }}*"]
    assert texts(found.run) == []
    tools = ["cmake >=3.18", "ninja", "python >=3.9", "setuptools", "torchscript-build"]
    assert texts(found.build) == ['{{ compiler("cxx") }}', '{{ stdlib("c") }}', *tools]


def test_exporting_a_model_needs_torch_among_the_build_tools() -> None:
    found = facts(without_python(ScriptModel(name="m", factory="demo:model")))
    assert "pytorch" in texts(found.build)
    assert not any(line.text == "pytorch" for line in found.host)


def test_built_for_another_platform_python_runs_on_the_build_machine() -> None:
    assert texts(facts(ProjectSpec(ops=(OPS,))).build, cross=True) == ["python", "cross-python_{{ target_platform }}"]
    exporting = ProjectSpec(models=(ScriptModel(name="m", factory="demo:model"),), ops=(OPS,))
    assert texts(facts(exporting).build, cross=True)[-1] == "pytorch"
    assert texts(facts(without_python(MODEL)).build, cross=True) == []


def test_dependencies_are_run_requirements_under_condas_names() -> None:
    dependencies = ["torch>=2.1", "NumPy >= 1.21, < 3", "opencv-python", "pillow == 11.*", "attrs === 25.1"]
    found = facts(ProjectSpec(ops=(OPS,)), dependencies=dependencies)
    assert texts(found.run) == ["python", "numpy >=1.21,<3", "py-opencv", "pillow 11.*", "attrs ==25.1"]


def test_markers_of_dependencies_are_selectors() -> None:
    dependencies = [
        "pywin32; sys_platform == 'win32'",
        "tomli>=1.1; python_version < '3.11'",
        "uvloop; sys_platform != 'win32' and python_version >= '3.10'",
        "sphinx; extra == 'docs'",
        "cffi; implementation_name == 'pypy'",
        "attrs; python_version >= '3'",
    ]
    found = facts(ProjectSpec(ops=(OPS,)), dependencies=dependencies)
    assert (
        render_recipe(found)["meta.yaml"]
        .decode()
        .split("  run:\n")[1]
        .startswith(
            "    - python\n"
            "    - pywin32  # [win]\n"
            "    - tomli >=1.1  # [py<311]\n"
            "    - uvloop  # [unix and py>=310]\n"
            "    - attrs\n"
            "    - {{ pin_compatible("
        )
    )
    assert (
        render_recipe(found, v1=True)["recipe.yaml"]
        .decode()
        .split("  run:\n")[1]
        .startswith(
            "    - python\n"
            "    - if: win\n"
            "      then: pywin32\n"
            '    - if: match(python, "<3.11")\n'
            "      then: tomli >=1.1\n"
            '    - if: unix and match(python, ">=3.10")\n'
            "      then: uvloop\n"
            "    - attrs\n"
        )
    )


def test_dependencies_that_conda_cannot_name_are_told() -> None:
    dependencies = ["fancy @ https://example.org/fancy.zip", "requests[socks]>=2"]
    found = facts(ProjectSpec(ops=(OPS,)), dependencies=dependencies)
    assert texts(found.run) == ["python", "fancy", "requests >=2"]
    assert "requirements.run: fancy comes from https://example.org/fancy.zip, which a recipe cannot name" in found.notes
    assert "requirements.run: conda knows no extras: add what requests[socks] brings, with `# keep`" in found.notes


@pytest.mark.parametrize(
    ("wanted", "skipped"),
    [
        (">=3.10", ["py<310"]),
        (">=3.10,<3.13", ["py<310", "py>=313"]),
        (">=3.9,!=3.11.*", ["py<39", "py==311"]),
        ("~=3.10", ["py<310"]),
        (">=3.10.4,<4", ["py<310"]),
    ],
)
def test_pythons_that_the_project_does_not_want_are_skipped(wanted: str, skipped: list[str]) -> None:
    found = facts(ProjectSpec(ops=(OPS,)), **{"requires-python": wanted})
    assert [s.v0 for s in found.skip] == skipped
    text = render_recipe(found)["meta.yaml"].decode()
    assert all(f"  skip: true  # [{s}]\n" in text for s in skipped)
    assert "    - python\n" in text  # no range: the version is the variant's


def test_program_without_python_builds_with_the_projects_pythons() -> None:
    found = facts(without_python(MODEL), **{"requires-python": ">= 3.10, < 3.13"})
    assert "python >=3.10,<3.13" in texts(found.build)
    assert found.skip == ()


@pytest.mark.parametrize(("key", "value"), [("requires-python", "three"), ("version", "one")])
def test_what_is_no_version_is_named(key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f'project.{key}: "{value}" is no'):
        facts(ProjectSpec(ops=(OPS,)), **{key: value})


def test_version_that_conda_cannot_read_is_written_as_the_wheels() -> None:
    text = render_recipe(facts(ProjectSpec(ops=(OPS,)), version="1.5-beta2"))["meta.yaml"].decode()
    assert "  version: 1.5b2\n" in text
    assert "load_file_data" not in text


def test_about_comes_from_the_project() -> None:
    urls = {"Home-Page": "https://e.org", "Source Code": "https://e.org/src", "docs": "https://e.org/docs"}
    found = facts(ProjectSpec(ops=(OPS,)), urls=urls, license={"text": "MIT"}).about
    assert (found.home, found.dev_url, found.doc_url) == ("https://e.org", "https://e.org/src", "https://e.org/docs")
    assert found.license == "MIT"
    assert found.notes == ()
    v1 = render_recipe(facts(ProjectSpec(ops=(OPS,)), urls=urls), v1=True)["recipe.yaml"].decode()
    assert "  homepage: https://e.org\n" in v1
    assert "  repository: https://e.org/src\n  documentation: https://e.org/docs\n" in v1


def test_what_conda_forge_misses_is_told() -> None:
    found = recipe_facts(PYPROJECT, ProjectSpec(ops=(OPS,)), root="..", packages=["demo"], license_files=[])
    assert [note.partition(":")[0] for note in found.notes] == [
        "about.license",
        "about.license_file",
        "about.home",
        "extra.recipe-maintainers",
    ]


@pytest.mark.parametrize("license_", ["BSD License", {"text": "Permission is hereby granted,\nfree of charge"}, None])
def test_licence_that_is_no_spdx_expression_is_left_out(license_: Any) -> None:
    found = facts(ProjectSpec(ops=(OPS,)), license=license_)
    assert found.about.license is None
    assert "license:" not in render_recipe(found)["meta.yaml"].decode()


def test_summary_is_only_a_text() -> None:
    text = 'Says "{{ hello }}": ${{ you }} # [win]\nand {% more %}'
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    for v1, name in ((False, "meta.yaml"), (True, "recipe.yaml")):
        recipe = render_recipe(facts(ProjectSpec(ops=(OPS,)), description=text), v1=v1)[name].decode()
        [line] = [line for line in recipe.splitlines() if line.startswith("  summary:")]
        assert not {"{", "[", "#"} & set(line)
        assert yaml.safe_load(line) == {"summary": " ".join(text.split())}


def test_range_of_torch_releases_is_repeated_in_host() -> None:
    spec = ProjectSpec(options=BuildOptions(libtorch_version=">=2.4,<2.14"), ops=(OPS,))
    assert "pytorch >=2.4,<2.14" in texts(facts(spec).host)
    spec = ProjectSpec(options=BuildOptions(libtorch_version="2.13"), ops=(OPS,))
    assert "pytorch 2.13.*" in texts(facts(spec).host)


def test_cuda_sources_need_the_compiler_in_cuda_variants_only() -> None:
    spec = ProjectSpec(ops=(OpLibrary(name="fast", sources=("fast.cu",), package="demo"),))
    text = render_recipe(facts(spec))["meta.yaml"].decode()
    assert '    - {{ compiler("cuda") }}  # [cuda_compiler_version != "None"]\n' in text
    assert '    - libcublas-dev  # [cuda_compiler_version != "None"]\n' in text
    v1 = render_recipe(facts(spec), v1=True)["recipe.yaml"].decode()
    assert 'if: cuda != "None"\n      then: ${{ compiler("cuda") }}' in v1


@pytest.mark.parametrize("spec", [ProjectSpec(ops=(OPS,)), without_python(MODEL)], ids=["python", "program"])
def test_cuda_variants_are_tied_to_their_cuda_without_cuda_sources(spec: ProjectSpec) -> None:
    found = facts(spec)
    assert [line.text for line in found.host if line.only == CUDA] == ["cuda-version =={{ cuda_compiler_version }}"]
    assert [line.text for line in found.run if line.only == CUDA] == [
        '{{ pin_compatible("cuda-version", max_pin="x") }}'
    ]
    v1 = render_recipe(found, v1=True)["recipe.yaml"].decode()
    assert "then: cuda-version ==${{ cuda_compiler_version }}" in v1
    assert 'then: ${{ pin_compatible("cuda-version", upper_bound="x") }}' in v1


@pytest.mark.parametrize(
    ("cuda", "cpu", "versions"),
    [(None, True, ["12.9", "13.0"]), (False, True, []), (True, False, ["12.9", "13.0"]), ("12", False, ["12.9"])],
)
def test_variants_follow_the_setting_cuda(cuda: Any, cpu: bool, versions: list[str]) -> None:
    found = facts(ProjectSpec(options=BuildOptions(cuda=cuda), ops=(OPS,)))
    assert found.cpu_variant is cpu
    assert [v.variant.cuda for v in found.cuda_variants] == versions
    assert ("cuda" in render_recipe(found)["meta.yaml"].decode()) is bool(versions)


def test_cuda_that_conda_forge_does_not_build_for() -> None:
    with pytest.raises(SettingsError, match=r'cuda = "11": conda-forge builds for CUDA 12\.9, 13\.0'):
        facts(ProjectSpec(options=BuildOptions(cuda="11"), ops=(OPS,)))


def test_everything_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        recipe_facts({}, ProjectSpec(), root="..", packages=[], license_files=[])
    assert [p.split(":")[1].split(";")[0].strip() for p in caught.value.problems] == [
        "a recipe needs project.name",
        "a recipe needs project.version",
        "there is nothing to package",
    ]
    assert 'write version = "1.0" into [project]' in caught.value.problems[1]


def test_program_is_tested_on_its_example_inputs() -> None:
    model = ScriptModel(name="m", file="m.pt", example_inputs=("ones:1x3", "int:3"))
    assert [line.text for line in facts(without_python(model)).tests] == [
        "demo-app --version",
        "demo-app --input ones:1x3 --input int:3",
        'test -f "$PREFIX/share/Demo_Project/models/m.pt"',
    ]
    with_file = ScriptModel(name="m", file="m.pt", example_inputs=("data.npy",))
    assert "--input" not in " ".join(c.text for c in facts(without_python(with_file)).tests)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = '[[tool.torchscript-build.ops]]\nname = "fast"\nsources = ["fast.cpp"]\n'
    more = 'dependencies = ["numpy>=1.21"]\ndescription = "A demo"\n'
    folder = write_project(tmp_path, settings, project=more, files={"fast.cpp": "", "LICENSE": "free"})
    monkeypatch.chdir(folder)
    return folder


def test_writes_the_files_and_says_which(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["conda-recipe"]) == 0
    said = capsys.readouterr().out.splitlines()
    names = [f"recipe/{n}" for n in ("meta.yaml", "build.sh", "bld.bat", "conda_build_config.yaml")]
    assert said == [
        *names,
        "conda-forge would ask for more:",
        '  about.license: write license = "MIT" or another SPDX expression into [project]',
        '  about.home: write Homepage = "https://…" into [project.urls]',
        "  extra.recipe-maintainers: name them with --maintainer GITHUB-NAME",
    ]
    assert all((project / name).is_file() for name in names)


def test_rattler_builds_script_for_windows_has_its_name(project: Path) -> None:
    assert run_command(["conda-recipe", "--v1"]) == 0
    names = {p.name for p in (project / "recipe").iterdir()}
    assert names == {"recipe.yaml", "build.sh", "build.bat", "conda_build_config.yaml"}


def test_maintainers_are_the_recipes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["conda-recipe", "--maintainer", "ada", "--maintainer", "conda-forge/team"])
    meta = project / "recipe/meta.yaml"
    text = meta.read_text(encoding="utf-8")
    assert text.endswith("\nextra:\n  recipe-maintainers:\n    - ada\n    - conda-forge/team\n")
    assert "recipe-maintainers" not in capsys.readouterr().out
    assert run_command(["conda-recipe", "--check"]) == 0
    assert run_command(["conda-recipe", "--force"]) == 0
    assert meta.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("find", ["packages.find = {}", 'packages.find.where = ["src"]'])
def test_leftovers_of_a_build_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, find: str) -> None:
    root = "src/" if "src" in find else ""
    settings = '[[tool.torchscript-build.ops]]\nname = "fast"\nsources = ["fast.cpp"]\npackage = "demo"\n'
    leftovers = ("build/lib.linux/demo", "build/lib/demo", "dist/demo", "build/bdist/wheel/demo")
    files = {f"{folder}/__init__.py": "" for folder in (*leftovers, f"{root}demo", f"{root}demo/inner")}
    folder = write_project(tmp_path, settings, files={"fast.cpp": "", f"{root}demo/data/x.txt": "", **files})
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8").replace('packages = ["demo"]', find)
    pyproject.write_text(text, encoding="utf-8")
    if root:
        shutil.rmtree(folder / "demo")
    monkeypatch.chdir(folder)
    assert run_command(["conda-recipe"]) == 0
    meta = (folder / "recipe/meta.yaml").read_text(encoding="utf-8")
    assert "  imports:\n    - demo\n    - demo.inner\n  commands:\n" in meta


@pytest.mark.filterwarnings("ignore::setuptools.SetuptoolsDeprecationWarning")
def test_licence_files_are_those_that_the_project_names(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    (project / "legal").mkdir()
    (project / "legal/MIT.txt").write_text("free", encoding="utf-8")
    for line, files in (
        ('license-files = ["legal/*"]\n', ["legal/MIT.txt"]),
        ('license = {file = "legal/MIT.txt"}\n', ["legal/MIT.txt"]),
        ("", ["LICENSE"]),
    ):
        pyproject.write_text(text.replace('version = "1.5"\n', f'version = "1.5"\n{line}'), encoding="utf-8")
        assert project_facts(project, project / "recipe").about.license_files == tuple(files)


def test_never_overwrites_without_force(project: Path) -> None:
    (project / "recipe").mkdir()
    (project / "recipe/build.sh").write_text("mine\n", encoding="utf-8")
    with pytest.raises(ScaffoldError, match=r"recipe has build\.sh, and nothing is overwritten"):
        run_command(["conda-recipe"])
    assert [p.name for p in (project / "recipe").iterdir()] == ["build.sh"]
    assert run_command(["conda-recipe", "--force"]) == 0
    assert "mine" not in (project / "recipe/build.sh").read_text(encoding="utf-8")


def test_check_is_content_with_what_was_just_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--v1", "--output", "packaging/conda"]):
        assert run_command(["conda-recipe", *more]) == 0
        capsys.readouterr()
        assert run_command(["conda-recipe", *more, "--check"]) == 0
        assert capsys.readouterr().out == ""


def test_check_names_the_lines_that_drifted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["conda-recipe"])
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace("numpy>=1.21", "numpy>=2"), encoding="utf-8")
    (project / "recipe/bld.bat").unlink()
    capsys.readouterr()
    assert run_command(["conda-recipe", "--check"]) == 1
    number = 1 + (project / "recipe/meta.yaml").read_text(encoding="utf-8").splitlines().index("    - numpy >=1.21")
    assert capsys.readouterr().out.splitlines() == [
        f"recipe/meta.yaml:{number}: the project wants `- numpy >=2`",
        f"recipe/meta.yaml:{number}: has `- numpy >=1.21`, of which the project knows nothing",
        "recipe/bld.bat: is missing",
        "to write it anew: torchscript-build conda-recipe --force",
    ]


def test_check_leaves_lines_alone_that_say_keep(project: Path) -> None:
    run_command(["conda-recipe"])
    meta = project / "recipe/meta.yaml"
    text = meta.read_text(encoding="utf-8")
    text = text.replace("    - ninja\n", "    - ninja >=1.11  # keep\n    - ccache  # keep\n")
    meta.write_text(text, encoding="utf-8")
    assert run_command(["conda-recipe", "--check"]) == 0


def test_version_of_a_v1_recipe_drifts(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["conda-recipe", "--v1"])
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace('"1.5"', '"1.6"'), encoding="utf-8")
    capsys.readouterr()
    assert run_command(["conda-recipe", "--v1", "--check"]) == 1
    assert 'recipe/recipe.yaml:6: the project wants `version: "1.6"`' in capsys.readouterr().out


@pytest.mark.parametrize("cuda", [False, True], ids=["cpu", "cuda"])
def test_v1_recipes_of_the_matrix_have_names_of_their_own(project: Path, tmp_path: Path, cuda: bool) -> None:
    pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    meta_yaml = pytest.importorskip("meta_yaml", reason="PyYAML is not installed")
    run_command(["conda-recipe", "--v1"])
    config = project / "recipe/conda_build_config.yaml"
    values, groups = meta_yaml.combine_configs([meta_yaml.load_config(config, cuda=cuda), {"python": ["3.11", "3.12"]}])
    request = {
        "do": "render",
        "recipe": str(project / "recipe/recipe.yaml"),
        "values": values,
        "zip_keys": [group for group in groups if len(group) > 1],
    }
    builds = ask_rattler(request, tmp_path, tmp_path / "cache")["builds"]
    names = sorted(str(b["string"]) for b in builds)
    assert len(set(names)) == len(names)
    flavours = ["cpu", "cuda129", "cuda130"] if cuda else ["cpu"]
    assert [n.rpartition("_h")[0] for n in names] == [f"{f}_py{p}" for f in flavours for p in ("311", "312")]


def test_v1_recipe_without_a_python_among_the_variants(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    run_command(["conda-recipe", "--v1"])
    values = {"c_stdlib": ["sysroot"], "c_stdlib_version": ["2.17"]}
    request = {"do": "render", "recipe": str(project / "recipe/recipe.yaml"), "values": values, "zip_keys": []}
    [build] = ask_rattler(request, tmp_path, tmp_path / "cache")["builds"]
    assert build["string"].startswith("cpu_h")
    assert not build.get("skip")
