"""Where a libtorch is looked for, in which order, and what is said where there is none."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from pathlib import Path

import pytest
from trees import (
    FakeTorch,
    MakeEnvironment,
    make_archive,
    make_conda_libtorch,
    make_debian,
    make_install,
    make_wheel,
    write,
)

from torchscript_build.errors import LibTorchNotFoundError, LibTorchUnusableError, SettingsError
from torchscript_build.libtorch import Requirement, find_libtorch, search_libtorch
from torchscript_build.libtorch.places import STEPS, is_isolated
from torchscript_build.libtorch.search import locate_beside
from torchscript_build.libtorch.variants import variant_tag
from torchscript_build.system import Environment, locate_starter

NAMED = ["TORCHSCRIPT_BUILD_LIBTORCH", "Torch_DIR", "LIBTORCH", "TORCH_INSTALL_PREFIX"]


def trace(environment: Environment, **options: object) -> list[tuple[str, str]]:
    return [(f.step, f.text) for f in search_libtorch(environment=environment, **options).findings]  # type: ignore[arg-type]


def test_the_order_of_the_steps() -> None:
    assert [(step.name, step.named) for step in STEPS] == [
        ("TORCHSCRIPT_BUILD_LIBTORCH", True),
        ("Torch_DIR", True),
        ("LIBTORCH", True),
        ("TORCH_INSTALL_PREFIX", True),
        ("TORCH_HOME", False),
        ("CMAKE_PREFIX_PATH", False),
        ("conda host prefix", False),
        ("Python package torch", False),
        ("own site-packages", False),
        ("starting interpreter", False),
        ("VIRTUAL_ENV", False),
        ("CONDA_PREFIX", False),
        ("system folders", False),
    ]


def test_the_trace_of_a_search_without_result(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    assert trace(make_environment()) == [
        ("argument root", "not given"),
        ("TORCHSCRIPT_BUILD_LIBTORCH", "not set"),
        ("Torch_DIR", "not set"),
        ("LIBTORCH", "not set"),
        ("TORCH_INSTALL_PREFIX", "not set"),
        ("TORCH_HOME", "not set"),
        ("CMAKE_PREFIX_PATH", "not set"),
        ("conda host prefix", "not a conda build"),
        ("Python package torch", "not on the search path"),
        ("own site-packages", "on the search path, too"),
        ("starting interpreter", "was no Python"),
        ("VIRTUAL_ENV", "not set"),
        ("CONDA_PREFIX", "not set"),
        ("system folders", f"none in {tmp_path}/usr"),
    ]


def test_the_search_ends_at_the_first_that_fits(own_site: Path, make_environment: MakeEnvironment) -> None:
    root = make_wheel(own_site, FakeTorch())
    result = search_libtorch(environment=make_environment())
    assert result.libtorch is not None
    assert result.libtorch.found_by == "Python package torch"
    assert (result.findings[-1].step, result.findings[-1].text) == ("Python package torch", f"2.13.0+cpu in {root}")
    assert result.findings[-1].libtorch is result.libtorch


def test_a_thorough_search_goes_on(tmp_path: Path, own_site: Path, make_environment: MakeEnvironment) -> None:
    make_wheel(own_site, FakeTorch())
    system = make_debian(tmp_path / "usr", FakeTorch("2.6.0", None, abi=True))
    result = search_libtorch(environment=make_environment(), thorough=True)
    assert result.libtorch is not None
    assert result.libtorch.version == "2.13.0"
    assert (result.findings[-1].step, result.findings[-1].text) == ("system folders", f"2.6.0 in {system}")


def test_each_step_finds_what_the_ones_before_it_do_not(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    """Every place holds a libtorch; from the front, one after the other is taken away."""
    roots = {name: make_archive(tmp_path / name, FakeTorch()) for name in [*NAMED, "TORCH_HOME", "CMAKE_PREFIX_PATH"]}
    variables = {name: str(root) for name, root in roots.items()}
    variables["Torch_DIR"] = str(roots["Torch_DIR"] / "share" / "cmake" / "Torch")
    path_site, conda, venv = tmp_path / "path", tmp_path / "conda", tmp_path / "venv"
    make_wheel(path_site, FakeTorch())
    make_wheel(own_site, FakeTorch())
    make_wheel(venv / "lib" / "python3.11" / "site-packages", FakeTorch())
    make_conda_libtorch(conda, FakeTorch())
    make_debian(tmp_path / "usr", FakeTorch())
    variables |= {"VIRTUAL_ENV": str(venv), "CONDA_PREFIX": str(conda)}
    make_wheel(tmp_path / "starter/lib/python3.11/site-packages", FakeTorch())
    environment = make_environment(search_path=(path_site,), **variables)
    starter = tmp_path / "starter/bin/python"
    environment = replace(environment, python=replace(environment.python, starter=starter))
    found = []
    for step in STEPS:
        if step.name == "conda host prefix":
            continue
        libtorch = find_libtorch(environment=environment)
        found.append(libtorch.found_by)
        environment = environment.with_variables(**{step.name: None})
        if step.name == "Python package torch":
            isolated = replace(environment.python, search_path=(tmp_path / "builds-v0",))
            environment = replace(environment, python=isolated)
        if step.name == "own site-packages":
            environment = replace(environment, python=replace(environment.python, site_packages=()))
        if step.name == "starting interpreter":
            environment = replace(environment, python=replace(environment.python, starter=None))
    assert found == [step.name for step in STEPS if step.name != "conda host prefix"]


def test_the_argument_comes_first(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    one = make_archive(tmp_path / "one", FakeTorch())
    two = make_archive(tmp_path / "two", FakeTorch("2.6.0"))
    found = find_libtorch(one, environment=make_environment(TORCHSCRIPT_BUILD_LIBTORCH=str(two)))
    assert (found.root, found.found_by) == (one, "argument root")


def test_paths_are_relative_to_the_environments_folder_and_know_home(
    tmp_path: Path, make_environment: MakeEnvironment
) -> None:
    root = make_archive(tmp_path / "third_party", FakeTorch())
    home = make_archive(tmp_path / "home", FakeTorch("2.6.0"))
    assert find_libtorch("third_party", environment=make_environment()).root == root
    assert find_libtorch("./third_party/../third_party/libtorch", environment=make_environment()).root == root
    assert find_libtorch("~/libtorch", environment=make_environment()).root == home


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_used_or_refused(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment, name: str
) -> None:
    make_wheel(own_site, FakeTorch())
    with pytest.raises(LibTorchUnusableError) as caught:
        find_libtorch(environment=make_environment(**{name: str(tmp_path / "nothing")}))
    assert str(caught.value).splitlines()[0] == (f"no libtorch in {tmp_path}/nothing (named by {name}): does not exist")


def test_what_is_named_must_meet_the_requirement(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    make_wheel(own_site, FakeTorch())
    root = make_archive(tmp_path, FakeTorch("2.3.1"))
    with pytest.raises(LibTorchUnusableError) as caught:
        find_libtorch(version=">=2.4", environment=make_environment(TORCHSCRIPT_BUILD_LIBTORCH=str(root)))
    assert str(caught.value).splitlines()[0] == (
        f"libtorch 2.3.1+cpu in {root} (named by TORCHSCRIPT_BUILD_LIBTORCH) is not what is required (>=2.4): "
        "2.3.1 is not >=2.4"
    )


def test_what_is_named_and_broken_says_who_named_it(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    root = make_archive(tmp_path, FakeTorch())
    (root / "lib" / "libtorch_cpu.so").unlink()
    with pytest.raises(LibTorchUnusableError, match=r"(?s)incomplete libtorch: libtorch_cpu\.so.*named by LIBTORCH\)"):
        find_libtorch(environment=make_environment(LIBTORCH=str(root)))


def test_what_is_named_may_be_for_another_machine(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    root = make_archive(tmp_path, FakeTorch(platform="win32", machine="AMD64"))
    assert find_libtorch(root, environment=make_environment()).platform == "win32"


def test_what_is_searched_must_be_for_this_machine(own_site: Path, make_environment: MakeEnvironment) -> None:
    root = make_wheel(own_site, FakeTorch(machine="aarch64"))
    findings = dict(trace(make_environment()))
    assert findings["Python package torch"] == (f"2.13.0+cpu in {root}: made for linux aarch64, this is linux x86_64")


def test_a_broken_one_on_the_way_is_a_reason_and_the_search_goes_on(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    broken = make_wheel(own_site, FakeTorch())
    (broken / "include" / "torch" / "script.h").unlink()
    system = make_debian(tmp_path / "usr", FakeTorch())
    result = search_libtorch(environment=make_environment())
    assert result.libtorch is not None
    assert result.libtorch.root == system
    assert f"{broken} is an incomplete libtorch: torch/script.h missing in {broken}/include" in [
        f.text for f in result.findings
    ]


def test_one_that_does_not_fit_is_passed_over(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    own = make_wheel(own_site, FakeTorch("2.3.1"))
    system = make_debian(tmp_path / "usr", FakeTorch("2.6.0", None, abi=True))
    environment = make_environment()
    assert find_libtorch(version=">=2.4", environment=environment).root == system
    findings = dict(trace(environment, requirement=Requirement.of(version=">=2.4")))
    assert findings["Python package torch"] == f"2.3.1+cpu in {own}: 2.3.1 is not >=2.4"


def test_tchs_folders_may_lie_apart(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    root = make_install(tmp_path / "torch", FakeTorch())
    (tmp_path / "inc").mkdir()
    (root / "include").rename(tmp_path / "inc" / "include")
    (tmp_path / "bin").mkdir()
    (root / "lib").rename(tmp_path / "bin" / "lib")
    environment = make_environment(LIBTORCH=str(root), LIBTORCH_INCLUDE=str(tmp_path / "inc"), LIBTORCH_LIB="bin")
    found = find_libtorch(environment=environment)
    assert found.include_dirs[0] == tmp_path / "inc" / "include"
    assert found.library_dirs == (tmp_path / "bin" / "lib",)
    assert found.found_by == "LIBTORCH"
    assert find_libtorch(environment=environment.with_variables(LIBTORCH=None)).library_dirs == found.library_dirs


def test_headers_of_another_version_are_noticed(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    root = make_install(tmp_path / "one", FakeTorch("2.13.0"))
    other = make_install(tmp_path / "two", FakeTorch("2.12.1"))
    environment = make_environment(LIBTORCH=str(root), LIBTORCH_INCLUDE=str(other))
    with pytest.raises(LibTorchUnusableError, match=r"mixed installation") as caught:
        find_libtorch(environment=environment)
    assert f"2.12.1 says {other}/include/torch/headeronly/version.h" in str(caught.value)


def test_torch_hubs_cache_in_torch_home_is_nobodys_mistake(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    write(tmp_path / "cache" / "hub" / "checkpoints" / "resnet.pth")
    make_wheel(own_site, FakeTorch())
    environment = make_environment(TORCH_HOME=str(tmp_path / "cache"))
    assert find_libtorch(environment=environment).found_by == "Python package torch"
    assert dict(trace(environment))["TORCH_HOME"] == f"{tmp_path}/cache: no lib/libc10.so"


@pytest.mark.parametrize("separator", [":", ";"])
def test_cmake_prefix_path_is_searched_entry_by_entry(
    tmp_path: Path, make_environment: MakeEnvironment, separator: str
) -> None:
    old = make_archive(tmp_path / "old", FakeTorch("2.3.1"))
    new = make_archive(tmp_path / "new", FakeTorch("2.6.0"))
    entries = [str(tmp_path / "nothing"), str(old), str(new / "share" / "cmake")]
    environment = make_environment(CMAKE_PREFIX_PATH=separator.join(entries))
    assert find_libtorch(environment=environment).root == old
    assert find_libtorch(environment=environment, version=">=2.4").root == new


def test_a_conda_build_takes_the_host_prefix_or_nothing(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    make_wheel(own_site, FakeTorch())
    host = tmp_path / "host"
    host.mkdir()
    environment = make_environment(CONDA_BUILD="1", PREFIX=str(host), CONDA_PREFIX=str(tmp_path / "build"))
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(environment=environment)
    findings = dict(caught.value.looked_in)
    assert findings["conda host prefix"] == f"{host}: is empty"
    assert findings["Python package torch"] == "not searched in a conda build"
    assert caught.value.cures[0] == (
        "add `- libtorch` to requirements/host in meta.yaml (`- pytorch` for a Python package)"
    )
    make_conda_libtorch(host, FakeTorch("2.8.0"))
    assert find_libtorch(environment=environment).found_by == "conda host prefix"


def test_a_folder_torch_that_is_no_torch_is_passed_over(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    write(tmp_path / "project" / "torch" / "ops.cpp")
    root = make_wheel(own_site, FakeTorch())
    environment = make_environment(search_path=(tmp_path / "project", own_site))
    assert find_libtorch(environment=environment).root == root


def test_an_isolated_builds_interpreter_still_has_its_own_packages(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    root = make_wheel(own_site, FakeTorch())
    overlay = tmp_path / "pip-build-env-x1" / "overlay" / "lib" / "python3.11" / "site-packages"
    environment = make_environment(search_path=(overlay,))
    found = find_libtorch(environment=environment)
    assert (found.root, found.found_by) == (root, "own site-packages")


def test_an_isolated_build_looks_where_it_was_started_from(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    """``venv/bin/python -m build``, where the environment was never activated."""
    root = make_wheel(tmp_path / "venv/lib/python3.11/site-packages", FakeTorch())
    overlay = tmp_path / "build-env-x1/lib/python3.11/site-packages"
    environment = make_environment(search_path=(overlay,))
    python = dataclasses.replace(environment.python, starter=tmp_path / "venv/bin/python")
    started = dataclasses.replace(environment, python=python)
    found = find_libtorch(environment=started)
    assert (found.root, found.found_by) == (root, "starting interpreter")
    assert locate_beside(found, started) is None
    inside = make_wheel(overlay, FakeTorch("2.6.0", "cpu"))
    newest = find_libtorch(environment=started)
    assert newest.root == inside
    beside = locate_beside(newest, started)
    assert beside is not None
    assert beside.root == root


def test_the_starter_is_known_by_the_name_that_it_was_called_by(tmp_path: Path) -> None:
    python = write(tmp_path / "venv/bin/python3")
    process = tmp_path / "proc"
    process.mkdir()
    (process / "cwd").symlink_to(tmp_path)
    for words, found in ((b"venv/bin/python3\0-m\0build", python), (b"python3\0x", None), (b"/bin/sh\0-c", None)):
        (process / "cmdline").write_bytes(words)
        assert locate_starter(process) == found
    (process / "cmdline").write_bytes(b"../" + tmp_path.name.encode() + b"/venv/bin/python3\0x")
    assert locate_starter(process) == python
    assert locate_starter(tmp_path / "none") is None


@pytest.mark.parametrize(
    "folder",
    ["pip-build-env-x1/overlay/site", "build-env-y2/lib/python3.11/site-packages", "builds-v0/.tmpz3/lib/site"],
)
def test_isolation_is_seen_by_the_search_path(tmp_path: Path, make_environment: MakeEnvironment, folder: str) -> None:
    path = tmp_path / folder
    assert is_isolated(make_environment(search_path=(path,), site_packages=(path,)))
    assert not is_isolated(make_environment())


# Fetched ones.


def test_a_fetched_libtorch_is_named_by_its_version(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    root = make_archive(tmp_path / "cache" / "libtorch" / "2.6.0+cu124", FakeTorch("2.6.0", "cu124", cuda="12.4"))
    environment = make_environment(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"))
    assert find_libtorch("fetched:2.6.0+cu124", environment=environment).root == root
    by_variable = environment.with_variables(TORCHSCRIPT_BUILD_LIBTORCH="fetched:2.6.0+cu124")
    assert find_libtorch(environment=by_variable).root == root


def test_one_that_was_not_fetched_says_how_to(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    environment = make_environment(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path))
    with pytest.raises(LibTorchUnusableError) as caught:
        find_libtorch("fetched:2.6.0", environment=environment)
    assert str(caught.value) == (
        f"libtorch 2.6.0 has not been fetched (no {tmp_path}/libtorch/2.6.0)\n"
        "  do this:\n"
        "    - torchscript-build fetch 2.6.0"
    )


def test_a_version_names_the_only_build_of_it(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    environment = make_environment(TORCHSCRIPT_BUILD_CACHE_DIR=str(tmp_path / "cache"))
    root = make_archive(tmp_path / "cache" / "libtorch" / "2.6.0+cu124", FakeTorch("2.6.0", "cu124", cuda="12.4"))
    make_archive(tmp_path / "cache" / "libtorch" / "2.6.1+cpu", FakeTorch("2.6.1"))
    assert find_libtorch("fetched:2.6.0", environment=environment).root == root
    make_archive(tmp_path / "cache" / "libtorch" / "2.6.0+cpu", FakeTorch("2.6.0"))
    with pytest.raises(LibTorchUnusableError, match=r"fetched:2\.6\.0 may be each of 2\.6\.0\+cpu, 2\.6\.0\+cu124"):
        find_libtorch("fetched:2.6.0", environment=environment)
    with pytest.raises(LibTorchUnusableError, match=r"2\.7\.0 has not been fetched .*; there: 2\.6\.0\+cpu, 2\.6"):
        find_libtorch("fetched:2.7.0", environment=environment)


def test_an_exact_requirement_tells_what_to_fetch(make_environment: MakeEnvironment) -> None:
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(version="2.6.0", cuda=False, environment=make_environment())
    assert (
        "torchscript-build fetch 2.6.0 --cpu, then set TORCHSCRIPT_BUILD_LIBTORCH=fetched:2.6.0" in caught.value.cures
    )


@pytest.mark.parametrize("name", ["", "../../etc", "2.6.0/..", "/etc"])
def test_a_fetched_name_never_leaves_the_cache(make_environment: MakeEnvironment, name: str) -> None:
    with pytest.raises(LibTorchUnusableError, match="names no fetched libtorch"):
        find_libtorch(f"fetched:{name}", environment=make_environment())


# The error.


def test_the_error_text(tmp_path: Path, own_site: Path, make_environment: MakeEnvironment) -> None:
    root = make_wheel(own_site, FakeTorch("2.3.1"))
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(version=">=2.4", cuda="12", environment=make_environment())
    assert str(caught.value) == (
        "no usable libtorch found (wanted >=2.4 with CUDA 12)\n"
        "  looked in:\n"
        "    TORCHSCRIPT_BUILD_LIBTORCH  not set\n"
        "    Torch_DIR                   not set\n"
        "    LIBTORCH                    not set\n"
        "    TORCH_INSTALL_PREFIX        not set\n"
        "    TORCH_HOME                  not set\n"
        "    CMAKE_PREFIX_PATH           not set\n"
        "    conda host prefix           not a conda build\n"
        f"    Python package torch        2.3.1+cpu in {root}: 2.3.1 is not >=2.4\n"
        "    own site-packages           on the search path, too\n"
        "    starting interpreter        was no Python\n"
        "    VIRTUAL_ENV                 not set\n"
        "    CONDA_PREFIX                not set\n"
        f"    system folders              none in {tmp_path}/usr\n"
        "  do one of these:\n"
        "    - pip install 'torch>=2.4'\n"
        "    - torchscript-build fetch VERSION --cuda TAG, then set TORCHSCRIPT_BUILD_LIBTORCH=fetched:VERSION\n"
        "    - set TORCHSCRIPT_BUILD_LIBTORCH to an unpacked libtorch or to the torch folder of another Python"
    )


def test_the_error_says_what_was_wanted(make_environment: MakeEnvironment) -> None:
    with pytest.raises(LibTorchNotFoundError, match=r"^no usable libtorch found \(wanted one with CUDA 12\)\n"):
        find_libtorch(cuda="12", environment=make_environment())


def test_the_cures_under_build_isolation(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    environment = make_environment(search_path=(tmp_path / "pip-build-env-x1" / "overlay",))
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(version="2.6", environment=environment)
    assert caught.value.cures == (
        "pip install 'torch==2.6.*', then build with --no-build-isolation (pip, uv), --no-isolation (build)",
        "add 'torch==2.6.*' to build-system.requires in pyproject.toml",
        "torchscript-build fetch VERSION, then set TORCHSCRIPT_BUILD_LIBTORCH=fetched:VERSION",
        "set TORCHSCRIPT_BUILD_LIBTORCH to an unpacked libtorch or to the torch folder of another Python",
    )


@pytest.mark.parametrize(
    ("asked", "cures"),
    [
        (
            {"cuda": True},
            (
                "pip install --force-reinstall 'torch==2.6.0+cu124' --index-url URL   (PyTorch's index of builds ",
                "torchscript-build fetch 2.6.0 --cuda cu124",
            ),
        ),
        ({"cuda": "11"}, ("'torch==2.6.0+cu11…' --index-url URL", "torchscript-build fetch 2.6.0 --cuda cu11N")),
        ({"cxx11_abi": True}, ("pip install 'torch>=2.7'", "torchscript-build fetch 2.6.0 --abi new")),
        ({"version": ">=2.7"}, ("pip install 'torch>=2.7'", "torchscript-build fetch VERSION, then")),
        ({"version": ">=2.7", "cuda": "12.6"}, ("pip install 'torch>=2.7'", "fetch VERSION --cuda cu126, then")),
    ],
)
def test_no_cure_is_a_command_that_changes_nothing(
    own_site: Path, make_environment: MakeEnvironment, asked: dict[str, object], cures: tuple[str, str]
) -> None:
    """`pip install torch`, where torch is installed, says that it is."""
    make_wheel(own_site, FakeTorch("2.6.0"))
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(environment=make_environment(), **asked)  # type: ignore[arg-type]
    for cure, wanted in zip(caught.value.cures, cures):
        assert wanted in cure
    assert "pip install torch" not in str(caught.value)


def test_a_cpu_build_is_called_by_its_name(own_site: Path, make_environment: MakeEnvironment) -> None:
    make_wheel(own_site, FakeTorch("2.13.0", cuda="13.0"))
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(cuda=False, environment=make_environment())
    assert "pip install --force-reinstall 'torch==2.13.0+cpu' --index-url URL" in caught.value.cures[0]
    assert "torchscript-build fetch 2.13.0 --cpu, then" in caught.value.cures[1]


def test_an_installed_torch_that_cannot_be_used_is_replaced(own_site: Path, make_environment: MakeEnvironment) -> None:
    root = make_wheel(own_site, FakeTorch("2.6.0"))
    (root / "lib/libc10.so").write_bytes(b"")
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(environment=make_environment())
    assert caught.value.cures[0] == "pip install --force-reinstall torch"


@pytest.mark.parametrize(
    ("version", "cuda", "tag"),
    [
        ("2.13.0", False, "cpu"),
        ("2.13.0", True, "cu130"),
        ("2.16.0", True, "cu132"),
        ("1.8.1", True, "cu102"),
        ("1.5.0", True, "cu102"),
        ("2.6.0", "12", "cu124"),
        ("2.6.0", "12.6", "cu126"),
        ("2.6.0", "11", "cu11…"),
    ],
)
def test_the_names_of_builds(version: str, cuda: str | bool, tag: str) -> None:
    assert variant_tag(version, cuda) == tag


def test_what_names_a_folder_is_called_as_its_user_does(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    for words in ("--libtorch", "libtorch in [tool.torchscript-build]"):
        with pytest.raises(LibTorchUnusableError, match=re.escape(f"no libtorch in {tmp_path}/x (named by {words})")):
            find_libtorch(tmp_path / "x", environment=make_environment(), named_by=words)


def test_a_requirement_that_means_nothing_is_refused_before_the_search(make_environment: MakeEnvironment) -> None:
    with pytest.raises(SettingsError, match=r"libtorch\.version: 'newest' is no version"):
        find_libtorch(version="newest", environment=make_environment())
