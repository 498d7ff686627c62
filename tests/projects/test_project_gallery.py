"""A gallery of shapes: each project is built in each way that people have, put elsewhere beside torch, and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest
from children import run_child, run_python
from projects.shapes import SHAPES, Shape
from support import write

pytestmark = [pytest.mark.compile, pytest.mark.slow]

HOOK = """\
import json, sys
from setuptools import build_meta
print("built", getattr(build_meta, sys.argv[1])(sys.argv[2], json.loads(sys.argv[3])))
"""
NEEDED = ("setuptools", "packaging", "jinja2", "markupsafe", "pyelftools", "wheel", "cmake", "ninja")


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a front end with isolation puts on the path: links to this environment's packages, and nothing else."""
    folder = tmp_path_factory.mktemp("pip-build-env-") / "site"
    folder.mkdir()
    for name in NEEDED:
        try:
            files = metadata.distribution(name).files or ()
        except metadata.PackageNotFoundError:
            continue
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            (folder / top).symlink_to(metadata.distribution(name).locate_file(top))
    import torchscript_build
    from torchscript_build.generate.templates import templates_dir

    # As an installation lays it out, also where these tests run from a checkout.
    shutil.copytree(Path(torchscript_build.__file__).parent, folder / "torchscript_build", dirs_exist_ok=True)
    shutil.copytree(templates_dir(), folder / "torchscript_build/templates", dirs_exist_ok=True)
    ours = [p for p in metadata.distribution("torchscript-build").entry_points if p.group != "console_scripts"]
    groups = dict.fromkeys(p.group for p in ours)
    points = "".join(f"[{g}]\n" + "".join(f"{p.name} = {p.value}\n" for p in ours if p.group == g) for g in groups)
    info = folder / "torchscript_build-0.dist-info"
    write(info / "entry_points.txt", points)
    write(info / "METADATA", "Metadata-Version: 2.1\nName: torchscript-build\nVersion: 0\n")
    return folder


PYPROJECT = """\
[build-system]
requires = ["setuptools", "torchscript-build"]
build-backend = "setuptools.build_meta"

[project]
name = "demo"
{project}

{packages}
"""


