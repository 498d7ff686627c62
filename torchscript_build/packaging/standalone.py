"""Runs our setuptools commands for the project in the current folder, with or without a setup.py."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchscript_build.errors import TorchScriptBuildError

if TYPE_CHECKING:
    from torchscript_build.packaging.session import Session


def run_commands(words: Sequence[str]) -> None:
    """As ``python setup.py WORDS…``; a project without a setup.py is one whose setup.py says ``setup()``.

    :raises TorchScriptBuildError: nothing here says what to build.
    :raises SystemExit: setuptools ends like this when a command fails.
    """
    script = Path("setup.py")
    sys.argv = [str(script), *words]
    if script.is_file():
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_path(str(script), run_name="__main__")
        return
    if not ({"-h", "--help"} & set(words) or _has_settings(Path("pyproject.toml"))):
        raise TorchScriptBuildError(
            f"nothing to build in {Path.cwd()}: no setup.py, and no pyproject.toml with [tool.torchscript-build]",
            cures=["cd to the project's folder", "torchscript-build new project NAME"],
        )
    from setuptools import setup

    setup()


def make_session(*, libtorch: Optional[str] = None) -> Session:
    """The session of the project in the current folder; its pyproject.toml is read, its setup.py is not run.

    :param libtorch: as the option of that name.
    :raises TorchScriptBuildError: nothing here says what to build.
    """
    from setuptools import Distribution

    if not _has_settings(Path("pyproject.toml")):
        raise TorchScriptBuildError(
            f"nothing to build in {Path.cwd()}: no pyproject.toml with [tool.torchscript-build]",
            cures=["cd to the project's folder"],
        )
    distribution: Any = Distribution({"src_root": str(Path.cwd())})
    distribution.parse_config_files()
    distribution.set_defaults()
    distribution.commands = ["build_ts_app"]  # as if it had been typed
    command = distribution.get_command_obj("build_ts_app")
    command.libtorch = libtorch
    command.ensure_finalized()
    session: Session = command.session()
    return session


def _has_settings(pyproject: Path) -> bool:
    from torchscript_build.settings.read import is_opted_in

    try:
        text = pyproject.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return is_opted_in(text)
