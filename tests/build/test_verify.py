"""What a built file must be to be shipped, read from real small binaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from children import run_child
from nobodys_machine import linux_torch
from support import write
from tiny_torch import compile_library

from torchscript_build.build.verify import SHARED_RUNTIME, verify_artifacts, verify_linked
from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.facts import LibTorch

pytestmark = pytest.mark.compile

STRING = "#include <string>\nstd::string f(std::string s) { return s; }\n"


@pytest.fixture
def libtorch(fake_torch: Path) -> LibTorch:
    return linux_torch(root=fake_torch, library_dirs=(fake_torch / "lib",))


def program(folder: Path, *arguments: str, source: str = "int main() {}\n", name: str = "app") -> Path:
    file = write(folder / f"{name}.cpp", source)
    run_child(["c++", file, "-o", folder / name, *arguments], check=True, cwd=folder)
    return folder / name


def problem(file: Path, libtorch: LibTorch, **more: object) -> str:
    with pytest.raises(VerificationError) as caught:
        verify_artifacts([file], libtorch, **more)  # type: ignore[arg-type]
    lines = str(caught.value).splitlines()
    assert lines[0] == "what was built is not fit to be shipped:"
    assert len(lines) == 2, lines
    return lines[1]


def test_a_good_program(tmp_path: Path, libtorch: LibTorch) -> None:
    lib = libtorch.library_dirs[0]
    arguments = [f"-L{lib}", "-Wl,--no-as-needed", "-ltorch_cpu", f"-Wl,-rpath-link,{lib}"]
    verify_artifacts([program(tmp_path, *arguments, "-Wl,-rpath,$ORIGIN/../torch/lib")], libtorch)


THROWS = """\
#include <string>
namespace c10 {
struct SourceLocation { const char* function; const char* file; unsigned line; };
class Error { public: Error(SourceLocation, std::string); };
}
int main() { c10::Error error({}, "words"); }
"""


@pytest.mark.parametrize("abi", [0, 1])
def test_a_libstdcxx_of_its_own_beside_the_shared_one(tmp_path: Path, libtorch: LibTorch, abi: int) -> None:
    compile_library(
        tmp_path / "libc10.so",
        THROWS.partition("int main")[0] + "c10::Error::Error(SourceLocation, std::string) {}",
        f"-D_GLIBCXX_USE_CXX11_ABI={abi}",
    )
    arguments = ["-L.", "-Wl,--no-as-needed", "-lc10", f"-D_GLIBCXX_USE_CXX11_ABI={abi}"]
    own = replace(libtorch, library_dirs=(tmp_path,), cxx11_abi=bool(abi))
    verify_artifacts([program(tmp_path, *arguments, source=THROWS)], own)
    file = program(tmp_path, *arguments, "-static-libstdc++", source=THROWS)
    with pytest.raises(VerificationError) as caught:
        verify_artifacts([file], own)
    assert str(caught.value).splitlines()[1] == (
        "  - app: it carries a libstdc++ of its own, and libtorch uses the shared one: two of them crash in one process"
    )
    assert caught.value.cures == (SHARED_RUNTIME,)


def test_one_who_talks_to_torch_in_c_may_carry_its_own(tmp_path: Path, libtorch: LibTorch) -> None:
    compile_library(tmp_path / "libtorch.so", 'extern "C" int torch_shim() { return 1; }\n')
    source = '#include <iostream>\nextern "C" int torch_shim();\nint main() { std::cout << torch_shim(); }\n'
    file = program(tmp_path, "-L.", "-ltorch", "-static-libstdc++", source=source)
    verify_artifacts([file], libtorch, library_dirs=[tmp_path])


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_a_runpath_into_this_machine(tmp_path: Path, libtorch: LibTorch, tags: str) -> None:
    file = program(tmp_path, "-Wl,-rpath,/opt/here:$ORIGIN/x:/opt/there", f"-Wl,{tags}")
    assert problem(file, libtorch) == "  - app: its RUNPATH has folders of this machine: /opt/here:/opt/there"


def test_a_relative_runpath_is_one_of_this_machine(tmp_path: Path, libtorch: LibTorch) -> None:
    assert "folders of this machine: lib" in problem(program(tmp_path, "-Wl,-rpath,lib"), libtorch)


def test_a_library_of_link_dirs_is_told_not_refused(tmp_path: Path, libtorch: LibTorch) -> None:
    (tmp_path / "third").mkdir()
    compile_library(tmp_path / "third" / "libthird.so", "int third() { return 0; }\n")
    source = "int third();\nint main() { return third(); }\n"
    file = program(tmp_path, "-Lthird", "-lthird", source=source)
    (note,) = verify_artifacts([file], libtorch, link_dirs=[tmp_path / "third"])
    assert note.startswith("app needs libthird.so, which it links and this build does not put into the package")
    assert verify_artifacts([file], libtorch, library_dirs=[tmp_path / "third"]) == ()


def test_a_library_that_nobody_has(tmp_path: Path, libtorch: LibTorch) -> None:
    compile_library(tmp_path / "libgone.so", "int gone() { return 0; }\n")
    file = program(tmp_path, "-L.", "-lgone", source="int gone();\nint main() { return gone(); }\n")
    assert problem(file, libtorch) == (
        "  - app: it needs libgone.so, which is neither libtorch's, nor the project's, nor the system's"
    )
    verify_artifacts([file], libtorch, library_dirs=[tmp_path])


def test_python_by_accident(tmp_path: Path, libtorch: LibTorch) -> None:
    for name in ("libtorch_python.so", "libpython3.11.so.1.0"):
        compile_library(tmp_path / name, "int gone() { return 0; }\n")
        file = program(tmp_path, f"./{name}", source="int gone();\nint main() { return gone(); }\n")
        assert problem(file, libtorch) == f"  - app: it needs {name}: it would run inside Python only"
        verify_artifacts([file], libtorch, python_modules=[file])


def test_the_other_abi(tmp_path: Path, libtorch: LibTorch) -> None:
    old = linux_torch(root=libtorch.root, library_dirs=libtorch.library_dirs, cxx11_abi=False)
    compile_library(tmp_path / "libf.so", STRING)
    verify_artifacts([tmp_path / "libf.so"], libtorch, library_dirs=[tmp_path])
    with pytest.raises(VerificationError, match="compiled with _GLIBCXX_USE_CXX11_ABI=1, libtorch with 0"):
        verify_artifacts([tmp_path / "libf.so"], old)


def test_all_problems_of_all_files(tmp_path: Path, libtorch: LibTorch) -> None:
    files = [program(tmp_path, "-Wl,-rpath,/x", name=name) for name in ("one", "two")]
    with pytest.raises(VerificationError) as caught:
        verify_artifacts(files, libtorch)
    assert [line[:8] for line in str(caught.value).splitlines()[1:]] == ["  - one:", "  - two:"]


def test_what_is_no_elf_file_is_passed_over(tmp_path: Path, libtorch: LibTorch) -> None:
    verify_artifacts([write(tmp_path / "app.exe", "MZ"), tmp_path / "missing"], libtorch)


# --- what is linked ------------------------------------------------------------------------------------------------


def test_linked_libraries_of_the_other_abi_are_told_together(tmp_path: Path, libtorch: LibTorch) -> None:
    old = linux_torch(root=libtorch.root, version="2.5.0", library_dirs=libtorch.library_dirs, cxx11_abi=False)
    for name in ("a", "b"):
        compile_library(tmp_path / f"lib{name}.so", STRING)
    pairs = [("one", tmp_path / "liba.so"), ("two", tmp_path / "libb.so")]
    verify_linked(pairs, libtorch)
    with pytest.raises(VerificationError) as caught:
        verify_linked(pairs, old)
    text = str(caught.value)
    assert "libtorch 2.5.0+cpu has the old C++ ABI (_GLIBCXX_USE_CXX11_ABI=0)" in text
    assert f"one links {tmp_path}/liba.so, which was compiled with _GLIBCXX_USE_CXX11_ABI=1" in text
    assert f"two links {tmp_path}/libb.so" in text
    assert "use a libtorch with the other ABI: cxx11-abi = true" in text


def test_libraries_that_say_nothing_are_taken(tmp_path: Path, libtorch: LibTorch) -> None:
    compile_library(tmp_path / "libplain.so", 'extern "C" int f() { return 0; }\n')
    archive = write(tmp_path / "libx.a", "!<arch>\n")
    old = linux_torch(root=libtorch.root, library_dirs=libtorch.library_dirs, cxx11_abi=False)
    pairs = [("app", tmp_path / "libplain.so"), ("app", archive), ("app", libtorch.library_dirs[0] / "libc10.so")]
    verify_linked(pairs, old)


def test_where_there_is_no_libstdcxx_nothing_is_asked(tmp_path: Path) -> None:
    verify_linked([("app", tmp_path / "missing")], linux_torch(cxx11_abi=None))
