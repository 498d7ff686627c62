"""The setuptools side as a user meets it, with the tiny libtorch: setup.py as a child, wheels, editable installs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from children import run_child, run_python
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import stub, write

FILES = {"answer.cpp": ANSWER_CPP}
PLATFORM = "linux_x86_64"


def build_wheel(
    folder: Path, variables: Mapping[str, str], hook: str = "build_wheel"
) -> subprocess.CompletedProcess[str]:
    """A PEP 517 hook of setuptools, as a front end without isolation calls it."""
    (folder / "dist").mkdir(exist_ok=True)
    code = f"from setuptools.build_meta import {hook}; print({hook}('dist'))"
    return run_python("-c", code, cwd=folder, variables=variables)


def wheel_of(folder: Path, variables: Mapping[str, str]) -> zipfile.ZipFile:
    done = build_wheel(folder, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "dist").glob("*.whl")
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    return wheel.read(f"demo-1.5.dist-info/{name}").decode()


def failed(done: Any, *wanted: str) -> str:
    """One clean error with the words, exit code 1, no traceback, no wheel."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    for word in wanted:
        assert word in done.stderr, done.stderr
    return str(done.stderr)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", ANSWER_APP, files=FILES)


# --- a project that did not opt in ---------------------------------------------------------------------------------

OURS = "import sys; print(sorted(m for m in sys.modules if m.startswith('torchscript_build')))\n"
GUEST = {
    "torchscript_build",
    "torchscript_build.packaging",
    "torchscript_build.packaging.commands",
    "torchscript_build.packaging.distribution",
    "torchscript_build.packaging.hooks",
}
"""All that setuptools' entry points make of us in a foreign build."""


def loaded(done: Any) -> set[str]:
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"'([\w.]+)'", done.stdout.splitlines()[-1]))


def build_foreign(folder: Path, variables: Mapping[str, str], settings: str) -> set[str]:
    """Build a project that does not require us; returns what of us was imported."""
    write_project(folder, settings, setup="from setuptools import setup\nsetup()\n" + OURS)
    text = (folder / "pyproject.toml").read_text()
    write(folder / "pyproject.toml", text.replace('"setuptools", "torchscript-build"', '"setuptools"'))
    done = run_python("-W", "error", "setup.py", "-q", "build", cwd=folder, variables=variables)
    assert "torchscript" not in done.stderr.lower()
    return loaded(done)


@pytest.mark.parametrize("settings", ["", '[tool.setuptools.package-data]\ndemo = ["*.txt"]\n'])
def test_a_foreign_project_loads_next_to_nothing(tmp_path: Path, variables: dict[str, str], settings: str) -> None:
    assert build_foreign(tmp_path, variables, settings) <= GUEST


@pytest.mark.parametrize(
    "settings",
    ['[tool.other]\nx = "torchscript-build"\n', "# [tool.torchscript-build]\n", "[tool.torchscript-builder]\n"],
)
def test_a_project_that_only_mentions_us_did_not_opt_in(
    tmp_path: Path, variables: dict[str, str], settings: str
) -> None:
    assert "torchscript_build.packaging.wiring" not in build_foreign(tmp_path, variables, settings)


