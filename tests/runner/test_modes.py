"""Options that change how a model runs, and those that do not run it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = [pytest.mark.compile, pytest.mark.torch]


def test_the_first_bundled_model_is_the_default(runner):
    assert "6  15" in runner.bare("--input", "ones:1x3").stdout


def test_options_with_equals_sign(runner):
    assert "6  15" in runner.bare("--model=linear", "--input=x=ones:1x3").stdout


def test_help_lists_models_and_exit_codes(runner):
    text = runner.bare("--help").stdout
    assert text.startswith("usage: test-app [options]\n\nA program to test the runner.\n")
    assert "linear (default)" in text
    assert "5  the outputs differ from --expect" in text
    assert max(map(len, text.splitlines())) <= 100


def test_version(runner):
    assert runner.bare("--version").stdout == f"test-app 1.2.3 (libtorch {torch.__version__.split('+')[0]})\n"


def test_info(runner):
    lines = runner("--info").stdout.splitlines()
    assert "method:       forward(Tensor x) -> Tensor" in lines
    assert "parameters:   8 in 2 tensors (32 bytes)" in lines
    assert "buffers:      4 in 1 tensors (32 bytes)" in lines
    assert "extra file:   labels.txt" in lines


def test_info_as_json(runner):
    info = runner.json("--info", "--threads", 2)
    assert info["methods"] == ["forward(Tensor x) -> Tensor"]
    assert info["parameters"] == {"tensors": 2, "elements": 8, "bytes": 32}
    assert info["extra_files"] == ["labels.txt"]
    assert int(info["format_version"]) >= 3
    assert info["threads"] == 2
    assert isinstance(info["cuda_built"], bool)


def test_the_model_is_in_evaluation_mode(runner):
    assert runner.output("--input", "ones:1", model="training") is False


def test_gradients_are_off(runner):
    assert runner.output("--input", "ones:1", model="grad") is False


@pytest.mark.parametrize("option", ["--freeze", "--optimize"])
def test_freeze_and_optimize_keep_the_results(runner, option):
    assert runner.output(option, "--input", "ones:1x3")["values"] == [6, 15]


@pytest.mark.parametrize("option", ["--freeze", "--optimize"])
def test_freeze_and_optimize_keep_other_methods(runner, option):
    assert runner.output(option, "--method", "ints", "--input", "ints:1", model="echo")["items"] == [1]


def test_benchmark(runner):
    lines = runner("--input", "ones:1x3", "--benchmark", 20, "--warmup", 1).stdout.splitlines()
    assert lines[0].startswith("latency in ms:  mean ")
    assert lines[1].startswith("throughput: ")
    assert len(lines) == 2


def test_benchmark_as_json(runner):
    arguments = ("--input", "ones:1x3", "--benchmark", 20, "--concurrency", 2, "--threads", 1)
    result = runner.json(*arguments)["benchmark"]
    latencies = result.pop("latency_ms")
    assert list(latencies) == ["mean", "min", "p50", "p90", "p99", "max"]
    assert latencies["min"] <= latencies["p50"] <= latencies["p90"] <= latencies["p99"] <= latencies["max"]
    assert result.pop("calls_per_second") > 0
    assert result == {"calls": 20, "warmup": 10, "concurrency": 2, "threads": 1}


def test_benchmark_compares_first(runner, save):
    save("y.pt", torch.zeros(1, 2))
    arguments = ("--input", "ones:1x3", "--expect", "y.pt", "--benchmark", 5)
    assert "benchmark" not in runner.json(*arguments, code=5)
