"""``torchscript-build bundle`` as a whole, with the tiny libtorch."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import run_child, run_python
from small_projects import ANSWER_APP, ANSWER_CPP, read_project, write_project
from support import write
from tiny_torch import build_fake_cuda_torch, compile_library, copy_torch

from torchscript_build.cli.bundle import setup_words
from torchscript_build.errors import SettingsError
from torchscript_build.packaging.bundle.command import choose_output, paths_in
from torchscript_build.settings.specs import BundleOptions
from torchscript_build.system import Environment, elf

Bundle = Callable[..., Any]
SETTINGS = ANSWER_APP + 'arguments = ["a b"]\n'
PLUGIN_CPP = """\
#include <dlfcn.h>
#include <cstdio>
int main() {
  if (dlopen("libplugin.so", RTLD_NOW) != nullptr) return std::puts("plugged") < 0;
  std::fprintf(stderr, "%s\\n", dlerror());
  return 3;
}
"""
OPENMP_CPP = """\
#include <omp.h>
#include <cstdio>
int main() { std::printf("%d\\n", omp_get_max_threads() > 0); }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    source = "#include <torchscript_build/app.h>\n" + ANSWER_CPP  # which the build makes
    return write_project(tmp_path / "project", SETTINGS, files={"answer.cpp": source, "LICENSE": "mine"})


