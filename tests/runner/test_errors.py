"""Every failure has its exit code and one clear line."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
import zipfile

import pytest
from children import run_child

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = [
    pytest.mark.compile,
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Lite Interpreter:DeprecationWarning"),
]


def rewrite(source, target, change):
    """A copy of an archive with change(name, bytes) applied to each record."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))


@pytest.mark.parametrize("call", ["torch.linear(x, x, None, 1)", "torch.cudnn_is_acceptable(x, x)"])
def test_an_operator_with_other_arguments(runner, call):
    """As a model of a newer torch has them: one that has overloads, and one that has none."""

    def change(name, data):
        return re.sub(rb"(?m)^    return .*$", f"    return {call}".encode(), data) if name.endswith(".py") else data

    rewrite(runner.models / "random.pt", runner.folder / "m.pt", change)
    operator = call.partition("(")[0].replace("torch.", "aten::")
    version = runner.json("--info")["libtorch"]
    assert runner.error(model="m.pt", code=3) == (
        f"test-app: error: m.pt: operator {operator} takes other arguments in libtorch {version} than the model gives "
        "it\nhint: export the model with an older torch, or use a newer libtorch"
    )


def test_no_such_bundled_model(runner):
    error = runner.error(model="resnet", code=3)
    assert "no such model: resnet" in error
    assert "hint: models of this program: linear, echo, nested" in error


def test_no_such_file(runner):
    assert "cannot open the model no/such.pt: No such file" in runner.error(model="no/such.pt", code=3)


def test_a_folder(runner):
    assert "Is a directory" in runner.error(model="/", code=3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello", "the file is not a zip archive"),
        (b"\x80\x02}q\x00.", "the file is a pickle"),
        (b"PK\x03\x04 and nothing more", "the zip archive is truncated or damaged"),
    ],
)
def test_not_an_archive(runner, content, reason):
    (runner.folder / "m.pt").write_bytes(content)
    error = runner.error(model="m.pt", code=3)
    assert f"m.pt is not a TorchScript model: {reason}" in error


