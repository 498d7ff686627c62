"""Thirty known pains of building against libtorch, as data: what the tools print, the cause, the cure, the reports.

The doctor names them in anybody's log, and a failing build of ours in its own. Each of them has a real text in
``tests/build/pains.txt``.
"""

from __future__ import annotations

from torchscript_build.build.failures import Failure

_SO = r"(?:\.so(?:\.\d+)*)?: cannot open shared object file|\.dylib'?.*(?:image not found|no such file)"

PAINS: tuple[Failure, ...] = (
    Failure(
        "1 two C++ ABIs",
        r"undefined (?:symbol|reference)[^\n]*(?:_ZN3c105ErrorC\dENS_14SourceLocationE(?:Ss|NSt7__cxx11)"
        r"|c10::Error::Error\(c10::SourceLocation, std::|(?:torch|c10|at)::[^\n]*std::(?:__cxx11::)?(?:basic_)?string"
        r"|_ZN\w*(?:3c10|2at|5torch)\w*(?:__cxx11|RKSs|ESs))",
        "libstdc++ has two ABIs: the library was compiled for one, libtorch for the other",
        "compile everything with libtorch's own _GLIBCXX_USE_CXX11_ABI (`torchscript-build find` prints cxx11_abi), "
        "dependencies included; torchscript-build does so by itself",
        "#13541 #19353 #65651 #102142 #152790 #148411",
    ),
    Failure(
        "2 cuDNN at configure",
        r"Caffe2 version uses cuDNN but I cannot find the cuDNN\s+libraries",
        "the stock CMake package of torch 1.13 and older insists on cuDNN, needed or not",
        "build through torchscript-build, or with -DTorch_DIR=$(torchscript-build cmake-dir): it asks for none",
        "mmdeploy#305, k2#1158, spconv#110",
    ),
    Failure(
        "3 CUDA at configure",
        r"Could NOT find CUDA \(missing:|uses CUDA but I cannot find the CUDA\s+libraries"
        r"|Caffe2: CUDA cannot be found|Failed to find nvcc|Could NOT find CUDA(?:Toolkit)? ",
        "torch's stock CMake package wants a whole CUDA toolkit, also of C++ that only links the CUDA build",
        "build through torchscript-build, or with -DTorch_DIR=$(torchscript-build cmake-dir): no toolkit is needed",
        "#73427 #64692 #23066",
    ),
    Failure(
        "4 nvToolsExt",
        r"Failed to find nvToolsExt|CUDA::nvToolsExt\b\W+(?:but )?the\s+target\s+was\s+not\s+found",
        "torch 2.1 to 2.7 ask for nvToolsExt, which newer CUDA toolkits (12.9, 13) do not have any more",
        "build through torchscript-build, whose CMake package does not ask for it; by hand: "
        "add_library(CUDA::nvToolsExt INTERFACE IMPORTED) before find_package(Torch)",
        "#116242 #133293 #139108 #152756",
    ),
    Failure(
        "25 defective archives",
        r"(?:libnvshmem_host|libcusparse|libcudss|libnvrtc-builtins)\S*(?:: cannot open shared object| => not found)"
        r"|failed to open libnvrtc-builtins|undefined reference to [`'\"]?nvshmem\w*@",
        "some published archives lack a library that their own libraries need (2.12: nvshmem, 2.9: cusparse)",
        "take the wheel as libtorch (torchscript-build fetch VERSION --with-cuda-libraries); "
        "`torchscript-build find --diagnose` lists what is missing",
        "#183971 #184336 #99781",
    ),
    Failure(
        "5 libtorch not found at start",
        rf"lib(?:c10|c10_cuda|torch|torch_cpu|torch_cuda\w*|torch_python){_SO}|Library not loaded: @rpath/libc10",
        "the program or module has no RUNPATH to libtorch's folder, and torch was not imported before it",
        "build it with torchscript-build, which sets a relative RUNPATH; in Python import torch first; to try: "
        "LD_LIBRARY_PATH=$(python -c 'import torch, os; print(os.path.dirname(torch.__file__))')/lib",
        "torchcodec#1486, scikit_build_example#159, colcon-core#639",
    ),
    Failure(
        "6 unknown operator",
        r"Unknown builtin op: (?P<name>[\w:]+)|Could not find any similar ops to (?P<other>[\w:]+)",
        "no loaded library registers {name}{other}: its library was dropped by the linker, or nobody loads it",
        "name it in the app's ops (it is then linked so that it stays), load it with --ops FILE, or in Python "
        "torch.ops.load_library; torchvision's operators need its _C library",
        "#70882 #48932 #57716 #84055 #105196, vision#2915",
    ),
    Failure(
        "7 CUDA library dropped",
        r"Cannot initialize CUDA without ATen_cuda library|lack of -Wl,--no-as-needed",
        "the linker dropped libtorch_cuda, since the program refers to none of its symbols",
        "link it with -Wl,--no-as-needed (Windows: /INCLUDE:?warp_size@cuda@at@@YAHXZ); torchscript-build does",
        "#36437 #31611 #46161 #60447 #72396 #83291",
    ),
    Failure(
        "8 kineto",
        r"kineto_LIBRARY-NOTFOUND not found",
        "torch's stock CMake package looks for a static library that no wheel has",
        "nothing: it is harmless",
        "#62588 #110259 #121668 #169182",
        harmless=True,
    ),
    Failure(
        "9 MKL",
        r"LNK1181[^\n]*mkl_|target \"caffe2::mkl\"|iJIT_NotifyEvent",
        "torch's stock CMake package links whichever MKL it finds; MKL 2024.1 does not go with older torch",
        "-DCMAKE_DISABLE_FIND_PACKAGE_MKL=ON; for iJIT_NotifyEvent: pip install 'mkl<2024.1'",
        "#105215 #118862 #123097",
    ),
    Failure(
        "10 another CUDA",
        r"detected CUDA version \((?P<have>[^)]*)\) mismatches the version that was used to compile\s+PyTorch "
        r"\((?P<want>[^)]*)\)",
        "the toolkit is CUDA {have}, torch was built with {want}; their major versions must be the same",
        "install that CUDA and set CUDA_HOME to it, or a torch for the toolkit's CUDA",
        "vllm#1060, diso#25",
    ),
    Failure(
        "11 unknown GPU architecture",
        r"nvcc fatal\s*: (?:Unsupported gpu architecture|Value '[^']*' is not defined for option 'gpu-arch)[^\n]*",
        "the list of architectures has one that this nvcc cannot compile for: too old for it, or too new",
        "set TORCH_CUDA_ARCH_LIST (or cuda-architectures) to what nvcc --list-gpu-arch names",
        "#121099 #18781 #71379 #36021",
    ),
    Failure(
        "12 two CUDA toolkits",
        r"FindCUDA says CUDA version is|Found two conflicting CUDA (?:installs|installations)|CMP0146",
        "CMake found parts of two CUDA toolkits, or a CMake without FindCUDA meets a package that uses it",
        "let CUDA_HOME, CUDACXX and CUDAToolkit_ROOT name one toolkit; build in an empty folder; for CMP0146: "
        "-DCMAKE_POLICY_DEFAULT_CMP0146=OLD",
        "#8092 #76082, vcpkg#36844, cutlass#578",
    ),
    Failure(
        "13 C++ standard",
        r"C\+\+(?:14|17|20) or later compatible compiler is required|You need C\+\+(?:14|17|20) to compile PyTorch"
        r"|C2872: 'std': ambiguous symbol|error C75(?:55|82)\b",
        "torch's headers want C++14 up to 1.13, 17 up to 2.11, 20 from 2.12 on, and 1.8 no newer one",
        "set CXX_STANDARD to that, and remove -std=… from the flags; torchscript-build takes it from libtorch",
        "#103371 #102082 #193590, pytorch_cluster#229",
    ),
    Failure(
        "14 torch hidden by isolation",
        r"ModuleNotFoundError: No module named 'torch'",
        "setup.py imports torch, and an isolated build does not see the installed one",
        "pip install --no-build-isolation, or name torch in build-system.requires; torchscript-build imports no torch",
        "#82132, setuptools#4222, exllamav2#377",
    ),
    Failure(
        "20 namespace registered twice",
        r"Only a single TORCH_LIBRARY can be used to register the namespace (?P<name>[\w-]+)",
        "{name} is registered by two libraries in one process, or one library is loaded twice from two files",
        "load one copy (the installed one, or the one in the source tree); register additions with "
        "TORCH_LIBRARY_FRAGMENT",
        "#80865, metatensor#871, kernel-builder#11",
    ),
    Failure(
        "19 two libtorches in one process",
        r"undefined reference to [`'\"]?cudaLaunchKernelExC@libcudart|(?:already loaded|loaded twice)[^\n]*libtorch",
        "Python's torch and an unpacked libtorch meet in one process or one link: different CUDA, different release",
        "build against the torch that will be imported; `torchscript-build find --diagnose` names the second one",
        "#125300 #24248",
    ),
    Failure(
        "24 Python's symbols in a program",
        r"undefined (?:symbol: |reference to [`'\"]?)_?Py[A-Z_]\w+",
        "a library with Python in it (libtorch_python, pybind) is linked into a program without Python",
        "build operator libraries without python-module and without torch/extension.h's Python part",
        "#70882",
    ),
    Failure(
        "15 made for another torch",
        r"undefined symbol: (?!_ZN3c105ErrorC)(?:_ZN?K?\w*(?:2at|3c10|5torch|6caffe2)\w+|aoti_torch_\w+|torch_\w+)",
        "the library was built for another release of torch than the one that loads it: C++ symbols change with each",
        "install the torch that it was built for, or build it anew; torchscript-build's wheels pin torch==X.Y.*",
        "sglang#36462, torch-harmonics#226, ROCm/mori#549, #187727",
    ),
    Failure(
        "16 out of memory",
        r"Killed\s+signal terminated program cc1plus|(?:cicc|cc1plus|ptxas|nvcc|cudafe\+\+)'? died due to signal 9"
        r"|internal compiler error: Killed|virtual memory exhausted|c\+\+: fatal error: Killed|^Killed$",
        "compilers of torch's headers take 1 to 8 GB each, and more of them run than the memory holds",
        "MAX_JOBS=1 (or --jobs 1), or more memory; torchscript-build starts no more than the memory allows",
        "vllm#3180, FBGEMM#5679, flashinfer#3636, #102594",
    ),
    Failure(
        "17 Debug against Release on Windows",
        r"mismatch detected for '(?:RuntimeLibrary|_ITERATOR_DEBUG_LEVEL)'|Access violation reading location"
        r"|Unhandled exception at 0x[0-9A-Fa-f]+[^\n]*(?:bad_alloc|c10::Error|std::)",
        "a Debug build uses another C++ runtime than the Release libtorch, so that strings and vectors differ",
        "build in Release or RelWithDebInfo, or take the debug archive of libtorch; copy its DLLs beside the program",
        "#54845 #15919 #14299 #83291 #104421 #40024",
    ),
    Failure(
        "18 model too new",
        r"PyTorch file with version (?P<have>\d+), but the maximum supported version for reading is (?P<can>\d+)",
        "the model's file format is {have}, this libtorch reads up to {can}",
        "use a newer libtorch, or save the model with an older torch; torchscript-build inspect MODEL says which",
        "#48915 #47243, vision#1943",
    ),
    Failure(
        "21 auditwheel and libtorch",
        r"[Cc]annot repair wheel, because required library \"?(?P<name>lib(?:torch|c10|shm|cud|nv)\S*?)\"?[ ,]",
        "auditwheel wants to put {name} into the wheel; it comes with torch, and must not be there twice",
        "auditwheel repair $(torchscript-build auditwheel-args --wheel FILE) FILE",
        "auditwheel#580 #608 #499",
    ),
    Failure(
        "22 no TorchConfig.cmake",
        r"package configuration file provided by\s+\"Torch\"|Could not find (?:a configuration file|TorchConfig\.cmake)"
        r"|TorchConfig\.cmake\s*\n?\s*torch-config\.cmake",
        "CMake was not told where Torch's package lies",
        "cmake -DTorch_DIR=$(torchscript-build cmake-dir) …",
        "#12449 #29525 #44362",
    ),
    Failure(
        "23 an older system",
        r"version [`']?(?P<name>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)'? not found|clock_gettime@GLIBC_2\.17",
        "libtorch or the program was built for a newer C or C++ library than this system has ({name})",
        "use a newer system or container, an older libtorch, or conda's compilers with a matching sysroot; "
        "in conda: conda install libstdcxx-ng",
        "#38765 #105719 #27834 #87279 #157709",
    ),
    Failure(
        "26 no CUDA_HOME",
        r"CUDA_HOME environment variable is not set",
        "torch's BuildExtension looks for a toolkit in CUDA_HOME and on PATH only, not in the nvidia-* wheels",
        "set CUDA_HOME to the toolkit; torchscript-build also finds nvcc in the nvidia-cuda-nvcc wheel",
        "#197765, TransformerEngine#1717, cuda-python#692",
    ),
    Failure(
        "27 no Ninja",
        r"Ninja is required to load C\+\+ extensions|could not find ninja|CMake was unable to find a build program "
        r"corresponding to \"Ninja\"",
        "Ninja is not there: builds fail, or compile one file at a time",
        "pip install ninja; torchscript-build asks for it by itself in isolated builds",
        "#26798 #32495 #147698",
    ),
    Failure(
        "28 another file than expected",
        r"does not match the expected (?:md5|sha256|SHA256) hash|Checksum was [0-9a-f]{32,} but wanted"
        r"|DO NOT MATCH THE HASHES|(?:SHA256|MD5) hash of[^\n]*\n[^\n]*\n\s*does not match expected value"
        r"|Hash mismatch for [`'\"]?torch",
        "the download was cut short, or the archive was replaced: libtorch's archives have no published checksums",
        "download again without a cache, and give the checksum: torchscript-build fetch --archive FILE --sha256 HEX",
        "#60288 #164347 #181056, mlverse#397",
    ),
    Failure(
        "29 another processor",
        r"skipping incompatible \S*lib(?:torch|c10)\S*|lib(?:torch|c10)\S*: (?:error adding symbols: )?[Ff]ile "
        r"(?:in wrong format|not recognized|format not recognized)|lib(?:torch|c10)\S*: (?:invalid|wrong) ELF",
        "this libtorch was made for another processor; there is no archive for aarch64",
        "take torch's aarch64 wheel as libtorch (pip install torch, on that machine); Jetson: NVIDIA's own wheel",
        "#13130 #12339 #22116 #43464, TensorRT#36",
    ),
    Failure(
        "30 conda's overlinking check",
        r"not in reqs/run, \(i\.e\. it is overlinking\)|lib(?:torch|c10)\S* not found in (?:any )?packages"
        r"|overlinking (?:check|error)",
        "the conda package links libtorch and does not require it",
        "put libtorch (and pytorch) into requirements/host, whose run_exports then require it; "
        "torchscript-build conda-recipe writes such a recipe",
        "pytorch-cpu-feedstock#202 #234 #315 #333",
    ),
)
