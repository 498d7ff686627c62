"""The workshop in which packages are built; see ``local_channel``."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CACHE_VARIABLE = "TORCHSCRIPT_BUILD_TEST_CACHE"


@pytest.fixture(scope="session")
def cache_folder(request: pytest.FixtureRequest) -> Path:
    """Where the channel is kept from run to run."""
    named = os.environ.get(CACHE_VARIABLE)
    folder: Path = Path(named, "conda") if named else Path(request.config.cache.mkdir("torchscript-build-conda"))
    return folder


@pytest.fixture(scope="session")
def workshop(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A channel made from this machine, and a place to build in."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the local conda channel is made for Linux only")
    for module in ("rattler_build", "rattler", "zstandard"):
        pytest.importorskip(module, reason=f"the Python package of {module} is not installed")
    import local_channel
    from conda_support import Workshop

    try:
        channel = local_channel.make_channel(cache_folder)
    except local_channel.CannotMake as problem:
        pytest.skip(f"no local conda channel: {problem}")
    folder = tmp_path_factory.mktemp("conda")
    # The unpacked packages lie beside the prefixes that they are linked into: on one file system.
    yield Workshop(channel, folder, folder / "cache")
    for large in ("cache", "output", "everything"):
        shutil.rmtree(folder / large, ignore_errors=True)
