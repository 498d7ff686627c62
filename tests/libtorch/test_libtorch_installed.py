"""The torch that is installed beside the tests: the facts that are read agree with what torch says about itself."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import pytest
from children import run_child

from torchscript_build.libtorch import find_libtorch
from torchscript_build.libtorch.health import diagnose
from torchscript_build.system import Environment
from torchscript_build.system.elf import cxx11_abi_of

pytestmark = pytest.mark.torch

ASK = """
import json, os, torch
print(json.dumps({
    "root": os.path.dirname(torch.__file__),
    "version": torch.__version__,
    "abi": torch.compiled_with_cxx11_abi(),
    "cuda": torch.version.cuda,
    "cmake": torch.utils.cmake_prefix_path,
}))
"""


@cache
def torch_says() -> dict[str, Any]:
    done = run_child([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def here() -> Environment:
    return Environment.current().with_variables(
        TORCHSCRIPT_BUILD_LIBTORCH=None, Torch_DIR=None, LIBTORCH=None, TORCH_INSTALL_PREFIX=None, TORCH_HOME=None
    )


def test_the_facts_are_what_torch_says() -> None:
    found = find_libtorch(environment=here())
    said = torch_says()
    assert (str(found.root), found.full_version) == (said["root"], said["version"])
    assert (found.cxx11_abi, found.cuda_version) == (said["abi"], said["cuda"])
    assert all(path.is_file() for path in found.libraries)
    assert all(path.is_dir() for path in (*found.include_dirs, *found.library_dirs))


def test_torchs_own_cmake_prefix_is_a_door() -> None:
    said = torch_says()
    assert str(find_libtorch(said["cmake"], environment=here()).root) == said["root"]


@pytest.mark.skipif(sys.platform != "linux", reason="ELF")
def test_any_library_of_it_tells_the_same_abi() -> None:
    found = find_libtorch(environment=here())
    assert cxx11_abi_of(found.libraries[-1]) is found.cxx11_abi
    assert found.python_library is not None
    assert cxx11_abi_of(found.python_library) is found.cxx11_abi


@pytest.mark.skipif(sys.platform != "linux", reason="ELF")
def test_it_needs_nothing_that_is_missing() -> None:
    environment = here()
    assert [d for d in diagnose(find_libtorch(environment=environment), environment) if "missing" in d] == []


def test_torch_is_not_imported() -> None:
    code = (
        "import sys; from torchscript_build.libtorch import find_libtorch; find_libtorch(); "
        "print([m for m in ('torch', 'elftools', 'packaging', 'importlib.util') if m in sys.modules])"
    )
    done = run_child([sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
                          capture_output=True, text=True, check=True, env={**here().variables})  # fmt: skip
    assert "'torch'" not in done.stdout
    assert "'elftools'" not in done.stdout
    assert "'packaging'" not in done.stdout
