"""conda-forge's rules for a recipe (those of conda-smithy's linter that a recipe of ours can break), one function each.

Compared with conda-smithy of August 2026 on the recipes here; its own linter needs conda and is not on the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import meta_yaml
import yaml
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.version import InvalidVersion, Version

SECTIONS_V0 = ("package", "source", "build", "requirements", "test", "app", "outputs", "about", "extra")
SECTIONS_V1 = (
    "schema_version",
    "context",
    "package",
    "source",
    "build",
    "requirements",
    "tests",
    "about",
    "extra",
)
REQUIREMENTS = ("build", "host", "run")
KNOWN_V0 = {
    "package": {"name", "version"},
    "build": {
        *("number", "string", "skip", "noarch", "script", "entry_points", "missing_dso_whitelist"),
        *("run_exports", "ignore_run_exports_from", "binary_relocation", "detect_binary_files_with_prefix"),
    },
    "requirements": {"build", "host", "run", "run_constrained"},
    "test": {"requires", "imports", "commands", "files", "source_files"},
    "about": {"home", "license", "license_file", "summary", "description", "dev_url", "doc_url"},
    "extra": {"recipe-maintainers", "feedstock-name"},
}
BACKENDS = {"setuptools", "hatchling", "flit-core", "scikit-build-core", "meson-python"}


@dataclass(frozen=True)
class Linted:
    """A recipe as the rules look at it."""

    folder: Path
    v1: bool
    text: str
    data: dict[str, Any]
    """One variant of meta.yaml, or recipe.yaml as it is written."""

    def requirements(self, section: str) -> list[str]:
        """The lines of a section, with those of all conditions."""
        return list(_flat((self.data.get("requirements") or {}).get(section) or ()))


def _flat(lines: Sequence[Any]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, dict):
            then = line["then"]
            yield from _flat(then if isinstance(then, list) else [then])
        else:
            yield line


def lint(folder: Path) -> list[str]:
    """What conda-forge's linter says of a recipe."""
    v1 = (folder / "recipe.yaml").is_file()
    text = (folder / ("recipe.yaml" if v1 else "meta.yaml")).read_text(encoding="utf-8")
    data = yaml.safe_load(text) if v1 else meta_yaml.render(folder, meta_yaml.read_variants(folder)[0]).data
    recipe = Linted(folder, v1, text, dict(data))
    return [complaint for rule in RULES for complaint in rule(recipe)]


def _sections(recipe: Linted) -> Iterator[str]:
    order = SECTIONS_V1 if recipe.v1 else SECTIONS_V0
    if list(recipe.data) != [s for s in order if s in recipe.data]:
        yield f"sections: {list(recipe.data)} are not in the order {order}"
    wanted = [s for s in REQUIREMENTS if s in recipe.data["requirements"]]
    if [s for s in recipe.data["requirements"] if s in REQUIREMENTS] != wanted:
        yield "requirements: not in the order build, host, run"
    for section, known in () if recipe.v1 else KNOWN_V0.items():
        for key in set(recipe.data.get(section) or ()) - known:
            yield f"{section}: unexpected {key}"


def _about(recipe: Linted) -> Iterator[str]:
    about = recipe.data["about"]
    for item in ("homepage" if recipe.v1 else "home", "license", "summary"):
        if not about.get(item):
            yield f"about: {item} is missing"
    license_ = about.get("license", "")
    if "license" in license_.lower() and "license-" not in license_.lower():
        yield "about: the licence mentions the word license"
    try:
        canonicalize_license_expression(license_)
    except InvalidLicenseExpression:
        yield f"about: {license_!r} is no SPDX expression"
    if not about.get("license_file"):
        yield "about: license_file is missing"


def _maintainers(recipe: Linted) -> Iterator[str]:
    names = (recipe.data.get("extra") or {}).get("recipe-maintainers")
    if not names or not isinstance(names, list):
        yield "extra: recipe-maintainers is missing"


