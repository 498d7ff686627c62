"""Parts of bundles: launchers, where libraries came from, the processor, roots."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from children import run_child
from nobodys_machine import made_up, make_plan
from small_projects import ANSWER_APP, ANSWER_CPP, read_project, write_project
from support import write
from tiny_torch import compile_library

from torchscript_build.errors import ToolNotFoundError
from torchscript_build.packaging.bundle.closure import Closure, find_closure
from torchscript_build.packaging.bundle.cpu import lowest_cpu
from torchscript_build.packaging.bundle.describe import Needs
from torchscript_build.packaging.bundle.distributions import in_words
from torchscript_build.packaging.bundle.empty_root import make_root, run_in_root
from torchscript_build.packaging.bundle.launcher import add_launchers
from torchscript_build.packaging.bundle.make import Bundle
from torchscript_build.packaging.bundle.origins import Origin, find_origins, is_license
from torchscript_build.packaging.bundle.search import carried_sources, library_folders
from torchscript_build.packaging.bundle.verify import plan_runs
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment, elf


def files_of(tree: Path) -> set[str]:
    return {p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file()}


# --- launchers --------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path) -> BuildPlan:
    spec = read_project(write_project(tmp_path / "project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP}))
    return make_plan(spec, root=tmp_path / "project", build_base=tmp_path / "build")


def launched(plan: BuildPlan, tree: Path, glibc: str) -> Path:
    """A tree with one program that has a launcher."""
    (tree / "bin").mkdir(parents=True)
    shutil.copy("/bin/echo", tree / "bin/answer")
    assert add_launchers(plan, tree, glibc, Environment.current()) == ("answer",)
    return tree / "bin/answer"


@pytest.mark.compile
def test_an_old_c_library_is_told_by_the_program(plan: BuildPlan, tmp_path: Path) -> None:
    program = launched(plan, tmp_path / "tree", "3.1")
    done = run_child([program], env={}, cwd="/", capture_output=True, encoding="utf-8")
    assert done.returncode == 127
    assert re.fullmatch(
        r"answer: error: this machine has glibc 2\.\d+, and this bundle needs 3\.1 or newer\n"
        r"  do one of these:\n"
        r"    - run it on a system with glibc 3\.1, or later; a container of one will do\n"
        r"    - have the bundle built against an older one, as in a manylinux image\n",
        done.stderr,
    )
    assert elf.read_elf(program).needed_versions in (("GLIBC_2.2.5",), ("GLIBC_2.17",))


@pytest.mark.compile
def test_a_launcher_looks_nowhere_else(plan: BuildPlan, tmp_path: Path) -> None:
    """Conda's LDFLAGS name the host prefix."""
    flags = {"LDFLAGS": "-Wl,-O2 -Wl,-rpath,/host/prefix/lib -Wl,-rpath-link,/host/prefix/lib"}
    program = launched(dataclasses.replace(plan, flags=flags), tmp_path / "tree", "2.17")
    info = elf.read_elf(program)
    assert (*info.rpath, *info.runpath) == ("$ORIGIN/../lib",)


