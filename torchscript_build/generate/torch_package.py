"""Our CMake package ``Torch`` for one libtorch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from torchscript_build.generate.flags import compiler_flags
from torchscript_build.generate.quoting import cmake_list, cmake_quote
from torchscript_build.generate.templates import FileSet, read_static, render
from torchscript_build.libtorch.facts import LibTorch

KEPT_LIBRARIES = re.compile(r"libtorch\.")
"""It needs libtorch_cuda (libtorch_hip, libtorch_xpu) where the installed torch has that, so the kernels are registered
there; nothing refers to it by a symbol."""

MAIN_LIBRARY = re.compile(r"(lib)?torch\.")
"""The one that is the target ``torch``."""

OPTIONAL_LIBRARIES = re.compile(r"lib(torch|c10)_(cuda|hip|xpu)(_cu|_cpp|_linalg)?\.")
"""What only a build for that accelerator has: code that refers to none of it runs with the CPU build, too."""

STATE_OR_FOLDER = ("-L", "-Wl,--push-state", "-Wl,--allow-shlib-undefined", "/INCLUDE:")
"""Of the words for a linker, those that a build tool which links libraries as files needs besides."""


def render_torch_package(libtorch: LibTorch, *, folder: str = "", header_root: Optional[Path] = None) -> FileSet:
    """Our CMake package ``Torch`` for one libtorch.

    :param header_root: a link to libtorch, by which compilers shall know its headers.
    """
    linux = libtorch.platform.startswith("linux")
    kept: Sequence[Path] = ()
    optional: Sequence[Path] = ()
    link_options = []
    if linux:
        kept = [p for p in libtorch.libraries if KEPT_LIBRARIES.match(p.name)]
    if linux and libtorch.backend != "cpu":
        optional = [p for p in libtorch.libraries if OPTIONAL_LIBRARIES.match(p.name)]
        # What libtorch's own libraries need (cudart, cublas, …) is found by their own RPATH when the program starts.
        # Not --unresolved-symbols=ignore-in-shared-libs: with that, GNU ld reports the undefined symbols of a shared
        # library's own objects, too, and Python's are undefined in every extension module.
        link_options.append("LINKER:--allow-shlib-undefined")
    elif libtorch.platform == "win32" and libtorch.backend == "cuda":
        link_options.append("LINKER:/INCLUDE:?warp_size@cuda@at@@YAHXZ")
    cuda = [p for p in libtorch.libraries if "cuda" in p.name]
    main = next((p for p in libtorch.libraries if MAIN_LIBRARY.match(p.name)), None)
    abi = "" if libtorch.cxx11_abi is None else str(int(libtorch.cxx11_abi))
    include_dirs = libtorch.include_dirs
    compile_options = []
    if header_root not in (None, libtorch.root):
        include_dirs = tuple(_below(header_root, d, libtorch.root) for d in include_dirs)
        # Otherwise GCC calls a system header by its real path where that is shorter.
        compile_options.append("$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-canonical-system-headers>")
    flags = compiler_flags(libtorch)
    config = render(
        "cmake/TorchConfig.cmake",
        prefix=cmake_quote(libtorch.root.as_posix()),
        version=cmake_quote(libtorch.version),
        description=cmake_quote(describe(libtorch)),
        cxx_standard=cmake_quote(str(libtorch.cxx_standard)),
        abi_flag=cmake_quote(abi),
        include_dirs=cmake_list(include_dirs),
        header_root=cmake_quote((header_root or libtorch.root).as_posix()),
        compile_options=cmake_list(compile_options),
        library_dir=cmake_list(libtorch.library_dirs[:1]),
        main_library=cmake_list([main] if main else []),
        libraries=cmake_list(p for p in libtorch.libraries if p not in (main, *optional)),
        kept_libraries=cmake_quote(_in_state("--no-as-needed", kept)),
        optional_libraries=cmake_quote(_in_state("--as-needed", optional)),
        cuda_libraries=cmake_list(cuda),
        python_library=cmake_list([libtorch.python_library] if libtorch.python_library else []),
        cuda_version=cmake_quote(libtorch.cuda_version or ""),
        link_options=cmake_list(link_options),
        link_words=cmake_list(word for word in flags.libs if word.startswith(STATE_OR_FOLDER)),
        standard_option=cmake_quote(flags.cflags[0]),
        library_names=cmake_list(library_names(libtorch)),
    )
    return {
        f"{folder}TorchConfig.cmake": config,
        f"{folder}TorchConfigVersion.cmake": render(
            "cmake/TorchConfigVersion.cmake", version=cmake_quote(libtorch.version)
        ),
        f"{folder}Caffe2Config.cmake": read_static("cmake/Caffe2Config.cmake"),
        **{
            f"{folder}TorchScriptBuild{part}.cmake": read_static(f"cmake/TorchScriptBuild{part}.cmake")
            for part in ("Found", "Install", "Torch")
        },
    }


def describe(libtorch: LibTorch) -> str:
    """A libtorch in a few words: ``2.13.0 (CUDA 13.0, new C++ ABI)``."""
    backend = {"cpu": "CPU", "cuda": "CUDA", "rocm": "ROCm", "xpu": "XPU"}.get(libtorch.backend, libtorch.backend)
    words = [f"{backend} {libtorch.cuda_version}" if libtorch.cuda_version else backend]
    if libtorch.cxx11_abi is not None:
        words.append(f"{'new' if libtorch.cxx11_abi else 'old'} C++ ABI")
    return f"{libtorch.version} ({', '.join(words)})"


def library_names(libtorch: LibTorch) -> list[str]:
    """The names of its libraries as CMake's targets have them, without ``torch`` itself."""
    files = [*libtorch.libraries, *filter(None, [libtorch.python_library])]
    names = [p.name.partition(".")[0].removeprefix("lib") for p in files]
    return [name for name in dict.fromkeys(names) if name != "torch"]


def _in_state(option: str, libraries: Sequence[Path]) -> str:
    """Libraries as one linker argument, with an option for them alone."""
    words = " ".join(shlex.quote(p.as_posix()) for p in libraries)
    return f"-Wl,--push-state,{option} {words} -Wl,--pop-state" if libraries else ""


def _below(root: Path, path: Path, old_root: Path) -> Path:
    """A path in one folder as it is called in another; paths elsewhere stay."""
    return root / path.relative_to(old_root) if old_root in path.parents else path
