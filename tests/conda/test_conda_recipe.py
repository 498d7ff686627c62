"""``torchscript-build conda-recipe``: what it writes for a project, and what it says when they have drifted apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conda_support import ask_rattler
from support import write_project

from torchscript_build.cli import run_command
from torchscript_build.conda.recipe import CudaVariant, RecipeFacts, recipe_facts, render_recipe
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


def without_python(*models: ScriptModel, **changes: Any) -> ProjectSpec:
    app = TorchScriptApp(name="demo-app", models=tuple(m.name for m in models), install=False, **changes)
    return ProjectSpec(models=models, apps=(app,))


def test_operator_library_takes_pytorch() -> None:
    found = facts(ProjectSpec(ops=(OPS,)))
    assert found.torch_name == "pytorch"
    assert found.host == ("python", "pip", "setuptools", "torchscript-build")
    assert found.imports == ("demo",)
    assert [c.text for c in found.tests] == ["python -m pip check"]


def test_program_without_python_takes_libtorch() -> None:
    found = facts(without_python(MODEL))
    assert found.torch_name == "libtorch"
    assert found.host == found.run == ()
    assert found.build == ("cmake >=3.18", "ninja", "python >=3.9", "setuptools", "torchscript-build")


def test_exporting_a_model_needs_torch_among_the_build_tools() -> None:
    found = facts(without_python(ScriptModel(name="m", factory="demo:model")))
    assert "pytorch" in found.build
    assert found.host == ()


def test_dependencies_are_run_requirements_under_condas_names() -> None:
    dependencies = ["torch>=2.1", "NumPy >=1.21,<3", "opencv-python", "tomli>=1.1; python_version < '3.11'"]
    found = facts(ProjectSpec(ops=(OPS,)), dependencies=dependencies)
    assert found.run == ("python", "numpy >=1.21,<3", "py-opencv", 'tomli >=1.1  # python_version < "3.11"')


def test_range_of_torch_releases_is_repeated_in_host() -> None:
    spec = ProjectSpec(options=BuildOptions(libtorch_version=">=2.4,<2.14"), ops=(OPS,))
    assert facts(spec).torch == "pytorch >=2.4,<2.14"
    spec = ProjectSpec(options=BuildOptions(libtorch_version="2.13"), ops=(OPS,))
    assert facts(spec).torch == "pytorch 2.13.*"


def test_cuda_sources_need_the_compiler_in_cuda_variants_only() -> None:
    spec = ProjectSpec(ops=(OpLibrary(name="fast", sources=("fast.cu",), package="demo"),))
    text = render_recipe(facts(spec))["meta.yaml"].decode()
    assert '    - {{ compiler("cuda") }}  # [cuda_compiler_version != "None"]\n' in text
    assert '    - cuda-version {{ cuda_compiler_version }}  # [cuda_compiler_version != "None"]\n' in text
    v1 = render_recipe(facts(spec), v1=True)["recipe.yaml"].decode()
    assert "then: cuda-version ${{ cuda_compiler_version }}" in v1


@pytest.mark.parametrize(
    ("cuda", "cpu", "versions"),
    [(None, True, ["12.9", "13.0"]), (False, True, []), (True, False, ["12.9", "13.0"]), ("12", False, ["12.9"])],
)
def test_variants_follow_the_setting_cuda(cuda: Any, cpu: bool, versions: list[str]) -> None:
    found = facts(ProjectSpec(options=BuildOptions(cuda=cuda), ops=(OPS,)))
    assert found.cpu_variant is cpu
    assert [v.version for v in found.cuda_variants] == versions
    assert all(isinstance(v, CudaVariant) for v in found.cuda_variants)
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
    texts = [c.text for c in facts(without_python(model)).tests]
    assert texts == [
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
    said = capsys.readouterr().out.split()
    assert said == [f"recipe/{n}" for n in ("meta.yaml", "build.sh", "bld.bat", "conda_build_config.yaml")]
    assert all((project / name).is_file() for name in said)


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


def test_v1_recipe_is_read_by_rattler_build(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    run_command(["conda-recipe", "--v1"])
    request = {
        "do": "render",
        "recipe": str(project / "recipe/recipe.yaml"),
        "values": {
            "c_stdlib": ["sysroot"],
            "cuda_compiler_version": ["None", "12.9"],
            "c_stdlib_version": ["2.17", "2.28"],
        },
        "zip_keys": [["cuda_compiler_version", "c_stdlib_version"]],
    }
    builds = ask_rattler(request, tmp_path, tmp_path / "cache")["builds"]
    print(builds)
    assert [str(b["string"]).split("_")[0] for b in builds] == ["cpu", "cuda129"]
