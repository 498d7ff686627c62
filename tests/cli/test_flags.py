"""``torchscript-build flags``: a compiler and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from nobodys_machine import cuda_torch, linux_torch, mac_torch, windows_torch
from support import write

from torchscript_build.generate.flags import compiler_flags

ANSWER = """\
#include <torch/script.h>
#include <cstdio>
int main() { std::printf("%d\\n", torch::answer()); }
"""
SUM = """\
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <cstdio>
int main() { std::printf("%g\\n", at::sum(at::ones({2, 3})).item<float>()); }
"""
COMMAND = f"{sys.executable} -m torchscript_build flags"


def shell(line: str, cwd: Path, variables: dict[str, str]) -> str:
    """What a line of shell prints."""
    done = run_child(line, shell=True, cwd=cwd, env=variables, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_words_for_the_cpu_wheel() -> None:
    flags = compiler_flags(linux_torch("/venv"))
    assert flags.cflags == (
        "-std=c++20",
        "-isystem",
        "/venv/torch/include",
        "-isystem",
        "/venv/torch/include/torch/csrc/api/include",
        "-D_GLIBCXX_USE_CXX11_ABI=1",
    )
    assert flags.libs == (
        "-L/venv/torch/lib",
        "-Wl,-rpath,/venv/torch/lib",
        "-Wl,--push-state,--no-as-needed,-ltorch,--pop-state",
        "-ltorch_cpu",
        "-lc10",
    )


def test_the_words_for_the_cuda_wheel_link_cuda_where_the_code_needs_it() -> None:
    assert compiler_flags(cuda_torch()).libs[2:] == (
        "-Wl,--push-state,--no-as-needed,-ltorch,--pop-state",
        "-Wl,--push-state,--as-needed,-ltorch_cuda,-lc10_cuda,--pop-state",
        "-ltorch_cpu",
        "-lc10",
        "-Wl,--allow-shlib-undefined",
    )


def test_the_words_for_other_linkers() -> None:
    assert compiler_flags(mac_torch()).libs[2:] == ("-ltorch", "-ltorch_cpu", "-lc10")
    windows = compiler_flags(windows_torch())
    assert windows.cflags == ("/std:c++20", "/EHsc", "/IC:/venv/Lib/site-packages/torch/include")
    assert windows.libs[0] == "C:/venv/Lib/site-packages/torch/lib/torch.lib"
    assert windows.libs[-1] == "/INCLUDE:?warp_size@cuda@at@@YAHXZ"


def test_a_comma_in_the_path_does_not_split_the_rpath() -> None:
    libs = compiler_flags(linux_torch("/a,b")).libs
    assert libs[:5] == ("-L/a,b/torch/lib", "-Xlinker", "-rpath", "-Xlinker", "/a,b/torch/lib")


def test_without_the_rpath_for_what_gets_its_own() -> None:
    flags = compiler_flags(linux_torch("/a,b"))
    assert flags.libs_without_rpath == ("-L/a,b/torch/lib", *flags.libs[5:])


@pytest.mark.compile
@pytest.mark.parametrize("options", ["", "--cflags --libs"])
def test_the_compiler_alone_makes_a_program(tmp_path: Path, variables: dict[str, str], options: str) -> None:
    write(tmp_path / "main.cpp", ANSWER)
    shell(f"c++ main.cpp $({COMMAND} {options}) -o main", tmp_path, variables)
    assert shell("./main", tmp_path, variables) == "42\n"


@pytest.mark.compile
def test_pkg_config_makes_a_program(tmp_path: Path, variables: dict[str, str]) -> None:
    assert shutil.which("pkg-config"), "apt-get install pkg-config"
    write(tmp_path / "main.cpp", ANSWER)
    folder = shell(f"{COMMAND} --pkg-config 'a folder'", tmp_path, variables).strip()
    assert folder == str(tmp_path / "a folder")
    there = {**variables, "PKG_CONFIG_PATH": folder}
    assert shell("pkg-config --modversion torch; pkg-config --variable=cxx_standard torch", tmp_path, there) == (
        "2.13.0+cpu\n20\n"
    )
    shell("c++ -std=c++17 main.cpp $(pkg-config --cflags --libs torch) -o main", tmp_path, there)
    assert shell("./main", tmp_path, variables) == "42\n"


def test_json_has_the_words_and_the_facts(tmp_path: Path, variables: dict[str, str], fake_torch: Path) -> None:
    data = json.loads(shell(f"{COMMAND} --json", tmp_path, variables))
    assert (data["version"], data["cxx_standard"], data["cxx11_abi"]) == ("2.13.0+cpu", 20, True)
    assert data["include_dirs"] == [str(fake_torch / "include")]
    assert data["libraries"] == [str(fake_torch / f"lib/lib{name}.so") for name in ("torch", "torch_cpu", "c10")]
    assert data["cflags"][0] == "-std=c++20"
    assert data["libs"][-1] == "-lc10"


def test_the_option_for_cmake(tmp_path: Path, variables: dict[str, str]) -> None:
    word = shell(f"{COMMAND} --cmake", tmp_path, variables).strip()
    name, folder = word.split("=")
    assert name == "-DTorch_DIR"
    assert (Path(folder) / "TorchConfig.cmake").is_file()


def test_the_files_for_bazel(tmp_path: Path, variables: dict[str, str], fake_torch: Path) -> None:
    said = shell(f"{COMMAND} --bazel third_party/torch", tmp_path, variables)
    assert said == 'include("//third_party/torch:libtorch.MODULE.bazel")\n'
    folder = tmp_path / "third_party/torch"
    assert sorted(os.listdir(folder)) == ["BUILD.bazel", "libtorch.BUILD.bazel", "libtorch.MODULE.bazel"]
    segment = (folder / "libtorch.MODULE.bazel").read_text()
    assert f'    path = "{fake_torch}",\n' in segment
    assert '    build_file = "//third_party/torch:libtorch.BUILD.bazel",\n' in segment
    # Starlark's calls and literals are Python's.
    called: dict[str, object] = {}
    scope = {"load": lambda *_: None, "cc_library": called.update, "glob": list}
    scope["cc_library"] = lambda **arguments: called.update(arguments)
    exec((folder / "libtorch.BUILD.bazel").read_text(), scope)
    assert called["includes"] == ["include"]
    assert called["hdrs"] == ["include/**"]
    assert called["defines"] == ["_GLIBCXX_USE_CXX11_ABI=1"]
    assert called["linkopts"] == json.loads(shell(f"{COMMAND} --json", tmp_path, variables))["libs"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json", "--libs"], "flags: --json and --cflags or --libs do not go together"),
        (["--bazel", "/elsewhere"], "a folder inside the workspace, relative to it, not /elsewhere"),
        (["--bazel", "../x"], "not ../x"),
        (["--version", "3"], "2.13.0 is not 3"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, variables: dict[str, str], options: list[str], words: str) -> None:
    done = run_python("-m", "torchscript_build", "flags", *options, cwd=tmp_path, variables=variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
def test_a_program_for_the_real_cpu_wheel(tmp_path: Path) -> None:
    write(tmp_path / "main.cpp", SUM)
    variables = clean_variables()
    shell(f"c++ main.cpp $({COMMAND} --cflags --libs) -o main", tmp_path, variables)
    assert shell("./main", tmp_path, variables) == "6\n"


@pytest.mark.compile
@pytest.mark.network
def test_a_program_for_the_real_cuda_wheel_without_a_toolkit(tmp_path: Path) -> None:
    python = os.environ.get("TORCHSCRIPT_BUILD_TEST_CUDA_PYTHON")
    if python is None:
        run_child([sys.executable, "-m", "venv", tmp_path / "cuda"], check=True)
        python = str(tmp_path / "cuda/bin/python")
        run_child([python, "-m", "pip", "install", "-q", "torch===2.13.0"], check=True)
    where = "import importlib.util as u; print(list(u.find_spec('torch').submodule_search_locations)[0])"
    root = run_child([python, "-c", where], encoding="utf-8", capture_output=True, check=True).stdout.strip()
    write(tmp_path / "main.cpp", SUM)
    variables = clean_variables(TORCHSCRIPT_BUILD_LIBTORCH=root)
    assert '"cuda' in shell(f"{sys.executable} -m torchscript_build find --json --cuda any", tmp_path, variables)
    shell(f"c++ main.cpp $({COMMAND} --cflags --libs) -o main", tmp_path, variables)
    assert shell("./main", tmp_path, variables) == "6\n"
