"""What installers, compilers and Python say where something is not installed, too old or too new, as data.

Each of them has a real text in ``tests/build/installs.txt``.
"""

from __future__ import annotations

from torchscript_build.build.failures import Failure

INSTALLS: tuple[Failure, ...] = (
    Failure(
        "no such torch",
        r"(?:No matching distribution found for|satisfies the requirement) (?P<name>torch\b[^\s(;]*)",
        "the index has no {name} for this Python and system: each release of torch has wheels for the Pythons of its "
        "time only, and +cpu or +cu… lie in PyTorch's own index",
        "pip index versions torch lists what there is; take one of those, another Python, or --index-url …/whl/cpu",
        "pip",
    ),
    Failure(
        "the system's Python",
        r"externally-managed-environment",
        "the distribution keeps pip out of its own Python",
        "python3 -m venv .venv && . .venv/bin/activate",
        "PEP 668",
    ),
    Failure(
        "no distutils",
        r"No module named 'distutils'",
        "Python 3.12 has no distutils any more; setuptools brings it",
        "pip install -U setuptools, or a release of the package that asks for it",
        "PEP 632",
    ),
    Failure(
        "no pkg_resources",
        r"No module named 'pkg_resources'",
        "setuptools 82 has no pkg_resources any more, and something older asks for it",
        "pip install 'setuptools<82'; torch's own cpp_extension asks for it no more from 2.4 on",
        "setuptools' history",
    ),
    Failure(
        "no compiler",
        r"error: command '?(?P<name>[\w.+/-]*(?:gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?))'? failed: No such file"
        r"|CMAKE_CXX_COMPILER not set|No CMAKE_CXX_COMPILER could be found"
        r"|(?P<other>[\w.+/-]*(?:gcc|g\+\+|clang\+\+)): (?:command )?not found",
        "there is no C++ compiler",
        "apt install g++, dnf install gcc-c++, xcode-select --install, or conda install gxx_linux-64; another one is "
        "named by CXX",
        "setuptools; CMake",
    ),
    Failure(
        "no Visual C++",
        r"Microsoft Visual C\+\+ 14\.\d+ (?:or greater )?is required|Error checking compiler version for cl\b"
        r"|Command '\['where', 'cl'\]'",
        "Visual C++ is not installed, or its variables are not set in this shell",
        'install its build tools, and build in the "x64 Native Tools" prompt',
        "torch/utils/cpp_extension.py; apex#938",
    ),
    Failure(
        "nvcc was not found",
        r"nvcc was not found\.\s+Are you sure|nvcc: (?:command )?not found|No CUDA runtime is found, using CUDA_HOME",
        "there is no CUDA toolkit where it is looked for, or the container's image has the libraries only",
        "CUDA_HOME=/usr/local/cuda and its bin on PATH; an image whose name has devel; torchscript-build doctor shows "
        "what is found",
        "torch/utils/cpp_extension.py; flash-attention#447",
    ),
    Failure(
        "another minor release of CUDA",
        r"has a minor version mismatch with the version that was used to compile PyTorch",
        "the toolkit is not of the release that torch was built with, and of the same major one",
        "nothing: it is harmless",
        "torch/utils/cpp_extension.py; flash-attention#269",
        harmless=True,
    ),
    Failure(
        "a compiler that nobody has tried",
        r"There are no \S+ version bounds defined for CUDA version",
        "torch does not know which compilers this CUDA takes, and does not look",
        "nothing, unless nvcc refuses the compiler itself",
        "torch/utils/cpp_extension.py",
        harmless=True,
    ),
    Failure(
        "libtorch was not found, and linked nevertheless",
        r"TORCH_LIBRARY-NOTFOUND|C10_LIBRARY-NOTFOUND",
        "CMake found no libtorch in the folder that it was told, and went on",
        "remove CMakeCache.txt and say cmake -DTorch_DIR=$(torchscript-build cmake-dir) …",
        "cpp-pytorch#3",
    ),
    Failure(
        "CMake 4",
        r"Compatibility with CMake < 3\.5 has been removed",
        "CMake 4 refuses what asks for a CMake older than 3.5",
        "-DCMAKE_POLICY_VERSION_MINIMUM=3.5; torchscript-build gives it to existing projects by itself",
        "#150167",
    ),
    Failure(
        "NumPy 2",
        r"module that was compiled using NumPy 1\.x cannot be run|RuntimeError: Numpy is not available",
        "this torch (before 2.3), or another module, was built for NumPy 1, and NumPy 2 is installed",
        "pip install 'numpy<2', or a torch from 2.3 on",
        "#132179",
    ),
    Failure(
        "Caffe2's own needs",
        r"Your installed Caffe2 (?:version uses|is built with) (?P<name>gflags|glog|protobuf|LMDB|OpenCV)\b",
        "this libtorch was built from source with {name}, and its CMake package wants the same again",
        "install {name}, or take torch's wheel as libtorch, which needs none",
        "DensePose#61 #20",
    ),
    Failure(
        "no Caffe2Config.cmake",
        r"package configuration file provided by\s+\"Caffe2\"",
        "TorchConfig.cmake asks for Caffe2Config.cmake beside it, and this libtorch is not whole: a build folder, or a "
        "copied part of one",
        "point Torch_DIR at an installed libtorch; best cmake -DTorch_DIR=$(torchscript-build cmake-dir) …",
        "#13432 #155512",
    ),
    Failure(
        "a libtorch for another system",
        r"ignoring file [^\n]*lib(?:torch|c10|caffe2)\w*\.(?:so|dylib|lib)\b[^\n]*(?:unsupported file format|"
        r"not the architecture|built for)",
        "this libtorch was made for another system or processor than the one that links",
        "take the archive or wheel for this system (macOS: arm64 or x86_64, the latter up to 2.2)",
        "#13678",
    ),
)
"""The more special ones stand first."""
