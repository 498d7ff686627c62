"""cuDNN: where it is found, which version it is, and which one suits libtorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support import write

from torchscript_build.errors import ToolNotFoundError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.system import Environment, PythonTarget
from torchscript_build.toolchain.cuda import cudnn
from torchscript_build.toolchain.cuda.cudnn import find_cudnn, locate_cudnn, parse_header, version_of_file

HEADER = "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 20\n#define CUDNN_PATCHLEVEL 0\n"


@pytest.fixture(autouse=True)
def _no_system_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cudnn, "SYSTEM_FOLDERS", (str(tmp_path / "usr"),))


@pytest.fixture
def libtorch(tmp_path: Path) -> LibTorch:
    root = tmp_path / "beside" / "torch"
    (root / "lib").mkdir(parents=True)
    return LibTorch(
        root=root,
        version="2.13.0",
        local_version="cu130",
        cxx11_abi=True,
        cxx_standard=20,
        backend="cuda",
        cuda_version="13.0",
        cudnn_version="9.20.0.48",
        library_dirs=(root / "lib",),
    )


def machine(tmp_path: Path, **variables: str) -> Environment:
    python = PythonTarget(tmp_path / "python", search_path=(tmp_path / "site",))
    return Environment(variables, tmp_path, "linux", "x86_64", python)


def make_cudnn(root: Path, header: str = HEADER, library: str = "lib/libcudnn.so.9") -> Path:
    if header:
        write(root / "include" / "cudnn.h")
        write(root / "include" / "cudnn_version.h", header)
    if library:
        write(root / library)
    return root


def test_the_wheel_beside_libtorch_comes_first(tmp_path: Path, libtorch: LibTorch) -> None:
    root = make_cudnn(tmp_path / "beside" / "nvidia" / "cudnn")
    make_cudnn(tmp_path / "site" / "nvidia" / "cudnn")
    found = find_cudnn(machine(tmp_path), libtorch, headers=True)
    assert (found.include_dir, found.library) == (root / "include", root / "lib" / "libcudnn.so.9")
    assert (found.version, found.found_by) == ("9.20.0", "nvidia-cudnn wheel")
    assert found.witnesses["version"] == str(root / "include" / "cudnn_version.h")


@pytest.mark.parametrize("variable", ["CUDNN_ROOT", "CUDNN_ROOT_DIR"])
def test_a_named_root_is_used_or_refused(tmp_path: Path, libtorch: LibTorch, variable: str) -> None:
    make_cudnn(tmp_path / "beside" / "nvidia" / "cudnn")
    root = make_cudnn(tmp_path / "named")
    assert find_cudnn(machine(tmp_path, **{variable: "named"}), libtorch).include_dir == root / "include"
    with pytest.raises(ToolNotFoundError, match=r"name no cuDNN 9\.20\.0\.48 that can be used: neither cudnn\.h nor"):
        find_cudnn(machine(tmp_path, **{variable: str(tmp_path / "gone")}), libtorch)


@pytest.mark.parametrize("suffix", ["DIR", "PATH"])
def test_headers_and_library_may_be_named_apart(tmp_path: Path, suffix: str) -> None:
    include = write(tmp_path / "inc" / "cudnn.h", HEADER).parent
    library = write(tmp_path / "somewhere" / "libcudnn.so")
    names = {"DIR": "CUDNN_LIBRARY", "PATH": "CUDNN_LIBRARY_PATH"}
    for value in (library, library.parent):
        variables = {f"CUDNN_INCLUDE_{suffix}": str(include), names[suffix]: str(value)}
        found = find_cudnn(machine(tmp_path, **variables))
        assert (found.include_dir, found.library, found.version) == (include, library, "9.20.0")
    for variable in (f"CUDNN_INCLUDE_{suffix}", names[suffix]):
        with pytest.raises(ToolNotFoundError, match="CUDNN_… variables name no cuDNN"):
            find_cudnn(machine(tmp_path, **{**variables, variable: str(tmp_path / "gone")}))


def test_another_major_version_is_passed_over_or_refused(tmp_path: Path, libtorch: LibTorch) -> None:
    old = make_cudnn(tmp_path / "old", HEADER.replace("MAJOR 9", "MAJOR 8"))
    make_cudnn(tmp_path / "site" / "nvidia" / "cudnn", HEADER.replace("MAJOR 9", "MAJOR 8"))
    make_cudnn(tmp_path / "usr")
    found, trace = locate_cudnn(machine(tmp_path), libtorch)
    assert found is not None
    assert found.found_by == "system folders"
    assert dict(trace)["nvidia-cudnn wheel"].endswith("it is 8.20.0, libtorch was built with 9.20.0.48")
    with pytest.raises(ToolNotFoundError, match=r"it is 8\.20\.0, libtorch was built with 9\.20"):
        find_cudnn(machine(tmp_path, CUDNN_ROOT=str(old)), libtorch)
    assert find_cudnn(machine(tmp_path, CUDNN_ROOT=str(old)), replace(libtorch, cudnn_version=None)).version == "8.20.0"


def test_an_archives_own_library_has_no_headers(tmp_path: Path, libtorch: LibTorch) -> None:
    library = write(libtorch.root / "lib" / "libcudnn-0a1b2c.so.9")
    found = find_cudnn(machine(tmp_path), libtorch)
    assert (found.include_dir, found.library, found.version) == (None, library, "9")
    with pytest.raises(ToolNotFoundError) as caught:
        find_cudnn(machine(tmp_path), libtorch, headers=True)
    assert str(caught.value) == (
        "no cuDNN 9.20.0.48 found\n"
        "  looked in:\n"
        "    CUDNN_… variables     not set\n"
        "    nvidia-cudnn wheel    not installed\n"
        f"    libtorch's libraries  {library}: without headers\n"
        "    conda prefix          not set\n"
        f"    system folders        none in {tmp_path}/usr\n"
        "  do one of these:\n"
        "    - pip install nvidia-cudnn-cu13\n"
        "    - set CUDNN_ROOT to a folder with include/cudnn.h"
    )


def test_conda_and_debian_prefixes(tmp_path: Path) -> None:
    make_cudnn(tmp_path / "usr", library="lib/x86_64-linux-gnu/libcudnn.so")
    conda = make_cudnn(tmp_path / "env")
    assert find_cudnn(machine(tmp_path, CONDA_PREFIX=str(conda))).found_by == "conda prefix"
    assert find_cudnn(machine(tmp_path)).library == tmp_path / "usr" / "lib" / "x86_64-linux-gnu" / "libcudnn.so"
    build = machine(tmp_path, CONDA_BUILD="1", PREFIX=str(tmp_path / "host"), CONDA_PREFIX=str(conda))
    with pytest.raises(ToolNotFoundError, match="not searched in a conda build"):
        find_cudnn(build)


def test_versions_by_header_and_by_file_name(tmp_path: Path) -> None:
    assert parse_header(HEADER) == "9.20.0"
    assert parse_header('#include "cudnn_version.h"\n') is None
    real = write(tmp_path / "libcudnn.so.8.9.2")
    (tmp_path / "libcudnn.so").symlink_to(real.name)
    assert version_of_file(tmp_path / "libcudnn.so") == "8.9.2"
    assert version_of_file(tmp_path / "cudnn64_8.dll") == "8"
    assert version_of_file(tmp_path / "libcudnn_static.a") is None