@pytest.fixture(scope="module")
def licensed(fake_torch: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny libtorch, with the licence that its wheel has."""
    site = tmp_path_factory.mktemp("site-packages")
    root = copy_torch(fake_torch, site / "torch")
    for name in ("LICENSE", "NOTICE", "third_party/fmt/LICENSE"):
        write(site / "torch-2.13.0.dist-info/licenses" / name, f"torch's {name}")
    return root


@pytest.fixture
def bundle(project: Path, variables: dict[str, str], licensed: Path) -> Bundle:
    """``torchscript-build bundle``; asserts the exit code."""

    def run(*words: str, code: int = 0, cwd: Path = project, **changes: str) -> str:
        merged = {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": str(licensed), **changes}
        done = run_python("-m", "torchscript_build", "bundle", *words, cwd=cwd, variables=merged)
        assert done.returncode == code, done.stdout + done.stderr
        return str(done.stdout + done.stderr)

    return run


def files_of(tree: Path) -> set[str]:
    return {p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file()}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["build_ts_app", "--bundle="]),
        (["out"], ["build_ts_app", "--bundle=out"]),
        (["-j", "2", "out", "--strip"], ["build_ts_app", "--bundle=out", "--jobs=2", "--strip"]),
        (["--format", "deb", "--verify"], ["build_ts_app", "--bundle=", "--verify", "--format=deb"]),
        (["-v", "--libtorch", "x"], ["--verbose", "build_ts_app", "--bundle=", "--libtorch=x"]),
    ],
)
def test_the_words_for_setup_py(words: list[str], expected: list[str]) -> None:
    assert setup_words(words) == expected


def test_a_misspelt_option_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        setup_words(["--stripp"])
    assert "there is no option --stripp; did you mean --strip?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "kind", "settings", "name"),
    [
        ("", "", "dir", "dist/My_App-1.0-linux-x86_64"),
        ("", "tar", "dir", "dist/My_App-1.0-linux-x86_64.tar.gz"),
        ("", "", "tar.zst", "dist/My_App-1.0-linux-x86_64.tar.zst"),
        ("", "deb", "dir", "dist/my-app_1.0_amd64.deb"),
        ("out/x", "", "deb", "out/x"),
        ("x.tgz", "tar", "dir", "x.tgz"),
        ("x.deb", "", "dir", "x.deb"),
    ],
)
def test_where_a_bundle_goes(named: str, kind: str, settings: str, name: str) -> None:
    options = BundleOptions(format=settings)
    assert choose_output(named, options, "My_App", "1.0", "x86_64", kind=kind) == Path(name).absolute()


@pytest.mark.parametrize(
    ("named", "kind", "words"),
    [
        ("x.deb", "tar", r"--format tar and 'x.deb' do not agree: it takes a name that ends in .tar.gz"),
        ("x.tar.gz", "dir", r"--format dir and 'x.tar.gz' do not agree: it takes a name without a suffix"),
        ("", "zip", r"--format: there is no format 'zip'; there are dir, tar, tar.gz, tar.zst, deb"),
    ],
)
def test_a_name_and_a_format_that_do_not_agree(named: str, kind: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        choose_output(named, BundleOptions(), "demo", "1.0", "x86_64", kind=kind)


def test_an_unknown_format_in_the_settings(tmp_path: Path) -> None:
    folder = write_project(tmp_path, '[tool.torchscript-build.bundle]\nformat = "tgz"\n')
    with pytest.raises(SettingsError, match=r"bundle: there is no format 'tgz'"):
        read_project(folder)


def test_settings_of_bundles(tmp_path: Path) -> None:
    text = '[tool.torchscript-build.bundle]\nstrip = true\ncxx-runtime = true\nlibraries = ["a.so"]\nformat = "deb"\n'
    spec = read_project(write_project(tmp_path, text))
    assert spec.bundle == BundleOptions(format="deb", cxx_runtime=True, strip=True, libraries=("a.so",))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("bundle = 3", r"tool.torchscript-build.bundle must be a table, .* not 3"),
        ("[tool.torchscript-build.bundle]\nstripp = true", r"unknown key 'stripp'.*did you mean 'strip'"),
    ],
)
def test_wrong_settings_of_bundles(line: str, problem: str, tmp_path: Path) -> None:
    head = "" if line.startswith("[") else "[tool.torchscript-build]\n"
    with pytest.raises(SettingsError, match=problem):
        read_project(write_project(tmp_path, head + line + "\n"))


@pytest.mark.compile
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bundle=out", "--prefix=x"], "--prefix, --bundle and --inplace: give one of them"),
        (["--bundle=out", "--inplace"], "--prefix, --bundle and --inplace: give one of them"),
        (["--strip"], "--strip, --cxx-runtime and --format are of --bundle, which is not given"),
    ],
)
def test_options_that_do_not_go_together(project: Path, run_setup: Any, words: list[str], said: str) -> None:
    kept = write(project / "x/kept.txt")
    done = run_setup(project, "build_ts_app", *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert kept.exists()


@pytest.mark.compile
def test_another_folder_is_refused_before_anything_is_built(project: Path, bundle: Bundle) -> None:
    write(project / "out/thesis.tex", "years of work")
    assert "out is there and is no bundle; a new one would take its place" in bundle("out", code=1)
    assert files_of(project / "out") == {"thesis.tex"}
    assert not list((project / "build").rglob("answer"))


# --- what it makes ----------------------------------------------------------------------------------------------------


@pytest.mark.compile
@pytest.mark.slow
def test_a_bundle_runs_where_nothing_else_is(
    project: Path, tmp_path: Path, bundle: Bundle, licensed: Path, here: Environment
) -> None:
    said = bundle("out", "--verify")
    out = project / "out"
    assert "-- in an empty root, answer: runs on the arguments in the settings" in said
    assert re.search(r"-- bundle \S+/out: x86-64, glibc 2\.\d+ or newer \(Debian \d+.*libstdc\+\+ of GCC", said)
    assert re.search(r"^ +\d+\.\d MB  all$", said, re.MULTILINE)
    assert "-- smaller with --strip" in said
    files = files_of(out)
    ours = {"licenses/torchscript-build/LICENSE"} & files  # not where we run from a checkout that is not installed
    assert files == ours | {
        *("bin/answer", "libexec/answer", "lib/libc10.so", "lib/libtorch.so", "lib/libtorch_cpu.so"),
        *("licenses/torch/LICENSE", "licenses/torch/NOTICE", "licenses/torch/third_party/fmt/LICENSE"),
        *("licenses/demo/LICENSE", "bom.json", "bundle.json"),
    }
    told = json.loads((out / "bundle.json").read_text("utf-8"))
    assert {name: one["sha256"] for name, one in told["files"].items()} == {
        name: digest(out / name) for name in files - {"bundle.json"}
    }
    assert told["libtorch"] == {
        "version": "2.13.0+cpu",
        "variant": "torch213-cxx11-cpu-x86_64-linux",
        "cxx11_abi": True,
        "cuda": None,
    }
    assert (told["needs"]["machine"], told["needs"]["cpu"]) == ("x86_64", "x86-64")
    assert {"libc.so.6", "libstdc++.so.6"} <= set(told["needs"]["libraries"])
    assert (told["parity"], told["verified"]) == ([], ["answer: runs on the arguments in the settings"])
    for binary in (out / name for name in files if name.startswith(("bin/", "lib"))):
        info = elf.read_elf(binary)
        assert {*info.rpath, *info.runpath} <= {"$ORIGIN/../lib", "$ORIGIN"}, binary
    assert paths_in(out, [str(tmp_path), str(licensed), str(Path.home())]) == {}
    assert {p.stat().st_mode & 0o777 for p in out.rglob("*")} == {0o755, 0o644}
    if importlib.util.find_spec("cyclonedx"):  # not for Python 3.9
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator

        assert JsonStrictValidator(SchemaVersion.V1_5).validate_str((out / "bom.json").read_text("utf-8")) is None
    away = licensed.rename(tmp_path / "gone")  # nothing of the bundle may lead there
    try:
        moved = out.rename(tmp_path / "moved")
        ran = run_child([moved / "bin/answer"], env={}, capture_output=True, encoding="utf-8", check=True)
    finally:
        away.rename(licensed)
    assert ran.stdout == "answer 42\n"
    # A bundle that is there already is replaced.
    bundle("out")
    assert files_of(project / "out") == files


@pytest.mark.compile
@pytest.mark.slow
def test_the_same_project_elsewhere_gives_the_same_bytes(project: Path, tmp_path: Path, bundle: Bundle) -> None:
    other = shutil.copytree(project, tmp_path / "another/place")
    before = os.umask(0o077)
    try:
        bundle("a.tar.gz", "--format", "tar", cwd=other)
        bundle("a.deb", cwd=other)
    finally:
        os.umask(before)
    bundle("b.tar.gz")
    bundle("--format", "deb")
    assert digest(other / "a.tar.gz") == digest(project / "b.tar.gz")
    assert digest(other / "a.deb") == digest(project / "dist/demo_1.5_amd64.deb")


@pytest.mark.compile
def test_a_bundle_without_torchs_licence_is_refused(project: Path, bundle: Bundle, fake_torch: Path) -> None:
    said = bundle("out", code=1, TORCHSCRIPT_BUILD_LIBTORCH=str(fake_torch))
    assert f"error: the licence of torch is not in {fake_torch} nor beside it, and a bundle must hold it" in said
    assert "put torch's LICENSE and NOTICE into that folder" in said
    assert not (project / "out").exists()


@pytest.mark.compile
@pytest.mark.slow
def test_folders_of_this_machine_are_told_and_stripped(project: Path, bundle: Bundle) -> None:
    project.joinpath("LICENSE").unlink()  # a project needs none
    said = bundle("out", "--build-type", "Debug", CXXFLAGS="-g -fno-lto")
    assert f"libexec/answer in the bundle names {project}, a folder of this machine" in said
    assert "in the bundle names" not in bundle("out", "--build-type", "Debug", "--strip", CXXFLAGS="-g -fno-lto")
    assert not (project / "out/licenses/demo").exists()


@pytest.mark.compile
@pytest.mark.slow
def test_a_library_loaded_by_name_is_asked_for_and_then_comes(
    tmp_path: Path, bundle: Bundle, here: Environment
) -> None:
    settings = SETTINGS + 'link-libraries = ["dl"]\n'
    folder = write_project(tmp_path / "plugged", settings, files={"answer.cpp": PLUGIN_CPP})
    (folder / "vendor").mkdir()
    compile_library(folder / "vendor/libplugin.so", "")
    said = bundle("out", "--verify", code=1, cwd=folder)
    assert "answer does not run from the bundle in an empty root: it loads libplugin.so by name, which is not" in said
    assert 'libraries = ["…/libplugin.so"] in [tool.torchscript-build.bundle]' in said
    assert not (folder / "out").exists()
    more = '\n[tool.torchscript-build.bundle]\nlibraries = ["vendor/libplugin.so"]\n'
    write(folder / "pyproject.toml", (folder / "pyproject.toml").read_text() + more)
    bundle("out", "--verify", cwd=folder)
    assert (folder / "out/lib/libplugin.so").is_file()


@pytest.mark.compile
@pytest.mark.slow
def test_third_parties_from_anywhere_and_the_runtimes_come_along(
    tmp_path: Path, bundle: Bundle, here: Environment
) -> None:
    """As OpenCV in /opt: a library that needs another one beside itself; OpenMP's runtime; libstdc++ where asked."""
    vision = tmp_path / "opt/vision"
    vision.mkdir(parents=True)
    compile_library(vision / "libvision_core.so.4", "int core() { return 1; }")
    deep = ("-l:libvision_core.so.4", f"-Wl,-rpath,{vision}")
    compile_library(vision / "libvision.so", "int core(); int see() { return core(); }", *deep)
    source = "int see();\n" + OPENMP_CPP.replace("> 0", "> 0 && see()")
    settings = SETTINGS + f'link-libraries = ["vision"]\nlink-dirs = ["{vision}"]\nlink-options = ["-fopenmp"]\n'
    settings += 'compile-options = ["-fopenmp"]\n\n[tool.torchscript-build.bundle]\ncxx-runtime = true\n'
    folder = write_project(tmp_path / "seeing", settings, files={"answer.cpp": source})
    said = bundle("out", "--verify", cwd=folder)
    assert "-- no licence is known of libvision.so, libvision_core.so.4: no package brought it along" in said
    libraries = {name for name in files_of(folder / "out") if name.startswith("lib/")}
    wanted = {f"lib/{n}" for n in ("libgomp.so.1", "libvision.so", "libvision_core.so.4", "libstdc++.so.6")}
    assert wanted <= libraries
    assert elf.read_elf(folder / "out/lib/libvision.so").runpath == ("$ORIGIN/../lib",)
    told = json.loads((folder / "out/bundle.json").read_text("utf-8"))
    assert told["needs"]["libstdc++"] is None
    assert not {"libstdc++.so.6", "libgcc_s.so.1"} & set(told["needs"]["libraries"])
    if shutil.which("dpkg-query"):
        assert {"licenses/debian/libgomp1", "licenses/debian/libstdc++6"} <= files_of(folder / "out")
        bom = json.loads((folder / "out/bom.json").read_text("utf-8"))
        purls = {c["name"]: c.get("purl", "") for c in bom["components"]}
        assert purls["libgomp.so.1"].startswith("pkg:deb/debian/libgomp1@")


@pytest.mark.compile
def test_a_prefix_says_what_must_be_beside_it(project: Path, tmp_path: Path, run_setup: Any) -> None:
    done = run_setup(project, "build_ts_app", "--prefix", str(tmp_path / "prefix"))
    assert done.returncode == 0, done.stderr
    assert elf.read_elf(tmp_path / "prefix/bin/answer").rpath[0] == "$ORIGIN/../lib"
    assert f"on another machine, its libraries must lie in {tmp_path / 'prefix/lib'}" in done.stdout
    assert "they are libc10.so, libtorch.so, libtorch_cpu.so; torchscript-build bundle brings them along" in done.stdout


@pytest.mark.compile
@pytest.mark.slow
def test_a_cuda_libtorch_brings_what_it_needs(project: Path, tmp_path: Path, bundle: Bundle) -> None:
    torch, runtime = build_fake_cuda_torch(tmp_path / "site")
    compile_library(torch / "lib/libtorch_cuda_linalg.so", "", "-ltorch_cuda", f"-Wl,-rpath-link,{runtime}")
    compile_library(torch / "lib/libtorch_nvshmem.so", "")
    write(tmp_path / "site/torch-2.13.0.dist-info/licenses/LICENSE", "torch's")
    said = bundle("out", TORCHSCRIPT_BUILD_LIBTORCH=str(torch), LD_LIBRARY_PATH=str(runtime))
    assert {p.name for p in (project / "out/lib").iterdir()} == {
        *("libc10.so", "libcudart.so.13", "libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so"),
        "libtorch_cuda_linalg.so",
    }
    assert "-- smaller with a CPU build of torch, where no GPU is used: 0 MB are CUDA's" in said
    ran = run_child([project / "out/bin/answer"], env={}, capture_output=True, encoding="utf-8", check=True)
    assert ran.stdout == "kernels\nanswer 42\n"
