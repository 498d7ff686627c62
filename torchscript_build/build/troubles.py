"""What torch, Python and loaders say of a model or a library that does not load or run, as data: cause and cure.

The doctor names them in anybody's log, beside the pains of building. Each of them has a real text in
``tests/build/troubles.txt``.
"""

from __future__ import annotations

from torchscript_build.build.failures import Failure

TROUBLES: tuple[Failure, ...] = (
    Failure(
        "not implemented for this device",
        r"Could not run '(?P<name>[\w:.]+)' with arguments from the '(?P<device>\w+)' backend",
        "{name} has no kernel for {device}: the library was built without it, or its part for {device} is not loaded",
        "build the library that registers {name} with CUDA sources against a CUDA build of torch, or run on the CPU",
        "torch/library.h; vision#3058",
    ),
    Failure(
        "tensors on two devices",
        r"Expected all tensors to be on the same device, but (?:found at least two devices,|got \w+ is on) "
        r"(?P<one>[\w:]+),? (?:and|different from other tensors on) (?P<two>[\w:]+)",
        "one tensor is on {one} and another on {two}: an input was not moved, or tracing wrote a device into the code",
        "torchscript-build inspect MODEL names baked-in devices; create tensors with device=x.device and export again",
        "#12995",
    ),
    Failure(
        "no kernel for this GPU",
        r"no kernel image is available for execution on the device",
        "the library, or torch itself, was not compiled for this GPU's architecture",
        "torchscript-build find shows libtorch's architectures; name this GPU's in cuda-architectures, or take a torch "
        "that has it",
        "#31285",
    ),
    Failure(
        "no TorchScript archive",
        r"PytorchStreamReader failed locating file (?:constants\.pkl|code/|version)"
        r"|\. file not found: [\w./-]*constants\.pkl",
        "the file is no TorchScript archive: torch.save of a model or of its weights, or a .pt2 package",
        "torchscript-build inspect FILE says what it is; write it with torch.jit.save(torch.jit.script(model), FILE)",
        "#47917",
    ),
    Failure(
        "a damaged model file",
        r"PytorchStreamReader failed (?:reading zip archive|reading file)",
        "the file is cut short, or no zip archive: an interrupted download, or a pointer of Git LFS",
        "look at its size and beginning (head -c 100 FILE); git lfs pull, or download it again",
        "#31620",
    ),
    Failure(
        "cuDNN's helper libraries",
        r"Could not load library libcudnn\w*\.so[.\d]*\. Error: (?P<name>\S+):",
        "cuDNN loads {name} by name, and the loader does not find it",
        "install the CUDA that torch was built with as wheels (they come with torch), or name its folder in "
        "LD_LIBRARY_PATH",
        "#88869",
    ),
    Failure(
        "cuDNN at run time",
        r"lib(?:cudnn|cublas|cufft|curand|cusolver|nccl|nvrtc|cudart|cupti)\w*\.so(?:\.\d+)*: cannot open shared",
        "one of CUDA's libraries, which the torch wheel has beside it in nvidia/*/lib, is not found",
        "import torch first, or build with torchscript-build, whose RUNPATH has these folders; else "
        "pip install --force-reinstall torch",
        "#119131 #88869",
    ),
    Failure(
        "wrong argument type",
        r"Expected a value of type '(?P<wanted>[^'\n]+)' for argument '(?P<name>\w+)' but instead found type "
        r"'(?P<found>[^'\n]+)'",
        "the method wants {wanted} for {name} and was given {found}",
        "torchscript-build inspect MODEL prints the methods with their schemas",
        "aten/src/ATen/core/function_schema_inl.h",
    ),
    Failure(
        "TorchScript lacks it",
        r"(?:NotSupportedError|UnsupportedNodeError): (?P<what>[^\n]{1,200}?):?\s*$",
        "torch.jit.script knows a part of Python only: {what}",
        'rewrite that line, mark the method @torch.jit.ignore or @torch.jit.unused, or say method = "trace"',
        "torch/jit/frontend.py",
    ),
    Failure(
        "a DLL is missing",
        r"(?:WinError 126|specified module could not be found)[^\n]*torch",
        "Windows does not find a library that torch's own need, mostly the Visual C++ runtime",
        "install the Visual C++ redistributable (vc_redist.x64.exe), or a torch for this Python",
        "#166628",
    ),
    Failure(
        "a library of torch is missing at link",
        r"LNK1181: cannot open input file '(?P<name>(?:torch|c10)\w*\.lib)'|cannot find -l(?P<unix>torch\w*|c10\w*)",
        "the linker was not told where libtorch's libraries lie ({name}{unix})",
        "take folders and names from torchscript-build flags --libs, or find_package(Torch)",
        "#12012",
    ),
    Failure(
        "a tuple is no tensor",
        r"INTERNAL ASSERT FAILED[^\n]*Expected (?P<wanted>\w+) but got (?P<found>\w+)",
        "the C++ code takes the result for a {wanted}, and it is a {found}",
        "torchscript-build inspect MODEL shows what the method returns; in C++ output.toTuple()->elements()",
        "aten/src/ATen/core/ivalue_inl.h",
    ),
    Failure(
        "no wheel command",
        r"invalid command 'bdist_wheel'",
        "setuptools before 70.1 needs the package wheel to make wheels",
        "pip install -U setuptools wheel",
        "wheel#615",
    ),
    Failure(
        "GPU memory",
        r"CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED",
        "the GPU's memory is full: by this program, or by others on the same GPU",
        "nvidia-smi lists who holds it; smaller inputs, or torch.no_grad() in Python (c10::InferenceMode in C++)",
        "#16417",
    ),
    Failure(
        "a newer C++ library at link",
        r"undefined reference to [^\n]*@(?P<name>(?:GLIBCXX|CXXABI|GLIBC)_[\d.]+)",
        "libtorch was built with a newer compiler than links here: this system's C++ library lacks {name}",
        "use a newer GCC (set CXX), or an older libtorch; in conda: conda install gxx_linux-64",
        "#105719",
    ),
    Failure(
        "saved on a GPU",
        r"Attempting to deserialize object on a CUDA device but torch\.cuda\.is_available\(\) is False",
        "the file's tensors are on a GPU, and here is none, or a torch without CUDA",
        "torch.load(FILE, map_location='cpu'); torch::jit::load(file, torch::kCPU)",
        "torch/serialization.py",
    ),
    Failure(
        "static TLS",
        r"cannot allocate memory in static TLS block",
        "a library with thread-local variables was loaded too late, after the room for them was used up",
        "import torch before everything else, or start with LD_PRELOAD=the library that the message names",
        "#2575",
    ),
    Failure(
        "two OpenMPs",
        r"OMP: Error #15: Initializing (?P<name>\S+),",
        "two copies of OpenMP's runtime are in one process ({name}): torch's and another package's",
        "take torch and numpy (mkl) from one source, conda or pip; KMP_DUPLICATE_LIB_OK=TRUE only hides it",
        "#44282",
    ),
    Failure(
        "too new a compiler for nvcc",
        r"unsupported GNU version! gcc versions later than (?P<version>\d+) are not supported"
        r"|unsupported (?:clang|Microsoft Visual Studio) version",
        "nvcc takes host compilers up to a certain version only ({version})",
        "install an older one and name it: CUDAHOSTCXX=g++-{version} (torchscript-build: CXX), or take a newer CUDA",
        "cuda/include/crt/host_config.h",
    ),
    Failure(
        "nvcc and GCC's headers",
        r"std_function\.h:\d+:\d+: error: parameter packs not expanded",
        "nvcc of CUDA 11.7 and older cannot read the headers of GCC 11 and newer",
        "CXX=g++-10, or a newer CUDA toolkit",
        "gcc bug 102823",
    ),
    Failure(
        "operator defined twice",
        r"Tried to register an operator \((?P<name>[\w:]+)[^\n]*with the same name and overload name multiple times",
        "{name} is defined twice: in two libraries, or one library is loaded twice",
        "load it once (the installed one, or the one in the source tree); define it in one place, implement in others",
        "aten/src/ATen/core/dispatch/Dispatcher.cpp",
    ),
    Failure(
        "no module function",
        r"dynamic module does not define (?:module export function|init function) \((?P<name>\w+)\)",
        "Python looks for {name} in the file, which has it under another name or not at all",
        "PYBIND11_MODULE must have the file's name; an operator library is loaded with torch.ops.load_library, not "
        "imported",
        "Python/importdl.c",
    ),
    Failure(
        "weights only",
        r"Weights only load failed",
        "from 2.6 on torch.load reads tensors only, and this file has other objects, or is a TorchScript archive",
        "torchscript-build inspect FILE says what it is: torch.jit.load for TorchScript; weights_only=False if you "
        "trust it",
        "torch/serialization.py",
    ),
    Failure(
        "no such method",
        r"Method '(?P<name>\w+)' is not defined",
        "the archive has no method {name}: nothing was exported under that name",
        "torchscript-build inspect MODEL lists the methods; export others with @torch.jit.export",
        "torch/csrc/jit/api/object.h",
    ),
    Failure(
        "an operator's library is not loaded",
        r"'_OpNamespace' '(?P<name>\w+)' object has no attribute '(?P<operator>\w+)'",
        "no loaded library registers {name}::{operator}",
        "import the package that loads the library, or torch.ops.load_library(FILE), before the operator is used",
        "torch/_ops.py",
    ),
    Failure(
        "two C++ runtimes",
        r"(?:free|munmap_chunk|realloc)\(\): invalid (?:pointer|size)",
        "something in the process is there twice: a program or library with a libstdc++ of its own beside libtorch's, "
        "two libtorches, or code that was compiled for another libtorch",
        "link without -static-libstdc++, with a compiler that has libstdc++.so (CXX=/usr/bin/g++); ldd FILE shows the "
        "libraries, torchscript-build check-wheel FILE looks for all three",
        "gcc.gnu.org/onlinedocs/libstdc++, FAQ",
    ),
    Failure(
        "no model file",
        r"open file failed[^\n]*file path: ?(?P<name>\S*)",
        "libtorch cannot open the model file {name}: it is not there, seen from the folder in which the program runs, "
        "may not be read, or its name has letters that this system's code page lacks",
        "give the whole path; ls -l shows whether it is there",
        "caffe2/serialize/file_adapter.cc; #195283",
    ),
    Failure(
        "a class that nobody registers",
        r"Tried to instantiate class '(?P<name>[\w.]+)', but it does not exist|Unknown type name "
        r"'__torch__\.torch\.classes\.(?P<other>[\w.]+)'",
        "no loaded library registers the class {name}{other}",
        "load the library that has it before the model: ops = […] of the app, --ops FILE, or in Python "
        "torch.classes.load_library(FILE)",
        "torch/custom_class.h",
    ),
    Failure(
        "operators of mobile builds",
        r"Couldn't find an operator for (?P<name>[\w:]+)|Following ops cannot be found",
        "this libtorch was built for phones, with some of the operators only, or without their registration",
        "build it with the model's operators (torch.jit.export_opnames lists them), or take the whole libtorch; static "
        "libraries are linked with -Wl,--whole-archive (-force_load on Apple's systems)",
        "torch/csrc/jit/mobile/function.cpp; #44698 #80005",
    ),
    Failure(
        "operators of a static libtorch",
        r"what\(\):\s+unknown builtin op:",
        "the linker dropped the files that register operators, since nothing refers to them: libtorch is static",
        "link it with -Wl,--whole-archive, or take the shared libtorch",
        "#17984",
    ),
    Failure(
        "no such model in a .pt2",
        r"Failed to find a generated cpp file or so file for model '(?P<name>[^'\n]*)'",
        "the package has no compiled model {name}: torch.export.save writes a program that is not compiled, or the "
        "model has another name in it",
        "torchscript-build inspect FILE.pt2 says what is in it; compile with torch._inductor.aoti_compile_and_package "
        '(method = "aoti")',
        "torch/csrc/inductor/aoti_package/model_package_loader.cpp; #172004",
    ),
    Failure(
        "a processor without the instructions",
        r"^(?:\S+: line \d+: +\d+ )?Illegal instruction",
        "the program or the .pt2 was compiled for a newer processor than this one",
        'export the .pt2 again with cpu = "x86-64-v3" (or "x86-64"), and compile without -march=native',
        "#121516",
    ),
    Failure(
        "CPU torch, GPU wanted",
        r"Torch not compiled with CUDA enabled",
        "this torch is the CPU build",
        "install a CUDA build: pip install torch --index-url …/whl/cu130; or do not ask for cuda",
        "torch/cuda/__init__.py",
    ),
    Failure(
        "too old a driver",
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient",
        "the GPU's driver is older than this torch's CUDA needs",
        "update the driver (nvidia-smi shows its CUDA), or take a torch for an older CUDA",
        "c10/cuda/CUDAFunctions.cpp",
    ),
    Failure(
        "shapes that do not fit",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<shapes>[^)\n]*)\)|size mismatch, m1: |"
        r"Given groups=\d+, weight of size (?P<weight>\[[^\]\n]*\]), expected input",
        "an input has another size than the layer wants ({shapes}{weight})",
        "give example-inputs (or --input) of the model's own shape; torchscript-build inspect MODEL --html FILE shows "
        "the sizes of its parameters",
        "aten/src/ATen/native",
    ),
    Failure(
        "types that do not fit",
        r"expected scalar type (?P<wanted>\w+) but found (?P<found>\w+)|expected m1 and m2 to have the same dtype"
        r"|mat1 and mat2 must have the same dtype",
        "tensors of two types meet: an input is not of the model's type",
        "convert the input: x.to(torch.float32) in Python, to(at::kFloat) in C++, --input ones:1x3:float32",
        "aten/src/ATen/native",
    ),
    Failure(
        "pickled by name",
        r"Can't get attribute '(?P<name>\w+)' on <module|Can't pickle <class '(?P<other>[\w.]+)'>",
        "torch.save(model) writes the name of its class only ({name}{other}), and it is not found under it here",
        "save the weights (model.state_dict()) and make the model by its class, or export it: torch.jit.save",
        "torch/serialization.py",
    ),
    Failure(
        "torch was not imported first",
        r"undefined symbol: _?THPVariableClass|Symbol not found: _THPVariableClass",
        "the module uses torch's Python library, which is loaded by import torch only",
        "import torch before the module, best in the package's own __init__.py",
        "extension-cpp#6",
    ),
    Failure(
        "TH is gone",
        r"undefined symbol: _?THC?(?:Error|Tensor|State|Storage|Cuda|Float|Long|_)\w*",
        "the library was built from sources for TH or THC, which went with torch 1.11",
        "port it to ATen, or build it against the torch that it was written for",
        "#27961; the release notes of 1.11",
    ),
    Failure(
        "another torch on macOS",
        r"[Ss]ymbol not found(?: in flat namespace)?:? ?[('\"]*_?_ZN?K?\w*(?:2at|3c10|5torch)",
        "the library was built for another release of torch than the one that loads it, or torch was not imported",
        "import torch first; build it anew against the installed torch",
        "#84339, mmcv#3161",
    ),
    Failure(
        "Python's symbols on macOS",
        r"[Ss]ymbol not found(?: in flat namespace)?:? ?[('\"]*_Py[A-Z_]\w+",
        "a library with Python in it (libtorch_python) is linked into a program without Python",
        "link libtorch, libtorch_cpu and libc10 only",
        "libtorch-mac-m1#9, #102267",
    ),
    Failure(
        "OpenMP on macOS",
        r"Library not loaded: @rpath/libi?omp5?\.dylib",
        "torch's libraries look for OpenMP beside them, and this copy of libtorch lacks it",
        "take the wheel as libtorch (it has libomp.dylib), or brew install libomp",
        "javacpp-presets#1729",
    ),
    Failure(
        "an argument is missing",
        r"(?P<method>\w+)\(\) is missing value for argument '(?P<name>\w+)'",
        "{method} was called without its argument {name}",
        "torchscript-build inspect MODEL prints the methods with their schemas",
        "aten/src/ATen/core/function_schema_inl.h",
    ),
    Failure(
        "an operator library that does not load",
        r"Could not load this library: (?P<name>\S+)",
        "torch.ops.load_library cannot load {name}: the error above it in the log says why",
        "ldd {name} lists what it needs; torchscript-build check-wheel FILE looks at a whole wheel",
        "torch/_ops.py",
    ),
    Failure(
        "an operator that is not there",
        r"operator (?P<name>[\w:]+) does not exist",
        "no loaded library registers {name}: its library was made for another torch and is passed over, or nobody "
        "loads it",
        "install the release of its package that belongs to this torch (torchvision's notes have a table), or build it "
        "anew",
        "torch/library.py; #157524",
    ),
    Failure(
        "a model's own code failed",
        r"The following operation failed in the TorchScript interpreter",
        "a line of the model failed on these inputs: the last RuntimeError below says why, the last <--- HERE where",
        "compare the inputs with what torchscript-build inspect MODEL says of methods, shapes and devices",
        "torch/csrc/jit/runtime/interpreter.cpp; ultralytics#7744",
    ),
    Failure(
        "a library is not found",
        r"(?P<name>lib(?!torch(?:_\w+)?\.|c10|shm|cu[dpbfrs]|nccl|nv)[\w.+-]+\.so[.\d]*): cannot open shared object",
        "the loader finds {name} in none of its folders, and the file that needs it has no RUNPATH to it",
        "install the package that has it (apt-file search {name}), or name its folder in LD_LIBRARY_PATH to try; "
        "ldd FILE lists all that are missing",
        "the dynamic linker",
    ),
)
"""The more special ones stand first."""
