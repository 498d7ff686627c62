"""What a project asks for: models, apps, and how to build them.

Specs are plain frozen data: making one touches nothing and checks nothing. ``settings`` validates them all at once.
In pyproject.toml the same fields are written with hyphens (``example-inputs``).
The text below each field is its documentation; README's option tables are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional, Union

from torchscript_build.records import dataclass, field

InputSets = Union[str, tuple[tuple[str, ...], ...]]
"""``package.module:function``, or a list of lists of input specs."""


@dataclass(frozen=True)
class ScriptModel:
    """A model: a file that exists, or a factory that is exported during the build."""

    name: str = ""
    """The model's name; its file is installed as `<name>.pt`, or `<name>.pt2`."""
    file: Optional[str] = None
    """An existing TorchScript archive, or a `.pt2` package of AOTInductor: a path relative to the project, or
    `package:path` for a file of an installed Python package."""
    factory: Optional[str] = None
    """`package.module:function` that returns an `nn.Module` or a function (which is then scripted or traced), or one
    that is scripted or traced already. Called in a child process."""
    method: str = "script"
    """How a plain `nn.Module` is exported: `script` or `trace`, or `aoti`: with `torch.export`, and compiled ahead of
    time into a `.pt2` package. That needs `example-inputs`, and libtorch 2.6 or newer."""
    same_as: Optional[str] = None
    """Another model of which this is a further form, a `.pt2` beside a TorchScript archive: it takes that one's
    factory, inputs and seed where it has none of its own, and `verify` compares the two on the same inputs."""
    dynamic_shapes: Union[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict, hash=False)
    """Which sizes of the inputs of a `.pt2` can vary, by argument and dimension: `{ x = { 0 = "batch", 2 =
    "length=2..512" } }`; the same name is the same size. `"auto"` lets torch.export find out. All others are those of
    `example-inputs`."""
    cpu: str = "native"
    """What a `.pt2` is compiled for: `native`, the processor of the machine that builds, or one that all machines
    have: `x86-64-v3` (most since 2013), `x86-64-v4`, `x86-64-v2`, `x86-64`."""
    example_inputs: tuple[str, ...] = ()
    """Inputs for tracing and for the comparison with Python, as the runner's `--input` takes them (`ones:1x3x224x224`,
    `int:16000`, `data.npy`), or one `package.module:function` that returns a tuple."""
    check_inputs: Union[InputSets, Mapping[str, InputSets]] = field(default=(), hash=False)
    """Further sets of inputs for the comparison, so that a shape or a branch that tracing baked in is caught: a list of
    lists, `[["ones:1x3x32x32"], ["ones:4x3x64x64"]]`, or a `package.module:function` that yields tuples. A table has
    them for methods by name: `{ encode = [["ones:2x8"]] }`."""
    inputs: tuple[str, ...] = ()
    """Patterns of further files, relative to the project, a change of which makes the model again: `data/*.csv`,
    `weights/**`. Files that the factory opens in Python, modules that it imports and the releases of the packages that
    they belong to are followed by themselves, and so are the project's files that it names to a program that it starts;
    this is for what cannot be seen, such as files that a library opens."""
    always: bool = False
    """Call the factory in every build: for one that asks the network, a program or environment variables."""
    grad: Optional[bool] = None
    """Does the model use autograd itself (forces, saliency)? By default that is read from its code, and found out by
    trying where it is compared with Python."""
    default_dtype: Optional[str] = None
    """The default dtype that the model runs with, `float64`. By default what the factory leaves behind. This and the
    next six hold for the export, for the comparison, and for the program when it runs this model."""
    quantized_engine: Optional[str] = None
    """The engine for quantized operators that the model runs with: `fbgemm`, `x86`, `onednn`, `qnnpack`. By default
    what the factory leaves behind."""
    flush_denormal: Optional[bool] = None
    """Are the smallest numbers taken as zero (`torch.set_flush_denormal`)? By default as the factory leaves it."""
    threads: Optional[int] = None
    """How many threads an operator uses (`torch.set_num_threads`); 0: libtorch's choice. By default what the factory
    sets, else libtorch's choice."""
    interop_threads: Optional[int] = None
    """How many threads run what the model forks (`torch.set_num_interop_threads`); 0 and default as `threads`."""
    deterministic: Optional[str] = None
    """`on`, `off`, or `warn`: `torch.use_deterministic_algorithms`. By default as the factory leaves it."""
    matmul_precision: Optional[str] = None
    """`highest`, `high` or `medium`: `torch.set_float32_matmul_precision`. By default as the factory leaves it."""
    python_path: tuple[str, ...] = ()
    """Folders from which the factory is imported, relative to the project; the project itself and its `src` are always
    among them."""
    seed: int = 0
    """Seed of torch, Python and numpy before the factory is called, and before each call that is compared."""
    show_code: bool = False
    """Print the exported model's `.code`."""

    @property
    def is_package(self) -> bool:
        """Is it, or will it be, a ``.pt2`` package?"""
        return self.method == "aoti" if self.factory is not None else (self.file or "").endswith(".pt2")

    @property
    def file_name(self) -> str:
        """What its file is called where it is installed."""
        return f"{self.name}.pt2" if self.is_package else f"{self.name}.pt"


