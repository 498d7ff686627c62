"""Fixtures that the core's tests share."""

from __future__ import annotations

import compileall
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import leftovers
import pytest
import tiers
from children import clean_variables, run_child, run_python
from support import write
from tiny_torch import build_fake_torch

import torchscript_build
from torchscript_build.system import Environment, PythonTarget

Golden = Callable[[str, str], None]
RunSetup = Callable[..., "object"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the files in tests/golden")


def pytest_configure(config: pytest.Config) -> None:
    """Nothing in the user's cache makes a difference to a test, and no test leaves anything there, nor a process."""
    for plugin in (leftovers, tiers):
        config.pluginmanager.register(plugin)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"] = tempfile.mkdtemp(prefix="torchscript-build-cache-")
        # Hundreds of children import it, none of which may write bytecode: else each would compile it for itself.
        compileall.compile_dir(Path(torchscript_build.__file__).parent, quiet=2)


def pytest_unconfigure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"], ignore_errors=True)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a file in tests/golden; ``--update-golden`` writes the file instead."""

    def compare(name: str, text: str) -> None:
        file = Path(__file__).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), f"if this is meant: pytest --update-golden ({file.name})"

    return compare


@pytest.fixture(scope="session")
def fake_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A libtorch of three tiny libraries, compiled once; not to be changed."""
    return build_fake_torch(tmp_path_factory.mktemp("libtorch") / "site-packages")


@pytest.fixture
def variables(fake_torch: Path, tmp_path: Path) -> dict[str, str]:
    """Environment variables of a machine whose only libtorch is the tiny one."""
    return clean_variables(
        TORCHSCRIPT_BUILD_LIBTORCH=str(fake_torch),
        TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"),
        HOME=str(tmp_path),
        MAX_JOBS="2",
        PYTHONDONTWRITEBYTECODE="1",
    )


@pytest.fixture
def here() -> Environment:
    """This machine, where it lets us change the root."""
    namespaces = ["--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    command = ["unshare", *namespaces, "sh", "-c", "mount -t tmpfs none /tmp"]
    if run_child(command, capture_output=True).returncode != 0:
        pytest.skip("nobody may change the root here")
    return Environment.current()


@pytest.fixture
def no_torch(variables: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same machine, and no torch to load operator libraries into."""
    write(tmp_path / "no_torch/torch.py", "raise ImportError('no torch here')\n")
    return {**variables, "PYTHONPATH": str(tmp_path / "no_torch")}


@pytest.fixture
def machine(variables: dict[str, str], tmp_path: Path) -> Environment:
    """The same as an Environment: the real tools, the tiny libtorch."""
    return Environment(variables, tmp_path, "linux", "x86_64", PythonTarget.current(), cpu_count=2)


@pytest.fixture
def run_setup(variables: dict[str, str]) -> RunSetup:
    """``run_setup(project, "build_ts_app", "--run", CXX="…")`` starts setup.py; ``None`` removes a variable."""

    def run(project: Path, *arguments: str, **changes: str | None) -> object:
        merged = {**variables, **{k: v for k, v in changes.items() if v is not None}}
        for name, value in changes.items():
            if value is None:
                merged.pop(name, None)
        return run_python("setup.py", *arguments, cwd=project, variables=merged)

    return run