def write_shape(folder: Path, shape: Shape) -> Path:
    """A project's files; its packages are named where setuptools would take folders of C++ for some."""
    for name, text in shape.files.items():
        write(folder / name, text)
    root = folder / shape.root
    named = (root / "demo/__init__.py").is_file()
    packages = '[tool.setuptools]\npackages = ["demo"]\n' if named else ""
    project = shape.project or 'version = "1.5"'
    write(root / "pyproject.toml", PYPROJECT.format(project=project, packages=packages) + shape.settings)
    write(root / "setup.py", shape.setup)
    if "version" in shape.project:
        for words in (["init", "-q"], ["add", "setup.py"], ["commit", "-q", "-m", "x"]):
            run_child(["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=root, check=True)
    return root


def call_hook(
    root: Path, hook: str, variables: Mapping[str, str], *options: str, settings: str = "{}"
) -> subprocess.CompletedProcess[str]:
    (root / "dist").mkdir(exist_ok=True)
    return run_python(*options, "-c", HOOK, hook, "dist", settings, cwd=root, variables=variables)


def built(root: Path, done: subprocess.CompletedProcess[str]) -> Path:
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "dist" / done.stdout.splitlines()[-1].removeprefix("built ")


def unpack(wheel: Path, site: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        for entry in archive.infolist():
            (site / entry.filename).chmod((entry.external_attr >> 16) & 0o777 or 0o644)


WAYS = [(name, way) for name, shape in SHAPES.items() for way in shape.ways]


@pytest.mark.parametrize(("name", "way"), WAYS, ids=[f"{n}-{w}".replace(" ", "_") for n, w in WAYS])
def test_gallery(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path, overlay: Path, name: str, way: str
) -> None:
    shape = SHAPES[name]
    if not Path(shape.needs).is_dir():
        pytest.skip(f"this machine has no {shape.needs}")
    root = write_shape(tmp_path / "project", shape)
    # There is a torch of the same version in these tests' Python, which is no match for the tiny one.
    write(tmp_path / "no_torch/torch.py", "raise ImportError('no torch here')\n")
    variables = {**variables, "PYTHONPATH": str(tmp_path / "no_torch")}
    if way in shape.refused:
        done = call_hook(root, "build_sdist", variables)
        assert done.returncode == 1
        assert shape.refused[way] in done.stderr
        return
    if way == "sdist":
        sdist = built(root, call_hook(root, "build_sdist", variables))
        with tarfile.open(sdist) as archive:
            names = archive.getnames()
            archive.extractall(tmp_path / "unpacked")
        assert not [n for n in names if n.endswith((".env", ".whl", "_torchscript_ops.py", "_torchscript_apps.py"))]
        (root,) = (tmp_path / "unpacked").iterdir()
        assert "Dynamic: Requires-Dist" in (root / "PKG-INFO").read_text()
    if way in ("lenient", "strict"):
        wheel = built(root, call_hook(root, "build_editable", variables, settings=f'{{"editable_mode": "{way}"}}'))
    elif way == "isolated":
        path = os.pathsep.join(map(str, (tmp_path / "no_torch", overlay)))
        wheel = built(root, call_hook(root, "build_wheel", {**variables, "PYTHONPATH": path}, "-S"))
    else:
        wheel = built(root, call_hook(root, "build_wheel", variables))
    if way not in ("lenient", "strict"):
        tag = wheel.name.split("-", 2)[2].rpartition("-")[0]
        exact = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        assert tag == (f"{exact}-{exact}" if shape.tag == "exact" else shape.tag)
    site = tmp_path / "elsewhere/site-packages"
    unpack(wheel, site)
    if way not in ("lenient", "strict"):
        (tmp_path / "project").rename(tmp_path / "gone")
    text = next(site.glob("*.dist-info/METADATA")).read_text()
    assert text.count("Requires-Dist: torch ==2.13.*\n") == 1
    assert "Dynamic: Requires-Dist" not in text
    (site / "torch").symlink_to(fake_torch)
    # torch itself is not imported by programs; where a loader imports it, the tiny one has to do.
    write(tmp_path / "stand_in/torch/__init__.py", STAND_IN)
    write(tmp_path / "stand_in/torch/version.py", (fake_torch / "version.py").read_text())
    code = f"import site; site.addsitedir({str(site)!r}); {shape.check}"
    first = str(tmp_path / "stand_in") if "import acme" in shape.check else ""
    done = run_python("-S", "-c", code, cwd=tmp_path, variables={"PYTHONPATH": first, "PATH": os.defpath})
    assert done.stdout == "answer 42\n", done.stdout + done.stderr


STAND_IN = """\
import ctypes
__version__ = "2.13.0+cpu"
class version: cuda = None
def compiled_with_cxx11_abi(): return True
class ops:
    loaded_libraries = set()
    load_library = staticmethod(ctypes.CDLL)
"""


def test_an_sdist_after_an_editable_install_holds_nothing_that_was_built(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    root = write_shape(tmp_path / "project", SHAPES["app"])
    built(root, call_hook(root, "build_editable", variables))
    assert (root / "demo/_torchscript_apps.py").is_file()
    with tarfile.open(built(root, call_hook(root, "build_sdist", variables))) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    assert "demo/__init__.py" in names
    assert not names & {"demo/_torchscript_apps.py", "demo/bin/answer"}


def test_a_wheel_after_an_editable_install_of_a_project_without_python(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """Its package lies among the sources then, which does not make it a project with Python."""
    root = write_shape(tmp_path / "project", SHAPES["program without a Python package"])
    built(root, call_hook(root, "build_editable", variables))
    assert sorted(p.name for p in root.glob("demo/*.py")) == ["__init__.py", "_torchscript_apps.py"]
    for hook in ("build_editable", "build_wheel"):
        wheel = built(root, call_hook(root, hook, variables))
    with zipfile.ZipFile(wheel) as archive:
        files = {n for n in archive.namelist() if n.startswith("demo/")}
    assert files == {"demo/_torchscript_apps.py", "demo/bin/answer"}


def test_build_ext_in_place_builds_ours_too(tmp_path: Path, variables: dict[str, str]) -> None:
    root = write_shape(tmp_path / "project", SHAPES["app"])
    done = run_python("setup.py", "build_ext", "--inplace", cwd=root, variables=variables)
    assert done.returncode == 0, done.stderr
    ran = run_child([root / "demo/bin/answer"], env={}, capture_output=True, encoding="utf-8")
    assert ran.stdout == "answer 42\n"


def test_a_module_of_the_limited_api_works_in_another_python(
    tmp_path: Path, variables: dict[str, str], fake_torch: Path
) -> None:
    own = sys.version_info[:2]
    others = [p for n in range(9, 16) if (p := _python(n)) and n != own[1]]
    if not others:
        pytest.skip("this machine has no second Python")
    shape = SHAPES["module of the limited API"]
    root = write_shape(tmp_path / "project", shape)
    write(tmp_path / "no_torch/torch.py", "raise ImportError('no torch here')\n")
    wheel = built(root, call_hook(root, "build_wheel", {**variables, "PYTHONPATH": str(tmp_path / "no_torch")}))
    site = tmp_path / "site-packages"
    unpack(wheel, site)
    (site / "torch").symlink_to(fake_torch)
    for python in others:
        done = run_child(
            [python, "-S", "-c", shape.check], env={"PYTHONPATH": str(site)}, capture_output=True, encoding="utf-8"
        )
        assert done.stdout == "answer 42\n", done.stderr


def _python(minor: int) -> str | None:
    """A Python on PATH, or one of pyenv's."""
    names = [shutil.which(f"python3.{minor}"), *map(str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))]
    working = (n for n in names if n and run_child([n, "-c", "pass"], capture_output=True).returncode == 0)
    return next(working, None)