@dataclass(frozen=True)
class _Compiled:
    """What everything that is compiled from the project's sources has in common."""

    name: str = ""
    """Its name, also its CMake target."""
    sources: tuple[str, ...] = ()
    """Source files relative to the project; `*`, `?` and `**` match several."""
    package: Optional[str] = None
    """The Python package that it is installed in; by default the project's only top-level package. A program lies in
    the package's `bin`, an operator library in its `lib`; a Python module, and a library with a `file-name`, in the
    package itself. `""` puts a Python module at the top: `import <name>`."""
    install: bool = True
    """Put it into wheels and installs. With `false`, only its own command builds it."""
    cuda_sources: tuple[str, ...] = ()
    """Further sources, of any suffix, for a libtorch with CUDA only; `without-cuda` counts them as `.cu` sources."""
    include_dirs: tuple[str, ...] = ()
    """Include directories, relative to the project."""
    definitions: tuple[str, ...] = ()
    """Compile definitions, `NAME` or `NAME=value`; any characters are passed through."""
    compile_options: tuple[str, ...] = ()
    """Further options for the compilers of all languages."""
    cxx_options: tuple[str, ...] = ()
    """Further options for the C++ compiler."""
    cuda_options: tuple[str, ...] = ()
    """Further options for nvcc."""
    link_options: tuple[str, ...] = ()
    """Further options for the linker's driver: `-Wl,-Bsymbolic`."""
    separable_compilation: bool = False
    """Device code of one CUDA source may call that of another (`-rdc=true`)."""
    without_cuda: str = "refuse"
    """What becomes of `.cu` sources with a libtorch without CUDA: `refuse` the build, or `skip` them. Where they are
    compiled, all sources see the macro `WITH_CUDA`."""
    cudnn: bool = False
    """Compile and link against cuDNN."""
    find_packages: tuple[str, ...] = ()
    """CMake packages to find, as in `find_package`: `OpenCV COMPONENTS core imgproc`."""
    link_libraries: tuple[str, ...] = ()
    """Further libraries: names (`z`), files relative to the project, or targets of `find-packages`. A shared library
    of the project's own folder must be in the package, too, and be found there: as package data, with
    `link-options = ["-Wl,-rpath,$ORIGIN/…"]`."""
    link_dirs: tuple[str, ...] = ()
    """Folders in which libraries are looked for, relative to the project."""


