"""Small projects of the shapes that people have, for the tiny libtorch: their files, and how each is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from small_projects import MODULE_CPP

MAIN_CPP = """\
#include <torch/script.h>
#include <cstdio>
int main() { std::printf("answer %d\\n", torch::answer()); }
"""
OPENCV_CPP = """\
#include <opencv2/imgproc.hpp>
#include <torch/script.h>
#include <cstdio>
int main() {
  cv::Mat color(6, 7, CV_8UC3, cv::Scalar(1, 2, 3)), gray;
  cv::cvtColor(color, gray, cv::COLOR_BGR2GRAY);
  std::printf("answer %d\\n", static_cast<int>(gray.total()) + torch::answer() - 42);
}
"""
OPS_CPP = 'extern "C" int NAME() { return 7; }\n'
CMAKE = "cmake_minimum_required(VERSION 3.16)\nproject(native LANGUAGES CXX)\n"
FIND = "find_package(Torch REQUIRED)\n"
APP = '[[tool.torchscript-build.app]]\nname = "answer"\nsources = ["cpp/main.cpp"]\n'
PROJECT = '[[tool.torchscript-build.cmake]]\nname = "native"\nsource-dir = "native"\n'

ALL_WAYS = ("wheel", "sdist", "lenient", "strict", "isolated")

RUN = "from {package}._torchscript_apps import start_{name} as f; f()"
LOAD = "import ctypes, {package}, os; f = os.path.dirname({package}.__file__); "


@dataclass(frozen=True)
class Shape:
    """One project."""

    files: Mapping[str, str]
    check: str
    """Python code, run where it is installed beside torch; it prints ``answer 42``."""
    settings: str = ""
    project: str = ""
    """More of pyproject.toml's ``[project]``."""
    setup: str = "from setuptools import setup\n\nsetup()\n"
    tag: str = "py3-none"
    root: str = "."
    """The Python project's folder."""
    ways: tuple[str, ...] = ALL_WAYS
    refused: Mapping[str, str] = field(default_factory=dict)
    """Ways that end in an error, and its words."""
    needs: str = "/"
    """A folder that not every machine has."""


