"""What of ATen the words of a source stand for; that the compiler agrees, tests/plan/test_headers.py builds."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest
from support import write

from torchscript_build.operators.includes import without_comments
from torchscript_build.operators.names import read_named_parts
from torchscript_build.plan.planned_headers import LEFT_OUT, NamedParts

OPERATORS = ("add", "and", "empty", "from_blob", "relu", "sum", "zeros")
FUNCTIONS = "".join(f"#include <ATen/ops/{name}.h>\n" for name in OPERATORS)
FACTORIES = """\
using Deleter = std::function<void(void*)>;
inline at::Tensor from_blob(
    void* data) {}
inline at::Tensor zeros(at::IntArrayRef size, at::TensorOptions options = {}) {
inline at::Tensor zeros_symint(c10::SymIntArrayRef size, at::TensorOptions options = {}) {
"""


@pytest.fixture
def headers(tmp_path: Path) -> list[Path]:
    """Include directories, the second with ATen."""
    folder = tmp_path / "include"
    write(folder / "ATen/Functions.h", FUNCTIONS)
    write(folder / "torch/csrc/autograd/generated/variable_factories.h", FACTORIES)
    return [tmp_path / "other", folder]


def operators(text: str, headers: list[Path]) -> Optional[tuple[str, ...]]:
    """The operators that a source names; ``None`` where it gets all."""
    named = read_named_parts(text, headers)
    return None if named is None else named.operators


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("return at::relu(x);", ("relu",)),
        ("return at :: relu(x) + sum(x);", ("relu", "sum")),  # the second is found by its argument
        ("using at::sum;", ("sum",)),
        ("#define CALL(f, x) at::f(x)\nCALL(relu, x);", ("relu",)),
        ("return x.relu() + y->sum() + x . add(y);", ()),  # members, which all tensors have
        ("f(args..., relu);", ("relu",)),
        ("auto f() -> decltype(at::sum(x));", ("sum",)),
        ("at::relu_(x); at::add_out(o, x, y); at::sum_symint(x); at::add_symint_outf(x);", ("add", "relu", "sum")),
        ("at::__and__(x, y); at::__and___out(o, x, y); at::__dispatch_sum(x);", ("and", "sum")),
        ("std::sum(x); torch::sum(x);", ("sum",)),
        ("std::relu(x); reluctant(); my_relu();", ("relu",)),
        ('puts("at::relu");', ("relu",)),
        ("", ()),
    ],
)
def test_a_word_stands_for_an_operator(text: str, expected: tuple[str, ...], headers: list[Path]) -> None:
    assert operators(text, headers) == expected


@pytest.mark.parametrize(
    "text",
    [
        "#define CALL(name) at::name##_(x)",
        "%:define CALL(name) at::name%:%:_(x)",
        "at::native::relu(x);",
        "at::_ops::relu::call(x);",
        "torch::special::entr(x);",
        "using namespace torch :: fft;",
        "#include <ATen/native/Resize.h>",
        "#include <torch/csrc/jit/api/module.h>",
        '#  include "torch/nn.h"',
    ],
)
def test_where_words_do_not_tell_all_operators_are_there(text: str, headers: list[Path]) -> None:
    assert operators(text, headers) is None


def test_headers_that_call_no_operators_change_nothing(headers: list[Path]) -> None:
    text = "#include <torch/extension.h>\n#include <ATen/Parallel.h>\n#include <c10/util/irange.h>\n#include <vector>\n"
    assert operators(text + "at::sum(x);", headers) == ("sum",)


def test_without_atens_own_list_all_operators_are_there(tmp_path: Path) -> None:
    assert read_named_parts("at::relu(x);", [tmp_path]) is None
    write(tmp_path / "half/ATen/Functions.h", FUNCTIONS)
    assert read_named_parts("at::relu(x);", [tmp_path / "half"]) is None


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("at::relu(x);", LEFT_OUT),
        ("at::zeros(s); x.zeros(s);", LEFT_OUT),
        ("torch::zeros(s);", ("autograd", "intrinsics", "profiler")),
        ("FROM(torch, zeros)(s);", ("autograd", "intrinsics", "profiler")),  # torch::zeros is not at::zeros
        ("torch::from_blob(p);", ("autograd", "intrinsics", "profiler")),
        ("torch::Deleter d;", ("autograd", "intrinsics", "profiler")),
        ("torch::autograd::variable_list g;", ("factories", "intrinsics", "profiler")),
        ("__m256 sum;", ("autograd", "factories", "profiler", "variables")),
        ("_tzcnt_u64(x);", ("autograd", "factories", "profiler", "variables")),
        ("__attribute__((used)) float* __restrict__ p;", LEFT_OUT),
        ("torch::profiler::f();", ("autograd", "factories", "intrinsics", "variables")),
    ],
)
def test_parts_that_no_word_stands_for_are_left_out(text: str, without: tuple[str, ...], headers: list[Path]) -> None:
    named = read_named_parts(text, headers)
    assert named is not None
    assert named.without == without


def test_functions_of_torchs_bring_the_operators_that_they_call(headers: list[Path]) -> None:
    assert operators("torch::zeros(s);", headers) == ("from_blob", "zeros")


def test_pythons_part_needs_variables(headers: list[Path]) -> None:
    assert read_named_parts("", headers, python=True) == NamedParts(
        without=("autograd", "factories", "intrinsics", "profiler")
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a // relu\nb", "a  \nb"),
        ("a /* relu\n */ b", "a   b"),
        ('f("http://x", relu); // sum', 'f("http://x", relu);  '),
        ('R"x(// "relu)x"; // sum', 'R"x(// "relu)x";  '),
        ("'\"'; // sum", "'\"';  "),
        (r'"\"// relu"; // sum', r'"\"// relu";  '),
        ("int n = 1'000; // it's", "int n = 1'000; // it's"),  # too much is harmless
        ("// relu \\\n sum\nadd", " \nadd"),
        ("re\\\nlu", "relu"),
    ],
)
def test_comments_name_nothing(text: str, expected: str) -> None:
    assert without_comments(text) == expected
