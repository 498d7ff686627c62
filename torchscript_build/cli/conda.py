"""``torchscript-build conda-recipe``: writes a conda recipe for a project, or checks the one there is."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchscript_build import system
from torchscript_build.conda.drift import find_drift, read_maintainers
from torchscript_build.conda.facts import RecipeFacts, recipe_facts
from torchscript_build.conda.render import render_recipe
from torchscript_build.errors import ScaffoldError, SettingsError
from torchscript_build.generate.templates import FileSet
from torchscript_build.settings.read import read_pyproject
from torchscript_build.system import Environment


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "conda-recipe",
        help="write a conda recipe for the project in this folder",
        description="Writes meta.yaml, build.sh, bld.bat and conda_build_config.yaml from pyproject.toml.",
    )
    parser.add_argument("--output", metavar="DIR", default="recipe", help="where to write it; by default ./recipe")
    parser.add_argument("--v1", action="store_true", help="write recipe.yaml instead of meta.yaml, for rattler-build")
    parser.add_argument(
        "--bundle",
        action="store_true",
        help="a package of Linux programs with libtorch in it, for channels of your own; it needs no other package",
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if the recipe differs from the project"
    )
    parser.add_argument(
        "--maintainer",
        metavar="NAME",
        action="append",
        default=[],
        help="who maintains the recipe, by the name at GitHub; repeatable; by default whom the recipe names",
    )
    parser.set_defaults(command=_conda_recipe)


def _conda_recipe(options: argparse.Namespace) -> int:
    environment = Environment.current()
    folder = environment.cwd / options.output
    maintainers = options.maintainer or read_maintainers(folder)
    facts = project_facts(environment.cwd, folder, maintainers, bundle=options.bundle)
    files = render_recipe(facts, v1=options.v1)
    if options.check:
        drift = find_drift(files, folder)
        for line in drift:
            print(f"{options.output}/{line}")
        if drift:
            asked = "".join(f" --{name}" for name in ("v1", "bundle") if getattr(options, name))
            print(f"to write it anew: torchscript-build conda-recipe --force{asked}")
        return 1 if drift else 0
    present = [name for name in files if (folder / name).exists()]
    if present and not options.force:
        raise ScaffoldError(
            f"{options.output} has {', '.join(present)}, and nothing is overwritten",
            cures=[
                "torchscript-build conda-recipe --check",
                "overwrite it: --force",
                "name another folder: --output DIR",
            ],
        )
    packages = _distribution(environment.cwd).packages or []
    for name, content in files.items():
        system.write_if_changed(folder / name, content)
        print(Path(options.output, name))
    if _is_in_the_way(environment.cwd):
        print(f"setuptools takes {options.output} for one of your packages now, and stops: write into pyproject.toml")
        print(f"  [tool.setuptools]\n  packages = [{', '.join(map(json.dumps, packages))}]")
    if facts.notes:
        print("conda-forge would ask for more:")
    for note in facts.notes:
        print(f"  {note}")
    return 0


def make_recipe(root: Path, folder: Path, *, v1: bool, bundle: bool = False) -> FileSet:
    """The recipe's files for a project; see ``project_facts``."""
    return render_recipe(project_facts(root, folder, read_maintainers(folder), bundle=bundle), v1=v1)


def project_facts(root: Path, folder: Path, maintainers: Sequence[str] = (), *, bundle: bool = False) -> RecipeFacts:
    """What the recipe of a project says.

    :param root: the project; its pyproject.toml is read, its setup.py is not run.
    :param folder: where the recipe will lie.
    :raises SettingsError: with everything that is wrong.
    """
    from torchscript_build.packaging.distribution import read_spec

    distribution = _distribution(root)
    pyproject = read_pyproject(root / "pyproject.toml")
    return recipe_facts(
        pyproject,
        read_spec(distribution),
        root=Path(os.path.relpath(root, folder)).as_posix(),
        packages=_importable(root, distribution),
        license_files=_license_files(root, pyproject),
        has_tests=(root / "tests").is_dir(),
        maintainers=maintainers,
        bundle=bundle,
    )


def _distribution(root: Path) -> Any:
    """setuptools' view of the project.

    :raises SettingsError: it cannot tell which folders are the project's packages.
    """
    from setuptools import Distribution
    from setuptools.errors import PackageDiscoveryError

    distribution: Any = Distribution({"src_root": str(root)})
    distribution.parse_config_files()
    try:
        distribution.set_defaults()
    except PackageDiscoveryError as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise SettingsError([f"{reason}: write packages = [...] into [tool.setuptools] of pyproject.toml"]) from None
    return distribution


def _is_in_the_way(root: Path) -> bool:
    """Does setuptools, which finds the packages by itself, take the recipe's folder for another one?"""
    try:
        _distribution(root)
    except SettingsError:
        return True
    return False


def _importable(root: Path, distribution: Any) -> list[str]:
    """The packages with code, without copies that earlier builds left in the project: setuptools finds these, too."""
    build, build_py = (distribution.get_command_obj(name) for name in ("build", "build_py"))
    build.ensure_finalized()
    build_py.ensure_finalized()
    made = [Path(root, folder) for folder in (build.build_base, "dist")]
    folders = {name: Path(root, build_py.get_package_dir(name)) for name in distribution.packages or ()}
    own = {name: f for name, f in folders.items() if not any(m == f or m in f.parents for m in made)}
    with_init = [name for name, folder in own.items() if (folder / "__init__.py").is_file()]
    return sorted(with_init or [name for name, folder in own.items() if any(folder.glob("*.py"))])


def _license_files(root: Path, pyproject: Mapping[str, Any]) -> list[str]:
    """The files that ``license-files`` or ``license.file`` names, else those with the usual names."""
    project = pyproject.get("project", {})
    patterns = project.get("license-files", project.get("license"))
    if isinstance(patterns, Mapping):
        patterns = patterns.get("globs", patterns.get("paths", patterns.get("file")))
    if not isinstance(patterns, list):
        usual = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")
        is_file = isinstance(patterns, str) and isinstance(project.get("license"), Mapping)
        patterns = [patterns] if is_file else usual
    found = {p for pattern in patterns for p in root.glob(pattern) if p.is_file()}
    return sorted(p.relative_to(root).as_posix() for p in found)