@dataclass(frozen=True)
class OpLibrary(_Compiled):
    """A library of custom operators: `TORCH_LIBRARY`, autograd functions, custom classes."""

    depends: tuple[str, ...] = ()
    """Other operator libraries of the project that it links."""
    namespaces: tuple[str, ...] = ()
    """Operator namespaces that it promises to register; the build fails if its sources have none of one."""
    python_binding: str = "loader"
    """`loader`: the package gets a module `_torchscript_ops` that loads the library; `none`: nothing in Python."""
    python_module: bool = False
    """It is also a Python extension module (`PYBIND11_MODULE` or `PyInit_…`) and links libtorch_python."""
    limited_api: Optional[str] = None
    """Build the extension module for Python's limited API from this version on, `"3.9"`: one wheel for all Pythons."""
    file_name: Optional[str] = None
    """The file's name without folder, `_C.so`; by default `lib<name>.so`, or Python's own for a module."""
    python_parts: Optional[str] = None
    """A module of the package that the loader imports after the library, for what is written in Python: fake kernels
    (`torch.library.register_fake`), autograd formulas (`torch.library.register_autograd`)."""
    abi: str = "series"
    """`series`: written against libtorch's C++ API, it runs with one series of torch; `stable`: against torch's stable
    ABI alone (`torch/csrc/stable`, `torch/headeronly`), it runs with every release from `torch-target` on."""
    torch_target: Optional[str] = None
    """With `abi = "stable"`: the oldest torch that it is for, `"2.10"`, which is also the default."""
    cuda_runtime: str = "shared"
    """With CUDA sources: `shared` links torch's own CUDA runtime, which binds the library to one major of CUDA;
    `static` takes one along, and then the driver alone decides."""
    lean_headers: bool = True
    """Give sources that include `torch/extension.h`, `torch/torch.h`, `torch/all.h`, `torch/script.h`, `torch/types.h`
    or `ATen/ATen.h` only the parts of it that they name: without `torch::nn`, `optim`, `data`, `jit`, autograd and
    Python, where they name nothing of these, and of ATen's operators those that a word in them stands for. One that
    needs more after all is compiled again with the whole."""
    precompiled_header: Union[bool, str] = "auto"
    """Compile the heavy header that its sources begin with once for all of them: `true`, `false`, or `"auto"`: from
    five sources for each processor on that need more of it than they name, where it is faster. It takes up to 800 MB in
    the build folder."""


@dataclass(frozen=True)
class TorchScriptApp(_Compiled):
    """A native program that loads TorchScript models; without `sources` it is made from a template."""

    template: str = "runner"
    """`runner` (a complete loader program) or `minimal` (the tutorial's fifteen lines)."""
    models: tuple[str, ...] = ()
    """Names of models that travel with the app; the first is its default."""
    ops: tuple[str, ...] = ()
    """Operator libraries of the project that are linked, so that they are loaded with the program."""
    external_ops: Union[tuple[str, ...], Mapping[str, str]] = field(default=(), hash=False)
    """Operator namespaces that its models need and that come from elsewhere. A table names the library of each, which
    then travels with the app: `{ torchvision = "torchvision:_C.so" }` for a file of an installed package (`*` matches),
    or a path relative to the project. A list names namespaces whose library is given at run time (`--ops FILE`)."""
    console_script: Union[bool, str] = True
    """Make a console script that starts the program; a string gives it another name."""
    method: str = "forward"
    """The model's method that a runner calls by default, also for `--run` and `--verify`."""
    verify: bool = False
    """Compare three ways, in every build in which one of them may have changed (runner only): what the factories made,
    what was exported, and the app, for every model that has `example-inputs` or `check-inputs`."""
    rtol: float = 1e-5
    """Relative tolerance of that comparison."""
    atol: float = 1e-5
    """Absolute tolerance of that comparison."""
    arguments: tuple[str, ...] = ()
    """What `--run` passes to the program; `{model}` stands for the first model's file, `{model:NAME}` for another's.
    By default a runner gets its model, its example inputs and Python's outputs."""


@dataclass(frozen=True)
class CLibrary:
    """Models as a plain C library, for every language that can call C; docs/c-library.md has the whole."""

    name: str = ""
    """Its name: `lib<name>.so`, `<name>.h`, pkg-config's and CMake's `<name>`. Its functions begin with it
    (`<name>_open`), with `_` in the place of other characters than letters and digits."""
    package: Optional[str] = None
    """The Python package whose `lib`, `include` and `models` it is installed in; by default the project's only
    top-level package."""
    install: bool = True
    """Put it into wheels and installs. With `false`, only `build_ts_app` builds it."""
    models: tuple[str, ...] = ()
    """Names of models that travel with the library; it opens the first by default."""
    ops: tuple[str, ...] = ()
    """Operator libraries of the project that are linked, so that they are loaded with the library."""
    external_ops: Union[tuple[str, ...], Mapping[str, str]] = field(default=(), hash=False)
    """Operator namespaces that its models need and that come from elsewhere, as for apps: a table names the library of
    each, which then travels with it; the libraries of a list are loaded by whoever uses it."""
    method: str = "forward"
    """The model's method that is called where none is named."""
    verify: bool = False
    """Compare three ways, in every build in which one of them may have changed: what the factories made, what was
    exported, and the library, called from Python without torch's own interface."""
    rtol: float = 1e-5
    """Relative tolerance of that comparison."""
    atol: float = 1e-5
    """Absolute tolerance of that comparison."""

    @property
    def prefix(self) -> str:
        """What its functions begin with, without the underscore."""
        return re.sub(r"[^A-Za-z0-9_]", "_", self.name)

    def like_app(self) -> TorchScriptApp:
        """What the checks of apps need to know of it."""
        shared = ("name", "install", "models", "ops", "external_ops", "method", "verify", "rtol", "atol")
        return TorchScriptApp(**{name: getattr(self, name) for name in shared})


