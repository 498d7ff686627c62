"""What the recipe of a project says, in both formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from torchscript_build.conda.dependencies import Line
from torchscript_build.conda.facts import RecipeFacts, recipe_facts
from torchscript_build.conda.render import render_recipe
from torchscript_build.conda.selectors import CROSS, CUDA, UNIX
from torchscript_build.errors import SettingsError
from torchscript_build.settings.specs import (
    BuildOptions,
    CLibrary,
    CMakeProject,
    OpLibrary,
    ProjectSpec,
    ScriptModel,
    TorchScriptApp,
)

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


def test_what_the_back_end_requires_is_in_host_or_among_the_tools() -> None:
    requires = ["setuptools>=77", "torchscript-build>=0.1", "torch==2.13.*", "cmake>=3.20", "ninja", "pybind11~=2.13"]
    requires += ["cmake<4; sys_platform == 'win32'"]
    pyproject = {**PYPROJECT, "build-system": {"requires": [*requires, "cython; sys_platform == 'win32'"]}}
    wanted = {"root": "..", "packages": ["demo"], "license_files": ["LICENSE"]}
    found = recipe_facts(pyproject, ProjectSpec(ops=(OPS,)), **wanted)
    backend = ["setuptools >=77", "torchscript-build >=0.1", "pybind11 ~=2.13"]
    assert texts(found.host) == ["python", "pip", *backend, "pytorch", "pytorch * {{ proc }}*"]
    assert [line.only.v0 for line in found.host if line.text == "cython" and line.only] == ["win"]
    found = recipe_facts(pyproject, without_python(MODEL), **wanted)
    assert texts(found.host) == ["libtorch", "libtorch * {{ proc }}*"]
    assert texts(found.build)[4:] == ["python >=3.9", *backend]
    pyproject["build-system"]["requires"].append("?")
    with pytest.raises(SettingsError, match=r"build-system\.requires: Expected package name"):
        recipe_facts(pyproject, ProjectSpec(ops=(OPS,)), **wanted)


def test_one_dependency_with_two_ranges_by_platform() -> None:
    dependencies = ["numpy<2; python_version < '3.11'", "numpy>=2; python_version >= '3.11'"]
    found = facts(ProjectSpec(ops=(OPS,)), dependencies=dependencies)
    assert [line.text for line in found.run if "numpy" in line.text] == ["numpy <2", "numpy >=2"]


def test_programs_that_only_their_author_can_run_are_looked_for() -> None:
    existing = CMakeProject(
        name="sdk", package="demo", source_dir="sdk", console_script={"tag": "bin/tagger", "untag": "bin/t2"}
    )
    own = TorchScriptApp(name="own", package="demo", sources=("own.cpp",), console_script="own-name")
    found = facts(ProjectSpec(apps=(own,), cmake=(existing,)))
    there = [f'test -x "$PREFIX/bin/{name}"' for name in ("own-name", "tag", "untag")]
    assert [line.text for line in found.tests if line.only == UNIX] == there
    assert '      - if: unix\n        then: test -x "$PREFIX/bin/tag"\n' in (
        render_recipe(found, v1=True)["recipe.yaml"].decode()
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


def test_wrong_versions_and_dependencies_are_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        facts(ProjectSpec(ops=(OPS,)), version="one", dependencies=["!"], **{"requires-python": "three"})
    assert len(caught.value.problems) == 3


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


@pytest.mark.parametrize("changes", [{"sources": ("fast.cu",)}, {"cuda_sources": ("fast.cpp",)}])
def test_cuda_sources_need_the_compiler_in_cuda_variants_only(changes: Any) -> None:
    spec = ProjectSpec(ops=(OpLibrary(name="fast", package="demo", **changes),))
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


def test_without_a_cpu_build_a_pinnings_one_is_skipped() -> None:
    spec = ProjectSpec(options=BuildOptions(cuda=True), ops=(OPS,))
    assert '  skip: true  # [cuda_compiler_version == "None"]\n' in render_recipe(facts(spec))["meta.yaml"].decode()
    assert '    - cuda == "None"\n' in render_recipe(facts(spec), v1=True)["recipe.yaml"].decode()


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


def test_who_builds_with_a_c_library_needs_it_at_run_time() -> None:
    library = CLibrary(name="trend", models=("m",), install=False)
    found = facts(ProjectSpec(models=(MODEL,), libraries=(library,)))
    assert '  run_exports:\n    - {{ pin_subpackage("demo-project", max_pin="x") }}\n' in (
        render_recipe(found)["meta.yaml"].decode()
    )
    assert '  run_exports:\n    - ${{ pin_subpackage("demo-project", upper_bound="x") }}\n' in (
        render_recipe(found, v1=True)["recipe.yaml"].decode()
    )
    assert "run_exports:" not in render_recipe(facts(without_python(MODEL)))["meta.yaml"].decode()


# --- bundles ---------------------------------------------------------------------------------------------------------


def bundled(spec: ProjectSpec) -> RecipeFacts:
    return recipe_facts(PYPROJECT, spec, root="..", packages=["demo"], license_files=["LICENSE"], bundle=True)


def test_a_bundle_has_libtorch_in_it_and_needs_no_package() -> None:
    existing = CMakeProject(name="sdk", package="demo", source_dir="sdk", console_script={"tag": "bin/tagger"})
    found = bundled(ProjectSpec(models=(MODEL,), apps=(APP,), ops=(OPS,), cmake=(existing,)))
    assert (found.name, found.bundle, found.python) == ("demo-project-bundle", "opt/demo-project-bundle", False)
    assert texts(found.host) == ["libtorch", "libtorch * {{ proc }}*"]
    tools = ["cmake >=3.18", "ninja", "python >=3.9", "setuptools", "torchscript-build", "patchelf"]
    assert texts(found.build)[2:] == tools
    assert found.run == ()
    assert [line.text for line in found.tests] == [
        "demo-app --version",
        'test -x "$PREFIX/opt/demo-project-bundle/bin/tagger"',
        'test -f "$PREFIX/opt/demo-project-bundle/share/Demo_Project/models/m.pt"',
        'test -f "$PREFIX/opt/demo-project-bundle/lib/libfast.so"',
    ]


def test_a_bundles_recipe_leaves_its_files_as_they_are() -> None:
    files = render_recipe(bundled(ProjectSpec(models=(MODEL,), apps=(APP,))))
    assert set(files) == {"meta.yaml", "build.sh", "conda_build_config.yaml"}
    text = files["meta.yaml"].decode()
    assert (
        "  skip: true  # [not linux]\n"
        "  # libtorch and the C++ runtime are in it, and its files stay byte for byte what bundle.json says\n"
        "  ignore_run_exports_from:\n"
        "    - libtorch\n"
        '    - {{ compiler("cxx") }}\n'
        "  binary_relocation: false\n"
        "  detect_binary_files_with_prefix: false\n"
    ) in text
    assert "\n  run:\n" not in text
    assert (
        files["build.sh"]
        .decode()
        .endswith(
            'python setup.py -v build_ts_app --bundle "$PREFIX/opt/demo-project-bundle" --format dir --cxx-runtime\n'
            'mkdir -p "$PREFIX/bin"\n'
            'for program in "$PREFIX/opt/demo-project-bundle"/bin/*; do\n'
            '  ln -s "../opt/demo-project-bundle/bin/$(basename "$program")" "$PREFIX/bin/"\n'
            "done\n"
        )
    )


def test_so_does_its_recipe_for_rattler_build() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    recipe = yaml.safe_load(render_recipe(bundled(ProjectSpec(models=(MODEL,), apps=(APP,))), v1=True)["recipe.yaml"])
    assert recipe["build"]["skip"] == ["not linux"]
    assert recipe["build"]["dynamic_linking"]["binary_relocation"] is False
    assert recipe["build"]["prefix_detection"] == {"ignore_binary_files": True}
    ignored = {"from_package": ["libtorch", '${{ compiler("cxx") }}']}
    assert recipe["requirements"]["ignore_run_exports"] == ignored
    assert "run" not in recipe["requirements"]


def test_a_bundle_of_nothing() -> None:
    with pytest.raises(SettingsError, match="a bundle is of programs and C libraries, and there is none of them"):
        bundled(ProjectSpec(ops=(OPS,)))
