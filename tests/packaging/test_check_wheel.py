"""Wheels with one tiny binary each: what check-wheel says of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from children import run_child, run_python

from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.read import read_libtorch
from torchscript_build.packaging.check_wheel import Advice, check_wheel

PLAIN = "namespace torch { int answer(); }\nint f() { return torch::answer(); }\n"
BOUND = """\
#include <string>
namespace c10 { class Error { public: Error(std::string); }; }
void f() { throw c10::Error("x"); }
"""
PROGRAM = "namespace torch { int answer(); }\nint main() { return torch::answer(); }\n"
MODULE = 'extern "C" void* PyInit_m() { return nullptr; }\n'
PIN = "Requires-Dist: torch ==2.13.*"

pytestmark = pytest.mark.compile


class Maker:
    """Makes a wheel from a few lines of C++."""

    def __init__(self, folder: Path, torch: Path) -> None:
        self.folder, self.torch = folder, torch

    def binary(
        self, source: str, *options: str, rpath: str = "$ORIGIN/../../torch/lib", program: bool = False
    ) -> bytes:
        (self.folder / "a.cpp").write_text(source)
        command = [
            "c++",
            "a.cpp",
            "-o",
            "a.out",
            f"-L{self.torch / 'lib'}",
            "-Wl,--no-as-needed",
            "-ltorch_cpu",
            "-lc10",
        ]
        command += ["-Wl,--enable-new-dtags", "-Wl,--allow-shlib-undefined"]
        command += [f"-Wl,-rpath,{rpath}"] if rpath else []
        command += [f"-Wl,-rpath-link,{self.torch / 'lib'}"] if program else ["-shared", "-fPIC"]
        run_child([*command, *options], cwd=self.folder, check=True)
        return (self.folder / "a.out").read_bytes()

    def wheel(
        self,
        binary: bytes,
        *,
        name: str = "pkg/lib/libmine.so",
        tag: str = "py3-none-linux_x86_64",
        requires: str = PIN,
    ) -> Path:
        file = self.folder / f"pkg-1-{tag}.whl"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, binary)
            archive.writestr(
                "pkg-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: pkg\nVersion: 1\n{requires}\n\n"
            )
            archive.writestr("pkg-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        return file

    def check(self, file: Path) -> tuple[Advice, ...]:
        return check_wheel(file, read_libtorch(self.torch))

    def said(self, file: Path) -> list[tuple[bool, str]]:
        return [(one.is_problem, one.what) for one in self.check(file)]


@pytest.fixture
def maker(tmp_path: Path, fake_torch: Path) -> Maker:
    return Maker(tmp_path, fake_torch)


def test_a_fit_wheel(maker: Maker) -> None:
    assert maker.check(maker.wheel(maker.binary(PLAIN))) == ()


@pytest.mark.parametrize("name", ["pkg/lib/libmine.so", "pkg-1.data/platlib/pkg/lib/libmine.so"])
def test_a_runpath_that_leads_elsewhere(maker: Maker, name: str) -> None:
    (advice,) = maker.check(maker.wheel(maker.binary(PLAIN, rpath="$ORIGIN/../torch/lib"), name=name))
    what = "no entry of its RUNPATH leads to torch/lib beside it: it is loaded only after import torch"
    assert advice.what == f"pkg/lib/libmine.so: {what}"
    assert not advice.is_problem
    assert advice.cures == (
        "CMake, after find_package(Torch): ts_install_rpath(mine)",
        "Meson: install_rpath: '$ORIGIN/../../torch/lib'",
    )


def test_a_program_without_a_runpath_does_not_start(maker: Maker) -> None:
    wheel = maker.wheel(maker.binary(PROGRAM, rpath="", program=True), name="pkg/bin/run")
    what = "pkg/bin/run: no entry of its RUNPATH leads to torch/lib beside it: it does not start"
    assert maker.said(wheel) == [(True, what)]


def test_a_runpath_of_the_build_machine(maker: Maker) -> None:
    both = "$ORIGIN/../../torch/lib:/home/me/torch/lib"
    what = "pkg/lib/libmine.so: its RUNPATH has folders of the build machine: /home/me/torch/lib"
    assert maker.said(maker.wheel(maker.binary(PLAIN, rpath=both))) == [(True, what)]


def test_a_wheel_that_does_not_require_torch(maker: Maker) -> None:
    for requires in ("Requires-Dist: numpy", 'Requires-Dist: torch ==2.13.* ; extra == "test"'):
        (advice,) = maker.check(maker.wheel(maker.binary(PLAIN), requires=requires))
        assert advice.what == "it does not require torch, which its binaries need"
        assert advice.cures == ('in [project]: dependencies = ["torch==2.13.*"]',)


@pytest.mark.parametrize(
    ("specifier", "words"),
    [
        (">=2.13", "it requires torch>=2.13, which allows torch 2.14.0: "),
        ("<=2.13.0", "it requires torch<=2.13.0, which allows torch 2.12.0: "),
        ("", "it requires torch, which allows torch 2.14.0: "),
        ("==2.6.*", "it requires torch==2.6.*, and was built for 2.13.0+cpu as far as can be told here"),
    ],
)
def test_a_requirement_that_does_not_fit(maker: Maker, specifier: str, words: str) -> None:
    (advice,) = maker.check(maker.wheel(maker.binary(BOUND), requires=f"Requires-Dist: torch{specifier}"))
    assert advice.is_problem
    assert advice.what.startswith(words)


def test_without_the_cxx_interface_a_wide_requirement_is_fine(maker: Maker) -> None:
    library = maker.binary('extern "C" int aoti_torch_x();\nint f() { return aoti_torch_x(); }\n')
    assert maker.check(maker.wheel(library, requires="Requires-Dist: torch>=2.10")) == ()


def test_the_other_abi(maker: Maker) -> None:
    wheel = maker.wheel(maker.binary(BOUND, "-D_GLIBCXX_USE_CXX11_ABI=0"))
    what = "pkg/lib/libmine.so: compiled with _GLIBCXX_USE_CXX11_ABI=0, libtorch 2.13.0+cpu with 1"
    assert maker.said(wheel) == [(True, what)]


def test_a_libstdcxx_of_its_own(maker: Maker) -> None:
    wheel = maker.wheel(maker.binary(BOUND, "-static-libstdc++"))
    what = "it carries a libstdc++ of its own, and libtorch uses the shared one: two of them crash in one process"
    assert maker.said(wheel) == [(True, f"pkg/lib/libmine.so: {what}")]


def test_a_library_that_nobody_has(maker: Maker) -> None:
    run_child(
        ["c++", "-shared", "-o", "libodd.so", "-Wl,-soname,libodd.so.7", "-x", "c++", "/dev/null"], cwd=maker.folder
    )
    wheel = maker.wheel(maker.binary(PLAIN, "-L.", "-lodd"))
    what = "pkg/lib/libmine.so: needs libodd.so.7, which is neither in the wheel, nor torch's, nor the system's"
    assert maker.said(wheel) == [(True, what)]


def test_a_wheel_for_several_series(maker: Maker) -> None:
    ours, other = "pkg/lib/torch2.13/libmine.so", "pkg/lib/torch2.11/libmine.so"
    binary = maker.binary(PLAIN, rpath="$ORIGIN/../../../torch/lib")
    requires = "Requires-Dist: torch >=2.11,<2.14,!=2.12.*"
    wheel = maker.wheel(binary, name=ours, requires=requires)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(other, maker.binary(PLAIN, rpath="/build/machine"))
    assert maker.said(wheel) == [(False, "torch2.11: not looked at with libtorch 2.13.0+cpu")]
    wheel = maker.wheel(maker.binary(PLAIN), name=other, requires=requires)
    assert maker.said(wheel) == [(True, "it is for other series of torch (torch2.11), none of which is 2.13")]


@pytest.mark.parametrize("name", ["pkg/lib/libc10.so", "pkg.libs/libtorch_cpu-872a1bfe.so"])
def test_a_copy_of_torchs_own_library(maker: Maker, name: str) -> None:
    wheel = maker.wheel((maker.torch / "lib/libc10.so").read_bytes(), name=name)
    what = f"{name}: a copy of torch's own library, which crashes a process that imports torch"
    assert (True, what) in maker.said(wheel)


def test_tags(maker: Maker) -> None:
    library = maker.binary(PLAIN)
    words = "its tag is py3-none-any, and it holds binaries: it would be installed on other platforms, too"
    assert maker.said(maker.wheel(library, tag="py3-none-any")) == [(True, words)]
    tag = "cp311-cp311-linux_x86_64"
    words = f"its tag is {tag}, but nothing in it depends on Python's version: one wheel would do for all"
    assert maker.said(maker.wheel(library, tag=tag)) == [(False, words)]
    assert maker.said(maker.wheel(maker.binary(PLAIN + MODULE), tag=tag)) == []


def test_a_wheel_without_a_binary(maker: Maker) -> None:
    words = "it has no binary: nothing was built, or nothing was installed into the package"
    assert maker.said(maker.wheel(b"text", name="pkg/a.txt")) == [(True, words)]


def test_what_is_no_wheel(tmp_path: Path, maker: Maker) -> None:
    (tmp_path / "a.whl").write_text("text")
    with pytest.raises(VerificationError, match="cannot be read as a wheel"):
        maker.check(tmp_path / "a.whl")
    with zipfile.ZipFile(tmp_path / "b.whl", "w") as archive:
        archive.writestr("a", "")
    with pytest.raises(VerificationError, match=r"is no wheel: it has no \.dist-info/METADATA"):
        maker.check(tmp_path / "b.whl")


def test_the_command_prints_what_to_type_and_fails(maker: Maker, variables: dict[str, str]) -> None:
    wheel = maker.wheel(maker.binary(PLAIN, rpath=""), requires="")
    done = run_python("-m", "torchscript_build", "check-wheel", str(wheel), cwd=maker.folder, variables=variables)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        f"{wheel.name}: not fit to be shipped, for torch 2.13.0+cpu\n"
        "problem: it does not require torch, which its binaries need\n"
        '    - in [project]: dependencies = ["torch==2.13.*"]\n'
        "note: pkg/lib/libmine.so: no entry of its RUNPATH leads to torch/lib beside it: "
        "it is loaded only after import torch\n"
        "    - CMake, after find_package(Torch): ts_install_rpath(mine)\n"
        "    - Meson: install_rpath: '$ORIGIN/../../torch/lib'\n"
    )
