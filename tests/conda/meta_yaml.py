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

    @property
    def file_name(self) -> str:
        """The package's, as conda-build names it."""
        package = self.data["package"]
        return f"{package['name']}-{package['version']}-{self.data['build']['string']}.conda"

    def text(self) -> str:
        """All of it, to search in."""
        return json.dumps(self.data)


def select_lines(text: str, variables: Mapping[str, str], variant: Optional[Mapping[str, Any]] = None) -> str:
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


class Ambiguous(Exception):
    """Configurations that conda-build refuses to combine."""


def read_variants(
    folder: Path,
    *,
    cuda: bool = False,
    pinning: Sequence[Path] = (),
    pinning_last: bool = False,
    **changes: Sequence[str],
) -> list[Variant]:
    """The combinations of the keys that meta.yaml uses, as conda-build makes them of its configuration files.

    :param cuda: are the CUDA variants wanted (``CF_CUDA_ENABLED``)?
    :param pinning: a channel's configurations, read before the recipe's own: the order of conda-forge's tools.
    :param pinning_last: read after it: the order of ``conda build --variant-config-files``.
    :param changes: other values for some keys.
    :raises Ambiguous: they collide.
    """
    own = folder / "conda_build_config.yaml"
    files = [own, *pinning] if pinning_last else [*pinning, own]
    specs = [load_config(file, cuda=cuda) for file in files]
    config, groups = combine_configs([DEFAULTS, *specs, dict(changes)])
    meta = (folder / "meta.yaml").read_text(encoding="utf-8")
    used = {key for key in config if is_used(key, meta)} | ({"channel_targets"} & config.keys())
    variants = []
    for row in itertools.product(*(list(zip(*(config[key] for key in group))) for group in groups)):
        variant = {key: value for group, values in zip(groups, row) for key, value in zip(group, values) if key in used}
        if variant not in variants:
            variants.append(variant)
    return variants


def load_config(file: Path, *, cuda: bool) -> dict[str, Any]:
    """One configuration file, for linux-64."""
    text = select_lines(file.read_text(encoding="utf-8"), {"CF_CUDA_ENABLED": "True"} if cuda else {})
    data = yaml.load(text, Loader=yaml.BaseLoader) or {}
    return {key: value for key, value in data.items() if value}


def combine_configs(specs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, list[str]], list[tuple[str, ...]]]:
    """One configuration made of several, and the keys of it that go together; later ones win.

    Groups of ``zip_keys`` are one only if they are word for word the same; of a group a later configuration replaces
    all keys or none.
    """
    zips = list(dict.fromkeys(tuple(group) for spec in specs for group in spec.get("zip_keys", ()) if group))
    config: dict[str, list[str]] = {}
    for spec in specs:
        for key, values in spec.items():
            if key == "zip_keys":
                continue
            group = next((z for z in zips if key in z), (key,))
            lengths = {len(spec.get(k, config.get(k, values))) for k in group}
            if key not in config or all(k in spec for k in group) or lengths == {len(values)}:
                config[key] = list(values)
            elif not set(values) <= set(config[key]):
                raise Ambiguous(f"{key}: {values} does not replace all of {group}")
    for group in zips:
        if len({len(config.get(key, ())) for key in group}) != 1:
            raise Ambiguous(f"{group} differ in length")
    twice = [key for key in config if sum(key in z for z in zips) > 1]
    if twice:
        raise Ambiguous(f"{twice} are in two groups")
    zipped = {key for z in zips for key in z}
    return config, [*zips, *((key,) for key in sorted(config) if key not in zipped)]


DEFAULTS: Mapping[str, Sequence[str]] = {
    "python": ["3.11"],
    "target_platform": ["linux-64"],
    "c_compiler": ["gcc"],
    "cxx_compiler": ["gxx"],
}
"""What conda-build knows without any configuration."""


def is_used(key: str, meta: str) -> bool:
    """Does conda-build count a key as used: by its name, or as the version of a compiler or of the C library?"""
    tool = re.fullmatch(r"(\w+?)_(compiler|stdlib)(_version)?", key)
    if tool and re.search(rf"\b{tool[2]}\([\"']{tool[1]}[\"']\)", meta):
        return True
    name = re.escape(key)
    package = name.replace("_", "[-_]")
    return (key == "target_platform" and "noarch:" not in meta) or any(
        re.search(pattern, meta, re.MULTILINE)
        for pattern in (
            rf"^ +- {package}(\s+#.*)?$",  # a requirement without a version
            rf"\{{[{{%][^}}]*\b{name}\b",
            rf"# \[[^\]]*\b{name}\b",
        )
    )


EXCLUDED = ("python", "r_base", "perl", "lua")


def package_hash(variant: Variant) -> str:
    """PKG_HASH as conda-build computes it: of the used keys, without a plain version of Python."""
    counted = {k: v for k, v in variant.items() if not k.startswith(EXCLUDED) or " " in v}
    return hashlib.sha1(json.dumps(counted, sort_keys=True).encode()).hexdigest()[:7]


def python_tag(variant: Variant) -> str:
    """CONDA_PY: ``311``."""
    return "".join(variant["python"].split(".")[:2]) if "python" in variant else ""


def render(folder: Path, variant: Variant) -> Recipe:
    """One variant of ``folder/meta.yaml``; a name that nobody set is an error."""

    def compiler(language: str) -> str:
        version = variant.get(f"{language}_compiler_version")
        name = variant.get(f"{language}_compiler", COMPILERS[language])
        return f"{name}_linux-64" + (f" {version}.*" if version not in (None, "None") else "")

    def stdlib(language: str) -> str:
        assert language == "c"
        return f"sysroot_linux-64 {variant.get('c_stdlib_version', '2.17')}.*"

    def pin_compatible(name: str, max_pin: str) -> str:
        assert (name, max_pin) == ("cuda-version", "x")  # no other one is in our recipes
        version = variant["cuda_compiler_version"]
        return f"{name} >={version},<{int(version.split('.')[0]) + 1}.0a0"

    def pin_subpackage(name: str, max_pin: str) -> str:
        assert max_pin == "x"  # the versions of our recipes have a major number above 0
        version = load_file_data("../pyproject.toml", from_recipe_dir=True)["project"]["version"]
        return f"{name} >={version},<{int(version.split('.')[0]) + 1}.0a0"

    def load_file_data(name: str, from_recipe_dir: bool = False) -> Any:
        path = (folder if from_recipe_dir else folder.parent) / name
        return tomllib.loads(path.read_text(encoding="utf-8"))

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    tag = python_tag(variant)
    names = {"py": int(tag or 0), "build_platform": "linux-64", "target_platform": "linux-64", **variant}
    text = select_lines((folder / "meta.yaml").read_text(encoding="utf-8"), {}, names)
    rendered = environment.from_string(text).render(
        {
            **names,
            "compiler": compiler,
            "stdlib": stdlib,
            "pin_compatible": pin_compatible,
            "pin_subpackage": pin_subpackage,
            "load_file_data": load_file_data,
            "PYTHON": "python",
            "CONDA_PY": tag,
            "PKG_HASH": package_hash(variant),
        }
    )
    return Recipe(folder, variant, yaml.load(rendered, Loader=_Strings))


def render_all(folder: Path, **wanted: Any) -> list[Recipe]:
    """Every variant that is not skipped; see ``read_variants``."""
    recipes = [render(folder, variant) for variant in read_variants(folder, **wanted)]
    return [recipe for recipe in recipes if not recipe.data["build"].get("skip")]


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
