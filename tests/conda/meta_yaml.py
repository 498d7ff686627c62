"""Renders a conda recipe (``meta.yaml``, ``conda_build_config.yaml``) as conda-build does, for the subset that we use.

The result is plain data; ``to_v1`` maps it to the recipe dict that rattler-build reads.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import jinja2
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Variant = Mapping[str, str]

COMPILERS = {"c": "gcc", "cxx": "gxx", "cuda": "cuda-nvcc"}
SELECTOR = re.compile(r"(.+?)\s*#\s*\[(.+)\]\s*$")


@dataclass(frozen=True)
class Recipe:
    """One variant of a recipe."""

    folder: Path
    variant: Variant
    """The values of the variant keys that the recipe uses."""
    data: Mapping[str, Any]
    """The rendered meta.yaml."""

    def requirements(self, section: str) -> list[str]:
        """The lines of ``build``, ``host``, ``run`` or ``run_constrained``."""
        return list(self.data.get("requirements", {}).get(section) or ())

    def text(self) -> str:
        """All of it, to search in."""
        return json.dumps(self.data)


def select_lines(text: str, variables: Mapping[str, str], variant: Optional[Variant] = None) -> str:
    """Drop the lines whose selector (``# [linux and not win]``) does not hold."""

    class Os:
        environ = variables

    names: dict[str, Any] = {"linux": True, "unix": True, "linux64": True, "x86_64": True, "os": Os}
    names.update(dict.fromkeys(("osx", "win", "win64", "aarch64", "arm64"), False))
    names.update(variant or {})
    kept = []
    for line in text.splitlines():
        match = SELECTOR.match(line)
        if match is None:
            kept.append(line)
        elif eval(match[2], {"__builtins__": {}}, names):  # our own recipes' words
            kept.append(match[1])
    return "\n".join(kept) + "\n"


def read_variants(folder: Path, *, cuda: bool = False, **changes: Sequence[str]) -> list[Variant]:
    """The combinations in conda_build_config.yaml of the keys that meta.yaml uses.

    :param cuda: are the CUDA variants wanted (``CF_CUDA_ENABLED``)?
    :param changes: other values for some keys.
    """
    variables = {"CF_CUDA_ENABLED": "True"} if cuda else {}
    text = (folder / "conda_build_config.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = {**(yaml.safe_load(select_lines(text, variables)) or {}), **changes}
    zips: list[list[str]] = config.pop("zip_keys", [])
    recipe = (folder / "meta.yaml").read_text(encoding="utf-8")
    groups = [*zips, *([key] for key in sorted(config) if not any(key in z for z in zips))]
    columns = [list(zip(*([str(v) for v in config[key]] for key in group))) for group in groups]
    for group in groups:
        lengths = {len(config[key]) for key in group}
        assert len(lengths) == 1, f"zip_keys {group} differ in length"
    used = {key for key in config if is_used(key, recipe)}
    variants = []
    for row in itertools.product(*columns):
        pairs = [(key, value) for group, values in zip(groups, row) for key, value in zip(group, values)]
        variant = {key: value for key, value in pairs if key in used}
        if variant not in variants:
            variants.append(variant)
    return variants


def is_used(key: str, recipe: str) -> bool:
    """Does the recipe use a variant key: by its name, or as the version of a compiler or of the C library?"""
    language = re.fullmatch(r"(\w+)_compiler(_version)?", key)
    if language and re.search(rf"compiler\([\"']{language[1]}[\"']\)", recipe):
        return True
    if key.startswith("c_stdlib") and "stdlib(" in recipe:
        return True
    return re.search(rf"\b{re.escape(key)}\b", recipe) is not None


def render(folder: Path, variant: Variant) -> Recipe:
    """One variant of ``folder/meta.yaml``; a name that nobody set is an error."""
    digest = hashlib.sha1(json.dumps(dict(variant), sort_keys=True).encode()).hexdigest()

    def compiler(language: str) -> str:
        version = variant.get(f"{language}_compiler_version")
        name = variant.get(f"{language}_compiler", COMPILERS[language])
        return f"{name}_linux-64" + (f" {version}.*" if version not in (None, "None") else "")

    def stdlib(language: str) -> str:
        assert language == "c"
        return f"sysroot_linux-64 {variant.get('c_stdlib_version', '2.17')}.*"

    def load_file_data(name: str, from_recipe_dir: bool = False) -> Any:
        path = (folder if from_recipe_dir else folder.parent) / name
        return tomllib.loads(path.read_text(encoding="utf-8"))

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    text = select_lines((folder / "meta.yaml").read_text(encoding="utf-8"), {}, variant)
    rendered = environment.from_string(text).render(
        {
            **variant,
            "compiler": compiler,
            "stdlib": stdlib,
            "load_file_data": load_file_data,
            "PYTHON": "python",
            "PKG_HASH": digest[:7],
        }
    )
    return Recipe(folder, variant, yaml.load(rendered, Loader=_Strings))


def render_all(folder: Path, *, cuda: bool = False, **changes: Sequence[str]) -> list[Recipe]:
    """Every variant."""
    return [render(folder, variant) for variant in read_variants(folder, cuda=cuda, **changes)]


class _Strings(yaml.SafeLoader):
    """YAML whose numbers stay as they are written: ``version: 1.0``."""


_Strings.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith((":float", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def to_v1(recipe: Recipe, *, source: Optional[Path] = None) -> dict[str, Any]:
    """The recipe as rattler-build's format.

    :param source: the folder to build from, instead of the recipe's own ``source``.
    """
    data = recipe.data
    build, about = data["build"], data["about"]
    v1: dict[str, Any] = {
        "package": dict(data["package"]),
        "source": {"path": str(source or (recipe.folder / data["source"]["path"]).resolve())},
        "build": {"number": int(build.get("number", 0)), "script": _script(recipe)},
        "requirements": {
            _SECTIONS.get(section, section): [_pinned(line, recipe.variant) for line in lines]
            for section, lines in data["requirements"].items()
            if lines
        },
        "tests": _tests(recipe),
        "about": {"summary": about["summary"], "license": about["license"]},
    }
    if "license_file" in about:
        v1["about"]["license_file"] = about["license_file"]
    for key in ("noarch", "string"):
        if key in build:
            v1["build"][key] = build[key]
    if "entry_points" in build:
        v1["build"]["python"] = {"entry_points": build["entry_points"]}
    if "missing_dso_whitelist" in build:
        v1["build"]["dynamic_linking"] = {"missing_dso_allowlist": build["missing_dso_whitelist"]}
    return v1


def _pinned(line: str, variant: Variant) -> str:
    """A bare name with the version of the variant, as conda-build does: ``python`` → ``python 3.11.*``."""
    return f"{line} {variant[line]}.*" if line in variant else line


_SECTIONS = {"run_constrained": "run_constraints"}


def _script(recipe: Recipe) -> dict[str, Any]:
    build = recipe.data["build"]
    env = dict(line.split("=", 1) for line in build.get("script_env", ()))
    if "script" in build:
        lines = [build["script"]] if isinstance(build["script"], str) else list(build["script"])
        return {"content": lines, "env": env}
    return {"content": (recipe.folder / "build.sh").read_text(encoding="utf-8"), "env": env}


def _tests(recipe: Recipe) -> list[dict[str, Any]]:
    test = recipe.data["test"]
    tests: list[dict[str, Any]] = []
    commands = [*(f'python -c "import {name}"' for name in test.get("imports", ())), *test.get("commands", ())]
    if (recipe.folder / "run_test.py").is_file():
        commands.append("python run_test.py")
    files = {}
    if test.get("files"):
        files["recipe"] = list(test["files"])
    if test.get("source_files"):
        files["source"] = list(test["source_files"])
    tests.append({"script": commands, "requirements": {"run": list(test.get("requires") or ())}, "files": files})
    return tests
