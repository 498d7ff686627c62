"""The doctor: what it says of this machine and project, and of logs."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import stub, write

from torchscript_build.__main__ import main
from torchscript_build.build.checkup import Check
from torchscript_build.cli.doctor import format_checks

pytestmark = pytest.mark.usefixtures("cli")
PAINS = Path(__file__).parents[1] / "build/pains.txt"


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["doctor", *arguments])
    captured = capsys.readouterr()
    assert not [w for w in captured.err.splitlines() if not w.startswith("warning: the cache is not used")]
    return code, captured.out


def checks(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    _, out = doctor(capsys, "--json")
    return {check["topic"]: check for check in json.loads(out)}


def test_a_good_machine_without_a_project(capsys: pytest.CaptureFixture[str], fake_torch: Path, tmp_path: Path) -> None:
    lines = doctor(capsys)[1].splitlines()
    # The torch that these tests run with lies beside the tiny one, which the doctor tells, rightly.
    wrong = [line for line in lines if line.startswith("✗ ") and "Python has another torch" not in line]
    assert wrong == []
    topics = ["project", "Python", "libtorch", "C++ compiler", "CMake", "generator", "compiler cache", "CUDA toolkit"]
    assert [t for t in topics if not any(line[2:].startswith(t) for line in lines)] == []
    assert lines[0] == f"✓ project         none in {tmp_path}"
    facts = "2.13.0+cpu (cpu, new C++ ABI, C++20)"
    assert f"✓ libtorch        {facts} in {fake_torch}, by TORCHSCRIPT_BUILD_LIBTORCH" in lines


def test_on_a_terminal_its_lines_are_folded() -> None:
    wrong = Check(
        "libtorch",
        False,
        "no libtorch in /x: does not exist",
        ("pip install 'torch>=2.13,<2.14'", "or fetch one of them, as it is"),
    )
    assert format_checks([Check("cache folder", True, "/c"), wrong], 38).splitlines() == [
        "✓ cache folder  /c",
        "✗ libtorch      no libtorch in /x:",
        "                  does not exist",
        "                → pip install 'torch>=2.13,<2.14'",
        "                → or fetch one of",
        "                  them, as it is",
    ]


def test_a_project_is_named_with_what_it_declares(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_project(tmp_path, ANSWER_APP, files={"answer.cpp": ANSWER_CPP})
    assert checks(capsys)["project"] == {"topic": "project", "ok": True, "text": "demo: answer", "cures": []}


def test_wrong_settings_are_one_of_the_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_project(tmp_path, ANSWER_APP)
    code, out = doctor(capsys)
    assert code == 1
    assert out.startswith(
        "✗ project         1 problem in the settings:\n                    - app 'answer': sources: there is"
    )
    assert "✓ libtorch" in out


def test_broken_toml(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[tool.torchscript-build\n")
    assert "pyproject.toml:1:24: " in checks(capsys)["project"]["text"]
    write(tmp_path / "pyproject.toml", "[nothing\n")
    assert not checks(capsys)["project"]["ok"]


def test_what_the_project_asks_for_is_what_is_looked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    settings = '[tool.torchscript-build]\nlibtorch-version = ">=99"\ngenerator = "Ninja"\n' + ANSWER_APP
    write_project(tmp_path, settings, files={"answer.cpp": ANSWER_CPP})
    libtorch = checks(capsys)["libtorch"]
    assert not libtorch["ok"]
    assert "is not what is required (>=99): 2.13.0 is not >=99" in libtorch["text"]
    assert libtorch["cures"]


def test_a_compiler_that_cannot(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "case \"$1\" in --version) echo 'g++ (GCC) 12.2.0'; exit 0;; -std=c++1[17]) exit 0;; esac; exit 1"
    monkeypatch.setenv("CXX", str(stub(tmp_path / "cxx", script)))
    compiler = checks(capsys)["C++ compiler"]
    assert "can C++17; libtorch wants C++20" in compiler["text"]
    assert compiler["cures"] == ["install GCC 11.3, Clang 10 or newer, and set CXX to it"]
    monkeypatch.setenv("CXX", "/nowhere/c++")
    assert checks(capsys)["C++ compiler"]["text"] == "CXX names a compiler that does not run: /nowhere/c++"


def test_cuda_sources_want_a_toolkit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_HOME", "/nowhere")
    assert checks(capsys)["CUDA toolkit"]["text"] == "none; not needed: no .cu sources"
    write_project(tmp_path, ANSWER_APP.replace("answer.cpp", "answer.cu"), files={"answer.cu": ""})
    toolkit = checks(capsys)["CUDA toolkit"]
    assert not toolkit["ok"]
    assert toolkit["cures"] == ["set CUDA_HOME to a toolkit"]


def test_a_cache_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHSCRIPT_BUILD_CACHE_DIR", str(write(tmp_path / "file") / "cache"))
    cache = checks(capsys)["cache folder"]
    assert not cache["ok"]
    assert "TORCHSCRIPT_BUILD_CACHE_DIR" in cache["cures"][0]


# --- logs ----------------------------------------------------------------------------------------------------------


def test_all_thirty_pains_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = doctor(capsys, "--log", str(PAINS), "--json")
    assert code == 0
    named = {row["name"].split()[0] for row in json.loads(out)}
    assert named >= {str(n) for n in range(1, 31)}


def test_a_log_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    log = b"one\n\xff\n/bin/app: error while loading shared libraries: libc10.so: cannot open shared object file\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log)))
    code, out = doctor(capsys, "--log", "-")
    assert code == 0
    first, name, cause, *_ = out.splitlines()
    assert first.startswith("line 3: /bin/app: error while loading shared libraries: libc10.so")
    assert name == "  5 libtorch not found at start"
    assert cause.startswith("  cause: the program or module has no RUNPATH to libtorch's folder")


def test_a_log_of_powershell(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes("LINK : fatal error LNK1181: cannot open 'mkl_intel_ilp64.lib'\r\n".encode("utf-16"))
    assert "  9 MKL\n" in doctor(capsys, "--log", str(tmp_path / "log"))[1]


def test_our_own_errors_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = write(tmp_path / "log", "running build_ts_app\nerror: nothing to build is declared\n  looked in:\n")
    assert "our own: nothing declared" in doctor(capsys, "--log", str(log))[1]


def test_a_log_without_known_failures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out = doctor(capsys, "--log", str(write(tmp_path / "log", "all is well\n")))
    assert (code, out.startswith("no failure that is known here")) == (1, True)


def test_a_log_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--log", "/nowhere"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
