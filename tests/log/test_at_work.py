"""What a build tool does now, as the line that moves tells it: one edge, several at once, more than fit."""

from __future__ import annotations

import pytest

from torchscript_build.log.at_work import doing, running

OPS = "Building CXX object CMakeFiles/ops.dir/cpp/ops.cpp.o"
KERNEL = "Building CUDA object CMakeFiles/ops.dir/cpp/kernel.cu.o"
RUNNER = "Building CXX object CMakeFiles/ts_runner_torch.dir/runner/runtime.cpp.o"
LINK = "Linking CXX shared library out/demo/lib/libops.so"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Building CXX object CMakeFiles/app.dir/cpp/main.cpp.o", "compiling [2/5] main.cpp"),
        ("Building CUDA object CMakeFiles/ops.dir/k.cu.o", "compiling [2/5] k.cu"),
        (
            "Building CXX object CMakeFiles/ts_runner_torch.dir/runner/runtime.cpp.o",
            "compiling [2/5] runtime.cpp (runner, once for this libtorch)",
        ),
        ("Linking CXX shared library out/demo/lib/libops.so", "linking [2/5] libops.so"),
        ("Generating moc_x.cpp", "generating [2/5] moc_x.cpp"),
        ("Copying data", "making [2/5] data"),
    ],
)
def test_edges_are_told_in_the_present_tense(said: str, shown: str) -> None:
    assert doing([said], "2/5", 100) == shown


@pytest.mark.parametrize(
    ("edges", "width", "shown"),
    [
        ([OPS, KERNEL], 100, "compiling [1/5] ops.cpp, kernel.cu"),
        ([OPS, RUNNER], 100, "compiling [1/5] ops.cpp, runtime.cpp (runner, once for this libtorch)"),
        ([LINK, RUNNER, OPS], 70, "linking [1/5] libops.so, compiling runtime.cpp, ops.cpp"),
        ([OPS, KERNEL, RUNNER], 55, "compiling [1/5] ops.cpp, kernel.cu, +1"),
        ([OPS, KERNEL, RUNNER], 45, "compiling [1/5] ops.cpp, +2"),
        ([OPS, KERNEL, RUNNER], 10, "compiling [1/5] ops.cpp, +2"),
    ],
)
def test_all_that_run_are_named_as_far_as_the_line_is_long(edges: list[str], width: int, shown: str) -> None:
    assert doing(edges, "1/5", width) == shown


@pytest.mark.parametrize(
    ("ahead", "jobs", "now"),
    [
        ([OPS, KERNEL, LINK], 1, [OPS]),
        ([OPS, KERNEL, LINK], 2, [OPS, KERNEL]),
        ([OPS, LINK], 2, [OPS]),
        ([OPS, LINK, RUNNER], 2, [OPS, RUNNER]),
        ([LINK, RUNNER], 2, [LINK, RUNNER]),
    ],
)
def test_a_link_waits_for_what_it_links(ahead: list[str], jobs: int, now: list[str]) -> None:
    assert running(ahead, jobs) == now