def test_a_foreign_projects_wheel_is_as_ever(tmp_path: Path, variables: dict[str, str]) -> None:
    folder = write_project(tmp_path, "")
    with wheel_of(folder, {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": "/nowhere"}) as wheel:
        assert os.path.basename(wheel.filename or "") == "demo-1.5-py3-none-any.whl"
        assert "torch" not in metadata(wheel, "METADATA")


def test_a_foreign_project_may_have_a_broken_pyproject(tmp_path: Path, variables: dict[str, str]) -> None:
    """The hook must not be the one to fail; what setuptools says of the file is its own."""
    write(tmp_path / "pyproject.toml", "[project\n# torchscript-build\n")
    code = "import setuptools.dist as d; from torchscript_build.packaging.hooks import *\n"
    code += "x = d.Distribution(); finalize_distribution(x); print(sorted(x.cmdclass))"
    assert run_python("-c", code, cwd=tmp_path, variables=variables).stdout == "[]\n"


def test_a_pyproject_that_cannot_be_read_is_nobodys(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    code = "import setuptools.dist as d; from torchscript_build.packaging.hooks import *\n"
    code += "x = d.Distribution(); finalize_distribution(x); print(sorted(x.cmdclass))"
    assert run_python("-c", code, cwd=tmp_path, variables=variables).stdout == "[]\n"


def test_importing_the_package_is_cheap(variables: dict[str, str], tmp_path: Path) -> None:
    done = run_python("-c", "import torchscript_build\n" + OURS, cwd=tmp_path, variables=variables)
    assert loaded(done) == {"torchscript_build"}


def test_every_public_name_can_be_had(variables: dict[str, str], tmp_path: Path) -> None:
    code = "import torchscript_build as t; print(all(getattr(t, n) for n in t.__all__), dir(t) == sorted(t.__all__))"
    assert run_python("-c", code, cwd=tmp_path, variables=variables).stdout == "True True\n"
    code = "import torchscript_build as t; t.nothing"
    assert "has no attribute 'nothing'" in run_python("-c", code, cwd=tmp_path, variables=variables).stderr


# --- build_ts_app --------------------------------------------------------------------------------------------------


@pytest.mark.compile
def test_build_and_run(project: Path, run_setup: Any) -> None:
    done = run_setup(project, "build_ts_app", "--run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "answer 42" in lines
    assert any(line.startswith("-- libtorch 2.13.0+cpu (cpu, new C++ ABI) in ") for line in lines)
    assert (project / "build/lib/demo/bin/answer").is_file() or list(project.glob("build/lib*/demo/bin/answer"))
    again = run_setup(project, "build_ts_app")
    assert again.returncode == 0
    assert "-- configure" not in again.stdout


@pytest.mark.compile
def test_opting_in_by_keyword(tmp_path: Path, run_setup: Any) -> None:
    setup = (
        "from setuptools import setup\nfrom torchscript_build import TorchScriptApp\n"
        "setup(ts_apps=[TorchScriptApp(name='answer', sources=('answer.cpp',))])\n"
    )
    folder = write_project(tmp_path, "", files=FILES, setup=setup)
    done = run_setup(folder, "build")
    assert done.returncode == 0, done.stderr
    (program,) = folder.glob("build/lib*/demo/bin/answer")
    assert os.access(program, os.X_OK)
    assert (program.parents[1] / "_torchscript_apps.py").is_file()


@pytest.mark.compile
def test_into_the_source_tree(project: Path, run_setup: Any) -> None:
    done = run_setup(project, "build_ts_app", "--inplace")
    assert done.returncode == 0, done.stderr
    assert run_child([project / "demo/bin/answer"], stdout=subprocess.PIPE).stdout == b"answer 42\n"
    assert (project / "demo/_torchscript_apps.py").is_file()
    assert not list(project.glob("build/lib*"))


@pytest.mark.compile
def test_what_is_not_installed_is_built_by_its_own_command_only(project: Path, run_setup: Any) -> None:
    write_project(project, ANSWER_APP + "install = false\n")
    assert run_setup(project, "build").returncode == 0
    assert not list(project.glob("build/torchscript"))
    done = run_setup(project, "build_ts_app", "--run")
    assert "answer 42" in done.stdout.splitlines()
    assert not list(project.glob("build/lib*/demo/bin"))


@pytest.mark.compile
def test_a_second_build_imports_only_what_it_needs(tmp_path: Path, run_setup: Any) -> None:
    setup = "from setuptools import setup\nsetup()\nimport sys; print(sorted(sys.modules))\n"
    project = write_project(tmp_path / "project", ANSWER_APP, files=FILES, setup=setup)
    first, second = run_setup(project, "build_ts_app"), run_setup(project, "build_ts_app")
    needless = {"jinja2", "elftools", "torch", "torchscript_build.system.elf"}
    needless |= {f"torchscript_build.build.{m}" for m in ("ninja_log", "verify", "cmake_project", "explain", "hints")}
    needless |= {f"torchscript_build.toolchain.cuda.{m}" for m in ("search", "read", "cudnn")}
    assert second.returncode == 0, second.stderr
    assert needless & set(re.findall(r"'([\w.]+)'", first.stdout.splitlines()[-1]))
    assert not needless & set(re.findall(r"'([\w.]+)'", second.stdout.splitlines()[-1]))


@pytest.mark.compile
@pytest.mark.parametrize("where", ["setup.py", "pyproject.toml"])
def test_commands_of_the_projects_own(tmp_path: Path, run_setup: Any, where: str) -> None:
    setup = "from setuptools import setup\nimport mine\nsetup(cmdclass=dict(build=mine.build, build_ts_app=mine.app))\n"
    settings = '[tool.setuptools.cmdclass]\nbuild = "mine.build"\nbuild_ts_app = "mine.app"\n' + ANSWER_APP
    commands = """\
        from setuptools.command.build import build as plain
        from torchscript_build.packaging.commands import build_ts_app
        class build(plain):
            def run(self): print("my build"); super().run()
        class app(build_ts_app):
            def finalize_options(self): print("my app"); super().finalize_options()
        """
    project = write_project(
        tmp_path / "project",
        ANSWER_APP if where == "setup.py" else settings,
        files={**FILES, "mine.py": textwrap.dedent(commands)},
        **({"setup": setup} if where == "setup.py" else {}),
    )
    done = run_setup(project, "build", PYTHONPATH=str(project))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("my build") == 1
    assert done.stdout.count("my app") == 1
    assert list(project.glob("build/lib*/demo/bin/answer"))


def test_a_dry_run_prints_the_plan_and_builds_nothing(project: Path, run_setup: Any) -> None:
    done = run_setup(project, "-q", "build_ts_app", "--dry-run", "--build-type=Debug")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout[done.stdout.index("{") :])
    assert plan["build_type"] == "Debug"
    assert plan["apps"][0]["name"] == "answer"
    assert plan["libtorch"]["found_by"] == "TORCHSCRIPT_BUILD_LIBTORCH"
    assert not list(project.glob("build/**/project"))
    assert not list(project.glob("build/lib*"))


def test_options_may_stand_in_pyproject(project: Path, run_setup: Any) -> None:
    write_project(project, ANSWER_APP + "\n[tool.distutils.build_ts_app]\njobs = 0\n")
    failed(run_setup(project, "build_ts_app"), "--jobs: jobs must be at least 1, not 0")


@pytest.mark.parametrize(
    ("arguments", "changes", "wanted"),
    [
        (["--jobs=two"], {}, ["--jobs: must be a whole number, not 'two'"]),
        (["--build-type=Fast"], {}, ["--build-type: build-type must be one of Release"]),
        (["--libtorch=/nowhere"], {}, ["no libtorch in /nowhere", "do one of these:"]),
        ([], {"TORCHSCRIPT_BUILD_LIBTORCH": "/nowhere"}, ["/nowhere (named by TORCHSCRIPT_BUILD_LIBTORCH)"]),
        ([], {"CXX": "/nowhere/g++"}, ["CXX names a compiler that does not run: /nowhere/g++"]),
        (["--generator=Ninja"], {"PATH": "/nowhere"}, ["no "]),
    ],
)
def test_errors_are_one_message(
    project: Path, run_setup: Any, arguments: list[str], changes: dict[str, str], wanted: list[str]
) -> None:
    failed(run_setup(project, "build_ts_app", *arguments, **changes), *wanted)
    assert not list(project.glob("build/lib*/demo/bin"))


def test_wrong_settings_are_one_message_for_every_command(project: Path, run_setup: Any) -> None:
    write_project(project, ANSWER_APP + 'rtoll = 1\n[[tool.torchscript-build.model]]\nname = "m"\n')
    for command in ("build_ts_app", "egg_info", "sdist", "bdist_wheel"):
        done = run_setup(project, command)
        failed(
            done, "2 problems in the settings:", "unknown key 'rtoll'; did you mean 'rtol'?", "model 'm': give either"
        )
    assert not list(project.glob("dist/*"))


def test_a_version_of_libtorch_that_will_not_do(project: Path, run_setup: Any) -> None:
    write_project(project, '[tool.torchscript-build]\nlibtorch-version = ">=99"\n' + ANSWER_APP)
    failed(run_setup(project, "bdist_wheel"), "2.13.0 is not >=99", "TORCHSCRIPT_BUILD_LIBTORCH")
    assert not list(project.glob("dist/*"))


@pytest.mark.compile
def test_a_source_that_does_not_compile(project: Path, run_setup: Any) -> None:
    write(project / "answer.cpp", "int main() { return lamp; }\n")
    stderr = failed(run_setup(project, "bdist_wheel"), "error: the build failed")
    assert "lamp" in stderr[stderr.index("error: the build failed") :]
    assert not list(project.glob("dist/*"))
    assert not list(project.glob("build/lib*/demo/bin"))


@pytest.mark.compile
def test_an_app_that_fails_when_it_is_run(project: Path, run_setup: Any) -> None:
    write(project / "answer.cpp", '#include <cstdio>\nint main() { std::puts("boom"); return 9; }\n')
    failed(run_setup(project, "build_ts_app", "--run"), "app 'answer' failed with exit code 9", "boom")


# --- wheels --------------------------------------------------------------------------------------------------------


@pytest.mark.compile
def test_what_a_killed_setuptools_left_is_not_packed(project: Path, run_setup: Any) -> None:
    write(project / "demo.egg-info/tmpk3s_d8a1", "Metadata-Ver")
    assert run_setup(project, "bdist_wheel").returncode == 0
    (file,) = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        assert "demo-1.5.dist-info/METADATA" in wheel.namelist()
        assert not [n for n in wheel.namelist() if "/tmp" in n]
    assert run_setup(project, "sdist").returncode == 0
    (file,) = (project / "dist").glob("*.tar.gz")
    with tarfile.open(file) as sdist:
        assert "demo-1.5/demo.egg-info/PKG-INFO" in sdist.getnames()
        assert not [n for n in sdist.getnames() if "/tmp" in n]


@pytest.mark.compile
def test_a_wheel(project: Path, variables: dict[str, str], fake_torch: Path, tmp_path: Path) -> None:
    with wheel_of(project, variables) as wheel:
        assert os.path.basename(wheel.filename or "") == f"demo-1.5-py3-none-{PLATFORM}.whl"
        names = [n for n in wheel.namelist() if ".dist-info/" not in n]
        assert sorted(names) == ["demo/__init__.py", "demo/_torchscript_apps.py", "demo/bin/answer"]
        assert "Root-Is-Purelib: false" in metadata(wheel, "WHEEL")
        assert "Requires-Dist: torch ==2.13.*\n" in metadata(wheel, "METADATA")
        assert "answer = demo._torchscript_apps:start_answer" in metadata(wheel, "entry_points.txt")
        mode = wheel.getinfo("demo/bin/answer").external_attr >> 16
        assert mode & 0o111
        wheel.extractall(tmp_path / "site")
    (tmp_path / "site/demo/bin/answer").chmod(0o755)
    (tmp_path / "site/torch").symlink_to(fake_torch)
    code = "from demo._torchscript_apps import start_answer as f; f()"
    done = run_python("-S", "-c", code, cwd=tmp_path, variables={"PYTHONPATH": str(tmp_path / "site")})
    assert done.stdout.startswith("answer 42\n"), done.stderr


@pytest.mark.parametrize(
    ("line", "requirement"), [('pin = "exact"', "torch ==2.13.0"), ('pin = "none"', None), ("", "torch ==2.13.*")]
)
def test_metadata_has_the_pin(project: Path, variables: dict[str, str], line: str, requirement: str | None) -> None:
    write_project(project, f"[tool.torchscript-build]\n{line}\n" + ANSWER_APP)
    done = build_wheel(project, variables, "prepare_metadata_for_build_wheel")
    assert done.returncode == 0, done.stderr
    text = (project / "dist/demo-1.5.dist-info/METADATA").read_text()
    assert re.findall("^Requires-Dist: (.*)$", text, re.MULTILINE) == ([requirement] if requirement else [])


MODULE_TABLE = '[[tool.torchscript-build.ops]]\nname = "_C"\nsources = ["c.cpp"]\npython-module = true\n'
MODULE_FILES = {"c.cpp": "#include <Python.h>\nPyMODINIT_FUNC PyInit__C() { return nullptr; }\n"}


@pytest.mark.compile
@pytest.mark.parametrize(
    ("line", "tag"),
    [("", "cp{0}{1}-cp{0}{1}".format(*sys.version_info)), ('limited-api = "3.9"\n', "cp39-abi3")],
)
def test_wheels_with_python_modules(tmp_path: Path, no_torch: dict[str, str], line: str, tag: str) -> None:
    settings = MODULE_TABLE + line + 'python-binding = "none"\n'
    folder = write_project(tmp_path / "project", settings, files=MODULE_FILES)
    with wheel_of(folder, no_torch) as wheel:
        assert os.path.basename(wheel.filename or "") == f"demo-1.5-{tag}-{PLATFORM}.whl"


@pytest.mark.compile
def test_a_wheel_of_operator_libraries_and_a_cmake_project(tmp_path: Path, no_torch: dict[str, str]) -> None:
    native = (
        "cmake_minimum_required(VERSION 3.18)\nproject(native LANGUAGES CXX)\nfind_package(Torch REQUIRED)\n"
        "add_library(nat SHARED nat.cpp)\ntarget_link_libraries(nat torch)\ninstall(TARGETS nat DESTINATION lib)\n"
    )
    settings = (
        '[[tool.torchscript-build.ops]]\nname = "my_ops"\nsources = ["ops.cpp"]\nnamespaces = ["my_ops"]\n'
        '[[tool.torchscript-build.cmake]]\nname = "native"\nsource-dir = "native"\n'
    )
    files = {
        "ops.cpp": '#if 0\nTORCH_LIBRARY(my_ops, m) { m.def("add(int a) -> int"); }\n#endif\nint f() { return 1; }\n',
        "native/CMakeLists.txt": native,
        "native/nat.cpp": "#include <torch/script.h>\nint nat() { return torch::answer(); }\n",
    }
    folder = write_project(tmp_path / "project", settings, files=files)
    write(folder / "demo/__init__.py", "from . import _torchscript_ops\n")
    with wheel_of(folder, no_torch) as wheel:
        names = {n for n in wheel.namelist() if ".dist-info/" not in n}
        assert names == {
            "demo/__init__.py",
            "demo/_torchscript_ops.py",
            "demo/lib/libmy_ops.so",
            "demo/lib/libnat.so",
        }
        assert "my_ops::add" in wheel.read("demo/_torchscript_ops.py").decode()


# --- console scripts -----------------------------------------------------------------------------------------------


def entry_points(folder: Path, run_setup: Any) -> str:
    done = run_setup(folder, "-q", "egg_info")
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.egg-info/entry_points.txt")
    return file.read_text()


OUR_SCRIPT = "answer = demo._torchscript_apps:start_answer"


def test_static_scripts_of_pyproject_stay(tmp_path: Path, run_setup: Any) -> None:
    project = '\n[project.scripts]\nmine = "demo:main"\n'
    folder = write_project(tmp_path, ANSWER_APP, files=FILES, project=project)
    text = entry_points(folder, run_setup)
    assert "mine = demo:main" in text
    assert OUR_SCRIPT in text


def test_a_script_of_the_projects_own_has_the_apps_name(tmp_path: Path, run_setup: Any) -> None:
    project = '\n[project.scripts]\nanswer = "demo:main"\n'
    folder = write_project(tmp_path, ANSWER_APP, files=FILES, project=project)
    done = run_setup(folder, "-q", "egg_info")
    assert done.returncode == 1
    assert "console script 'answer': the project has one of that name (demo:main); give the program's" in done.stderr
    assert "Traceback" not in done.stderr
    write(folder / "pyproject.toml", (folder / "pyproject.toml").read_text() + "console-script = false\n")
    assert "answer = demo:main" in entry_points(folder, run_setup)


@pytest.mark.parametrize(
    "points",
    [
        "{'console_scripts': ['mine = demo:main'], 'other': ['x = demo:x']}",
        "{'console_scripts': 'mine = demo:main', 'other': 'x = demo:x'}",
    ],
)
def test_entry_points_of_setup_py_stay(tmp_path: Path, run_setup: Any, points: str) -> None:
    folder = write_project(tmp_path, ANSWER_APP, files=FILES, project='dynamic = ["scripts", "entry-points"]\n')
    write(folder / "setup.py", f"from setuptools import setup\nsetup(entry_points={points})\n")
    text = entry_points(folder, run_setup)
    for line in ("mine = demo:main", "[other]\nx = demo:x", OUR_SCRIPT):
        assert line in text


def test_entry_points_of_setup_py_may_be_a_text(tmp_path: Path, run_setup: Any) -> None:
    """Only without [project]: there setuptools itself cannot have it."""
    folder = write_project(tmp_path, "", files=FILES)
    write(folder / "pyproject.toml", ANSWER_APP)
    points = "[console_scripts]\nmine = demo:main\n[other]\nx = demo:x\n"
    arguments = f"name='demo', version='1.5', packages=['demo'], entry_points={points!r}"
    write(folder / "setup.py", f"from setuptools import setup\nsetup({arguments})\n")
    text = entry_points(folder, run_setup)
    for line in ("mine = demo:main", "[other]\nx = demo:x", OUR_SCRIPT):
        assert line in text


def test_a_console_script_of_another_name(project: Path, run_setup: Any) -> None:
    write_project(project, ANSWER_APP + 'console-script = "start"\n')
    assert "start = demo._torchscript_apps:start_answer" in entry_points(project, run_setup)


# --- source distributions ------------------------------------------------------------------------------------------


def test_a_source_distribution_holds_what_is_compiled(tmp_path: Path, variables: dict[str, str]) -> None:
    files = {**FILES, "answer.h": "", "notes.txt": ""}
    folder = write_project(tmp_path, ANSWER_APP, files=files)
    done = build_wheel(folder, {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": "/nowhere"}, "build_sdist")
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(folder / "dist/demo-1.5.tar.gz") as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
        member = archive.extractfile("demo-1.5/PKG-INFO")
        assert member is not None
        assert "torch" not in member.read().decode()
    assert {"answer.cpp", "answer.h", "pyproject.toml", "setup.py"} <= names
    assert "notes.txt" not in names


# --- what the build itself needs -----------------------------------------------------------------------------------


REQUIRED = """\
import json, sys
from pathlib import Path
from setuptools.build_meta import *
from torchscript_build.system import PythonTarget
bare = PythonTarget(Path(sys.executable))  # the wheels cmake and ninja, if this environment has them, are not for it
PythonTarget.current = classmethod(lambda cls: bare)
print(json.dumps(get_requires_for_build_wheel()))
"""


def required(folder: Path, variables: Mapping[str, str]) -> list[str]:
    """What PEP 517's front end is asked for, where nothing but PATH may have programs."""
    done = run_python("-c", REQUIRED, cwd=folder, variables=variables)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_cmake_and_ninja_are_asked_for_where_there_are_none(
    project: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    assert required(project, variables) == []
    wanted = required(project, {**variables, "PATH": str(empty)})
    stub(empty / "cmake", 'echo \'{"version": {"string": "3.25.1"}}\'')
    without_ninja = required(project, {**variables, "PATH": str(empty)})
    assert (wanted, without_ninja) == (["cmake>=3.18", "ninja>=1.5"], ["ninja>=1.5"])
    assert required(project, {**variables, "PATH": str(empty), "CMAKE_GENERATOR": "Unix Makefiles"}) == []


def test_a_foreign_project_is_asked_for_nothing(tmp_path: Path, variables: dict[str, str]) -> None:
    folder = write_project(tmp_path / "foreign", "")
    assert required(folder, {**variables, "PATH": "/nowhere"}) == []


# --- editable installs ---------------------------------------------------------------------------------------------


@pytest.mark.compile
@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_an_editable_install(project: Path, variables: dict[str, str], tmp_path: Path, mode: str) -> None:
    target = tmp_path / "venv"
    run_child([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    command = ["-m", "pip", "--python", str(target / "bin/python"), "install", "-q", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", f"--config-settings=editable_mode={mode}"]
    command += ["-e", str(project)]
    site = next((target / "lib").glob("python*/site-packages"))
    write(site / "parent.pth", f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    done = run_python(*command, cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (site / "torch").symlink_to(variables["TORCHSCRIPT_BUILD_LIBTORCH"])
    ran = run_child([target / "bin/answer", "x"], capture_output=True, encoding="utf-8")
    assert ran.stdout == "answer 42\n[x]\n"
