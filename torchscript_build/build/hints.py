"""What compilers and linkers say of sources that use torch, as data: the cause in the project's own words, and a cure.

The first line of a log that one of these knows is the one that counts; more special patterns stand before general ones.
"""

from __future__ import annotations

from torchscript_build.build.failures import Failure

_NO_FILE = r"(?:No such file or directory|file not found|Cannot open include file)"


def _missing(header: str) -> str:
    """A pattern for a header that a compiler does not find: GCC's, Clang's and Microsoft's words."""
    return (
        rf"(?:fatal )?error(?: C1083)?: (?:'|Cannot open include file: ')?(?P<header>{header})'?: {_NO_FILE}"
        rf"|fatal error: '(?P<header2>{header})' file not found"
    )


HINTS: tuple[Failure, ...] = (
    Failure(
        "CUDA header, CPU libtorch",
        _missing(r"(?:cuda(?:_runtime|_runtime_api|_fp16|_bf16)?|cublas\w*|cusparse|cusolver\w*|curand\w*|cudnn)\.h"),
        "this libtorch has no CUDA, and a source includes a CUDA header (as those in ATen/cuda do)",
        "use a CUDA build of torch, or keep the include behind #ifdef WITH_CUDA",
        "CPU wheels have ATen/cuda headers, but not CUDA's own",
        backend="cpu",
    ),
    Failure(
        "CUDA header, no toolkit",
        _missing(r"(?:cuda(?:_runtime|_runtime_api|_fp16|_bf16)?|cublas\w*|cusparse|cusolver\w*|curand\w*|cudnn)\.h"),
        "a C++ source includes a header of the CUDA toolkit, and none is searched for without a .cu source",
        "name the toolkit's include folder in include-dirs, or move the code into a .cu source",
        "ATen/cuda/CUDAContext.h includes cuda_runtime_api.h",
        backend="cuda",
    ),
    Failure(
        "C++ standard",
        r"#error \"?(?:You need )?C\+\+(?P<standard>\d\d)",
        "torch's headers are written in C++{standard}, and the compiler was told an older standard",
        "remove -std=… from cxx-options, and CMAKE_CXX_STANDARD from CMake's arguments: libtorch gives the standard",
        "c10/util/C++17.h; torch/csrc/api/include/torch/all.h",
    ),
    Failure(
        "C++20 headers",
        r"error: '(?:std::)?(?:span|ranges|remove_cvref_t|same_as|convertible_to)'.*(?:not a member|not declared)"
        r"|'(?:concept|requires)' (?:does not name a type|only available with)",
        "torch's headers are written in C++20 from 2.12 on, and the compiler was told an older standard, or is too old",
        "remove -std=… from cxx-options, or take GCC 11.3, Clang 10 or newer (set CXX)",
        "torch 2.12's TorchConfig.cmake; #193590",
    ),
    Failure(
        "Python.h",
        _missing(r"Python\.h"),
        "Python's headers are not there, or this target was not said to be a Python module",
        "say python-module = true for a Python module; install the headers: apt install python3-dev, dnf install "
        "python3-devel; a library that only registers operators needs torch/library.h, and no torch/extension.h",
        "torch/extension.h includes Python.h",
    ),
    Failure(
        "pybind11",
        _missing(r"pybind11/[\w./]+"),
        "pybind11's headers come with torch and are reached through torch/extension.h only",
        "include <torch/extension.h> instead, and say python-module = true",
        "torch/include/pybind11",
    ),
    Failure(
        "c10::optional",
        r"(?:no (?:template|member|type) named|has no member) ['‘\"](?:optional|nullopt|make_optional|string_view)"
        r"['’\"](?: in namespace 'c10')?(?=[^\n]*(?:c10|$))"
        r"|['‘](?P<name>optional|nullopt|string_view)['’] (?:is not a member of|in namespace) ['‘](?:c10|at|torch)['’]",
        "c10::optional and c10::nullopt were other names of std::optional and std::nullopt, and went with torch 2.7 to "
        "2.9",
        "write std::optional, std::nullopt and std::string_view, and include <optional>",
        "sglang#6516; #150464",
    ),
    Failure(
        "std::optional before C++17",
        r"['‘](?:optional|nullopt|string_view|variant|is_same_v)['’]:? is not a member of ['‘]std['’]"
        r"|no (?:template|member) named '(?:optional|nullopt|string_view|is_same_v)' in namespace 'std'",
        "the source is written in C++17, and the compiler was told an older standard, or <optional> is not included",
        "include <optional>; remove -std=… from the flags, or say -std=c++17 (torch before 2.0 asked for 14)",
        "pytorch_scatter#478",
    ),
    Failure(
        "nvcc and Optional.h",
        r"Optional\.h\(\d+\): error: no instance of constructor \"c10::optional",
        "nvcc of CUDA 11.0 and older cannot read these headers of torch",
        "a newer CUDA toolkit of the same major version, or an older torch",
        "sgmse#17",
    ),
    Failure(
        "libtorch is not linked on Windows",
        r"(?:LNK20(?:01|19)|LNK2001)[^\n]*(?:@c10@@|@at@@|@torch@@)",
        "the linker was not given torch.lib, torch_cpu.lib and c10.lib (torch_cuda.lib of a CUDA build), or those of "
        "another release or of the other of Debug and Release",
        "take folders and names from torchscript-build flags --libs, or find_package(Torch)",
        "#33039 #76957 #46318",
    ),
    Failure(
        "libtorch is not linked on macOS",
        r"Undefined symbols for architecture \w+:\n +\"(?:torch|c10|at)::",
        "the linker was not given libtorch, libtorch_cpu and libc10, or those for another processor",
        "take folders and names from torchscript-build flags --libs, or find_package(Torch)",
        "#13678",
    ),
    Failure(
        "a loader without the library",
        r"undefined reference to [`'\"]?(?:torch::(?:jit::|Library)|c10::\w+Type::|at::(?:_ops::|Tensor::))"
        r"(?![^\n]*string)",
        "the linker was not given libtorch_cpu and libc10, or they stand before what needs them, or are of another "
        "release than the headers",
        "-ltorch -ltorch_cpu -lc10 after the objects; torchscript-build flags --libs prints the whole line",
        "#120888 #39718 #14266",
    ),
    Failure(
        "RegisterOperators",
        r"no matching function for call to ['‘]torch::jit::RegisterOperators::RegisterOperators",
        "operators were registered by torch::jit::RegisterOperators in releases before 1.5",
        'write TORCH_LIBRARY(my_ops, m) {{ m.def("name(Tensor x) -> Tensor", &function); }}',
        "extension-script#6; torch/library.h",
    ),
    Failure(
        "lean headers",
        r"error: (?:no (?:member|type) named )?['‘](?:torch::)?(?P<name>nn|optim|data|jit|autograd|serialize)['’]"
        r".*(?:torch|not been declared|not a (?:member|namespace|class))",
        "the lean form of torch/torch.h or torch/extension.h leaves out torch::{name}",
        "say lean-headers = false for the library, or include the header that has it",
        "templates/ops/lean",
    ),
    Failure(
        "operator's header",
        r"error: (?:no member named )?['‘](?P<name>\w+)['’] (?:is not a member of|in namespace) ['‘](?:at|torch)['’]",
        "no header that was included declares at::{name} (torch::{name}): each operator has a header of its own, and "
        "newer releases have operators and names that older ones lack",
        "include <ATen/ops/{name}.h>; if this libtorch has no such file, a newer one is needed (libtorch-version)",
        "ATen/ops in torch's include folder",
    ),
    Failure(
        "removed header",
        _missing(r"(?:THC?/[\w./]+)"),
        "the headers of TH and THC went with torch 1.11",
        "use ATen: at::Tensor, c10::cuda::getCurrentCUDAStream(), C10_CUDA_CHECK; or an older torch "
        '(libtorch-version = "<1.11")',
        "pytorch#69041 and the release notes of 1.11",
    ),
    Failure(
        "AT_CHECK",
        r"['‘]AT_CHECK['’] (?:was not declared|is not declared)|undeclared identifier 'AT_CHECK'",
        "AT_CHECK was removed from torch",
        "write TORCH_CHECK(condition, message…)",
        "the release notes of 1.5",
    ),
    Failure(
        "type() in a dispatch",
        r"cannot convert .*DeprecatedTypeProperties.* to .*ScalarType"
        r"|no (?:viable|suitable) conversion from .*DeprecatedTypeProperties",
        "AT_DISPATCH_… takes a scalar type, and tensor.type() is none any more",
        "write AT_DISPATCH_FLOATING_TYPES(tensor.scalar_type(), …)",
        "ATen/Dispatch.h since 1.3; many older extensions",
    ),
    Failure(
        "TORCH_LIBRARY unknown",
        r"expected constructor, destructor, or type conversion before ['‘]\(['’].*\n.*TORCH_LIBRARY"
        r"|['‘]TORCH_LIBRARY\w*['’] (?:was not|has not been) declared|a type specifier is required.*\n.*TORCH_LIB",
        "TORCH_LIBRARY is a macro, and no header that was included defines it",
        "include <torch/library.h>",
        "torch/library.h",
    ),
    Failure(
        "torch's headers",
        _missing(r"(?:torch|ATen|c10)/[\w./]+"),
        "{header}{header2} is not among this libtorch's headers: another release has it, or its name is misspelt",
        "look into its include folder (torchscript-build find prints include_dirs), or ask for another release "
        "(libtorch-version)",
        "torch's include folder",
    ),
    Failure(
        "OpenCV's headers",
        _missing(r"opencv2/[\w./]+"),
        "find-packages finds OpenCV, but only what is named in link-libraries gives a target its headers",
        'find-packages = ["OpenCV COMPONENTS core imgproc"], link-libraries = ["opencv_core", "opencv_imgproc"]; '
        "apt install libopencv-dev",
        "OpenCVConfig.cmake",
    ),
    Failure(
        "another header",
        _missing(r"[\w./+-]+"),
        "no include folder has {header}{header2}",
        "name its folder in include-dirs, or its package in find-packages and link-libraries",
        "GCC, Clang and Microsoft's compiler",
    ),
    Failure(
        "CUDA symbols, CPU libtorch",
        r"undefined reference to [`']?(?:c10::cuda::|at::cuda::|torch::cuda::\w+Stream|cuda[A-Z]\w+)",
        "this libtorch has no CUDA, and the sources call it",
        "use a CUDA build of torch, or keep the calls behind #ifdef WITH_CUDA",
        "libtorch_cuda and libc10_cuda are part of CUDA builds only",
        backend="cpu",
    ),
    Failure(
        "OpenCV's symbols",
        r"undefined reference to [`']?cv::",
        "OpenCV's headers were found, and its libraries are not linked",
        'link-libraries = ["opencv_core", "opencv_imgproc", "opencv_imgcodecs"]: name what the sources use',
        "OpenCVConfig.cmake",
    ),
    Failure(
        "position-independent code",
        r"relocation R_X86_64_\w+ against .*(?:can ?not be used when making a shared object|recompile with -fPIC)",
        "a static library that was compiled without -fPIC is linked into a shared one",
        "compile that library with -fPIC (-DCMAKE_POSITION_INDEPENDENT_CODE=ON), or link its shared form",
        "the ELF linker",
    ),
    Failure(
        "library not found",
        r"(?:cannot find -l|library not found for -l|unable to find library -l)(?P<name>[\w.+-]+)",
        "the linker finds no library {name}",
        "name its folder in link-dirs, or install the development package that has lib{name}.so",
        "the linker",
    ),
    Failure(
        "undefined main",
        r"undefined reference to [`']?main\b",
        "an app needs a source with main(), and none of its sources has one",
        "add it to sources, or declare the library under [[tool.torchscript-build.ops]]",
        "crt1.o",
    ),
    Failure(
        "disk full",
        r"[Nn]o space left on device",
        "the disk is full; torch's headers make large object files, and a CUDA torch takes several gigabytes",
        "make room (torchscript-build cache clean; pip cache purge), or let TMPDIR and the build folder lie elsewhere",
        "the operating system",
    ),
    Failure(
        "our own: no libtorch",
        r"^error: no usable libtorch found",
        "no place that was looked in holds a libtorch that meets the requirements; the table below it has the reasons",
        "torchscript-build doctor",
        "torchscript-build",
    ),
    Failure(
        "our own: settings",
        r"^error(?: in \S* ?setup command)?: \d+ problems? in the settings",
        "the project's settings are wrong; each problem is listed below it",
        "torchscript-build schema prints what there is",
        "torchscript-build",
    ),
    Failure(
        "our own: nothing declared",
        r"^error: (?:nothing to build is declared|models are declared, and no app)",
        "the command of torchscript-build found nothing that it builds",
        "declare an [[tool.torchscript-build.app]], or go to the folder of the project that has one",
        "torchscript-build",
    ),
    Failure(
        "setuptools' warning of a keyword",
        r"Unknown distribution option: '(?P<name>ts_\w+)'",
        "torchscript-build is not installed in the environment that builds, or {name} is misspelt",
        "name it in build-system.requires in pyproject.toml; the keywords are ts_models, ts_ops, ts_apps, "
        "ts_cmake, ts_c_libraries",
        "setuptools",
    ),
)
