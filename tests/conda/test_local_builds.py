"""Conda packages, really built with rattler-build: the plugin, the examples with that plugin, what users install."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

meta_yaml = pytest.importorskip("meta_yaml", reason="PyYAML is not installed")
pytest.importorskip("zstandard", reason="zstandard is not installed")

from conda_support import BuildFailed, package_index, rpaths, run_bare, texts_inside, unpack  # noqa: E402

pytestmark = [pytest.mark.conda_local, pytest.mark.compile, pytest.mark.torch]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"lib/python{SERIES}/site-packages"


def recipe_of(folder: Path) -> Any:
    """The CPU variant for the Python of the local channel."""
    [recipe] = meta_yaml.render_all(folder, python_min=[SERIES], python=[SERIES])
    return recipe


@pytest.fixture(scope="session")
def plugin(workshop: Any) -> Path:
    """The package of torchscript-build; its tests have passed."""
    package: Path = workshop.build(recipe_of(ROOT / "recipe"))
    return package


@pytest.fixture(scope="session")
def loader(workshop: Any, plugin: Path) -> Path:
    """The package of examples/conda_app, built with the plugin's."""
    package: Path = workshop.build(recipe_of(EXAMPLES / "conda_app/recipe"))
    return package


@pytest.fixture(scope="session")
def operators(workshop: Any, plugin: Path) -> Path:
    """The package of examples/conda_ops, built with the plugin's."""
    package: Path = workshop.build(recipe_of(EXAMPLES / "conda_ops/recipe"))
    return package


def test_plugin_is_noarch_and_whole(plugin: Path, tmp_path: Path) -> None:
    files = unpack(plugin, tmp_path)
    assert package_index(tmp_path)["noarch"] == "python"
    assert not [f for f in files if f.endswith(".pyc")]
    templates = {
        f"site-packages/torchscript_build/templates/{f}" for f in ("cmake/TorchConfig.cmake", "conda/build.sh")
    }
    assert templates <= set(files)
    own = ("site-packages/torchscript_build", "python-scripts/", "etc/conda/test-files/torchscript-build/")
    assert not [f for f in files if not f.startswith(own)]


def test_loader_holds_the_program_and_its_model_only(loader: Path, tmp_path: Path) -> None:
    assert unpack(loader, tmp_path) == ["bin/smooth-series", "share/smooth-series/models/smooth.pt"]
    assert set(rpaths(tmp_path / "bin/smooth-series")) == {"$ORIGIN/../lib"}
    index = package_index(tmp_path)
    assert {line.split()[0] for line in index["depends"]} == {"libtorch", "libstdcxx", "libgcc"}
    assert "libtorch >=2.13.0,<2.14.0a0" in index["depends"]
    assert index["build"].startswith("cpu_h")


def test_loader_runs_without_python(loader: Path, workshop: Any, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    installed = workshop.install(prefix, "smooth-series")
    assert installed == ["libgcc", "libstdcxx", "libtorch", "smooth-series"]
    assert not list(prefix.glob("bin/python*"))
    done = run_bare(prefix / "bin/smooth-series", "--input", "arange:4", "--input", "float:0.5", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"]["values"] == [0, 0.5, 1.25, 2.125]


def test_nothing_of_the_build_machine_is_inside(loader: Path, operators: Path, workshop: Any, tmp_path: Path) -> None:
    for package in (loader, operators):
        folder = tmp_path / package.name
        for name in unpack(package, folder):
            found = texts_inside(folder / name, [str(workshop.folder), "_h_env_placehold", "/work/", "build_env"])
            assert not found, f"{package.name}: {name} has {found}"


def test_operators_hold_the_package_only(operators: Path, tmp_path: Path) -> None:
    files = {f for f in unpack(operators, tmp_path) if ".dist-info/" not in f}
    own = {f"{SITE}/series_ops/{f}" for f in ("__init__.py", "_torchscript_ops.py", "lib/libseries.so")}
    assert files - own <= {f for f in files if f.startswith(f"{SITE}/series_ops/__pycache__/")}
    assert own <= files
    entries = rpaths(tmp_path / SITE / "series_ops/lib/libseries.so")
    assert entries
    assert all(entry.startswith("$ORIGIN/") for entry in entries)
    assert {"pytorch * cpu*", "pytorch >=2.13.0,<2.14.0a0"} <= set(package_index(tmp_path)["depends"])


def test_operators_work_from_python(operators: Path, workshop: Any, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    workshop.install(prefix, "series-ops")
    code = "import torch, series_ops; print(series_ops.longest_rise(torch.tensor([1., 2., 3., 2.])))"
    done = run_bare(prefix / "bin/python", "-B", "-W", "ignore", "-c", code)
    assert done.stdout == "3\n", done.stderr


def copy_with(tmp_path: Path, name: str, old: str, new: str) -> Any:
    """An example whose meta.yaml says something else."""
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    meta = folder / "recipe/meta.yaml"
    text = meta.read_text(encoding="utf-8")
    assert old in text
    meta.write_text(text.replace(old, new), encoding="utf-8")
    return recipe_of(folder / "recipe")


def test_without_torch_in_host_the_error_names_the_line(workshop: Any, plugin: Path, tmp_path: Path) -> None:
    lines = "    - libtorch\n    - libtorch * {{ proc }}*\n"
    recipe = copy_with(tmp_path, "conda_app", lines, "    []\n")
    with pytest.raises(BuildFailed) as failure:
        workshop.build(recipe, test=False)
    assert "no usable libtorch found" in str(failure.value)
    assert "meta.yaml" in str(failure.value)
    assert "- libtorch" in str(failure.value)
