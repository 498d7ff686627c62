"""The C library of a model: its clients in six languages agree with Python, and nothing that is done to it ends it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

import pytest
from examples_support import assert_same_text, build_environment, pip, run
from support import write

from torchscript_build.system import Environment
from torchscript_build.system.elf import read_elf

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "c_library"
PROGRAMS = Path(__file__).parent / "c_library"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")

SECOND_MODEL = '''
import torch
from torch import nn


class Steps(nn.Module):
    """Counts its calls."""

    seen: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.seen = []

    def forward(self, start: int) -> int:
        self.count += 1
        self.seen.append(start)
        return start + self.count


def steps() -> nn.Module:
    return Steps()
'''
SECOND_LIBRARY = """
[[tool.torchscript-build.model]]
name = "steps"
factory = "series_library.steps:steps"

[[tool.torchscript-build.library]]
name = "plain-steps"
models = ["steps"]
"""
REFERENCE = """
import sys
import torch

torch.ops.load_library(sys.argv[1])
model = torch.jit.load(sys.argv[2])
series = torch.tensor([[1.0, 2.0, 3.0], [4.0, 2.0, 6.0]])
with torch.inference_mode():
    for name, tensor in model(series, 0.5).items():
        print(f"{name}:", *(f"{number:.6f}" for number in tensor.flatten().tolist()))
    words, counts = model.describe(series, ["a", "b"])
print(words)
for count in counts:
    print("rises:", count)
