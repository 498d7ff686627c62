"""One wheel for several series of torch, against tiny libtorches that lie in the cache as fetched ones do."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import pytest
from children import run_python
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import write
from tiny_torch import copy_torch, fetched_torch

from torchscript_build.system.elf import read_elf

SERIES = '[tool.torchscript-build]\nseries = ["2.11", "2.13"]\n\n'
OPS = '[[tool.torchscript-build.ops]]\nname = "word"\nsources = ["word.cpp"]\n\n'
APP = ANSWER_APP + 'ops = ["word"]\n'
FILES = {
    "answer.cpp": ANSWER_CPP.replace('"answer %d\\n"', '"%s: answer %d\\n", SERIES'),
    "word.cpp": "#include <torch/script.h>\nint word() { return torch::answer(); }\n",
}


@pytest.fixture
def machine_with_two(no_torch: dict[str, str], fake_torch: Path, tmp_path: Path) -> dict[str, str]:
    """A machine with two fetched libtorches, and no other."""
    for version in ("2.11.0+cpu", "2.13.0+cpu"):
        fetched_torch(fake_torch, tmp_path / "cache", version)
    variables = dict(no_torch)
    del variables["TORCHSCRIPT_BUILD_LIBTORCH"]
    return variables


def setup(project: Path, variables: dict[str, str], *words: str) -> str:
    done = run_python("setup.py", *words, cwd=project, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def refused(project: Path, variables: dict[str, str], *words: str) -> str:
    done = run_python("setup.py", *words, cwd=project, variables=variables)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return str(done.stderr)


def stamps(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".so", ".o", ".py")}


def native(names: list[str]) -> list[str]:
    return sorted(n for n in names if n.startswith(("demo/bin/", "demo/lib/")))


@pytest.mark.slow
@pytest.mark.compile
def test_one_wheel_runs_with_each_of_its_series(
    machine_with_two: dict[str, str], fake_torch: Path, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", SERIES + OPS + APP, files=FILES)
    output = setup(project, machine_with_two, "bdist_wheel")
    for series in ("2.11", "2.13"):
        assert re.search(rf"^-- operator libraries for torch {series}: 0\.\d MB, \d+\.\d s$", output, re.MULTILINE)
        assert re.search(rf"^-- programs for torch {series}: 0\.\d MB, \d+\.\d s$", output, re.MULTILINE)
    (file,) = (project / "dist").glob("*.whl")
    assert "-py3-none-" in file.name
    site = tmp_path / "site"
    with zipfile.ZipFile(file) as wheel:
        assert native(wheel.namelist()) == [
            "demo/bin/torch2.11/answer",
            "demo/bin/torch2.13/answer",
            "demo/lib/torch2.11/libword.so",
            "demo/lib/torch2.13/libword.so",
        ]
        metadata = wheel.read("demo-1.5.dist-info/METADATA").decode()
        wheel.extractall(site)
    assert re.findall("^Requires-Dist: (.*)$", metadata, re.MULTILINE) == ["torch >=2.11,<2.14,!=2.12.*"]
    for series in ("2.11", "2.13"):
        (site / f"demo/bin/torch{series}/answer").chmod(0o755)
        assert read_elf(site / f"demo/bin/torch{series}/answer").rpath == (
            "$ORIGIN/../../../torch/lib",
            f"$ORIGIN/../../lib/torch{series}",
        )
    copy_torch(fake_torch, site / "torch")
    code = "from demo._torchscript_apps import start_answer as f; f()"
    answers = {}
    for version in ("2.11.2", "2.13.1", "2.12.0"):
        write(site / "torch/version.py", f"__version__ = '{version}+cpu'\ncuda = None\n")
        done = run_python("-S", "-c", code, cwd=tmp_path, variables={"PYTHONPATH": str(site)})
        answers[version] = (done.stdout + done.stderr).splitlines()[0]
    assert answers == {
        "2.11.2": "2.11: answer 42",
        "2.13.1": "2.13: answer 42",
        "2.12.0": "error: this program was built for torch 2.11 and 2.13, but torch 2.12 is installed: "
        "pip install 'torch==2.13.*', or reinstall this package",
    }


@pytest.mark.slow
@pytest.mark.compile
def test_nothing_changed_builds_nothing_and_a_series_that_is_gone_takes_its_files_away(
    machine_with_two: dict[str, str], tmp_path: Path
) -> None:
    rebuilding = SERIES.replace("\n\n", "\neditable-rebuild = true\n\n")
    project = write_project(tmp_path / "project", rebuilding + OPS, files=FILES)
    setup(project, machine_with_two, "build_ts_ops", "--inplace")
    assert "OPTIONS = ('--inplace', '--build-type', 'Release')" in (project / "demo/_torchscript_ops.py").read_text()
    here = project / "demo/lib"
    assert sorted(p.name for p in here.iterdir()) == ["torch2.11", "torch2.13"]
    before = stamps(project)
    assert "Building CXX" not in setup(project, machine_with_two, "build_ts_ops", "--inplace")
    assert stamps(project) == before
    (project / "dist").mkdir()
    code = "from setuptools.build_meta import build_editable; build_editable('dist')"
    done = run_python("-c", code, cwd=project, variables=machine_with_two)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Building CXX" not in done.stdout
    with zipfile.ZipFile(next((project / "dist").glob("*.whl"))) as wheel:
        assert "Requires-Dist: torch >=2.11,<2.14,!=2.12.*\n" in wheel.read("demo-1.5.dist-info/METADATA").decode()
    write_project(project, SERIES.replace('"2.11", ', "") + OPS)
    output = setup(project, machine_with_two, "build_ts_ops", "--inplace")
    assert "Building CXX" not in output
    assert "torch2.11/libword.so, which an earlier build put there" in output
    assert [p.name for p in here.iterdir()] == ["torch2.13"]
    assert "'torch': '2.11'" not in (project / "demo/_torchscript_ops.py").read_text()
    setup(project, {**machine_with_two, "TORCHSCRIPT_BUILD_LIBTORCH": "fetched:2.11"}, "build_ts_ops", "--inplace")
    assert [p.name for p in here.iterdir()] == ["libword.so"]


def test_a_series_that_was_not_fetched(machine_with_two: dict[str, str], tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", SERIES.replace("2.11", "2.12") + OPS, files=FILES)
    text = refused(project, machine_with_two, "build_ts_ops")
    assert "libtorch 2.12 has not been fetched (series in [tool.torchscript-build]; there: 2.11.0+cpu, 2.13.0" in text
    assert "    - torchscript-build fetch 2.12.0\n" in text
    assert not list(project.glob("build/torchscript/*/tree"))
    done = run_python("-m", "torchscript_build", "doctor", cwd=project, variables=machine_with_two)
    assert re.search(r"✗ series 2\.12 +libtorch 2\.12 has not been fetched", done.stdout), done.stdout
    assert re.search(r"✓ series 2\.13 +2\.13\.0\+cpu in ", done.stdout)
    assert "torchscript-build fetch 2.12.0\n" in done.stdout


def test_what_has_one_libtorch_is_refused(machine_with_two: dict[str, str], tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", SERIES + OPS, files=FILES)
    words = "series: a prefix has one libtorch, as has a bundle: name it, as in --libtorch fetched:2.13"
    assert words in refused(project, machine_with_two, "build_ts_app", "--prefix", str(tmp_path / "there"))
    assert words in refused(project, machine_with_two, "build_ts_app", "--bundle", str(tmp_path / "there"))
    command = ["-m", "torchscript_build", "eject", str(tmp_path / "there")]
    done = run_python(*command, cwd=project, variables=machine_with_two)
    assert "series: an ejected project has one libtorch: name it, as in --libtorch fetched:2.13" in done.stderr


def test_one_libtorch_that_is_named_takes_the_place_of_all(machine_with_two: dict[str, str], tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", SERIES + OPS, files=FILES)
    named = {**machine_with_two, "TORCHSCRIPT_BUILD_LIBTORCH": "fetched:2.11"}
    words = "names one libtorch: series (2.11, 2.13) is left aside"
    output = setup(project, named, "build_ts_ops", "--dry-run")
    assert f"-- TORCHSCRIPT_BUILD_LIBTORCH {words}" in output
    assert '"output_dir": "demo/lib",' in output
    there = str(tmp_path / "cache/libtorch/2.11.0+cpu/torch")
    output = setup(project, {**machine_with_two, "Torch_DIR": there}, "build_ts_ops", "--dry-run")
    assert f"-- Torch_DIR {words}" in output
    assert f"-- --libtorch {words}" in setup(
        project, machine_with_two, "build_ts_ops", "--libtorch", "fetched:2.13", "--dry-run"
    )


def test_which_of_several_builds(machine_with_two: dict[str, str], fake_torch: Path, tmp_path: Path) -> None:
    fetched_torch(fake_torch, tmp_path / "cache", "2.13.1+cpu")
    project = write_project(tmp_path / "project", SERIES + OPS, files=FILES)
    plans = setup(project, machine_with_two, "build_ts_ops", "--dry-run")
    assert re.findall(r'"version": "(2\..*)"', plans) == ["2.13.1", "2.11.0"]
    shutil.copytree(tmp_path / "cache/libtorch/2.13.1+cpu", tmp_path / "cache/libtorch/2.13.1+other")
    text = refused(project, machine_with_two, "build_ts_ops")
    assert "libtorch 2.13 may be each of 2.13.1+cpu, 2.13.1+other" in text
    assert '    - name one in series: "2.13.1+cpu"\n' in text
    write_project(project, SERIES.replace('"2.13"', '"2.13.0+cpu"') + OPS, files=FILES)
    plans = setup(project, machine_with_two, "build_ts_ops", "--dry-run")
    assert re.findall(r'"version": "(2\..*)"', plans) == ["2.13.0", "2.11.0"]