SHAPES: Mapping[str, Shape] = {
    "app": Shape({"demo/__init__.py": "", "cpp/main.cpp": MAIN_CPP}, RUN.format(package="demo", name="answer"), APP),
    "program without a Python package": Shape(
        {"src/main.cpp": MAIN_CPP, "src/unused/x.h": "", "models/x.txt": ""},
        RUN.format(package="demo", name="answer"),
        APP.replace("cpp/", "src/"),
    ),
    "CMake program without a Python package": Shape(
        {
            "native/CMakeLists.txt": CMAKE
            + FIND
            + "add_executable(answer main.cpp)\ntarget_link_libraries(answer PRIVATE ${TORCH_LIBRARIES})\n"
            "install(TARGETS answer DESTINATION bin)\n",
            "native/main.cpp": MAIN_CPP,
        },
        RUN.format(package="demo", name="bin_2f_answer"),
        PROJECT + 'console-script = "answer"\n',
    ),
    "four libraries of one folder": Shape(
        {
            "demo/__init__.py": "",
            "demo/csrc/common.tpp": "#define VALUE 42\n",
            **{
                f"demo/csrc/{n}.cpp": f'#include "common.tpp"\nextern "C" int {n}() {{ return VALUE; }}\n'
                for n in ("a", "b", "c", "d")
            },
        },
        LOAD.format(package="demo")
        + "print('answer', *{getattr(ctypes.CDLL(f'{f}/_{n}.so'), n)() for n in 'abcd'}); "
        + "assert not os.path.exists(f'{f}/csrc') or 'site' not in f",
        '[tool.torchscript-build.defaults.ops]\npython-binding = "none"\nlink-options = ["-Wl,-z,now"]\n'
        + "".join(
            f'[[tool.torchscript-build.ops]]\nname = "{n}"\nsources = ["demo/csrc/{n}.cpp"]\nfile-name = "_{n}.so"\n'
            for n in ("a", "b", "c", "d")
        ),
    ),
    "module of the limited API": Shape(
        {"demo/__init__.py": "", "cpp/m.cpp": MODULE_CPP.replace("NAME", "_native")},
        "from demo import _native; print('answer', _native.answer())",
        '[[tool.torchscript-build.ops]]\nname = "_native"\nsources = ["cpp/m.cpp"]\npython-module = true\n'
        'limited-api = "3.9"\n',
        tag="cp39-abi3",
    ),
    "module at the top": Shape(
        {"cpp/m.cpp": MODULE_CPP.replace("NAME", "toplevel")},
        "import toplevel; print('answer', toplevel.answer())",
        '[[tool.torchscript-build.ops]]\nname = "toplevel"\nsources = ["cpp/m.cpp"]\npython-module = true\n'
        'limited-api = "3.9"\npackage = ""\n',
        tag="cp39-abi3",
        ways=("wheel", "sdist", "isolated"),
    ),
    "module in a CMake project": Shape(
        {
            "demo/__init__.py": "",
            "native/CMakeLists.txt": CMAKE
            + FIND
            + "find_package(Python3 REQUIRED COMPONENTS Interpreter Development.Module)\n"
            "Python3_add_library(_native MODULE WITH_SOABI m.cpp)\ntarget_link_libraries(_native PRIVATE torch)\n"
            "install(TARGETS _native DESTINATION .)\n",
            "native/m.cpp": MODULE_CPP.replace("NAME", "_native"),
        },
        "from demo import _native; print('answer', _native.answer())",
        PROJECT,
        tag="exact",
    ),
    "C extension of one's own beside": Shape(
        {
            "demo/__init__.py": "",
            "cpp/main.cpp": MAIN_CPP,
            "ext.c": '#include <Python.h>\nstatic PyModuleDef def = {PyModuleDef_HEAD_INIT, "own", 0, -1};\n'
            "PyMODINIT_FUNC PyInit_own(void) { return PyModule_Create(&def); }\n",
        },
        "import demo.own; " + RUN.format(package="demo", name="answer"),
        APP,
        setup="from setuptools import Extension, setup\n\nsetup(ext_modules=[Extension('demo.own', ['ext.c'], "
        "py_limited_api=True, define_macros=[('Py_LIMITED_API', '0x03090000')])],\n"
        "      options={'bdist_wheel': {'py_limited_api': 'cp39'}})\n",
        tag="cp39-abi3",
    ),
    "namespace package": Shape(
        {"src/acme/tool/__init__.py": "from . import _torchscript_ops\n", "cpp/o.cpp": OPS_CPP.replace("NAME", "f")},
        "import acme.tool, os; assert not os.path.exists(os.path.dirname(acme.tool.__file__) + "
        "'/../_torchscript_ops.py'); print('answer 42')",
        '[[tool.torchscript-build.ops]]\nname = "mine"\nsources = ["cpp/o.cpp"]\n',
    ),
    "monorepo": Shape(
        {
            "python/demo/__init__.py": "",
            "csrc/main.cpp": '#include "deep/x.h"\n' + MAIN_CPP,
            "csrc/deep/x.h": "",
        },
        RUN.format(package="demo", name="answer"),
        APP.replace("cpp/main.cpp", "../csrc/*.cpp"),
        root="python",
        refused={"sdist": "an sdist holds the project's own folder only, and it would lack ../csrc/deep/x.h"},
    ),
    "dynamic version": Shape(
        {"demo/__init__.py": "", "cpp/main.cpp": MAIN_CPP, ".env": "SECRET=1\n", "old.whl": "x"},
        RUN.format(package="demo", name="answer"),
        APP,
        project='dynamic = ["version"]\n',
        setup="import os, subprocess\nfrom setuptools import setup\n\n"
        "if os.path.isdir('.git'):\n"
        "    version = '1.' + subprocess.getoutput('git rev-list --count HEAD')\n"
        "else:\n"
        "    version = next(line.split()[1] for line in open('PKG-INFO') if line.startswith('Version: '))\n"
        "setup(version=version)\n",
    ),
    "superbuild": Shape(
        {
            "demo/__init__.py": "",
            "CMakeLists.txt": "cmake_minimum_required(VERSION 3.16)\nproject(super LANGUAGES NONE)\n"
            "include(ExternalProject)\nExternalProject_Add(inner SOURCE_DIR ${CMAKE_SOURCE_DIR}/inner CMAKE_ARGS "
            "-DCMAKE_INSTALL_PREFIX=${CMAKE_BINARY_DIR}/got)\n"
            'install(DIRECTORY "${CMAKE_BINARY_DIR}/got/" DESTINATION . USE_SOURCE_PERMISSIONS)\n',
            "inner/CMakeLists.txt": CMAKE
            + FIND
            + "add_executable(answer main.cpp)\ntarget_link_libraries(answer PRIVATE ${TORCH_LIBRARIES})\n"
            "install(TARGETS answer DESTINATION bin)\n",
            "inner/main.cpp": MAIN_CPP,
        },
        RUN.format(package="demo", name="bin_2f_answer"),
        PROJECT.replace('"native"\n', '"super"\n', 1).replace('"native"', '"."') + 'console-script = "answer"\n',
    ),
    "FetchContent": Shape(
        {
            "demo/__init__.py": "",
            "native/CMakeLists.txt": CMAKE
            + FIND
            + "include(FetchContent)\nFetchContent_Declare(dep SOURCE_DIR ${CMAKE_SOURCE_DIR}/third_party/dep)\n"
            "FetchContent_MakeAvailable(dep)\nadd_executable(answer main.cpp)\n"
            "target_link_libraries(answer PRIVATE torch dep)\ninstall(TARGETS answer dep RUNTIME DESTINATION bin "
            "LIBRARY DESTINATION lib64)\n",
            "native/main.cpp": "int dep();\n" + MAIN_CPP.replace("torch::answer()", "torch::answer() + dep()"),
            "native/third_party/dep/CMakeLists.txt": "add_library(dep SHARED dep.cpp)\n",
            "native/third_party/dep/dep.cpp": "int dep() { return 0; }\n",
        },
        RUN.format(package="demo", name="bin_2f_answer"),
        PROJECT + 'console-script = { answer = "bin/answer" }\n',
    ),
    "exported CMake package": Shape(
        {
            "demo/__init__.py": "",
            "native/CMakeLists.txt": CMAKE
            + FIND
            + "add_library(nat SHARED nat.cpp)\ntarget_link_libraries(nat PUBLIC torch)\n"
            "install(TARGETS nat EXPORT natTargets DESTINATION lib)\n"
            "install(EXPORT natTargets FILE natConfig.cmake DESTINATION lib/cmake/nat)\n",
            "native/nat.cpp": "#include <torch/script.h>\nint nat() { return torch::answer(); }\n",
        },
        LOAD.format(package="demo")
        + "print('answer', ctypes.CDLL(f'{f}/lib/libnat.so')._Z3natv()); "
        + "assert 'IMPORTED_LOCATION' in open(f'{f}/lib/cmake/nat/natConfig-release.cmake').read()",
        PROJECT,
    ),
    "OpenCV in an app": Shape(
        {"demo/__init__.py": "", "cpp/main.cpp": OPENCV_CPP},
        RUN.format(package="demo", name="answer"),
        APP
        + 'find-packages = ["OpenCV COMPONENTS core imgproc"]\nlink-libraries = ["opencv_core", "opencv_imgproc"]\n',
        ways=("wheel",),
        needs="/usr/include/opencv4",
    ),
    "OpenCV in a CMake project": Shape(
        {
            "demo/__init__.py": "",
            "native/CMakeLists.txt": CMAKE
            + FIND
            + "find_package(OpenCV REQUIRED COMPONENTS core imgproc)\nadd_executable(answer main.cpp)\n"
            "target_link_libraries(answer PRIVATE torch ${OpenCV_LIBS})\ninstall(TARGETS answer DESTINATION bin)\n",
            "native/main.cpp": OPENCV_CPP,
        },
        RUN.format(package="demo", name="bin_2f_answer"),
        PROJECT + 'console-script = "answer"\n',
        needs="/usr/include/opencv4",
    ),
    "libraries with a version": Shape(
        {
            "demo/__init__.py": "",
            "native/CMakeLists.txt": CMAKE
            + FIND
            + "add_library(dep SHARED dep.cpp)\nset_target_properties(dep PROPERTIES VERSION 1.2.3 SOVERSION 1)\n"
            "add_executable(answer main.cpp)\ntarget_link_libraries(answer PRIVATE torch dep)\n"
            "install(TARGETS answer dep RUNTIME DESTINATION bin LIBRARY DESTINATION lib)\n",
            "native/main.cpp": "int dep();\n" + MAIN_CPP.replace("torch::answer()", "torch::answer() + dep()"),
            "native/dep.cpp": "int dep() { return 0; }\n",
        },
        RUN.format(package="demo", name="bin_2f_answer"),
        PROJECT + 'console-script = "answer"\n',
        ways=("wheel", "strict"),
    ),
}
