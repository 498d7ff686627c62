"""A libtorch of three tiny libraries, really compiled, in the shapes of the wheels; and a torch that only exports."""

from __future__ import annotations

import shutil
from pathlib import Path

from children import run_child
from support import write

FAKE_VERSION = "2.13.0"
C10 = """\
#include <string>
namespace c10 {
struct SourceLocation { const char* function; const char* file; unsigned line; };
class Error { public: Error(SourceLocation, std::string); };
Error::Error(SourceLocation, std::string) {}
const char* origin() { return "fake c10"; }
}
"""
TORCH_CPU = """\
namespace c10 { const char* origin(); }
namespace torch { int answer() { return c10::origin()[0] == 'f' ? 42 : 0; } }
"""
SCRIPT_H = "#pragma once\nnamespace torch { int answer(); }\n"

STAND_IN_TORCH = """\
import zipfile
__version__ = "2.13.0+cpu"
def manual_seed(seed): print("seed", seed)
def no_grad():
    import contextlib
    return contextlib.nullcontext()
class nn:
    class Module:
        code = "def forward(self): pass"
        def eval(self): return self
        def named_parameters(self): return ()
        def named_buffers(self): return ()
class jit:
    class ScriptModule(nn.Module): pass
    @staticmethod
    def script(module): return module
    @staticmethod
    def load(path): return open(path, "rb").read()
    @staticmethod
    def save(module, path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("version", "constants.pkl", "data.pkl"):
                archive.writestr("net/" + name, "6")
"""
"""A torch that takes no second to import, as far as an export asks it for anything."""


def build_fake_torch(site: Path) -> Path:
    """Compile a libtorch of three tiny libraries, laid out as an installed wheel; returns ``site/torch``."""
    root = site / "torch"
    write(root / "__init__.py", "raise RuntimeError('torch must not be imported')\n")
    write(root / "version.py", f"__version__ = '{FAKE_VERSION}+cpu'\ncuda = None\nhip = None\n")
    write(root / "include/torch/script.h", SCRIPT_H)
    write(root / "include/torch/library.h", "#pragma once\n")
    write(root / "include/ATen/ATen.h", "#pragma once\n")
    write(root / "include/c10/c10.h", "#pragma once\n")
    lib = root / "lib"
    lib.mkdir()
    for name, source, needs in (
        ("c10", C10, ()),
        ("torch_cpu", TORCH_CPU, ("-lc10",)),
        ("torch", "", ("-Wl,--no-as-needed", "-ltorch_cpu")),
    ):
        compile_library(lib / f"lib{name}.so", source, *needs)
    return root


TORCH_CUDA = """\
extern "C" int cudaFake();
namespace torch { int kernels() { return cudaFake(); } }
static int registered = cudaFake();
"""
"""As large as it need be: it wants CUDA's runtime, which does not lie where a linker looks."""


def build_fake_cuda_torch(site: Path) -> tuple[Path, Path]:
    """The tiny libtorch in the shape of the default wheel, which has CUDA.

    :returns: ``site/torch``, and the folder of the CUDA runtime, for LD_LIBRARY_PATH.
    """
    root = build_fake_torch(site)
    lib, runtime = root / "lib", site / "runtime"
    runtime.mkdir()
    source = '#include <cstdio>\nextern "C" int cudaFake() { return std::puts("kernels"); }'
    compile_library(runtime / "libcudart.so.13", source)
    compile_library(lib / "libc10_cuda.so", "namespace c10 { int cuda_device() { return 3; } }", "-lc10")
    needs = (f"-L{runtime}", "-l:libcudart.so.13", "-lc10_cuda", "-ltorch_cpu")
    compile_library(lib / "libtorch_cuda.so", TORCH_CUDA, *needs)
    compile_library(
        lib / "libtorch.so", "", "-Wl,--no-as-needed", "-ltorch_cpu", "-ltorch_cuda", f"-Wl,-rpath-link,{runtime}"
    )
    python = 'extern "C" void* PyLong_FromLong(long); extern "C" void* fake_python() { return PyLong_FromLong(1); }'
    compile_library(lib / "libtorch_python.so", python, "-ltorch", f"-Wl,-rpath-link,{runtime}")
    write(root / "version.py", f"__version__ = '{FAKE_VERSION}+cu130'\ncuda: Optional[str] = '13.0'\nhip = None\n")
    return root, runtime


def compile_library(file: Path, source: str, *needs: str) -> None:
    """A shared library from a few lines of C++, with its folder as RUNPATH."""
    source_file = file.with_suffix(".cpp")
    source_file.write_text(source)
    command = ["c++", "-shared", "-fPIC", "-o", file.name, source_file.name, f"-Wl,-soname,{file.name}"]
    command += ["-L.", "-Wl,-rpath,$ORIGIN", *needs]
    run_child(command, cwd=file.parent, check=True)
    source_file.unlink()


def copy_torch(root: Path, target: Path) -> Path:
    """The fake libtorch at another place."""
    shutil.copytree(root, target)
    return target


def fetched_torch(root: Path, cache: Path, version: str) -> Path:
    """The fake libtorch as another release, in a cache as ``fetch`` leaves it there; its headers say which series."""
    folder = cache / "libtorch" / version
    copy_torch(root, folder / "torch")
    (folder / "torch/__init__.py").unlink()
    write(folder / "torch/version.py", f"__version__ = '{version}'\ncuda = None\nhip = None\n")
    series = ".".join(version.split(".")[:2])
    write(folder / "torch/include/torch/script.h", f'{SCRIPT_H}#define SERIES "{series}"\n')
    for made in (cache, cache / "libtorch", folder):
        made.chmod(0o700)
    return folder
