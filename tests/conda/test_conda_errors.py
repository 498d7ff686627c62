"""A conda build against a tiny libtorch: what is said when it lacks something, and the RPATH of what it makes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Optional, Union

import pytest
from children import run_python
from small_projects import write_project
from tiny_torch import copy_torch

from torchscript_build.errors import LibTorchNotFoundError
from torchscript_build.libtorch import find_libtorch
from torchscript_build.system import Environment
from torchscript_build.system.elf import read_elf


@pytest.fixture
def host(machine: Environment, tmp_path: Path) -> Environment:
    """A conda build with an empty host prefix."""
    prefix = tmp_path / "host"
    prefix.mkdir()
    build = machine.with_variables(TORCHSCRIPT_BUILD_LIBTORCH=None, CONDA_BUILD="1", PREFIX=str(prefix))
    return replace(build, cwd=tmp_path)


def test_no_torch_in_host(host: Environment) -> None:
    with pytest.raises(LibTorchNotFoundError) as caught:
        find_libtorch(environment=host)
    assert ("conda host prefix", f"{host.variables['PREFIX']}: is empty") in caught.value.looked_in
    assert caught.value.cures[0] == (
        "add `- libtorch` to requirements/host in meta.yaml (`- pytorch` for a Python package)"
    )


@pytest.mark.compile
@pytest.mark.parametrize(("cuda", "line"), [(True, "pytorch * cuda*"), ("12.9", "pytorch * cuda129*")])
def test_torch_of_another_variant(
    host: Environment, fake_torch: Path, cuda: Optional[Union[bool, str]], line: str
) -> None:
    site = Path(host.variables["PREFIX"], "lib/python3.11/site-packages")
    shutil.copytree(fake_torch, site / "torch")
    with pytest.raises(LibTorchNotFoundError, match="wanted one with CUDA") as caught:
        find_libtorch(cuda=cuda, environment=host)
    finding = dict(caught.value.looked_in)["conda host prefix"]
    assert "2.13.0" in finding
    assert "wanted is CUDA" in finding
    assert f"`- {line}`" in caught.value.cures[0]


@pytest.mark.compile
def test_host_prefix_is_in_the_rpath_once(fake_torch: Path, variables: dict[str, str], tmp_path: Path) -> None:
    app = '[[tool.torchscript-build.app]]\nname = "hello"\nsources = ["main.cpp"]\ninstall = false\n'
    main = "#include <torch/script.h>\nint main() { return 0; }\n"
    project = write_project(tmp_path / "project", app, files={"main.cpp": main})
    prefix = copy_torch(fake_torch, tmp_path / "prefix")
    del variables["TORCHSCRIPT_BUILD_LIBTORCH"]
    flags = f"-Wl,--disable-new-dtags -Wl,-rpath,{prefix}/lib -L{prefix}/lib"
    packager = {"CONDA_BUILD": "1", "PREFIX": str(prefix), "LDFLAGS": flags}
    command = ["setup.py", "build_ts_app", "--prefix", str(prefix)]
    done = run_python(*command, cwd=project, variables={**variables, **packager})
    assert done.returncode == 0, done.stdout + done.stderr
    info = read_elf(prefix / "bin/hello")
    assert [*info.rpath, *info.runpath] == ["$ORIGIN/../lib"]
