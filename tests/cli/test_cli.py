"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from support import write
from tiny_torch import FAKE_VERSION, compile_library, copy_torch

from torchscript_build.__main__ import main
from torchscript_build.cli import absent
from torchscript_build.libtorch import LibTorch

pytestmark = pytest.mark.usefixtures("cli")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- find ----------------------------------------------------------------------------------------------------------


def test_find_prints_facts_with_their_witnesses(capsys: pytest.CaptureFixture[str], fake_torch: Path) -> None:
    code, out, err = run(capsys, "find")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert any(line.split()[:2] == ["root", str(fake_torch)] for line in lines)
    assert any(line.split()[:2] == ["version", FAKE_VERSION] and "version.py" in line for line in lines)
    assert any(line.split() == ["cuda_version", "none"] for line in lines)


def test_nothing_is_unknown_that_is_known_to_be_none(capsys: pytest.CaptureFixture[str], fake_torch: Path) -> None:
    out = run(capsys, "find")[1]
    assert "unknown" not in out
    none = {line.split()[0] for line in out.splitlines() if line.split()[1:] == ["none"]}
    assert {"cuda_version", "cudnn_version", "cuda_architectures"} <= none
    of_cuda = LibTorch(fake_torch, "2.6.0", None, None, 17, "cuda")
    assert [absent(name, of_cuda) for name in ("cuda_version", "cxx11_abi", "local_version")] == [
        "unknown",
        "unknown",
        "none",
    ]
    assert absent("cxx11_abi", replace(of_cuda, platform="darwin")) == "none"


@pytest.mark.torch
def test_find_diagnose_says_that_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    spec = find_spec("torch")
    assert spec is not None
    torch = str(Path(spec.origin or "").parent)
    code, out, err = run(capsys, "find", "--diagnose", "--libtorch", torch)
    assert (code, err, out.splitlines()[-1]) == (0, "", "no problems found")
    assert "no problems" not in run(capsys, "find", "--libtorch", torch)[1]
    assert json.loads(run(capsys, "find", "--diagnose", "--json", "--libtorch", torch)[1])["troubles"] == []


def test_alone_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert (code, out, err) == (left.value.code, capsys.readouterr().out, "")
    assert out.startswith("usage: torchscript-build ")


def test_find_json_has_everything(capsys: pytest.CaptureFixture[str], fake_torch: Path) -> None:
    code, out, _ = run(capsys, "find", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["root"] == str(fake_torch)
    assert data["cxx11_abi"] is True
    assert data["witnesses"]["cxx11_abi"]
    assert data["variant"] == "torch213-cxx11-cpu-x86_64-linux"
    assert data["trace"][-1]["place"] == "TORCHSCRIPT_BUILD_LIBTORCH"


def test_find_diagnose_tells_what_is_missing(
    capsys: pytest.CaptureFixture[str], fake_torch: Path, tmp_path: Path
) -> None:
    torch = copy_torch(fake_torch, tmp_path / "torch")
    compile_library(torch / "lib" / "libgone.so", "int gone() { return 0; }\n")
    compile_library(torch / "lib" / "libtorch.so", "", "-Wl,--no-as-needed", "-lgone", "-ltorch_cpu")
    (torch / "lib" / "libgone.so").unlink()
    code, _, err = run(capsys, "find", "--diagnose", "--libtorch", str(torch))
    assert code == 1
    assert "libgone.so" in err
    code, out, _ = run(capsys, "find", "--diagnose", "--json", "--libtorch", str(torch))
    assert any("libgone.so" in trouble for trouble in json.loads(out)["troubles"])
    assert code == 1


def test_find_trace_says_where_we_looked(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "find", "--trace")
    assert code == 0
    assert out.splitlines()[0].startswith("--libtorch")
    assert any(line.startswith("TORCHSCRIPT_BUILD_LIBTORCH  2.13.0+cpu in ") for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--libtorch", "/nowhere"], "no libtorch in /nowhere (named by --libtorch)"),
        (["--libtorch", "2.6.0"], "torchscript-build fetch 2.6.0, and name it fetched:2.6.0"),
        (["--version", ">=99"], "2.13.0 is not >=99"),
        (["--cuda", "12"], "it is a cpu build, wanted is CUDA 12"),
        (["--cxx11-abi", "0"], "it has the new cxx11 ABI, wanted is the old one"),
        (["--version", "newest"], "'newest' is no version or specifier"),
        (["--cuda", "twelve"], "'twelve' is neither"),
    ],
)
def test_what_cannot_be_met(capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str) -> None:
    for command in ("find", "cmake-dir"):
        code, out, err = run(capsys, command, *arguments)
        assert (code, out) == (1, "")
        assert err.startswith("error: ")
        assert wanted in err