@pytest.mark.compile
def test_a_launcher_hands_everything_over(plan: BuildPlan, tmp_path: Path) -> None:
    program = launched(plan, tmp_path / "a tree", "2.17")
    link = tmp_path / "elsewhere"
    link.symlink_to(program)
    done = run_child([link, "a b", "-n", ""], env={}, cwd="/", capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a b -n \n", "")
    (tmp_path / "a tree/libexec/answer").unlink()
    done = run_child([program], env={}, capture_output=True, encoding="utf-8")
    assert done.returncode == 127
    assert done.stderr == f"answer: error: cannot start {tmp_path}/a tree/bin/../libexec/answer\n"


@pytest.mark.compile
def test_programs_with_files_beside_them_stay_where_they_are(plan: BuildPlan, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy("/bin/echo", tmp_path / "bin/answer")
    write(tmp_path / "bin/answer.ini")
    assert add_launchers(plan, tmp_path, "2.17", Environment.current()) == ()
    assert files_of(tmp_path / "bin") == {"answer", "answer.ini"}


def test_a_glibc_in_words() -> None:
    assert in_words("2.34") == "glibc 2.34 or newer (Debian 12, Ubuntu 22.04, RHEL 9)"
    assert in_words("2.99") == "glibc 2.99 or newer"


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "flags", "cpu"),
    [
        ("", "", "x86-64"),
        ('cxx-options = ["-march=x86-64-v3"]\n', "", "x86-64-v3"),
        ('compile-options = ["-mavx2", "-mfma"]\n', "-march=haswell", "haswell+avx2+fma"),
    ],
)
def test_the_lowest_processor_is_what_the_compiler_was_told(options: str, flags: str, cpu: str, tmp_path: Path) -> None:
    spec = read_project(write_project(tmp_path, ANSWER_APP + options, files={"answer.cpp": ANSWER_CPP}))
    plan = make_plan(spec, flags={"CXXFLAGS": flags} if flags else {})
    assert lowest_cpu(plan, Environment.current()) == cpu


def test_a_program_of_ones_own_is_run_on_the_models_file(tmp_path: Path) -> None:
    model = '[[tool.torchscript-build.model]]\nname = "net"\nfile = "trained/smooth.pt"\n'
    settings = model + ANSWER_APP + 'models = ["net"]\narguments = ["{model}", "3"]\n'
    files = {"answer.cpp": ANSWER_CPP, "trained/smooth.pt": "model"}
    spec = read_project(write_project(tmp_path, settings, files=files))
    program = tmp_path / "libexec/answer"
    bundle = Bundle(tmp_path, Closure({}, ()), Needs("2.31", "x86_64", "x86-64"), {"answer": program})
    (run,) = plan_runs(bundle, spec.apps, [], make_plan(spec))
    assert run.arguments == ("/bundle/share/demo/models/net.pt", "3")


@pytest.mark.compile
def test_how_a_program_died_is_told(tmp_path: Path, here: Environment) -> None:
    """It is not the first process of its namespace, which would survive what kills others."""
    root, tree = tmp_path / "root", tmp_path / "tree"
    source = write(tmp_path / "die.c", "#include <stdlib.h>\nint main() { abort(); }\n")
    (tree / "bin").mkdir(parents=True)
    run_child(["cc", source, "-o", tree / "bin/die"], check=True)
    make_root(root, [tree / "bin/die"], ["libc.so.6"])
    assert run_in_root(root, tree, ["/bundle/bin/die"], here).returncode == 128 + signal.SIGABRT


def test_where_nobody_may_change_the_root_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchscript_build.packaging.bundle.empty_root.SYSTEM", ())
    with pytest.raises(ToolNotFoundError, match="--verify needs the program unshare"):
        run_in_root(tmp_path, tmp_path, ["/bundle/bin/answer"], made_up(tmp_path))


@pytest.mark.compile
def test_what_runs_in_a_root_is_somebody_else_and_can_write_nothing(tmp_path: Path, here: Environment) -> None:
    root, tree = tmp_path / "root", tmp_path / "tree"
    write(tmp_path / "who.c", '#include <stdio.h>\n#include <unistd.h>\nextern char** environ;\nint main() {\n'
          '  char folder[99];\n  printf("%d %s %d %d\\n", getuid() == 0, getcwd(folder, 99), environ[0] != 0,\n'
          '         fopen("/bundle/new", "w") != 0);\n}\n')  # fmt: skip
    (tree / "bin").mkdir(parents=True)
    run_child(["cc", tmp_path / "who.c", "-o", tree / "bin/who"], check=True)
    make_root(root, [tree / "bin/who"], ["libc.so.6"])
    done = run_in_root(root, tree, ["/bundle/bin/who"], here)
    is_root = os.geteuid() == 0
    assert (done.returncode, done.output) == (0, "0 / 1 0\n" if is_root else done.output)