@dataclass(frozen=True)
class CMakeProject:
    """An existing CMake project that finds Torch; what it installs is put into the package."""

    name: str = ""
    """Its name, for messages and its build folder."""
    source_dir: str = ""
    """The folder of its CMakeLists.txt, relative to the project."""
    options: Mapping[str, Union[str, bool, int]] = field(default_factory=dict, hash=False)
    """Cache entries: `{ TARGET_BACKENDS = "torchscript", BUILD_SDK = true }`."""
    targets: tuple[str, ...] = ()
    """The targets to build; by default all."""
    package: Optional[str] = None
    """The Python package that its install tree is put into; by default the project's only top-level package."""
    install: bool = True
    """Put what it installs into wheels and installs. With `false`, only `build_ts_app` builds it."""
    components: tuple[str, ...] = ()
    """The install components to take, each of which must hold something; by default all."""
    include: tuple[str, ...] = ()
    """Patterns of installed files to take, `bin/*`; by default all."""
    artifacts: tuple[str, ...] = ()
    """Targets whose files are taken from the build tree in the place of what it installs, for a project without
    `install()` rules: programs into `bin`, libraries into `lib`, Python modules into the package itself."""
    console_script: Optional[Union[str, Mapping[str, Union[str, bool, int]]]] = field(default=None, hash=False)
    """Make a console script that starts an installed program: `"tool"` for `bin/tool`, or a table
    `{ command = "bin/tool" }`."""
    limited_api: Optional[str] = None
    """The Python from which on its modules `….abi3.so` work, `"3.9"`; by default the one that builds."""


@dataclass(frozen=True)
class BuildOptions:
    """How everything in the project is built."""

    libtorch: Optional[str] = None
    """The libtorch to use: a folder. By default it is searched for. Environment: `TORCHSCRIPT_BUILD_LIBTORCH`."""
    libtorch_version: Optional[str] = None
    """Which torch releases will do, as in a requirement: `>=2.1,<2.16`."""
    cxx11_abi: Optional[bool] = None
    """Insist on libstdc++'s new (`true`) or old (`false`) ABI. By default libtorch's own is followed."""
    cuda: Optional[Union[bool, str]] = None
    """Insist on a libtorch with CUDA (`true`, `"12"`, `"12.4"`) or without (`false`)."""
    cuda_toolkit: Optional[str] = None
    """The CUDA toolkit for `.cu` sources: a folder. By default `CUDA_HOME`, `CUDA_PATH`, `CUDAToolkit_ROOT`, `CUDACXX`,
    nvcc on PATH, the `nvidia-*` wheels, conda and the usual folders are looked through."""
    cuda_architectures: Optional[str] = None
    """What `.cu` sources are compiled for: `"8.0;9.0+PTX"`, names like `"Ampere"`, `"all"`, or `"native"` for this
    machine's GPU. By default what libtorch itself was built for; `TORCH_CUDA_ARCH_LIST` wins."""
    build_type: str = "Release"
    """CMake's build type: `Release`, `Debug`, `RelWithDebInfo` or `MinSizeRel`. Environment:
    `TORCHSCRIPT_BUILD_BUILD_TYPE`."""
    generator: Optional[str] = None
    """CMake's generator. By default `CMAKE_GENERATOR`, else Ninja where it is found, else CMake's own choice.
    Environment: `TORCHSCRIPT_BUILD_GENERATOR`."""
    jobs: Optional[int] = None
    """How many compilers run at once. By default `MAX_JOBS` or `CMAKE_BUILD_PARALLEL_LEVEL`, else as many as cores and
    memory allow. Environment: `TORCHSCRIPT_BUILD_JOBS`."""
    launcher: str = "auto"
    """What compilers are started through: `ccache`, `sccache`, `distcc`, a path to one of them, or `none`. By default
    what `CMAKE_CXX_COMPILER_LAUNCHER` says, else ccache or sccache where one is found, but not in conda builds.
    Environment: `TORCHSCRIPT_BUILD_LAUNCHER`."""
    cache: bool = True
    """Keep the compiled runner in the user's cache for other projects. Environment: `TORCHSCRIPT_BUILD_CACHE=off`."""
    cmake_args: tuple[str, ...] = ()
    """Further arguments for CMake's configure step, after those of `CMAKE_ARGS`. Environment:
    `TORCHSCRIPT_BUILD_CMAKE_ARGS`, split as a shell would."""
    matrix: tuple[str, ...] = ()
    """The libtorches that `torchscript-build matrix` builds against: folders, or `fetched:2.6.0+cu124`."""
    series: tuple[str, ...] = ()
    """One wheel for several series of torch, `["2.11", "2.13"]`, each built against a libtorch that was fetched
    (`torchscript-build fetch 2.11.0`); docs/publishing.md tells when. Such a wheel requires just those."""
    pin: str = "series"
    """What the wheel requires of torch: `series` (`torch ==2.13.*`), `exact` (`torch ==2.13.0`) or `none`."""
    sanitize: tuple[str, ...] = ()
    """Compile and link with the compiler's sanitizers: `address`, `leak`, `thread`, `undefined`. For debugging: Python
    loads such a library only with their runtime preloaded, as the build does and tells."""
    editable_rebuild: bool = False
    """With `--inplace` and in editable installs: importing the package builds its operator libraries again where a
    source is newer. Without the tools for it, it warns."""
    ide: bool = False
    """Link `compile_commands.json` into the project's folder with `--inplace` and in editable installs. Every build
    keeps that file in the build folder, where clangd finds it by itself if that is `build`."""


