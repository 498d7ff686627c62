"""Conda packages, really built with rattler-build: the plugin, the examples with that plugin, what users install."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import run_child
from support import write

from torchscript_build.cli.conda import make_recipe

meta_yaml = pytest.importorskip("meta_yaml", reason="PyYAML is not installed")
pytest.importorskip("zstandard", reason="zstandard is not installed")

from conda_support import BuildFailed, package_index, rpaths, run_bare, texts_inside, unpack  # noqa: E402

pytestmark = [pytest.mark.compile, pytest.mark.torch]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"
TAG = SERIES.replace(".", "")
SITE = f"lib/python{SERIES}/site-packages"


Build = Callable[[Path], Path]


def recipe_of(folder: Path) -> Any:
    """The CPU variant for the Python of the local channel."""
    [recipe] = meta_yaml.render_all(folder, python_min=[SERIES], python=[SERIES])
    return recipe


def build_with_rattler(workshop: Any, folder: Path) -> Path:
    """The recipe in one of the two formats: conda_ops as `conda-recipe --v1` writes it, the others as they are."""
    if folder.parent.name != "conda_ops":
        return Path(workshop.build(recipe_of(folder)))
    project = workshop.folder / "conda_ops"
    shutil.copytree(folder.parent, project, ignore=shutil.ignore_patterns("recipe", "build", "*.egg-info"))
    for name, content in make_recipe(project, project / "recipe", v1=True).items():
        write(project / "recipe" / name, content.decode())
    return Path(workshop.build_v1(project / "recipe", python=SERIES, c_stdlib="sysroot", c_stdlib_version="2.17"))


def build_with_conda(workshop: Any, folder: Path) -> Path:
    """The same by ``conda build``, into the same output folder."""
    before = set(workshop.output.glob("*/*.conda"))
    command = ["conda", "build", str(folder), "--override-channels", "--output-folder", str(workshop.output)]
    command += ["--variants", json.dumps({"python_min": [SERIES], "python": [SERIES]}), "--no-anaconda-upload"]
    for channel in workshop.channels():
        command += ["--channel", channel]
    run_child(command, check=True)
    [package] = set(workshop.output.glob("*/*.conda")) - before
    return package


TOOLS = [
    pytest.param("rattler-build", marks=[pytest.mark.slow, pytest.mark.conda_local]),
    pytest.param("conda-build", marks=[pytest.mark.conda, pytest.mark.timeout(1800)]),  # it solves for minutes
]


@pytest.fixture(scope="session", params=TOOLS)
def tool(request: pytest.FixtureRequest, workshop: Any) -> Build:
    """Builds a recipe with the plugin's package, and runs the tests of the recipe."""
    if request.param == "rattler-build":
        return lambda folder: build_with_rattler(workshop, folder)
    if shutil.which("conda-build") is None:
        pytest.skip("there is no conda-build on PATH")
    return lambda folder: build_with_conda(workshop, folder)


@pytest.fixture(scope="session")
def plugin(tool: Build) -> Path:
    """The package of torchscript-build."""
    return tool(ROOT / "recipe")


@pytest.fixture(scope="session")
def loader(tool: Build, plugin: Path) -> Path:
    """The package of examples/conda_app, built with the plugin's."""
    return tool(EXAMPLES / "conda_app/recipe")


@pytest.fixture(scope="session")
def operators(tool: Build, plugin: Path) -> Path:
    """The package of examples/conda_ops, built with the plugin's."""
    return tool(EXAMPLES / "conda_ops/recipe")


@pytest.fixture(scope="session")
def everything(plugin: Path, loader: Path, operators: Path, workshop: Any) -> Path:
    """A fresh prefix with all three."""
    prefix: Path = workshop.folder / "everything"
    shutil.rmtree(prefix, ignore_errors=True)  # of the other tool
    workshop.install(prefix, "smooth-series", "series-ops", "torchscript-build")
    return prefix


with_rattler = pytest.mark.parametrize("tool", TOOLS[:1], indirect=True)
"""For what concerns rattler-build alone: its log, or builds that it is asked for by the test itself."""


