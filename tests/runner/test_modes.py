"""Options that change how a model runs, and those that do not run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from children import peak_of, run_child

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = [pytest.mark.compile, pytest.mark.torch]


def test_the_first_bundled_model_is_the_default(runner):
    assert "6  15" in runner.bare("--input", "ones:1x3").stdout


def test_options_with_equals_sign(runner):
    assert "6  15" in runner.bare("--model=linear", "--input=x=ones:1x3").stdout


def test_help_lists_models_and_exit_codes(runner):
    text = runner.bare("--help").stdout
    assert text.startswith("usage: test-app [options]\n\nA program to test the runner.\n")
    assert "Runs a TorchScript model in evaluation mode." in text
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


def test_a_model_that_computes_gradients(runner):
    error = runner.error("--input", "full:2:3", model="forces", code=1)
    assert "hint: the model computes gradients itself: use --grad" in error
    assert runner.output("--grad", "--input", "full:2:3", model="forces")["values"] == [12, 12, 12]
    assert runner.output("--grad", "--input", "ones:1", model="grad") is True
    assert runner.output("--grad", "--no-grad", "--input", "ones:1", model="grad") is False
    runner("--grad", "--input", "ones:3", "--benchmark", 3, "--concurrency", 2, model="forces")


def test_the_default_dtype(runner):
    assert runner.output("--input", "ones:1", model="default")["dtype"] == "float32"
    assert runner.output("--default-dtype", "float64", "--input", "ones:1", model="default")["dtype"] == "float64"
    assert "--default-dtype int64: only a floating-point" in runner.error("--default-dtype", "int64", code=2)
    assert "'what' is not a dtype" in runner.error("--default-dtype", "what", code=2)


TINY = ("--input", "full:1e-310:1:float64")


def process_outputs(runner, *options, model):
    output = runner.output(*TINY, *options, model=model)["items"]
    return output[0]["dtype"], output[1]["values"][0] == 0


def test_numbers_too_small_for_full_precision(runner):
    assert process_outputs(runner, model="process") == ("float32", False)
    assert process_outputs(runner, "--flush-denormal", model="process") == ("float32", True)


def test_operators_that_are_not_deterministic(runner):
    error = runner.error(*TINY, "--deterministic", "on", model="process", code=1)
    assert "does not have a deterministic implementation" in error
    warning = runner(*TINY, "--deterministic", "warn", model="process").stderr
    assert "does not have a deterministic implementation" in warning
    assert runner(*TINY, "--deterministic", "off", model="process").stderr == ""
    assert "--deterministic takes on, warn or off, not 'yes'" in runner.error("--deterministic", "yes", code=2)


def test_the_precision_of_products(runner):
    for precision in ("highest", "high", "medium"):
        assert runner.output("--input", "ones:1x3", "--matmul-precision", precision)["values"] == [6, 15]
    assert "--deterministic warn --matmul-precision high\n" in runner("--help").stdout
    error = runner.error("--matmul-precision", "low", code=2)
    assert "--matmul-precision takes highest, high or medium, not 'low'" in error


def test_a_model_runs_in_the_process_that_it_wants(runner):
    assert process_outputs(runner, model="wants") == ("float64", True)
    assert "deterministic implementation" in runner(*TINY, model="wants").stderr
    assert runner.json("--info", model="wants")["threads"] == 3
    # what the user says comes first, wherever it stands
    options = ("--default-dtype", "float32", "--no-flush-denormal")
    assert process_outputs(runner, *options, model="wants") == ("float32", False)
    done = runner.bare(*options, *TINY, "--deterministic", "off", "--threads", "2", "--model", "wants", "--json")
    assert (json.loads(done.stdout)["output"]["items"][0]["dtype"], done.stderr) == ("float32", "")
    # a file from elsewhere gets what all models of the app want, which is nothing here
    assert process_outputs(runner, model=str(runner.models / "process.pt")) == ("float32", False)
    assert runner.json("--info", "--threads", 0, model="linear")["threads"] > 0
    assert runner.json("--info", "--interop-threads", 2, model="linear")["threads"] > 0
    wants = "wants: --default-dtype float64 --flush-denormal --threads 3\n" + " " * 26 + "--interop-threads 2"
    assert wants in runner("--help").stdout


def test_the_quantized_engine(runner):
    for engine in torch.backends.quantized.supported_engines:
        runner("--quantized-engine", engine, "--input", "ones:1x3")
    error = runner.error("--quantized-engine", "abacus", code=2)
    assert "--quantized-engine abacus: this libtorch does not have it\nhint: it has " in error


def test_the_seed_is_set_again_just_before_the_call(runner):
    torch.manual_seed(5)
    made = torch.rand(3)
    torch.manual_seed(5)
    expected = made + torch.rand(3)
    values = runner.output("--seed", 5, "--input", "rand:3", model="random")["values"]
    assert values == pytest.approx(expected.tolist(), rel=1e-6)


def test_threads_do_not_share_the_state_of_a_model(runner):
    for _ in range(3):
        runner("--input", "ones:64", "--benchmark", 300, "--concurrency", 4, "--warmup", 5, model="stateful")


def peak_of_threads(runner, model: Path, threads: int) -> int:
    words = ["--model", model, "--input", "ones:1x4096", "--benchmark", 2, "--concurrency", threads]
    return peak_of([str(runner.program), *map(str, words)])


@pytest.mark.filterwarnings("ignore:`torch.jit.:DeprecationWarning")
def test_threads_share_a_model_that_does_not_change(runner, tmp_path):
    model = tmp_path / "large.pt"
    torch.jit.script(torch.nn.Linear(4096, 4096, bias=False).eval()).save(model)
    weights = 4096 * 4096 * 4
    assert peak_of_threads(runner, model, 4) < peak_of_threads(runner, model, 1) + weights


def test_more_threads_than_the_system_allows(runner):
    limit = ["bash", "-c", 'ulimit -v 4000000; exec "$0" "$@"']
    command = [*limit, str(runner.program), "--model", "linear", "--input", "ones:1x3", "--benchmark", "1"]
    result = run_child([*command, "--concurrency", "2000"], capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "--concurrency 2000: only " in result.stderr
    assert "hint: use a smaller number" in result.stderr
