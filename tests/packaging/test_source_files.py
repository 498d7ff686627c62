"""What an sdist holds of a project: all that building needs, and nothing that lies about."""

from __future__ import annotations

from pathlib import Path

from support import write

from torchscript_build.packaging.source_files import outside_files, source_files
from torchscript_build.settings.specs import CMakeProject, OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp


def test_what_is_included_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    write(tmp_path / "src/a.cpp", '#include "impl.cpp"\n#include <lib/table.xmacro>\n#include <vector>\n')
    write(tmp_path / "src/impl.cpp", '#include "deep/more.inc2"\n')
    write(tmp_path / "src/deep/more.inc2")
    write(tmp_path / "inc/lib/table.xmacro")
    for name in ("src/t.tpp", "src/t.def", "src/notes.txt"):
        write(tmp_path / name)
    spec = ProjectSpec(ops=(OpLibrary(name="o", sources=("src/a.cpp",), include_dirs=("inc",)),))
    assert source_files(spec, tmp_path) == [
        "inc/lib/table.xmacro",
        "src/a.cpp",
        "src/deep/more.inc2",
        "src/impl.cpp",
        "src/t.def",
        "src/t.tpp",
    ]


def test_what_a_macro_includes_or_an_assembler_takes_in(tmp_path: Path) -> None:
    write(
        tmp_path / "src/a.cpp",
        '#include "b.x"\n#define H "h.x"\n#include H\nasm(".incbin \\"data/w.bin\\"");\nf("../");\n',
    )
    write(tmp_path / "src/b.x", 'auto text = "src/t.txt .env ../../outside";\nauto env = ".env", c = "src";\n')
    for name in ("src/h.x", "src/t.txt", ".env", "src/.env", "data/w.bin"):
        write(tmp_path / name)
    spec = ProjectSpec(apps=(TorchScriptApp(name="a", sources=("src/a.cpp",)),))
    assert source_files(spec, tmp_path) == ["data/w.bin", "src/a.cpp", "src/b.x", "src/h.x"]
    write(tmp_path / "src/b.x", '#embed "t.txt"\n')
    assert source_files(spec, tmp_path) == ["data/w.bin", "src/a.cpp", "src/b.x", "src/h.x", "src/t.txt"]


def test_what_a_cmake_project_takes_from_beside_it(tmp_path: Path) -> None:
    write(
        tmp_path / "native/CMakeLists.txt",
        "include(../cmake/x.cmake)\nadd_subdirectory(build)\n"
        'file(GLOB s "${CMAKE_CURRENT_SOURCE_DIR}/../shared/*.cpp")\n'
        "install(FILES ../../away DESTINATION .)\nset(o ../build ../.git ../dist/x)\n",
    )
    write(tmp_path / "native/build/CMakeLists.txt", "add_executable(a ../main.cpp ${CMAKE_SOURCE_DIR}/../more)\n")
    write(tmp_path / "native/main.cpp", '#include "../include/api.h"\n')
    needed = ("cmake/x.cmake", "shared/a.cpp", "shared/b.cpp", "more/deep/c.txt", "include/api.h")
    for name in (*needed, "shared/notes.txt", "build/a.o", ".git/x", "dist/x", "native/dist/y", "unrelated.txt"):
        write(tmp_path / name)
    spec = ProjectSpec(cmake=(CMakeProject(name="c", source_dir="native"),))
    own = ("native/CMakeLists.txt", "native/build/CMakeLists.txt", "native/main.cpp")
    assert source_files(spec, tmp_path) == sorted([*needed, *own])


def test_libraries_of_link_dirs(tmp_path: Path) -> None:
    for name in ("libs/libx.so.1", "libs/liby.a", "libs/readme.txt", "a.cpp"):
        write(tmp_path / name)
    spec = ProjectSpec(apps=(TorchScriptApp(name="a", sources=("a.cpp",), link_dirs=("libs",), link_libraries=("x",)),))
    assert source_files(spec, tmp_path) == ["a.cpp", "libs/libx.so.1", "libs/liby.a"]


def test_a_factorys_module_and_the_files_of_inputs(tmp_path: Path) -> None:
    for name in ("models/net.py", "models/layers.py", "in/all.pt", "in/data.bin", "in/x.npy", "top.py", "unrelated.py"):
        write(tmp_path / name)
    inputs = ("args:in/all.pt", "x=file:in/data.bin", "[in/x.npy, ones:1]", "top:make_inputs")
    model = ScriptModel(name="m", factory="net:make", python_path=("models", "."), example_inputs=inputs)
    assert source_files(ProjectSpec(models=(model,)), tmp_path) == [
        "in/all.pt",
        "in/data.bin",
        "in/x.npy",
        "models/layers.py",
        "models/net.py",
        "top.py",
    ]


def test_a_cmake_project_at_the_top_takes_nothing_that_was_made(tmp_path: Path) -> None:
    for name in ("CMakeLists.txt", "src/a.cpp", "cmake/Find.cmake", ".clang-format"):
        write(tmp_path / name)
    made = (".env", "dist/x.tar.gz", "x.whl", "build/a.o", "demo.egg-info/PKG-INFO", "a/__pycache__/b.pyc", ".git/x")
    for name in (*made, "venv/pyvenv.cfg", "venv/lib/x.py", "out/CMakeCache.txt", "out/a.o"):
        write(tmp_path / name)
    spec = ProjectSpec(cmake=(CMakeProject(name="c", source_dir="."),))
    assert source_files(spec, tmp_path) == [".clang-format", "CMakeLists.txt", "cmake/Find.cmake", "src/a.cpp"]


def test_files_outside_are_known_as_such(tmp_path: Path) -> None:
    write(tmp_path / "csrc/a.cpp", '#include "a.h"\n')
    write(tmp_path / "csrc/a.h")
    root = tmp_path / "python"
    root.mkdir()
    found = source_files(ProjectSpec(ops=(OpLibrary(name="o", sources=("../csrc/a.cpp",)),)), root)
    assert outside_files(found) == found == ["../csrc/a.cpp", "../csrc/a.h"]