@dataclass(frozen=True)
class BundleOptions:
    """What a bundle (`torchscript-build bundle`, `build_ts_app --bundle`) holds, beside what its programs need."""

    format: str = "dir"
    """What is written where no name says it: `dir`, `tar` (`tar.gz`), `tar.zst` or `deb`."""
    cxx_runtime: bool = False
    """Bring libstdc++ and libgcc along, with the glibc that they need. Else the machine must have its own."""
    strip: bool = False
    """Remove symbols that nobody needs at run time from the libraries; it takes the program `strip`."""
    libraries: tuple[str, ...] = ()
    """Further libraries that are loaded by name: files, relative to the project. Not a GPU's driver."""
    maintainer: str = ""
    """Who maintains the Debian package, `Name <mail>`; by default the project's first author."""


@dataclass(frozen=True)
class ProjectSpec:
    """All that one project asks for."""

    options: BuildOptions = field(default_factory=BuildOptions)
    models: tuple[ScriptModel, ...] = ()
    ops: tuple[OpLibrary, ...] = ()
    apps: tuple[TorchScriptApp, ...] = ()
    cmake: tuple[CMakeProject, ...] = ()
    libraries: tuple[CLibrary, ...] = ()
    bundle: BundleOptions = field(default_factory=BundleOptions)
    libtorch_named_by: str = field(default="libtorch in the settings", compare=False)
    """What names ``options.libtorch``, in the user's words."""

    @property
    def packaged_apps(self) -> tuple[TorchScriptApp, ...]:
        """The apps that go into the wheel."""
        return tuple(app for app in self.apps if app.install)

    @property
    def packaged_ops(self) -> tuple[OpLibrary, ...]:
        """The operator libraries that go into the wheel."""
        return tuple(ops for ops in self.ops if ops.install)

    @property
    def packaged_cmake(self) -> tuple[CMakeProject, ...]:
        """The CMake projects whose install tree goes into the wheel."""
        return tuple(project for project in self.cmake if project.install)

    @property
    def packaged_libraries(self) -> tuple[CLibrary, ...]:
        """The C libraries that go into the wheel."""
        return tuple(library for library in self.libraries if library.install)

    @property
    def is_buildable(self) -> bool:
        """Is there anything that a build makes? A model is made for an app or a C library only."""
        return bool(self.apps or self.ops or self.cmake or self.libraries)

    @property
    def is_packaged(self) -> bool:
        """Does anything of ours go into the wheel?"""
        return bool(self.packaged_apps or self.packaged_ops or self.packaged_cmake or self.packaged_libraries)
