"""The recipes by conda-forge's rules, and that the rules see what breaks them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from children import run_child
from small_projects import write_project

from torchscript_build.cli import run_command

pytest.importorskip("yaml", reason="PyYAML is not installed")

from forge_lint import lint

ROOT = Path(__file__).parents[2]
MAINTAINERS = "extra: recipe-maintainers is missing"
"""Nobody can be named for somebody else."""

PROJECT = """\
description = "Fast # [not a selector] {{ nor an expression }}"
license = "MIT"
requires-python = ">=3.10,<3.14"
dependencies = ["torch", "numpy >= 1.21, < 3", "pywin32; sys_platform == 'win32'", "tomli; python_version < '3.11'"]
[project.urls]
Homepage = "https://example.org/demo"
"Source Code" = "https://example.org/demo/source"
Docs = "https://example.org/demo/docs"
"""


@pytest.fixture(params=["cpu and cuda", "cpu", "cuda", "cu", "program", "bundle", "library"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every form that a recipe takes."""
    cuda = {"cpu": 'cuda = "none"\n', "cuda": "cuda = true\n"}.get(request.param, "")
    source = "fast.cu" if request.param == "cu" else "fast.cpp"
    settings = f"[tool.torchscript-build]\n{cuda}"
    if request.param in ("program", "bundle"):
        settings += '[[tool.torchscript-build.app]]\nname = "demo-app"\nsources = ["fast.cpp"]\ninstall = false\n'
    elif request.param == "library":
        settings += '[[tool.torchscript-build.library]]\nname = "fast"\ninstall = false\n'
    else:
        settings += f'[[tool.torchscript-build.ops]]\nname = "fast"\nsources = ["{source}"]\n'
    folder = write_project(tmp_path, settings, project=PROJECT, files={source: "", "LICENSE": "free"})
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def form(request: pytest.FixtureRequest) -> list[str]:
    """The options for the form of ``project``."""
    return ["--bundle"] if "bundle" in request.node.name else []


@pytest.mark.parametrize("more", [[], ["--v1"]], ids=["v0", "v1"])
def test_written_recipes_are_clean(
    project: Path, form: list[str], more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["conda-recipe", "--maintainer", "somebody", *form, *more]) == 0
    assert lint(project / "recipe") == []
    assert "would ask" not in capsys.readouterr().out


def smithy_says(folder: Path) -> list[str]:
    """What conda-smithy itself says of a recipe, lint and suggestions."""
    if shutil.which("conda-smithy") is None:
        pytest.skip("there is no conda-smithy on PATH, which conda-forge has and the index has not")
    command = ["conda-smithy", "recipe-lint", str(folder)]
    said = run_child(command, stdout=subprocess.PIPE, encoding="utf-8", env=dict(os.environ)).stdout
    assert re.search(r" (is in fine form|has some (lint|suggestions):)$", said, re.MULTILINE), said
    return [line.strip() for line in said.splitlines() if line.startswith("  ")]


@pytest.mark.conda
@pytest.mark.parametrize("more", [[], ["--v1"]], ids=["v0", "v1"])
def test_conda_smithy_has_nothing_to_say_of_written_recipes(project: Path, form: list[str], more: list[str]) -> None:
    assert run_command(["conda-recipe", "--maintainer", "somebody", *form, *more]) == 0
    assert smithy_says(project / "recipe") == []


@pytest.mark.conda
@pytest.mark.parametrize("name", ["recipe", "examples/conda_ops/recipe", "examples/conda_app/recipe"])
def test_conda_smithy_says_of_ours_what_the_rules_say(name: str) -> None:
    words = {
        MAINTAINERS: "The recipe could do with some maintainers listed in the `extra/recipe-maintainers` section.",
        "about: home is missing": "The home item is expected in the about section.",
    }
    assert smithy_says(ROOT / name) == [words[said] for said in lint(ROOT / name)]


@pytest.mark.parametrize("name", ["examples/conda_ops/recipe", "examples/conda_app/recipe"])
def test_examples_lack_only_a_maintainer(name: str) -> None:
    assert lint(ROOT / name) == [MAINTAINERS]


def test_own_recipe_lacks_only_an_address_and_a_maintainer() -> None:
    assert lint(ROOT / "recipe") == ["about: home is missing", MAINTAINERS]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("package:\n", "about: {}\npackage:\n", "sections: "),
        ("  license: BSD-3-Clause\n", "  license: BSD License\n", "about: the licence mentions the word license"),
        ("  license: BSD-3-Clause\n", "  license: BSD\n", "about: 'BSD' is no SPDX expression"),
        ("  license: BSD-3-Clause\n", "  license: BSD-3-Clause\n  doc: x\n", "about: unexpected doc"),
        ("  number: {{ number }}\n", "", "build: number is missing"),
        ("  name: series-ops\n", "  name: Series Ops\n", "package: 'Series Ops' is no name"),
        ("  # [py<39]", " # [py<39]", "line 19: a selector wants two spaces before and one after #"),
        ("# [py<39]", "# [py < 39 and not py39]", "line 19: write py==311, not py311"),
        ('{{ compiler("cxx") }}', '{{compiler("cxx")}}', "line 26: an expression is written {{ x }}"),
        ('    - {{ stdlib("c") }}\n', "", "requirements: compiler without stdlib"),
        ("    - ninja\n", "    - ninja>=1.10\n", "requirements: 'ninja>=1.10' wants one space, before the operator"),
        ("  run:\n    - python\n", "  run:\n", "requirements: python is in host, but not in run"),
        (
            "  run:\n    - python\n",
            "  run:\n    - python >=3.9\n",
            "requirements: 'python >=3.9' in run wants no range",
        ),
        ("    - setuptools >=64\n", "", "requirements: pip without a build backend"),
    ],
)
def test_rules_see_what_breaks_them(tmp_path: Path, old: str, new: str, said: str) -> None:
    recipe = ROOT / "examples/conda_ops/recipe"
    folder = tmp_path / "recipe"
    folder.mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0"\n', encoding="utf-8")
    for file in recipe.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    meta = folder / "meta.yaml"
    text = meta.read_text(encoding="utf-8")
    assert old in text
    meta.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert [c for c in lint(folder) if c != MAINTAINERS and c.startswith(said)]
