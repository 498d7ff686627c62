"""What a source needs of torch's heavy headers, read from its text and from what it includes of the project."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support import write

from torchscript_build.operators.includes import read_header_use
from torchscript_build.plan.headers import HeaderUse

EXTENSION = "#include <torch/extension.h>\n"
PLAIN = EXTENSION + "torch::Tensor twice(const torch::Tensor& x) { return x + torch::relu(x); }\n"
PYTHON = EXTENSION + "PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN, HeaderUse("torch/extension.h", lean=True)),
        ("// first\n#include <vector>\n" + PLAIN, HeaderUse("torch/extension.h", lean=True)),
        ('#include "torch/torch.h"\n', HeaderUse("torch/torch.h", lean=True)),
        (PYTHON, HeaderUse("torch/extension.h", lean=True, python=True)),
        (EXTENSION + "namespace py = pybind11;", HeaderUse("torch/extension.h", lean=True, python=True)),
        (EXTENSION + "PyObject* o;", HeaderUse("torch/extension.h", lean=True, python=True)),
        (EXTENSION + "// torch::nn, pybind11\n", HeaderUse("torch/extension.h", lean=True)),
        (EXTENSION + "torch::nn::Linear l(1, 1);", HeaderUse("torch/extension.h")),
        (EXTENSION + "auto m = torch::jit::load(f);", HeaderUse("torch/extension.h")),
        (EXTENSION + "torch :: save(x, f);", HeaderUse("torch/extension.h")),
        (EXTENSION + "using namespace torch;", HeaderUse("torch/extension.h")),
        (EXTENSION + "using namespace torch::indexing;", HeaderUse("torch/extension.h")),
        (EXTENSION + "namespace t = torch;", HeaderUse("torch/extension.h")),
        (EXTENSION + "TORCH_MODULE(Net);", HeaderUse("torch/extension.h")),
        ("#define X 1\n" + PLAIN, HeaderUse(None, lean=True)),  # could change what the header means
        ('#include "own.h"\n' + PLAIN, HeaderUse(None, python=True)),  # own.h is not there
        ("#include <torch/script.h>\n", HeaderUse("torch/script.h", lean=True)),
        ("#include <torch/script.h>\ntorch::jit::Module m;", HeaderUse("torch/script.h")),
        ("#include <torch/types.h>\n", HeaderUse("torch/types.h", lean=True)),
        ("#include <ATen/ATen.h>\nat::Tensor f();", HeaderUse("ATen/ATen.h", lean=True)),
        ("#include <ATen/ATen.h>\nPyObject* f();", HeaderUse("ATen/ATen.h", lean=True, python=True)),
        ("#include <ATen/core/Tensor.h>\n", HeaderUse()),
        (f'#include "{"x" * 5000}.h"\n' + PLAIN, HeaderUse(None, python=True)),  # no file can be called so
        ("", HeaderUse()),
    ],
)
def test_what_a_source_needs(tmp_path: Path, text: str, expected: HeaderUse) -> None:
    found = read_header_use(write(tmp_path / "a.cpp", text))
    assert dataclasses.replace(found, umbrella=None) == expected


def test_what_a_source_needs_through_its_own_headers(tmp_path: Path) -> None:
    source = write(tmp_path / "a.cpp", PLAIN + '#include "own.h"\n')
    write(tmp_path / "include/own.h", '#pragma once\n#include "deep.h"\n#include "own.h"\n')
    deep = write(tmp_path / "include/deep.h", "int f();\n")
    folders = [str(tmp_path / "include")]
    assert read_header_use(source, folders) == HeaderUse("torch/extension.h", "torch/extension.h", lean=True)
    deep.write_text("torch::optim::SGD* f();")
    assert not read_header_use(source, folders).lean
    deep.write_text("PyObject* f();")
    assert read_header_use(source, folders).python


def test_a_header_of_ones_own_in_angle_brackets_is_followed(tmp_path: Path) -> None:
    source = write(tmp_path / "a.cpp", PLAIN + "#include <mylib/bind.h>\nMYLIB_MODULE(m) {}\n")
    bind = write(tmp_path / "include/mylib/bind.h", "#define MYLIB_MODULE(m) PYBIND11_MODULE(x, m)\n")
    folders = [str(tmp_path / "include")]
    use = read_header_use(source, folders)
    assert (use.lean, use.python) == (True, True)
    bind.write_text("torch::nn::Linear* f();\n")
    assert not read_header_use(source, folders).lean
    assert not read_header_use(source, []).lean  # from somewhere that nobody can look into


@pytest.mark.parametrize(
    ("text", "lean"),
    [
        ("#include <vector>\n#include <cuda_runtime.h>\n#include <stdint.h>\n#include <ATen/ATen.h>\n", True),
        ("#include <opencv2/core.hpp>\n", False),
        ("#include BINDINGS\n", False),
        ("#include_next <vector>\n", False),
        ("#include <a//b.h>\n", False),
        ('%:include "b.h"\n', False),
        ("#if __has_include(<torch/nn.h>)\n#endif\n", False),
        ("#ifdef TORCH_MODULE\n#endif\n", False),
        ("#if defined(GUARD_OF_SOME_HEADER_H) && 1\n#endif\n", False),
        ("#if CUDA_VERSION >= 11000 && defined(__CUDACC__) || TORCH_VERSION_MAJOR > 1\n#endif\n", True),
        ("#ifndef OWN_H\n#define OWN_H\n#endif\n", True),
        ("#ifdef MY_SETTING\n#endif\n", True),
        ("template <class T> using V = std::void_t<decltype(f(std::declval<T>()))>;\n", False),
        ("namespace pybind11::detail { template <> struct type_caster<X>; }\n", False),
    ],
)
def test_a_source_that_asks_what_there_is_gets_the_whole(tmp_path: Path, text: str, lean: bool) -> None:
    source = write(tmp_path / "a.cpp", PLAIN + text)
    assert read_header_use(source, definitions=["MY_SETTING"]).lean is lean