def test_plugin_is_noarch_and_whole(plugin: Path, tmp_path: Path) -> None:
    files = unpack(plugin, tmp_path)
    assert package_index(tmp_path)["noarch"] == "python"
    assert not [f for f in files if f.endswith(".pyc")]
    templates = {
        f"site-packages/torchscript_build/templates/{f}" for f in ("cmake/TorchConfig.cmake", "conda/build.sh")
    }
    assert templates <= set(files)
    assert not [f for f in files if not f.startswith("site-packages/torchscript_build")]
    assert "site-packages/torchscript_build-0.1.0.dist-info/direct_url.json" not in files


def test_loader_holds_the_program_and_its_model_only(loader: Path, tmp_path: Path) -> None:
    assert unpack(loader, tmp_path) == ["bin/smooth-series", "share/smooth-series/models/smooth.pt"]
    assert rpaths(tmp_path / "bin/smooth-series") == ["$ORIGIN/../lib"]
    index = package_index(tmp_path)
    assert {line.split()[0] for line in index["depends"]} == {"libtorch", "libstdcxx", "libgcc"}
    assert "libtorch >=2.13.0,<2.14.0a0" in index["depends"]
    assert index["build"] == f"cpu_h{meta_yaml.package_hash(recipe_of(EXAMPLES / 'conda_app/recipe').variant)}_0"