def _package(recipe: Linted) -> Iterator[str]:
    package = recipe.data["package"]
    if not re.fullmatch(r"[a-z0-9_\-.]+", package["name"]):
        yield f"package: {package['name']!r} is no name"
    version = recipe.data["context"]["version"] if recipe.v1 else package["version"]
    try:
        Version(version)
    except (InvalidVersion, TypeError):
        yield f"package: {version!r} is no version"
    if recipe.data["build"].get("number") is None:
        yield "build: number is missing"
    noarch = recipe.data["build"].get("noarch")
    if noarch not in (None, "python", "generic"):
        yield f"build: noarch {noarch!r}"


def _tests(recipe: Linted) -> Iterator[str]:
    tests = recipe.data.get("tests") if recipe.v1 else recipe.data.get("test", {})
    if not tests or not (recipe.v1 or {"imports", "commands"} & set(tests)):
        yield "test: there are none"


def _layout(recipe: Linted) -> Iterator[str]:
    if not recipe.text.endswith("\n") or recipe.text.endswith("\n\n"):
        yield "the file does not end with one newline"
    dollar = r"\$" if recipe.v1 else ""
    for number, line in enumerate(recipe.text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        if re.search(r"#\s*\[.+\]", line) and not re.match(r".+?\S\s{2,}#\s\[.+\]$", line):
            yield f"line {number}: a selector wants two spaces before and one after #"
        if re.search(r"#\s*\[.*\bpy\d{2,3}\b", line):
            yield f"line {number}: write py==311, not py311"
        if re.match(r"\s*\{%\s*set\b", line) and not re.match(r"\s*\{% set \S+ = .+ %\}$", line):
            yield f"line {number}: a definition is written {{% set x = y %}}"
        for expression in re.findall(rf"{dollar}\{{\{{(.*?)\}}\}}", line):
            if expression != f" {expression.strip()} ":
                yield f"line {number}: an expression is written {{{{ x }}}}"


def _spaces(recipe: Linted) -> Iterator[str]:
    for section in recipe.data["requirements"]:
        for line in recipe.requirements(section):
            words = line.split()
            if "{{" in line:
                continue
            if (len(words) > 2 and words[1] in ("!=", "=", "==", ">", "<", "<=", ">=")) or re.search("[<>=]", words[0]):
                yield f"requirements: {line!r} wants one space, before the operator"


def _python(recipe: Linted) -> Iterator[str]:
    noarch = recipe.data["build"].get("noarch")
    pythons = {s: [r for r in recipe.requirements(s) if r.split()[0] == "python"] for s in REQUIREMENTS}
    if noarch == "python":
        if not any(re.search(r"python >=", r) for r in pythons["run"]):
            yield "requirements: a noarch package names its oldest Python in run"
        if recipe.text.count("python_min") < 3:
            yield "requirements: a noarch package uses python_min in host, run and test"
        block = re.search(r"^requirements:\n((?: .*\n|\n)*)", recipe.text, re.MULTILINE)
        if block and re.search(r"# \[|if:", block[1]):
            yield "requirements: a noarch package has no selectors"
        return
    if pythons["host"] and not pythons["run"]:
        yield "requirements: python is in host, but not in run"
    for section in ("host", "run"):
        if "python" not in pythons[section]:
            yield from (
                f"requirements: {r!r} in {section} wants no range" for r in pythons[section] if re.search("[<>]", r)
            )


def _tools(recipe: Linted) -> Iterator[str]:
    build, host = recipe.requirements("build"), recipe.requirements("host")
    if re.search(r"compiler\([\"'](c|cxx)[\"']\)", recipe.text) and not re.search(
        r"stdlib\([\"']c[\"']\)", recipe.text
    ):
        yield "requirements: compiler without stdlib"
    if re.search(r"^ +- sysroot_linux", recipe.text, re.MULTILINE):
        yield "requirements: write stdlib, not sysroot_linux"
    if "pip" in {r.split()[0] for r in host} and not BACKENDS & {r.split()[0] for r in host}:
        yield "requirements: pip without a build backend"
    if "noarch" not in recipe.data["build"] and not build:
        yield "build: this could be noarch"
    if recipe.v1 and (recipe.folder / "bld.bat").exists():
        yield "rattler-build reads build.bat, not bld.bat"
    if "python setup.py install" in recipe.text:
        yield "build: install with pip"


RULES = (_sections, _about, _maintainers, _package, _tests, _layout, _spaces, _python, _tools)