"""


@dataclass(frozen=True)
class Built:
    tree: Path
    prefix: Path
    log: str
    expected: str
    """What every client prints, by Python's own calls of the model."""

    @property
    def lib(self) -> Path:
        return self.prefix / "lib"

    def environment(self, **more: str) -> dict[str, str]:
        found = {"PKG_CONFIG_PATH": str(self.lib / "pkgconfig"), "LD_LIBRARY_PATH": str(self.lib)}
        return {**build_environment(), "OMP_NUM_THREADS": "1", **found, **more}

    def compile(self, source: Path, program: Path, *options: str, names: Sequence[str] = ("series",)) -> Path:
        flags = run(["pkg-config", "--cflags", "--libs", *names], cwd=self.tree, env=self.environment()).stdout.split()
        rpath = f"-Wl,-rpath,{self.lib}"
        run([locate("gcc"), *STRICT, *options, source, *flags, rpath, "-o", program], cwd=self.tree)
        return program


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The example with a second library, built once and installed into a prefix."""
    tree = tmp_path_factory.mktemp("c_library") / "project"
    shutil.copytree(EXAMPLE, tree, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "lib"))
    settings = (tree / "pyproject.toml").read_text(encoding="utf-8")
    write(tree / "pyproject.toml", settings + SECOND_LIBRARY)
    write(tree / "src/series_library/steps.py", SECOND_MODEL)
    prefix = tree / "out"
    log = run([sys.executable, "setup.py", "build_ts_app", "--prefix", prefix], cwd=tree).stdout
    write(tree / "reference.py", REFERENCE)
    model = prefix / "share/series-library/models/trend.pt"
    reference = run([sys.executable, "reference.py", prefix / "lib/libseries_ops.so", model], cwd=tree).stdout
    schemas = (
        "forward(Tensor series, float scale) -> Dict[str, Tensor]\n"
        "describe(Tensor series, List[str] names) -> Tuple[str, List[int]]\n"
    )
    error = f"error 2: forward() needs an input for argument 'scale' (schema: {schemas.splitlines()[0]})\n"
    return Built(tree, prefix, log, schemas + reference + error)


def locate(program: str, *more: Path) -> str:
    """A program of this machine; the test is skipped without."""
    path = os.pathsep.join([*map(str, more), os.environ["PATH"]])
    found = shutil.which(program, path=path)
    if found is None:
        pytest.skip(f"needs the program {program}")
    return found


def output_of(command: Sequence[object], built: Built, cwd: Path, variables: Optional[Mapping[str, str]] = None) -> str:
    return run(command, cwd=cwd, env={**built.environment(), **(variables or {})}).stdout


# --- clients -------------------------------------------------------------------------------------------------------


def test_readme_shows_what_all_clients_print(built: Built) -> None:
    (shown,) = re.findall(r"```console\n\$ ./client\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    assert_same_text(built.expected, shown)


def test_c(built: Built, tmp_path: Path) -> None:
    program = built.compile(EXAMPLE / "clients/client.c", tmp_path / "client")
    assert_same_text(output_of([program], built, tmp_path), built.expected + "released: 1\n")


def test_rust(built: Built, tmp_path: Path) -> None:
    rustc = locate("rustc", Path.home() / ".cargo/bin")
    options = ["-D", "warnings", "-L", f"native={built.lib}", "-l", "dylib=series", "-C", "link-arg=-Wl,-z,origin"]
    run([rustc, *options, EXAMPLE / "clients/client.rs", "-o", tmp_path / "client"], cwd=tmp_path)
    assert_same_text(output_of([tmp_path / "client"], built, tmp_path), built.expected)


def test_go(built: Built, tmp_path: Path) -> None:
    go = locate("go")
    variables = {
        "CGO_CFLAGS": f"-I{built.prefix / 'include'}",
        "CGO_LDFLAGS": f"-L{built.lib}",
        "GOCACHE": str(tmp_path / "cache"),
        "GO111MODULE": "off",
    }
    run([go, "vet", EXAMPLE / "clients/client.go"], cwd=tmp_path, env=built.environment(**variables))
    command = [go, "run", EXAMPLE / "clients/client.go"]
    assert_same_text(output_of(command, built, tmp_path, variables), built.expected)


def test_java(built: Built, tmp_path: Path) -> None:
    java, jna = locate("java"), Path("/usr/share/java/jna.jar")
    if not jna.is_file():
        pytest.skip("needs JNA: Debian's libjna-java")
    command = [java, "-cp", jna, f"-Djna.library.path={built.lib}", EXAMPLE / "clients/Client.java"]
    assert_same_text(output_of(command, built, tmp_path), built.expected)


def test_node(built: Built, tmp_path: Path) -> None:
    node, modules = locate("node"), os.environ.get("NODE_PATH", "")
    found = run([node, "-e", "try { require('koffi') } catch { console.log('none') }"], cwd=tmp_path).stdout
    if found:
        pytest.skip("needs the Node package koffi: NODE_PATH names the folder that it is installed in")
    command = [node, EXAMPLE / "clients/client.js", built.lib / "libseries.so"]
    assert_same_text(output_of(command, built, tmp_path, {"NODE_PATH": modules}), built.expected)


def test_python(built: Built, tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLE / "clients/client.py", built.lib / "libseries.so"]
    assert_same_text(output_of(command, built, tmp_path), built.expected)


def test_cmake_project_finds_it(built: Built, tmp_path: Path) -> None:
    cmake = locate("cmake", Path(sys.executable).parent)
    lists = (
        "cmake_minimum_required(VERSION 3.18)\nproject(client C)\nfind_package(series 1.0 REQUIRED)\n"
        f"add_executable(client {EXAMPLE / 'clients/client.c'})\ntarget_link_libraries(client PRIVATE series::series)\n"
    )
    write(tmp_path / "CMakeLists.txt", lists)
    run([cmake, "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={built.prefix}"], cwd=tmp_path)
    run([cmake, "--build", "build"], cwd=tmp_path)
    assert_same_text(run([tmp_path / "build/client"], cwd=tmp_path).stdout, built.expected + "released: 1\n")


# --- what is built -------------------------------------------------------------------------------------------------


def test_build_compares_the_library_with_python(built: Built) -> None:
    rows = re.findall(r"^   trend +(\w+) +(example|check 1) +(\S+) +(\S+)$", built.log, re.MULTILINE)
    assert rows == [("forward", "example", "0", "0"), ("describe", "check 1", "0", "0")], built.log


def test_second_build_does_nothing(built: Built) -> None:
    log = run([sys.executable, "setup.py", "build_ts_app", "--prefix", built.prefix], cwd=built.tree).stdout
    commands = {Path(line.split()[1]).name for line in log.splitlines() if line.startswith("+ ")}
    assert commands == {"ninja"}
    assert log.count("ninja: no work to do") == 2


def test_only_its_own_functions_are_exported(built: Built) -> None:
    """Of the dynamic symbols of type function or data, with their version."""
    for name, prefix in (("series", "series"), ("plain-steps", "plain_steps")):
        library = built.lib / f"lib{name}.so"
        done = run([locate("nm"), "-D", "--defined-only", library], cwd=built.tree)
        symbols = {line.split()[2] for line in done.stdout.splitlines()}
        header = (built.prefix / "include" / f"{name}.h").read_text(encoding="utf-8")
        declared = set(re.findall(rf"^{prefix.upper()}_API [^(]*?(\w+)\(", header, re.MULTILINE))
        version = f"{prefix.upper()}_1"
        assert len(declared) == 38
        assert symbols == {version} | {f"{symbol}@@{version}" for symbol in declared}


def test_library_needs_no_python_and_finds_torch(built: Built) -> None:
    info = read_elf(built.lib / "libseries.so")
    assert info.soname == "libseries.so"
    assert "libseries_ops.so" in info.needed
    assert not [name for name in info.needed if "python" in name]
    assert info.runpath[0] == "$ORIGIN"


def test_prefix_and_wheel_have_the_same_files(built: Built, tmp_path: Path) -> None:
    beside = ("Config", "ConfigVersion")
    wanted = {
        f
        for name in ("series", "plain-steps")
        for f in (
            *(f"lib/lib{name}.so", f"include/{name}.h", f"lib/pkgconfig/{name}.pc"),
            *(f"lib/cmake/{name}/{name}{kind}.cmake" for kind in beside),
        )
    }
    installed = {p.relative_to(built.prefix).as_posix() for p in built.prefix.rglob("*") if p.is_file()}
    models = {f"share/series-library/models/{name}.pt" for name in ("trend", "steps")}
    assert installed == wanted | models | {"lib/libseries_ops.so"}
    options = ("--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path)
    pip("wheel", *options, built.tree, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {n.partition("/")[2] for n in archive.namelist() if n.startswith("series_library/")}
        archive.extractall(tmp_path / "site")
    package = {"models/trend.pt", "models/steps.pt", "lib/libseries_ops.so", "_torchscript_ops.py"}
    assert names == wanted | package | {"__init__.py", "model.py", "steps.py"}
    torch = find_spec("torch")
    assert torch is not None
    assert torch.origin is not None
    (tmp_path / "site" / "torch").symlink_to(Path(torch.origin).parent)
    library = tmp_path / "site/series_library/lib/libseries.so"
    command = [sys.executable, EXAMPLE / "clients/client.py", library]
    assert_same_text(run(command, cwd=tmp_path).stdout, built.expected)


# --- bad input, threads, memory ------------------------------------------------------------------------------------


def test_a_bundle_of_it_is_all_that_a_client_needs(built: Built, here: Environment, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run([sys.executable, "setup.py", "build_ts_app", "--bundle", out, "--verify"], cwd=built.tree).stdout
    assert "-- in an empty root, libseries.so: opens its model trend\n" in said
    assert "-- in an empty root, libplain-steps.so: opens its model steps\n" in said
    found = {"PKG_CONFIG_PATH": str(out / "lib/pkgconfig")}
    flags = run(["pkg-config", "--cflags", "--libs", "series"], cwd=out, env=built.environment(**found)).stdout.split()
    flags += [f"-Wl,-rpath-link,{out}/lib", "-Wl,-rpath,$ORIGIN/../lib"]
    program = out / "bin/client"
    program.parent.mkdir()
    run([locate("gcc"), *STRICT, EXAMPLE / "clients/client.c", *flags, "-o", program], cwd=out)
    expected = built.expected + "released: 1\n"
    moved = out.rename(tmp_path / "moved")
    assert_same_text(run([moved / "bin/client"], cwd=tmp_path, env={"OMP_NUM_THREADS": "1"}).stdout, expected)


def test_bad_input_gets_a_code_and_a_sentence(built: Built, tmp_path: Path) -> None:
    program = built.compile(PROGRAMS / "bad_input.c", tmp_path / "bad_input")
    shutil.copy(PROGRAMS / "bad_input.c", tmp_path)
    lines = output_of([program], built, tmp_path).splitlines()
    told = {line.split()[0]: line.partition(" ")[2] for line in lines}
    assert "must" not in told, told["must"]
    wanted = json.loads((PROGRAMS / "bad_input.json").read_text(encoding="utf-8"))
    schema = "(schema: forward(Tensor series, float scale) -> Dict[str, Tensor])"
    found = {name: re.sub(r"\d{7,}", "N", text.replace(schema, "(schema)")) for name, text in told.items()}
    assert found == wanted
    assert [line.split()[0] for line in lines if line.count(" ") >= 2 and line.split()[1] == "8"] == []


def test_eight_threads_call_one_model(built: Built, tmp_path: Path) -> None:
    program = built.compile(PROGRAMS / "many_calls.c", tmp_path / "many_calls", "-pthread")
    assert output_of([program, "8000", "8"], built, tmp_path).endswith("wrong 0\n")


def test_ten_thousand_calls_keep_no_memory(built: Built, tmp_path: Path) -> None:
    """A call of each kind that forgot one byte would keep 160 KB and more: the smallest piece has 16."""
    program = built.compile(PROGRAMS / "many_calls.c", tmp_path / "many_calls", "-pthread")
    numbers = dict(line.split() for line in output_of([program, "10000"], built, tmp_path).splitlines())
    assert numbers["wrong"] == "0"
    assert int(numbers["after"]) - int(numbers["before"]) < 10_000


def test_two_libraries_in_one_process(built: Built, tmp_path: Path) -> None:
    program = built.compile(PROGRAMS / "two_libraries.c", tmp_path / "two", names=("series", "plain-steps"))
    first, second, steps, refused = output_of([program], built, tmp_path).splitlines()
    assert first == "forward(Tensor series, float scale) -> Dict[str, Tensor]"
    assert second == "forward(int start) -> int"
    assert steps == "42"
    assert refused == "5 5"


def test_calls_of_a_model_with_state_wait_for_each_other(built: Built, tmp_path: Path) -> None:
    """Eight threads count together; without turns they would miss some, or end the process."""
    write(
        tmp_path / "count.py",
        """
import ctypes, sys, threading
from torchscript_build.models.child.library import Library

library = Library(sys.argv[1], "plain_steps")
model = library.open("steps", False)

def work():
    for _ in range(500):
        start = library.give("int", ctypes.c_int64(0))
        array = (ctypes.c_uint64 * 1)(start)
        result = ctypes.c_uint64(library.give("call", model, None, array, ctypes.c_size_t(1)))
        seen.append(library.give("get_int", result, kind=ctypes.c_int64))
        library.free(result)
        library.free(ctypes.c_uint64(start))

seen = []
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(seen) == list(range(1, 4001)))
""",
    )
    command = [sys.executable, "count.py", built.lib / "libplain-steps.so"]
    assert output_of(command, built, tmp_path) == "True\n"