def test_loader_runs_without_python(loader: Path, workshop: Any, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    installed = workshop.install(prefix, "smooth-series")
    assert installed == ["libgcc", "libstdcxx", "libtorch", "smooth-series"]
    assert not list(prefix.glob("bin/python*"))
    program, inputs = prefix / "bin/smooth-series", ("--input", "arange:8", "--input", "float:0.5")
    done = run_bare(program, *inputs)
    assert done.returncode == 0, done.stderr
    readme = (EXAMPLES / "conda_app/README.md").read_text(encoding="utf-8")
    assert f"```console\n$ smooth-series {' '.join(inputs)}\n{done.stdout}```\n" in readme


@with_rattler
def test_build_respects_the_packagers_variables(loader: Path, workshop: Any) -> None:
    log = workshop.log_of("smooth-series").read_text(encoding="utf-8")
    [configure] = re.findall(r"^ *\+ (\S+/cmake -S .*)$", log, re.MULTILINE)
    assert configure.startswith("$BUILD_PREFIX/bin/cmake ")
    for option in ("-G Ninja", "-DCMAKE_MAKE_PROGRAM=$BUILD_PREFIX/bin/ninja"):
        assert f" {option} " in configure
    for entry in ("CMAKE_BUILD_TYPE", "CMAKE_INSTALL_PREFIX", "CMAKE_FIND_ROOT_PATH"):
        assert configure.count(f"-D{entry}=") == 1
    assert "CMAKE_CXX_COMPILER" not in configure  # CXX says it
    assert "$BUILD_PREFIX/bin/x86_64-conda-linux-gnu-c++ GNU" in log
    assert "in $PREFIX, by conda host prefix" in log
    assert "CMP0174" not in log


def test_nothing_of_the_build_machine_is_installed(
    plugin: Path, loader: Path, operators: Path, everything: Path, workshop: Any, tmp_path: Path
) -> None:
    for package in (plugin, loader, operators):
        for name in unpack(package, tmp_path / package.name):
            installed = name.replace("site-packages", SITE, 1) if name.startswith("site-packages/") else name
            file = everything / installed
            found = texts_inside(file, [str(workshop.folder), str(ROOT), "placehold"])
            assert not found, f"{package.name}: {name} has {found}"


def test_operators_hold_the_package_only(operators: Path, tmp_path: Path) -> None:
    files = set(unpack(operators, tmp_path))
    about = f"{SITE}/series_ops-1.0.dist-info/"
    named = {f[len(about) :] for f in files if f.startswith(about)}
    assert named == {"INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL", "licenses/LICENSE", "top_level.txt"}
    files = {f for f in files if not f.startswith(about)}
    own = {f"{SITE}/series_ops/{f}" for f in ("__init__.py", "_torchscript_ops.py", "lib/libseries.so")}
    compiled = {f"{SITE}/series_ops/__pycache__/{n}.cpython-{TAG}.pyc" for n in ("__init__", "_torchscript_ops")}
    assert files in (own, own | compiled)  # the packagers compile what is the package's own
    entries = rpaths(tmp_path / SITE / "series_ops/lib/libseries.so")
    assert sorted(entries) == ["$ORIGIN/../../../..", "$ORIGIN/../../torch/lib"]
    index = package_index(tmp_path)
    assert {"pytorch * cpu*", "pytorch >=2.13.0,<2.14.0a0"} <= set(index["depends"])
    assert index["build"].startswith(f"cpu_py{TAG}_h")


def test_operators_work_from_python(everything: Path) -> None:
    code = "import torch, series_ops; print(series_ops.longest_rise(torch.tensor([1., 2., 3., 2.])))"
    done = run_bare(everything / "bin/python", "-B", "-W", "ignore", "-c", code)
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


@with_rattler
def test_without_torch_in_host_the_error_names_the_line(workshop: Any, loader: Path, tmp_path: Path) -> None:
    lines = "    - libtorch\n    - libtorch * {{ proc }}*\n"
    recipe = copy_with(tmp_path, "conda_app", lines, "    []\n")
    with pytest.raises(BuildFailed) as failure:
        workshop.build(recipe, test=False)
    assert "no usable libtorch found" in str(failure.value)
    assert "meta.yaml" in str(failure.value)
    assert "- libtorch" in str(failure.value)


@pytest.mark.parametrize("tool", TOOLS[1:], indirect=True)  # it packs half a gigabyte
def test_a_bundle_needs_no_other_package(tool: Build, plugin: Path, workshop: Any, tmp_path: Path) -> None:
    project = tmp_path / "conda_app"
    shutil.copytree(EXAMPLES / "conda_app", project, ignore=shutil.ignore_patterns("recipe", "build", "*.egg-info"))
    for name, content in make_recipe(project, project / "recipe", v1=False, bundle=True).items():
        write(project / "recipe" / name, content.decode())
    tool(project / "recipe")
    prefix = tmp_path / "prefix"
    assert workshop.install(prefix, "smooth-series-bundle") == ["smooth-series-bundle"]
    done = run_bare(prefix / "bin/smooth-series", "--input", "arange:8", "--input", "float:0.5")
    assert done.returncode == 0, done.stderr
    assert done.stdout in (EXAMPLES / "conda_app/README.md").read_text(encoding="utf-8")
    bundle = prefix / "opt/smooth-series-bundle"
    told = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert {name: f["sha256"] for name, f in told["files"].items()} == {
        name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in told["files"]
    }
    assert "lib/libstdc++.so.6" in told["files"]


@pytest.mark.parametrize("tool", TOOLS[1:], indirect=True)
def test_a_c_library_runs_from_its_package(tool: Build, plugin: Path, workshop: Any, tmp_path: Path) -> None:
    project = tmp_path / "c_library"
    shutil.copytree(EXAMPLES / "conda_app", project, ignore=shutil.ignore_patterns("recipe", "build", "*.egg-info"))
    settings = (project / "pyproject.toml").read_text(encoding="utf-8")
    for old, new in (("[[tool.torchscript-build.app]]", "[[tool.torchscript-build.library]]"), ("-series", "er")):
        assert old in settings
        settings = settings.replace(old, new)
    write(project / "pyproject.toml", settings)
    for name, content in make_recipe(project, project / "recipe", v1=False).items():
        write(project / "recipe" / name, content.decode())
    tool(project / "recipe")
    prefix = tmp_path / "prefix"
    assert workshop.install(prefix, "smoother") == ["libgcc", "libstdcxx", "libtorch", "smoother"]
    source = "#include <smoother.h>\nint main() { smoother_model model; return smoother_open(NULL, &model); }\n"
    flags = [f"-I{prefix}/include", f"-L{prefix}/lib", "-lsmoother", f"-Wl,-rpath,{prefix}/lib"]
    program = tmp_path / "client"
    run_child(["cc", "-std=c99", write(tmp_path / "client.c", source), *flags, "-o", program], check=True)
    assert run_bare(program).returncode == 0
