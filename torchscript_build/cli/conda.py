"""``torchscript-build conda-recipe``: writes a conda recipe for a project, or checks the one there is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from torchscript_build import system
from torchscript_build.conda.recipe import find_drift, recipe_facts, render_recipe
from torchscript_build.errors import ScaffoldError
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
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if the recipe differs from the project"
    )
    parser.set_defaults(command=_conda_recipe)


def _conda_recipe(options: argparse.Namespace) -> int:
    environment = Environment.current()
    folder = environment.cwd / options.output
    files = make_recipe(environment.cwd, folder, v1=options.v1)
    if options.check:
        drift = find_drift(files, folder)
        for line in drift:
            print(f"{options.output}/{line}")
        if drift:
            print("to write it anew: torchscript-build conda-recipe --force" + (" --v1" if options.v1 else ""))
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
    for name, content in files.items():
        system.write_if_changed(folder / name, content)
        print(Path(options.output, name))
    return 0


def make_recipe(root: Path, folder: Path, *, v1: bool) -> FileSet:
    """The recipe's files for a project.

    :param root: the project; its pyproject.toml is read, its setup.py is not run.
    :param folder: where the recipe will lie.
    :raises SettingsError: with everything that is wrong.
    """
    from setuptools import Distribution

    from torchscript_build.packaging.distribution import read_spec

    distribution: Any = Distribution({"src_root": str(root)})
    distribution.parse_config_files()
    distribution.set_defaults()
    files = sorted(p.name for pattern in ("LICENSE*", "LICENCE*", "COPYING*") for p in root.glob(pattern))
    return render_recipe(
        recipe_facts(
            read_pyproject(root / "pyproject.toml"),
            read_spec(distribution),
            root=Path(os.path.relpath(root, folder)).as_posix(),
            packages=distribution.packages or (),
            license_files=files,
            has_tests=(root / "tests").is_dir(),
        ),
        v1=v1,
    )
