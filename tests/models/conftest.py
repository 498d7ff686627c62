"""The gallery is built once for all that look at it."""

from __future__ import annotations

import pytest
from gallery_project import Built, build_gallery


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_gallery(tmp_path_factory.mktemp("gallery") / "project")
