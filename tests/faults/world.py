"""A machine for builds that are killed: a tiny libtorch, a tiny torch for the export's child, a whole project."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from children import clean_variables
from small_projects import ANSWER_CPP, NATIVE_TABLE, write_project
from support import write
from tiny_torch import build_fake_torch

from torchscript_build.system.files import LEFTOVER

TORCH = """\
import contextlib, time, types, zipfile
__version__ = "2.13.0+cpu"
class Module:
    def eval(self): return self
    def named_parameters(self): return ()
    def named_buffers(self): return ()
class ScriptModule(Module):
    code = ""
def save(module, path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("version", b"3\\n"), ("constants.pkl", b""), ("code/x.py", b"x = 1\\n")):
            archive.writestr(zipfile.ZipInfo("model/" + name), content)
        for part in range(8):  # slowly: there is time to be killed
            archive.writestr(zipfile.ZipInfo("model/data/%d" % part), bytes(100_000))
            archive.fp.flush()
            time.sleep(0.02)
nn = types.SimpleNamespace(Module=Module)
jit = types.SimpleNamespace(ScriptModule=ScriptModule, save=save, script=lambda m: ScriptModule())
no_grad = inference_mode = contextlib.nullcontext
manual_seed = lambda seed: None
ops = types.SimpleNamespace(load_library=lambda file: None)
_C = types.SimpleNamespace(_jit_get_all_schemas=lambda: [])
"""

SETTINGS = """\
[[tool.torchscript-build.model]]
name = "mod"
factory = "mymodel:make"
[[tool.torchscript-build.ops]]
name = "my_ops"
sources = ["ops.cpp"]
namespaces = ["my_ops"]
[[tool.torchscript-build.app]]
name = "answer"
sources = ["answer.cpp"]
ops = ["my_ops"]
models = ["mod"]
"""
NATIVE = """\
cmake_minimum_required(VERSION 3.18)
project(native LANGUAGES CXX)
find_package(Torch REQUIRED)
add_library(nat SHARED nat.cpp)
target_link_libraries(nat torch)
install(TARGETS nat DESTINATION lib)
"""
FILES = {
    "answer.cpp": ANSWER_CPP,
    "mymodel.py": "import torch\ndef make():\n    return torch.nn.Module()\n",
    "ops.cpp": '#if 0\nTORCH_LIBRARY(my_ops, m) { m.def("add(int a) -> int"); }\n#endif\nint f() { return 1; }\n',
    "native/CMakeLists.txt": NATIVE,
    "native/nat.cpp": "#include <torch/script.h>\nint nat() { return torch::answer(); }\n",
}
COMMANDS: Mapping[str, list[str]] = {
    "wheel": ["bdist_wheel"],
    "inplace": ["build_ts_app", "--inplace"],
    "prefix": ["build_ts_app", "--prefix=there"],
    "run": ["build_ts_app", "--run"],
    "ops": ["build_ts_ops"],
}
SECONDS = 300
"""For one build, on a machine that does other things, too."""


@dataclass(frozen=True)
class World:
    """Folders and variables of one machine."""

    folder: Path
    variables: Mapping[str, str]

    @property
    def project(self) -> Path:
        """Where projects are built, always in the same place."""
        return self.folder / "project"

    @property
    def cache(self) -> Path:
        """The user's cache."""
        return self.folder / "cache"


def make_world(folder: Path) -> World:
    """Compile the tiny libtorch, and write the tiny torch into it."""
    root = build_fake_torch(folder / "site-packages")
    write(root / "__init__.py", TORCH)
    (folder / "home").mkdir()
    folder.chmod(0o755)  # for the user without a name
    variables = clean_variables(
        TORCHSCRIPT_BUILD_LIBTORCH=str(root),
        TORCHSCRIPT_BUILD_CACHE_DIR=str(folder / "cache"),
        HOME=str(folder / "home"),
        PYTHONPATH=str(folder / "site-packages"),  # else the children import the real torch, if there is one
        MAX_JOBS="1",
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONUNBUFFERED="1",
        TORCHSCRIPT_BUILD_VERBOSE="1",  # the commands tell the phase
    )
    return World(folder, variables)


def fresh_project(world: World, folder: Optional[Path] = None) -> Path:
    """The project as it was written, in place of what was there."""
    folder = folder or world.project
    shutil.rmtree(folder, ignore_errors=True)
    write_project(folder, SETTINGS + NATIVE_TABLE, files=FILES)
    write(folder / "demo/__init__.py", "from . import _torchscript_ops\n")
    return folder


def start(
    world: World, command: str, log: Path, folder: Optional[Path] = None, **changes: str
) -> subprocess.Popen[bytes]:
    """A build in a session of its own, so that all that it started can be told; what it prints goes into a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "setup.py", *COMMANDS[command]],
            cwd=folder or world.project,
            env={**world.variables, **changes},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def build(world: World, command: str, log: Path, folder: Optional[Path] = None, **changes: str) -> tuple[int, float]:
    """Run a build to its end: its exit code and its seconds. One that takes too long is ended: exit code -9."""
    began = time.monotonic()
    child = start(world, command, log, folder, **changes)
    try:
        child.wait(SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return child.returncode, time.monotonic() - began


def results(command: str, folder: Path) -> dict[str, str]:
    """File → digest of what a command makes; of a wheel, of its files and of the whole."""
    if command == "wheel":
        (wheel,) = (folder / "dist").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            found = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
        return {**found, "whole": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    top = {"inplace": folder / "demo", "prefix": folder / "there"}.get(command)
    tops = [top] if top else sorted(folder.glob("build/lib*"))
    files = {p for t in tops for p in t.rglob("*") if p.is_file() or p.is_symlink()}
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def leftovers(folder: Path) -> list[str]:
    """Parts of files where packages are collected from."""
    tops = [folder / "demo", folder / "there", *folder.glob("build/lib*"), *folder.glob("build/bdist*")]
    return sorted(p.relative_to(folder).as_posix() for t in tops for p in t.rglob("*") if LEFTOVER.fullmatch(p.name))


def members_of(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text(errors="replace")
            except OSError:
                continue
            words = text[text.rindex(")") + 2 :].split()
            if int(words[3]) == session and words[0] not in "ZX":
                found.append(int(entry.name))
    return found


PHASES: Mapping[str, str] = {
    "find": r"^running (?:build|bdist)",
    "configure": r"^\+ \S*cmake -S ",
    "build": r"^\+ \S*ninja ",
    "export": r"^\+ .*/models/child/__main__\.py\b",
    "install": r"^-- model mod: \d|^-- build",
    "package": r"^(?:installing to|creating) build/bdist|^adding '|^running install",
}
"""What a build prints when a phase begins; installing, verifying and staging go on without a word."""


def phase_of(output: str) -> str:
    """The phase that a build was in when it had printed this."""
    last, name = -1, "find"
    for phase, pattern in PHASES.items():
        for match in re.finditer(pattern, output, re.MULTILINE):
            if match.start() > last:
                last, name = match.start(), phase
    return name
