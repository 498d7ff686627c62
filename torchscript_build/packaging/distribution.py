"""What a setuptools Distribution tells of a project of ours; cheap to import, as hooks need it in every build."""

from __future__ import annotations

import functools
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from setuptools.errors import BaseError

    from torchscript_build.errors import TorchScriptBuildError
    from torchscript_build.settings.specs import ProjectSpec

KEYWORDS = ("ts_models", "ts_ops", "ts_apps", "ts_cmake", "ts_c_libraries")
"""setup()'s keywords that are ours."""
NEAR_KEYWORDS = ("ts_app", "ts_model", "ts_op", "ts_operators", "ts_libraries", "ts_cmakes")
"""What is written by mistake in their place. setuptools only warns of keywords that it does not know, so that they are
registered, too."""

OWN_INIT = b'"""Made by torchscript-build for this project\'s programs."""\n'
"""What makes a package of the folder that programs of a project without Python get among its sources."""

TEMPORARY = "tmp" + 8 * "[a-z0-9_]"
"""What setuptools writes metadata into before it renames it: a killed build leaves one in the project's egg-info."""


def project_root(dist: Any) -> Path:
    """The folder of setup.py."""
    return Path(dist.src_root or os.curdir).absolute()


def setup_elsewhere() -> Optional[str]:
    """The folder of the setup.py that runs, where it is not the current one, whose pyproject.toml setuptools reads."""
    folder, name = os.path.split(sys.argv[0])
    if name != "setup.py" or not folder:
        return None
    try:
        return None if os.path.samefile(folder, os.curdir) else folder
    except OSError:  # it has changed into its own
        return None


def is_ours(folder: Path) -> bool:
    """Does a folder's pyproject.toml have our table?"""
    from torchscript_build.settings.read import is_opted_in

    try:
        return is_opted_in((folder / "pyproject.toml").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False


def read_spec(dist: Any, command: Optional[dict[str, Any]] = None) -> ProjectSpec:
    """The project's spec from all four sources.

    :param command: options from the command line, by field name.
    :raises SettingsError: with every problem.
    :raises TorchScriptBuildError: setup.py was started from another folder.
    """
    from torchscript_build.settings.read import collect_settings, read_pyproject
    from torchscript_build.system import Environment

    root = project_root(dist)
    elsewhere = None if dist.src_root else setup_elsewhere()
    if elsewhere is not None and is_ours(Path(elsewhere)):
        from torchscript_build.errors import TorchScriptBuildError

        raise TorchScriptBuildError(
            f"{elsewhere}/setup.py was started in {root}: setuptools reads the current folder's pyproject.toml only",
            cures=[f"cd {elsewhere} && python setup.py {' '.join(sys.argv[1:])}"],
        )
    return collect_settings(
        root=root,
        pyproject=read_pyproject(root / "pyproject.toml"),
        keywords={keyword: getattr(dist, keyword, None) for keyword in (*KEYWORDS, *NEAR_KEYWORDS)},
        command=command or {},
        variables=Environment.current().variables,
        packages=dist.packages or own_package(dist),
    )


def own_package(dist: Any) -> list[str]:
    """The package that a project without any Python gets for its programs, by the project's name; else nothing."""
    if dist.packages or dist.py_modules or not dist.get_name() or _has_python(project_root(dist)):
        return []
    name = re.sub(r"\W", "_", dist.get_name(), flags=re.ASCII).lower()
    return [f"_{name}" if name[0].isdigit() else name]


@functools.cache
def _has_python(root: Path) -> bool:
    """Has one of the folders that setuptools' discovery takes for packages, folders of C++ among them, Python in it?"""
    from setuptools.discovery import FlatLayoutPackageFinder, PEP420PackageFinder

    return any(
        any(map(_is_theirs, (folder / package.replace(".", "/")).glob("*.py")))
        for folder, finder in ((root / "src", PEP420PackageFinder), (root, FlatLayoutPackageFinder))
        if folder.is_dir()
        for package in finder.find(str(folder))
    )


def _is_theirs(file: Path) -> bool:
    """Is a Python file none of those that an editable install or a build in place made?"""
    if file.name == "__init__.py":
        return file.read_bytes() != OWN_INIT
    return re.fullmatch(r"_torchscript_(apps|ops)\.py", file.name) is None


def is_packaged(dist: Any) -> bool:
    """Will the wheel hold something of ours? A project with wrong settings is told so by the command that runs."""
    from torchscript_build.errors import TorchScriptBuildError

    try:
        return read_spec(dist).is_packaged
    except TorchScriptBuildError:
        return True


def is_built(dist: Any) -> bool:
    """Has `build` something to do for us: to build what is packaged, or to tell that our table declares nothing?"""
    if is_packaged(dist):
        return True
    spec = read_spec(dist)
    # An empty list in setup.py is somebody's decision: nothing of ours on this platform, say.
    decided = any(getattr(dist, keyword, None) is not None for keyword in KEYWORDS) and not spec.models
    return not (spec.is_buildable or decided)


def is_collecting_requirements(dist: Any) -> bool:
    """Is this PEP 517's get_requires_for_build_…? There setuptools puts its own class in Distribution's place."""
    build_meta = sys.modules.get("setuptools.build_meta")
    return build_meta is not None and isinstance(dist, getattr(build_meta, "Distribution", ()))


def translated(error: TorchScriptBuildError) -> BaseError:
    """Our error as setuptools prints it: one clean ``error: …`` and exit code 1."""
    from setuptools.errors import BaseError

    from torchscript_build import log

    return BaseError(log.folded(str(error), after="error: "))