def test_what_can_be_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "find", "--version", "2.13", "--cuda", "none", "--cxx11-abi", "1")[0] == 0


def test_no_libtorch_names_every_place(tmp_path: Path) -> None:
    python = tmp_path / "venv"
    run_child([sys.executable, "-m", "venv", "--without-pip", python], check=True)
    write(tmp_path / "meta/torchscript_build-0.1.0.dist-info/METADATA", "Name: torchscript-build\nVersion: 0.1.0\n")
    sources = [str(Path(__file__).parents[2]), str(tmp_path / "meta")]
    code = f"import sys; sys.path[:0] = {sources!r}; from torchscript_build.__main__ import main; sys.exit(main())"
    done = run_child(
        [python / "bin/python", "-c", code, "find"],
        env=clean_variables(HOME=str(tmp_path)),
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no usable libtorch found\n  looked in:\n")
    for place in ("TORCHSCRIPT_BUILD_LIBTORCH", "Torch_DIR", "LIBTORCH", "CMAKE_PREFIX_PATH", "Python package torch"):
        assert f"    {place} " in done.stderr
    assert "pip install torch" in done.stderr
    assert "Traceback" not in done.stderr


# --- cmake-dir -----------------------------------------------------------------------------------------------------


def test_cmake_dir_is_a_folder_in_the_cache(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, "cmake-dir")
    assert (code, err) == (0, "")
    folder = Path(out.rstrip("\n"))
    assert folder.parent == tmp_path / "cache/cmake"
    assert folder.name.startswith("torch213-cxx11-cpu-x86_64-linux-")
    parts = [f"TorchScriptBuild{part}.cmake" for part in ("Found", "Install", "Torch")]
    names = ["Caffe2Config.cmake", "TorchConfig.cmake", "TorchConfigVersion.cmake", *parts]
    assert sorted(p.name for p in folder.iterdir()) == names


def test_cmake_dir_again_changes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = run(capsys, "cmake-dir")[1]
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*")}
    assert run(capsys, "cmake-dir")[1] == first
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*")} == stamps


def test_each_libtorch_has_its_own_cmake_dir(
    capsys: pytest.CaptureFixture[str], fake_torch: Path, tmp_path: Path
) -> None:
    other = copy_torch(fake_torch, tmp_path / "other/torch")
    first, second = run(capsys, "cmake-dir")[1], run(capsys, "cmake-dir", "--libtorch", str(other))[1]
    assert first != second
    assert str(other) in Path(second.rstrip("\n"), "TorchConfig.cmake").read_text()


def test_a_cache_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHSCRIPT_BUILD_CACHE_DIR", str(tmp_path / "file"))
    code, out, err = run(capsys, "cmake-dir")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert str(tmp_path / "file") in err


# --- the rest ------------------------------------------------------------------------------------------------------


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "schema")
    assert code == 0
    assert json.loads(out)["title"] == "[tool.torchscript-build]"


@pytest.mark.parametrize("arguments", [["nonsense"], ["find", "--nonsense"], ["find", "--cxx11-abi", "2"]])
def test_misuse_is_exit_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: torchscript-build" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["fnid"], "did you mean find?"),
        (
            ["find", "--libtroch", "x"],
            "torchscript-build find: error: there is no option --libtroch; did you mean --libto",
        ),
        (["find", "--jsno"], "there is no option --jsno; did you mean --json?"),
        (["cmake-dir", "--libtroch=x"], "there is no option --libtroch; did you mean --libtorch?"),
        (["cache", "claen"], "did you mean clean?"),
        (["find", "--zzz"], "there is no option --zzz\n"),
    ],
)
def test_what_is_misspelt_gets_a_suggestion(
    capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert wanted in err
    assert err.count("did you mean") <= 1


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for argument, word in (("--version", "torchscript-build 0."), ("--help", "cmake-dir")):
        with pytest.raises(SystemExit) as caught:
            main([argument])
        assert caught.value.code == 0
        assert word in capsys.readouterr().out


def test_it_runs_as_a_module(variables: dict[str, str], tmp_path: Path) -> None:
    done = run_python("-m", "torchscript_build", "find", "--json", cwd=tmp_path, variables=variables)
    assert done.returncode == 0
    assert json.loads(done.stdout)["version"] == FAKE_VERSION


def test_a_reader_who_leaves_early_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert main(["find"]) == 1
