"""Known failures are named: the thirty pains in their real texts, and what compilers say of sources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from small_projects import ANSWER_APP, write_project

from torchscript_build.build.explain import explain, explain_log
from torchscript_build.build.exports import EXPORTS
from torchscript_build.build.failures import Failure, name_failures
from torchscript_build.build.hints import HINTS
from torchscript_build.build.installs import INSTALLS
from torchscript_build.build.pains import PAINS
from torchscript_build.build.troubles import TROUBLES
from torchscript_build.errors import BuildError, ConfigureError, ToolNotFoundError, TorchScriptBuildError

TEXTS = re.findall(r"^== (\d+)\n(.*?)(?=^== |\Z)", (Path(__file__).parent / "pains.txt").read_text(), re.M | re.S)
"""Pairs (number of the pain, what was reported)."""


def numbers(text: str) -> list[str]:
    return [n.failure.name.split()[0] for n in name_failures(text, PAINS)]


def test_there_are_thirty_pains_with_a_text_each() -> None:
    pains = {pain.name.split()[0] for pain in PAINS}
    assert pains == {str(n) for n in range(1, 31)} == {number for number, _ in TEXTS}


@pytest.mark.parametrize(("number", "text"), TEXTS)
def test_a_pain_is_named_in_its_real_text(number: str, text: str) -> None:
    assert numbers(text)[0] == number
    log = f"[1/3] c++ -O3 -c main.cpp\n\x1b[31m{text}\x1b[0mninja: build stopped: subcommand failed.\n"
    assert number in [n.failure.name.split()[0] for n in explain_log(log)]


@pytest.mark.parametrize(("number", "text"), TEXTS)
def test_a_pain_is_not_taken_for_another(number: str, text: str) -> None:
    """What one text may also be is written here."""
    also = {"25": {"5"}}
    assert set(numbers(text)) - {number} <= also.get(number, set())


TABLES = {"exports": EXPORTS, "installs": INSTALLS, "troubles": TROUBLES}
REPORTED = {
    file: re.findall(
        r"^== ([^\n]+)\n(.*?)(?=^== |\Z)", (Path(__file__).parent / f"{file}.txt").read_text(), re.M | re.S
    )
    for file in TABLES
}
"""Pairs (name of the failure, what was reported) of each table that has its texts in a file."""


@pytest.mark.parametrize("file", TABLES)
def test_every_entry_has_a_text(file: str) -> None:
    assert {name for name, _ in REPORTED[file]} == {failure.name for failure in TABLES[file]}


@pytest.mark.parametrize(("name", "text"), [pair for pairs in REPORTED.values() for pair in pairs])
def test_a_failure_is_named_in_its_real_text_and_alone(name: str, text: str) -> None:
    assert [n.failure.name for n in explain_log(f"one\n{text}two\n")] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "subprocess.CalledProcessError: Command '['ninja', '-v']' returned non-zero exit status 1.",
        "error: command '/usr/bin/gcc' failed with exit code 1",
        "make[2]: *** [mnist-app] Error 1",
        "  ERROR: Failed building wheel for flash-attn",
        "  × Failed to build `flash-attn==2.7.4.post1`",
        "error: failed to run custom build command for `torch-sys v0.1.4`",
    ],
)
def test_a_build_tools_last_word_is_told_as_that(text: str) -> None:
    assert [n.failure.name for n in explain_log(text)] == ["further up"]
    more = f"a.cpp:1:10: fatal error: Python.h: No such file or directory\n{text}"
    assert [n.failure.name for n in explain_log(more)] == ["Python.h"]


@pytest.mark.parametrize("failure", [*PAINS, *HINTS, *INSTALLS, *TROUBLES, *EXPORTS], ids=lambda f: f.name)
def test_every_entry_is_whole(failure: Failure) -> None:
    groups = dict.fromkeys(re.compile(failure.pattern, re.MULTILINE).groupindex, "x")
    for sentence in (failure.cause.format(**groups), failure.cure.format(**groups)):
        assert sentence
        assert not sentence.endswith(".")
        assert "  " not in sentence
    assert failure.source


def test_names_are_given_once() -> None:
    names = [f.name for f in (*PAINS, *HINTS, *INSTALLS, *TROUBLES, *EXPORTS)]
    assert len(names) == len(set(names))


def test_a_good_log_has_no_failure() -> None:
    assert explain_log("-- libtorch 2.13.0+cpu\n[1/2] c++ -c error_handling.cpp\n-- built app: build/app\n") == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("long", ["x", "_ZN", "std::", " word", "a/"])
def test_a_line_without_end_is_looked_at_in_no_time(long: str) -> None:
    text = f"undefined symbol: {long * 500_000}\nModuleNotFoundError: No module named 'torch'\n"
    assert "14 torch hidden by isolation" in [n.failure.name for n in explain_log(text)]


def test_a_finding_has_its_line() -> None:
    text = "one\ntwo\nmain.cpp:3:10: fatal error: Python.h: No such file or directory\n    3 | #include <Python.h>\n"
    (found,) = name_failures(text, HINTS[:5])
    assert (found.line, found.text) == (3, "main.cpp:3:10: fatal error: Python.h: No such file or directory")


def first(text: str, backend: str = "cpu") -> str:
    found = name_failures(text, HINTS, backend=backend)
    return found[0].failure.name if found else ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a.cpp:1:10: fatal error: cuda_runtime.h: No such file or directory", "CUDA header, CPU libtorch"),
        ("a.cpp:1:10: fatal error: 'cuda_runtime_api.h' file not found", "CUDA header, CPU libtorch"),
        (
            "a.cpp(1): fatal error C1083: Cannot open include file: 'cublas_v2.h': No such file or directory",
            "CUDA header, CPU libtorch",
        ),
        ("a.cpp:1:10: fatal error: Python.h: No such file or directory", "Python.h"),
        ("a.cpp:1:10: fatal error: pybind11/numpy.h: No such file or directory", "pybind11"),
        ("all.h:4:2: error: #error C++17 or later compatible compiler is required to use PyTorch.", "C++ standard"),
        ('all.h:4:2: error: #error "You need C++20 to compile PyTorch"', "C++ standard"),
        ("x.h:9:8: error: 'concept' does not name a type; did you mean 'const'?", "C++20 headers"),
        ("shim.h:85:22: error: no template named 'optional' in namespace 'c10'; did you mean", "c10::optional"),
        ('Ops.cu(530): error: namespace "c10" has no member "nullopt"', "c10::optional"),
        (
            "a.cpp:2: error: no matching function for call to 'torch::jit::RegisterOperators::RegisterOperators(const",
            "RegisterOperators",
        ),
        ("a.cpp:5:14: error: 'nullopt' is not a member of 'at'", "c10::optional"),
        ("a.h(5,32): error C2039: 'optional': is not a member of 'std' [a.vcxproj]", "std::optional before C++17"),
        ("a.cpp:5: error: 'optional' is not a member of 'std'", "std::optional before C++17"),
        (
            'c10/util/Optional.h(1215): error: no instance of constructor "c10::optional<T>::optional [with',
            "nvcc and Optional.h",
        ),
        (
            'Error LNK2001 unresolved external symbol "int at::cuda::warp_size(void)" (?warp_size@cuda@at@@YAHXZ)',
            "libtorch is not linked on Windows",
        ),
        (
            'Undefined symbols for architecture x86_64:\n  "torch::jit::load(std::__1::string const&)", referenced',
            "libtorch is not linked on macOS",
        ),
        ("a.cpp:(.text+0x1): undefined reference to `c10::StringType::get()'", "a loader without the library"),
        ("a.cpp:(.text+0x5b): undefined reference to `torch::jit::load(std::__cxx11::basic_string<char> const&)'", ""),
        ("a.cpp:(.text+0x1): undefined reference to `torch::jit::Object::hasattr()'", "a loader without the library"),
        ("a.cpp:5:14: error: 'nn' is not a member of 'torch'", "lean headers"),
        ("a.cpp:5:14: error: no member named 'nn' in namespace 'torch'", "lean headers"),
        ("a.cpp:5:14: error: ‘torch::nn’ has not been declared", "lean headers"),
        ("a.cpp:5:14: error: 'rms_norm' is not a member of 'at'; did you mean 'norm'?", "operator's header"),
        ("a.cpp:5:14: error: no member named 'rms_norm' in namespace 'at'", "operator's header"),
        ("a.cpp:1:10: fatal error: THC/THC.h: No such file or directory", "removed header"),
        ("a.cpp:5:3: error: 'AT_CHECK' was not declared in this scope", "AT_CHECK"),
        ("error: cannot convert 'at::DeprecatedTypeProperties' to 'c10::ScalarType'", "type() in a dispatch"),
        (
            "a.cpp:3: error: expected constructor, destructor, or type conversion before '(' token\n | TORCH_LIBRARY",
            "TORCH_LIBRARY unknown",
        ),
        ("a.cpp:1:10: fatal error: ATen/ops/rms_nrom.h: No such file or directory", "torch's headers"),
        ("a.cpp:1:10: fatal error: opencv2/core.hpp: No such file or directory", "OpenCV's headers"),
        ("a.cpp:1:10: fatal error: eigen3/Eigen/Core: No such file or directory", "another header"),
        ("a.cpp:(.text+0x5): undefined reference to `c10::cuda::current_device()'", "CUDA symbols, CPU libtorch"),
        ("a.cpp:(.text+0x5): undefined reference to `cv::imread(cv::String const&, int)'", "OpenCV's symbols"),
        (
            "ld: relocation R_X86_64_32 against `.rodata' can not be used when making a shared object; recompile",
            "position-independent code",
        ),
        ("/usr/bin/ld: cannot find -lfoo: No such file or directory", "library not found"),
        ("Scrt1.o: in function `_start': undefined reference to `main'", "undefined main"),
        ("fatal error: error writing to /tmp/cc.s: No space left on device", "disk full"),
    ],
)
def test_what_compilers_say(text: str, name: str) -> None:
    assert first(text) == name


def test_a_cuda_header_means_something_else_with_a_cuda_libtorch() -> None:
    text = "a.cpp:1:10: fatal error: cuda_runtime.h: No such file or directory"
    assert first(text, "cuda") == "CUDA header, no toolkit"


def test_a_failing_build_says_why_and_what_to_do() -> None:
    words = "  fatal error: cuda_runtime.h: No such file or directory"
    error = BuildError(f"the build failed (exit code 1)\n{words}", output=words)
    explain(error, "cpu")
    assert str(error) == (
        "the build failed (exit code 1)\n"
        f"{words}\n"
        "  why: this libtorch has no CUDA, and a source includes a CUDA header (as those in ATen/cuda do)\n"
        "  do this:\n"
        "    - use a CUDA build of torch, or keep the include behind #ifdef WITH_CUDA"
    )
    error = BuildError("the build failed", output=words)
    explain(error, "cuda")
    assert "this libtorch has no CUDA" not in str(error)


def test_a_failing_configure_is_explained_too() -> None:
    error = ConfigureError('CMake could not configure\n  package configuration file provided by "Torch"')
    explain(error)
    assert "why: CMake was not told where Torch's package lies" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        BuildError("the build failed", output="static library kineto_LIBRARY-NOTFOUND not found."),
        ToolNotFoundError("fatal error: Python.h: No such file or directory"),
    ],
)
def test_others_are_left_as_they_are(error: TorchScriptBuildError) -> None:
    before = str(error)
    explain(error)
    assert str(error) == before


@pytest.mark.compile
def test_in_a_build(tmp_path: Path, run_setup: Any) -> None:
    source = {"answer.cpp": "#include <cuda_runtime.h>\nint main() {}\n"}
    done = run_setup(write_project(tmp_path, ANSWER_APP, files=source), "build_ts_app")
    assert done.returncode == 1
    assert "  why: this libtorch has no CUDA" in done.stderr
