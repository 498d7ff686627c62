"""Bundles of examples in minimal systems of three Debians, made by debootstrap: no Python, no variable, read-only.

By hand, as root: a system is downloaded for each. TORCHSCRIPT_BUILD_TEST_ROOTS names a folder that keeps them, and
DEBIAN_MIRROR where they come from.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from children import clean_variables, run_child

from torchscript_build.packaging.bundle.distributions import numbers, with_glibc
from torchscript_build.packaging.bundle.empty_root import run_in_root
from torchscript_build.system import Environment

EXAMPLES = Path(__file__).parents[2] / "examples"
GLIBC = {"bullseye": "2.31", "bookworm": "2.36", "trixie": "2.41"}
PROGRAMS = {"custom_op": ("straighten", "straighten"), "resnet18": ("resnet18", "resnet18")}
"""Example → its program and its model."""

pytestmark = [
    pytest.mark.network,
    pytest.mark.torch,
    pytest.mark.compile,
    pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap is for root"),
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="there is no debootstrap"),
]


@dataclass(frozen=True)
class Made:
    """A bundle, and one call of its program with what Python said to it."""

    tree: Path
    program: str
    arguments: Path
    expected: Path

    @property
    def glibc(self) -> str:
        told = json.loads((self.tree / "bundle.json").read_text("utf-8"))
        return str(told["needs"]["glibc"])


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Bundles an example, once."""
    folder = tmp_path_factory.mktemp("bundles")
    return functools.cache(lambda name: make_bundle(name, folder / name))


def make_bundle(name: str, folder: Path) -> Made:
    """The bundle of an example, proven."""
    project = shutil.copytree(EXAMPLES / name, folder / "project")
    command = ["python", "-m", "torchscript_build", "bundle", folder / "out", "--verify"]
    done = run_child(command, cwd=project, env=clean_variables(), capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    program, model = PROGRAMS[name]
    assert f"-- in an empty root, {program}: agrees with Python: {model}.forward, example" in done.stdout
    (arguments,) = (project / "build").rglob(f"models/{model}.0.arguments.pt")
    (expected,) = (project / "build").rglob(f"models/{model}.forward.0.expected.pt")
    return Made(folder / "out", program, arguments, expected)


@pytest.fixture(scope="module", params=sorted(GLIBC))
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system without Python; kept where somebody says where."""
    kept = os.environ.get("TORCHSCRIPT_BUILD_TEST_ROOTS")
    folder = (Path(kept) if kept else tmp_path_factory.mktemp("roots")) / request.param
    if not (folder / "etc/os-release").is_file():
        mirror = os.environ.get("DEBIAN_MIRROR")
        command = ["debootstrap", "--variant=minbase", request.param, str(folder), *([mirror] if mirror else [])]
        run_child(command, check=True, capture_output=True)
    (folder / "bundle").mkdir(exist_ok=True)
    assert not list(folder.glob("usr/bin/python*"))
    return folder


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_it_runs_or_says_why_not(name: str, make: Callable[[str], Made], root: Path) -> None:
    made = make(name)
    for file in (made.arguments, made.expected):
        shutil.copy(file, root / "tmp" / file.name)
        (root / "tmp" / file.name).chmod(0o644)
    call = [f"/bundle/bin/{made.program}", "--input", f"args:/tmp/{made.arguments.name}"]
    call += ["--expect", f"/tmp/{made.expected.name}"]
    done = run_in_root(root, made.tree, call, Environment.current())
    if numbers(GLIBC[root.name]) >= numbers(made.glibc):
        assert done.returncode == 0, done.output
        assert "outputs match" in done.output
    else:
        there = GLIBC[root.name]
        assert done.returncode == 127
        assert done.output.startswith(
            f"{made.program}: error: this machine has glibc {there}, and this bundle needs {made.glibc} or newer\n"
        )
        assert with_glibc(made.glibc)[0] in done.output
