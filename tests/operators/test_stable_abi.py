"""torch's stable ABI: what it is, by release, and who keeps to it."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest
from nobodys_machine import linux_torch, make_plan
from small_projects import write_project
from stable_symbols import declared, merge, read_wheel, render
from support import write
from tiny_torch import compile_library

from torchscript_build.__main__ import main
from torchscript_build.errors import SettingsError
from torchscript_build.generate.project import render_project
from torchscript_build.operators import stable_abi
from torchscript_build.operators.registrations import parse_registrations
from torchscript_build.operators.stable_abi import audit, demangle, replacement_of
from torchscript_build.operators.stable_symbols import NEWEST, SYMBOLS
from torchscript_build.settings.specs import OpLibrary, ProjectSpec
from torchscript_build.system.elf import read_elf, wanted_by_object
from torchscript_build.toolchain.programs import parse_version

SHIM = """\
#if TORCH_FEATURE_VERSION >= TORCH_VERSION_2_10_0
AOTI_TORCH_EXPORT AOTITorchError torch_call_dispatcher(
    const char* opName);
// torch_in_a_comment(int)
#ifdef USE_CUDA
AOTI_TORCH_EXPORT AOTITorchError
torch_on_cuda(void* stream);
#endif // USE_CUDA
#endif // TORCH_FEATURE_VERSION >= TORCH_VERSION_2_10_0
AOTI_TORCH_EXPORT int32_t aoti_torch_device_type_cpu();
#if TORCH_FEATURE_VERSION >= TORCH_VERSION_2_12_0
AOTI_TORCH_EXPORT AOTITorchError torch_new(int a);
#endif
"""


# --- what it is ----------------------------------------------------------------------------------------------------


def test_a_header_tells_from_which_release_on_a_function_is_there() -> None:
    assert dict(declared(SHIM, (2, 9))) == {
        "torch_call_dispatcher": (2, 10),
        "torch_on_cuda": (2, 10),
        "aoti_torch_device_type_cpu": (2, 9),
        "torch_new": (2, 12),
    }


def test_a_function_without_a_guard_came_with_the_release_that_has_it_first() -> None:
    assert merge({(2, 9): {"a": (2, 9)}, (2, 10): {"a": (2, 9), "b": (2, 9), "c": (2, 10)}}) == {
        "a": (2, 9),
        "b": (2, 10),
        "c": (2, 10),
    }


def test_a_function_that_a_release_drops_is_told() -> None:
    with pytest.raises(ValueError, match=r"torch 2\.10 lacks a"):
        merge({(2, 9): {"a": (2, 9)}, (2, 10): {}})


def test_the_table_is_python(tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.12.1-cp311-cp311-macosx_14_0_arm64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("torch/include/torch/csrc/stable/c/shim.h", SHIM)
    found: dict[str, object] = {}
    exec(render(merge({(2, 12): read_wheel(wheel)}), (2, 12)), found)  # the module's own text
    assert found["NEWEST"] == "2.12"
    symbols = found["SYMBOLS"]
    assert isinstance(symbols, dict)
    assert {release: names.split() for release, names in symbols.items()} == {
        "2.9": ["aoti_torch_device_type_cpu"],
        "2.10": ["torch_call_dispatcher", "torch_on_cuda"],
        "2.12": ["torch_new"],
    }


def test_the_committed_table() -> None:
    names = [name for text in SYMBOLS.values() for name in text.split()]
    assert len(names) == len(set(names)) > 200
    assert next(iter(SYMBOLS)) == "2.9"
    assert list(SYMBOLS)[-1] == NEWEST == "2.15"
    assert "torch_call_dispatcher" in SYMBOLS["2.10"].split()
    assert "aoti_torch_get_data_ptr" in SYMBOLS["2.9"].split()


@pytest.mark.torch
def test_this_torch_has_what_the_table_says() -> None:
    import torch

    lib = Path(torch.__file__).parent / "lib/libtorch_cpu.so"
    have = read_elf(lib).exported_symbols
    series = tuple(int(n) for n in torch.__version__.split(".")[:2])
    wanted = [n for r, names in SYMBOLS.items() if parse_version(r) <= series for n in names.split()]
    lacking = {name for name in wanted if name not in have}
    elsewhere = ("cuda", "xpu", "mps", "zero_", "proxy_executor", "_to_pyobject", "_from_pyobject")
    assert {name for name in lacking if not any(word in name for word in elsewhere)} == set()


# --- who keeps to it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("undefined", "lowest"),
    [
        (["malloc", "_Znwm"], None),
        (["aoti_torch_get_data_ptr", "_ZNSt9exceptionD2Ev"], "2.9"),
        (["aoti_torch_get_data_ptr", "torch_call_dispatcher", "__gmon_start__"], "2.10"),
        (["torch_from_blob", "torch_call_dispatcher"], "2.11"),
        (["torch_is_tensor_pyobject"], "2.15"),
        (["_ZN5mylib5torch1fEv", "_ZN7mytorch1fEv", "_Z5torchv"], None),
    ],
)
def test_the_oldest_release(undefined: list[str], lowest: Optional[str]) -> None:
    verdict = audit(undefined, ["libtorch_cpu.so", "libc.so.6"])
    assert (verdict.lowest, verdict.is_stable) == (lowest, True)


@pytest.mark.parametrize(
    ("symbol", "name", "instead"),
    [
        ("_ZN3c105ErrorD1Ev", "c10::Error::~Error()", "STD_TORCH_CHECK"),
        ("_ZTIN3c105ErrorE", "typeinfo for c10::Error", "STD_TORCH_CHECK"),
        (
            "_ZN2at4_ops10add_Tensor4callERKNS_6TensorES4_RKN3c106ScalarE",
            "at::_ops::add_Tensor::call(at::Tensor const&, at::Tensor const&, c10::Scalar const&)",
            'torch::stable::add_Tensor where there is one, else torch_call_dispatcher("aten::add_Tensor", …)',
        ),
        ("_ZN5torch7Library4_defEv", "torch::Library::_def()", "STABLE_TORCH_LIBRARY, torch::stable::…"),
        ("aoti_torch_cpu_add", "aoti_torch_cpu_add", "nothing in the stable ABI of releases up to 2.15"),
        ("_Z1fRKSt6vectorIN2at6TensorESaIS1_EE", None, None),
        ("THPVariable_Wrap", "THPVariable_Wrap", None),
    ],
)
def test_what_binds_a_library(symbol: str, name: Optional[str], instead: Optional[str]) -> None:
    verdict = audit([symbol, "torch_call_dispatcher"], ["libtorch_cpu.so"])
    assert not verdict.is_stable
    (one,) = verdict.unstable
    assert one.symbol == symbol
    if name is not None:
        assert (one.name, one.replacement) == (name, instead)


def test_what_it_needs_counts_too() -> None:
    assert not audit([], ["libtorch_python.so"]).is_stable
    verdict = audit(["aoti_torch_get_current_cuda_stream"], ["libtorch_cuda.so", "libcudart.so.13"])
    assert (verdict.is_stable, verdict.cuda) == (True, "13")


@pytest.mark.parametrize("symbol", ["_ZN3c105ErrorD1Ev", "_ZN2at6Tensor4fillEv", "_ZN5torch3jit4loadEv"])
def test_without_a_cxx_runtime_names_are_read_plainly(symbol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stable_abi, "_demangler", lambda: None)
    assert len(audit([symbol], []).unstable) == 1
    assert audit(["_ZNSt6vectorIiSaIiEE9push_backEv", "_Znwm"], []).is_stable


def test_replacements_are_known_words_only() -> None:
    assert replacement_of("at::get_num_threads()") == "torch::stable::parallel_for"
    assert replacement_of("c10::something_new()") is None
    assert demangle("malloc") == "malloc"


# --- in a build ----------------------------------------------------------------------------------------------------

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SETTINGS = """\
[[tool.torchscript-build.ops]]
name = "mine"
sources = ["mine.cpp", "other.cpp"]
abi = "stable"
{more}
"""
KEEPS = 'extern "C" int {name}();\nint f_{name}() {{ return {name}(); }}\n'
UNSTABLE = "namespace torch { int answer(); }\nint g() { return torch::answer(); }\n"


@pytest.fixture
def stable_torch(fake_torch: Path, tmp_path: Path) -> dict[str, str]:
    """The tiny libtorch with two functions of the stable ABI."""
    import shutil

    root = tmp_path / "site/torch"
    shutil.copytree(fake_torch, root)
    source = (
        'extern "C" int torch_call_dispatcher() { return 1; } extern "C" int torch_from_blob() { return 2; }'
        "namespace torch { int answer() { return 42; } }"
    )
    compile_library(root / "lib/libtorch_cpu.so", source, "-lc10")
    return {"TORCHSCRIPT_BUILD_LIBTORCH": str(root)}


def build(tmp_path: Path, run_setup: Run, variables: dict[str, str], other: str, more: str = "") -> str:
    files = {"mine.cpp": KEEPS.format(name="torch_call_dispatcher"), "other.cpp": other}
    project = write_project(tmp_path / "p", SETTINGS.format(more=more), files=files)
    done = run_setup(project, "build_ts_ops", **variables)
    return str(done.stdout + done.stderr)


@pytest.mark.compile
def test_a_library_that_keeps_to_it(tmp_path: Path, run_setup: Run, stable_torch: dict[str, str]) -> None:
    output = build(tmp_path, run_setup, stable_torch, "int h() { return 0; }\n")
    assert "does not keep" not in output
    assert "error" not in output
    (library,) = (tmp_path / "p/build").glob("lib*/demo/lib/libmine.so")
    assert [n for n in read_elf(library).needed if "torch" in n or "c10" in n] == ["libtorch_cpu.so"]
    (loader,) = (tmp_path / "p/build").glob("lib*/demo/_torchscript_ops.py")
    assert 'AT_LEAST = "2.10"' in loader.read_text().replace("'", '"')


@pytest.mark.compile
def test_a_library_that_does_not_is_refused_with_the_source(
    tmp_path: Path, run_setup: Run, stable_torch: dict[str, str]
) -> None:
    output = build(tmp_path, run_setup, stable_torch, UNSTABLE)
    assert "operator library 'mine' does not keep to torch's stable ABI:\n  - torch::answer() (other.cpp)" in output
    assert not list((tmp_path / "p/build").glob("lib*/demo/lib/libmine.so"))


@pytest.mark.compile
def test_a_library_that_needs_a_newer_torch_than_it_says(
    tmp_path: Path, run_setup: Run, stable_torch: dict[str, str]
) -> None:
    other = KEEPS.format(name="torch_from_blob")
    output = build(tmp_path, run_setup, stable_torch, other)
    assert "'mine' needs torch 2.11, for torch_from_blob, and torch-target says 2.10" in output
    assert "error" not in build(tmp_path, run_setup, stable_torch, other, 'torch-target = "2.11"')


@pytest.mark.compile
def test_an_object_tells_what_it_wants(tmp_path: Path) -> None:
    from children import run_child

    source = write(
        tmp_path / "x.cpp",
        'extern "C" int wanted(); static int own() { return 1; }\nint f() { return wanted() + own(); }',
    )
    run_child(["c++", "-c", "-o", str(tmp_path / "x.o"), str(source)], check=True)
    assert wanted_by_object(tmp_path / "x.o") == {"wanted"}


# --- the plan, the settings, the command -----------------------------------------------------------------------------


def stable(**fields: object) -> ProjectSpec:
    return ProjectSpec(ops=(OpLibrary(name="mine", package="demo", sources=("a.cpp",), abi="stable", **fields),))  # type: ignore[arg-type]


@pytest.mark.parametrize(("target", "number"), [(None, "0x020a000000000000"), ("2.15", "0x020f000000000000")])
def test_the_project_aims_at_the_release(target: Optional[str], number: str) -> None:
    plan = make_plan(stable(torch_target=target), libtorch=linux_torch(version="2.15.0"))
    text = render_project(plan)["CMakeLists.txt"].decode()
    assert f'STABLE "{number}"' in " ".join(text.split()) or f"STABLE {number}" in " ".join(text.split())


@pytest.mark.parametrize(
    ("target", "version", "words"),
    [
        ("2.14", "2.13.0", "torch-target: building it takes torch 2.14, this is 2.13"),
        ("2.9", "2.9.1", "torch-target: building it takes torch 2.10, this is 2.9"),
    ],
)
def test_a_libtorch_that_is_too_old_to_build_it(target: str, version: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_plan(stable(torch_target=target), libtorch=linux_torch(version=version))
    assert words in str(caught.value)


def test_its_macros_register() -> None:
    found = parse_registrations('STABLE_TORCH_LIBRARY(my_ops, m) { m.def("f(Tensor x) -> Tensor"); }')
    assert found.owners == ("my_ops",)


@pytest.mark.compile
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keeps, not_ = tmp_path / "libkeeps.so", tmp_path / "libnot.so"
    compile_library(keeps, KEEPS.format(name="torch_call_dispatcher"))
    compile_library(not_, UNSTABLE)
    assert main(["audit-abi", str(keeps)]) == 0
    assert capsys.readouterr().out == (
        f"{keeps}: keeps to torch's stable ABI: runs with torch 2.10 and newer\n"
        "  needs 2.10 for torch_call_dispatcher\n"
    )
    wheel = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(keeps, "x/libkeeps.so")
        archive.write(not_, "x/libnot.so")
        archive.writestr("x/__init__.py", "")
    assert main(["audit-abi", str(wheel)]) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        f"{wheel.name}: x/libnot.so: bound to the torch that it was built for, for 1 thing that it wants of libtorch",
        "  - torch::answer()",
    ]
    assert main(["audit-abi", "--json", str(keeps)]) == 0
    assert json.loads(capsys.readouterr().out)[str(keeps)] == {
        "stable": True,
        "torch": "2.10",
        "because": ["torch_call_dispatcher"],
        "libtorch_python": False,
        "cuda": None,
        "unstable": [],
    }


def test_what_is_no_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (write(tmp_path / "a.so", "text"), write(tmp_path / "b.whl", "text"), tmp_path / "absent.so"):
        assert main(["audit-abi", str(file)]) == 1
        assert "error: " in capsys.readouterr().err