@pytest.mark.compile
def test_libraries_from_elsewhere_find_what_lies_beside_them(tmp_path: Path) -> None:
    """As a wheel has it: ``_C.so`` with its third parties in ``vision.libs``, to which the copy has lost the way."""
    vendor, libs = tmp_path / "site/vision", tmp_path / "site/vision.libs"
    vendor.mkdir(parents=True)
    libs.mkdir()
    compile_library(libs / "libpng-1a2b.so.16", "int png() { return 1; }")
    compile_library(
        vendor / "_C.so",
        "int png(); int c() { return png(); }",
        *(f"-L{libs}", "-l:libpng-1a2b.so.16", "-Wl,-rpath,$ORIGIN/../vision.libs"),
    )
    settings = ANSWER_APP.replace("sources", "#sources") + f'external-ops = {{ vision = "{vendor / "_C.so"}" }}\n'
    plan = make_plan(read_project(write_project(tmp_path / "project", settings)))
    tree = tmp_path / "tree"
    (tree / "lib").mkdir(parents=True)
    carried = tree / "lib/vision_external.so"
    shutil.copyfile(vendor / "_C.so", carried)
    folders = library_folders(plan, tree, Environment.current())
    closure = find_closure([carried], library_path=folders, cxx_runtime=False)
    assert closure.libraries == {"libpng-1a2b.so.16": libs / "libpng-1a2b.so.16"}
    assert carried_sources(plan, tree, Environment.current()) == {carried: vendor / "_C.so"}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *(("LICENSE", True), ("License.txt", True), ("NOTICE", True), ("COPYING.LESSER", True)),
        *(("licenses.py", False), ("licenses.cpython-39.pyc", False), ("README", False)),
    ],
)
def test_what_is_a_licence(name: str, is_one: bool) -> None:
    assert is_license(name) is is_one


def test_who_brought_a_library_is_read_from_its_package(tmp_path: Path) -> None:
    """A wheel's RECORD, and conda's record of a package, which has unpacked its licences elsewhere."""
    site = tmp_path / "lib/python3.11/site-packages"
    info = site / "nvidia_cudnn_cu13-9.20.0.48.dist-info"
    write(info / "RECORD", "nvidia/cudnn/lib/libcudnn.so.9,sha256=x,1\nnvidia/cudnn/__init__.py,,\n")
    license_file = write(info / "licenses/License.txt", "terms")
    record = {"name": "mkl", "version": "2024.2", "files": ["lib/libmkl_rt.so.2"]}
    record["extracted_package_dir"] = str(tmp_path / "pkgs/mkl")
    write(tmp_path / "conda-meta/mkl.json", json.dumps(record))
    terms = write(tmp_path / "pkgs/mkl/info/licenses/license.txt", "terms")
    files = [site / "nvidia/cudnn/lib/libcudnn.so.9", tmp_path / "lib/libmkl_rt.so.2", tmp_path / "lib/libmine.so"]
    wheel, conda, mine = files
    origins = find_origins([write(file) for file in files], made_up(tmp_path))
    assert origins == {
        wheel: Origin("pypi", "nvidia_cudnn_cu13", "9.20.0.48", {"License.txt": license_file}),
        conda: Origin("conda", "mkl", "2024.2", {"license.txt": terms}),
    }
    assert origins[wheel].purl == "pkg:pypi/nvidia-cudnn-cu13@9.20.0.48"
    assert Origin("deb", "zlib1g", "1:1.2.13+ds-1").purl == "pkg:deb/debian/zlib1g@1%3A1.2.13%2Bds-1"
    assert mine not in origins


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="there is no dpkg-query")
def test_the_system_is_asked_once_who_brought_its_libraries(here: Environment) -> None:
    libraries = {Path(os.path.realpath(p)) for p in Path("/usr/lib").glob("*-linux-gnu/lib[mz].so.[16]")}
    origins = find_origins(libraries, here)
    assert set(origins) == libraries
    for origin in origins.values():
        assert (origin.kind, bool(origin.version), set(origin.licenses)) == ("deb", True, {"copyright"})