def test_truncated_model(runner):
    content = (runner.models / "linear.pt").read_bytes()
    (runner.folder / "m.pt").write_bytes(content[: len(content) // 2])
    assert "the zip archive is truncated" in runner.error(model="m.pt", code=3)


def test_state_dict(runner, save):
    save("m.pt", torch.nn.Linear(1, 1).state_dict())
    error = runner.error(model="m.pt", code=3)
    assert "a pickled Python object without code, as torch.save writes weights" in error
    assert "hint: in Python: torch.jit.script(model).save" in error


def test_pt2_archive(runner):
    with zipfile.ZipFile(runner.folder / "m.pt2", "w") as archive:
        archive.writestr("m/archive_format", "pt2")
    assert "is a .pt2 archive" in runner.error(model="m.pt2", code=3)


def test_other_zip(runner):
    with zipfile.ZipFile(runner.folder / "m.pt", "w") as archive:
        archive.writestr("a/b.txt", "hello")
    assert "a zip archive of something else" in runner.error(model="m.pt", code=3)


def test_a_model_without_a_folder(runner):
    with zipfile.ZipFile(runner.models / "linear.pt") as old, zipfile.ZipFile(runner.folder / "m.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name.partition("/")[2], old.read(name))
    error = runner.error(model="m.pt", code=3)
    assert "is not a TorchScript model: its records do not lie in a folder of the archive" in error


def test_a_model_of_torch_1_0(runner):
    with zipfile.ZipFile(runner.folder / "m.pt", "w") as archive:
        archive.writestr("m/version", "1\n")
        archive.writestr("m/model.json", "{}")
    error = runner.error(model="m.pt", code=3)
    assert "m.pt: the file has the format of torch 1.0 to 1.3 (model.json), which libtorch" in error


def test_models_for_the_mobile_interpreter(runner):
    with zipfile.ZipFile(runner.folder / "m.ptl", "w") as archive:
        for name in ("bytecode.pkl", "constants.pkl", "version"):
            archive.writestr(f"m/{name}", "3\n")
    assert "the mobile interpreter, which holds no TorchScript code" in runner.error(model="m.ptl", code=3)
    (runner.folder / "f.ptl").write_bytes(b"\x1c\0\0\0PTMF" + b"\0" * 100)
    assert "the mobile interpreter, in flatbuffer form" in runner.error(model="f.ptl", code=3)


def test_a_model_for_the_mobile_interpreter_that_has_its_code_runs(runner):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.load(runner.models / "linear.pt")
    model._save_for_lite_interpreter(str(runner.folder / "m.ptl"))
    assert runner.output("--input", "ones:1x3", model="m.ptl")["values"] == [6, 15]


def test_a_model_of_more_than_four_gigabytes(runner):
    """Most of it is a hole; what lies behind the hole has 64-bit places."""
    with zipfile.ZipFile(runner.models / "linear.pt") as old, zipfile.ZipFile(runner.folder / "m.pt", "w") as new:
        names = sorted(old.namelist(), key=lambda name: name.endswith("/version"))
        for number, name in enumerate(names):
            if number == 1:
                new.start_dir = 5 << 30
            new.writestr(name, old.read(name))
    info = runner.json("--info", model="m.pt")
    assert info["format_version"] == runner.json("--info")["format_version"]
    assert info["extra_files"] == ["labels.txt"]
    (runner.folder / "m.pt").unlink()


@pytest.mark.parametrize("field", [20, 24, 42])
def test_a_record_that_is_larger_than_the_file(runner, field):
    content = bytearray((runner.models / "linear.pt").read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + field : entry + field + 4] = (4_000_000_000).to_bytes(4, "little")
    (runner.folder / "m.pt").write_bytes(content)
    error = runner.error(model="m.pt", code=3)
    assert "m.pt is not a TorchScript model: the zip archive is damaged: its directory claims that the record" in error


def test_newer_format(runner):
    def newer(name, data):
        return b"99\n" if name.endswith("/version") else data

    rewrite(runner.models / "linear.pt", runner.folder / "m.pt", newer)
    error = runner.error(model="m.pt", code=3)
    assert "version 99" in error
    assert f"hint: this program uses libtorch {torch.__version__.split('+')[0]}" in error


def test_unknown_operator(runner):
    def foreign(name, data):
        return data.replace(b"torch.linear(", b"ops.my_ops.warp(")

    rewrite(runner.models / "linear.pt", runner.folder / "m.pt", foreign)
    error = runner.error("--input", "ones:1x3", model="m.pt", code=3)
    assert "unknown operator my_ops::warp: no library with namespace my_ops is loaded" in error
    assert "--ops FILE" in error


def test_missing_operator_library(runner):
    assert "cannot open the operator library ops.so: No such file" in runner.error("--ops", "ops.so", code=3)


def test_operator_library_that_is_no_library(runner):
    (runner.folder / "ops.so").write_text("hello")
    assert "the operator library ops.so cannot be loaded: " in runner.error("--ops", "ops.so", code=3)


def test_no_such_method(runner):
    error = runner.error("--method", "encode", model="echo", code=2)
    assert "the model has no method encode" in error
    assert "hint: its methods: forward, floats, ints" in error


def test_wrong_shape(runner):
    error = runner.error("--input", "ones:4x4", code=1)
    assert "forward() failed: mat1 and mat2 shapes cannot be multiplied (4x4 and 3x2)" in error
    assert "hint: schema: forward(Tensor x) -> Tensor; called with x = float32 [4, 4]" in error


def test_wrong_dtype(runner):
    error = runner.error("--input", "ones:1x3:int64", code=1)
    assert "dtype" in error
    assert "x = int64 [1, 3]" in error


def test_exception_of_the_model(runner):
    assert "failed: ValueError: this model never works" in runner.error("--input", "ones:1", model="raises", code=1)


def test_exception_while_benchmarking_with_threads(runner):
    arguments = ("--input", "ones:1", "--benchmark", 5, "--concurrency", 3)
    assert "this model never works" in runner.error(*arguments, model="raises", code=1)


def test_a_device_in_the_code_of_the_model(runner):
    error = runner.error("--input", "ones:1", model="oncuda", code=1)
    assert "forward() failed: " in error
    assert "hint: the model's code names a device: export it again on the CPU" in error
    assert len(error) < 500


def test_cuda_where_libtorch_has_none(runner):
    assert "built with a libtorch without CUDA" in runner.error("--device", "cuda", code=4)


def test_a_device_that_this_libtorch_does_not_support(runner):
    assert runner.error("--device", "xla", code=4).endswith("with arguments from the 'XLA' backend")


def test_no_such_device(runner):
    assert "--device gpu: not a device" in runner.error("--device", "gpu", code=2)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--inptu", "x"], "unknown option --inptu\nhint: did you mean --input?"),
        (["model.pt"], "unexpected argument 'model.pt'\nhint: a model is given as --model model.pt"),
        (["--input"], "--input needs a value"),
        (["--json=1"], "--json takes no value"),
        (["--threads", "-1"], "--threads takes a whole number of at least 0, not '-1'"),
        (["--rtol", "x", "--expect", "y.pt"], "--rtol takes a number of at least 0, not 'x'"),
        (["--seed", "-1"], "--seed takes a whole number"),
        (["--warmup", "3"], "--warmup needs --benchmark"),
        (["--rtol", "1"], "--rtol needs --expect"),
        (["--info", "--input", "ones:1"], "--info does not run the model"),
    ],
)
def test_bad_options(runner, arguments, problem):
    assert problem in runner.error(*arguments, code=2)


def test_file_names_with_spaces_and_other_letters(runner):
    name = "mod\u00e8le \u6a21\u578b.pt"
    shutil.copy(runner.models / "linear.pt", runner.folder / name)
    assert runner.json("--input", "ones:1x3", model=name)["model"] == name


def test_a_symbolic_link_to_the_program_finds_the_models(runner):
    link = runner.folder / "link"
    link.symlink_to(runner.program)
    run_child([str(link), "--input", "ones:1x3"], check=True, stdout=subprocess.DEVNULL)
