"""A made-up machine for the tests of the search."""

from __future__ import annotations

from pathlib import Path

import pytest
from trees import MakeEnvironment

from torchscript_build.libtorch import places
from torchscript_build.system import Environment, PythonTarget


@pytest.fixture
def make_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeEnvironment:
    """Environments whose Python is ``tmp_path/python``; no folder of the real machine is looked into."""
    monkeypatch.setattr(places, "SYSTEM_FOLDERS", {"linux": (str(tmp_path / "usr"),)})
    own = tmp_path / "python" / "lib" / "python3.11" / "site-packages"

    def make(
        *,
        search_path: tuple[Path, ...] = (own,),
        site_packages: tuple[Path, ...] = (own,),
        platform: str = "linux",
        machine: str = "x86_64",
        **variables: str,
    ) -> Environment:
        python = PythonTarget(tmp_path / "python" / "bin" / "python", search_path, site_packages)
        return Environment(
            variables={"HOME": str(tmp_path / "home"), **variables},
            cwd=tmp_path,
            platform=platform,
            machine=machine,
            python=python,
        )

    return make


@pytest.fixture
def own_site(tmp_path: Path) -> Path:
    """The site-packages of that Python."""
    return tmp_path / "python" / "lib" / "python3.11" / "site-packages"
