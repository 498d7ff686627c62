"""``BuildPlan`` → the files of a CMake project, in memory."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp, PlannedOps, PlannedTarget

if TYPE_CHECKING:
    from jinja2 import Environment as JinjaEnvironment

Arguments = list[tuple[str, list[str]]]
"""Keyword arguments of a CMake function, the values quoted."""

FileSet = Mapping[str, bytes]
"""Relative path with forward slashes → content."""

KEPT_LIBRARIES = re.compile(r"(lib)?torch(_cuda(_cu|_cpp|_linalg)?|_hip|_xpu)?\.")
"""Libraries that register kernels when they are loaded, and which nothing refers to by a symbol."""


@functools.cache
def templates_dir() -> Path:
    """The folder of the package ``torchscript_build.templates``, wherever an installation put it."""
    from importlib.util import find_spec

    spec = find_spec("torchscript_build.templates")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package torchscript_build.templates is missing: this installation is incomplete")
    return Path(spec.origin).parent


@functools.cache
def templates_digest() -> bytes:
    """A digest of every template, so that an upgraded plugin reconfigures."""
    digest = hashlib.sha256()
    for path in sorted(p for p in templates_dir().rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        digest.update(path.relative_to(templates_dir()).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.digest()


def render_project(plan: BuildPlan) -> FileSet:
    """The whole generated project: CMakeLists.txt, presets, the Torch package, and the templates' sources."""
    files: dict[str, bytes] = dict(render_torch_package(plan.libtorch, folder="cmake/", header_root=plan.header_root))
    files["cmake/TorchScriptBuild.cmake"] = _static("cmake/TorchScriptBuild.cmake")
    calls = []
    with_runner = any(app.template == "runner" for app in plan.apps)
    if with_runner:
        files.update(runner_sources())
    if any(app.template == "minimal" for app in plan.apps):
        files["minimal/main.cpp"] = _static("apps/minimal/main.cpp")
    for target in plan.targets:
        files.update(_awkward_files(target))
    if any(ops.headers.lean for ops in plan.ops):
        files.update({f"lean/{name}": _static(f"ops/lean/{name}") for name in ("torch/extension.h", "torch/torch.h")})
    for ops in plan.ops:
        calls.append({"function": "ts_add_ops", "arguments": _ops_arguments(ops, plan)})
    for app in plan.apps:
        if app.template == "runner":
            files[f"apps/{app.name}/app_info.cpp"] = render_app_info(app, plan.version)
        calls.append({"function": "ts_add_app", "arguments": _app_arguments(app, plan)})
    packages = dict.fromkeys(p for target in plan.targets for p in target.find_packages)
    files["CMakeLists.txt"] = render(
        "project/CMakeLists.txt",
        project=cmake_quote(_target_name(plan.project)),
        source_dir=cmake_quote(Path(plan.source_dir).as_posix()),
        languages=languages(plan),
        with_runner=with_runner,
        runner_library=cmake_quote(Path(plan.runner_library).as_posix() if plan.runner_library else ""),
        find_packages=[quoted(_find_package_words(p)) for p in packages],
        calls=calls,
    )
    files["CMakePresets.json"] = _json(_presets(plan))
    return files


@functools.cache
def runner_sources() -> FileSet:
    """The runner's sources, the same in every app."""
    folder = templates_dir() / "apps" / "runner"
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".cpp", ".h", ".txt"))
    return {f"runner/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in files}


def render_torch_package(libtorch: LibTorch, *, folder: str = "", header_root: Optional[Path] = None) -> FileSet:
    """Our CMake package ``Torch`` for one libtorch.

    :param header_root: a link to libtorch, by which compilers shall know its headers.
    """
    linux = libtorch.platform.startswith("linux")
    kept: Sequence[Path] = ()
    link_options = []
    if linux and libtorch.backend != "cpu":
        kept = [p for p in libtorch.libraries if KEPT_LIBRARIES.match(p.name)]
        # What libtorch's own libraries need (cudart, cublas, …) is found by their own RPATH when the program starts.
        # Not --unresolved-symbols=ignore-in-shared-libs: with that, GNU ld reports the undefined symbols of a shared
        # library's own objects, too, and Python's are undefined in every extension module.
        link_options.append("LINKER:--allow-shlib-undefined")
    elif libtorch.platform == "win32" and libtorch.backend == "cuda":
        link_options.append("LINKER:/INCLUDE:?warp_size@cuda@at@@YAHXZ")
    words = " ".join(shlex.quote(p.as_posix()) for p in kept)
    cuda = [p for p in libtorch.libraries if "cuda" in p.name]
    abi = "" if libtorch.cxx11_abi is None else str(int(libtorch.cxx11_abi))
    include_dirs = libtorch.include_dirs
    compile_options = []
    if header_root not in (None, libtorch.root):
        include_dirs = tuple(_below(header_root, d, libtorch.root) for d in include_dirs)
        # Otherwise GCC calls a system header by its real path where that is shorter.
        compile_options.append("$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-canonical-system-headers>")
    config = render(
        "cmake/TorchConfig.cmake",
        prefix=cmake_quote(libtorch.root.as_posix()),
        version=cmake_quote(libtorch.version),
        cxx_standard=cmake_quote(str(libtorch.cxx_standard)),
        abi_flag=cmake_quote(abi),
        include_dirs=cmake_list(include_dirs),
        header_root=cmake_quote((header_root or libtorch.root).as_posix()),
        compile_options=cmake_list(compile_options),
        library_dir=cmake_list(libtorch.library_dirs[:1]),
        libraries=cmake_list(p for p in libtorch.libraries if p not in kept),
        kept_libraries=cmake_quote(f"-Wl,--push-state,--no-as-needed {words} -Wl,--pop-state" if kept else ""),
        cuda_libraries=cmake_list(cuda),
        python_library=cmake_list([libtorch.python_library] if libtorch.python_library else []),
        cuda_version=cmake_quote(libtorch.cuda_version or ""),
        link_options=cmake_list(link_options),
    )
    return {
        f"{folder}TorchConfig.cmake": config,
        f"{folder}TorchConfigVersion.cmake": render(
            "cmake/TorchConfigVersion.cmake", version=cmake_quote(libtorch.version)
        ),
        f"{folder}TorchScriptBuildTorch.cmake": _static("cmake/TorchScriptBuildTorch.cmake"),
    }


def _below(root: Path, path: Path, old_root: Path) -> Path:
    """A path in one folder as it is called in another; paths elsewhere stay."""
    return root / path.relative_to(old_root) if old_root in path.parents else path


def render_app_info(app: PlannedApp, version: str) -> bytes:
    """The only source that differs between two runner apps."""
    return render(
        "apps/app_info.cpp.in",
        name=cxx_quote(app.name),
        version=cxx_quote(version),
        method=cxx_quote(app.method),
        models=[{"name": cxx_quote(m.name), "path": cxx_quote(m.relative)} for m in app.models],
    )


def languages(plan: BuildPlan) -> list[str]:
    """The languages that the project's sources need, and no other: each costs time to configure."""
    suffixes = {Path(source).suffix for target in plan.targets for source in target.sources}
    return [*(["C"] if ".c" in suffixes else []), "CXX", *(["CUDA"] if ".cu" in suffixes else [])]


def _app_arguments(app: PlannedApp, plan: BuildPlan) -> Arguments:
    sources = list(app.sources)
    if app.template == "runner":
        sources = [f"apps/{app.name}/app_info.cpp"]
    elif app.template == "minimal":
        sources = ["minimal/main.cpp"]
    runner: Arguments = [("RUNNER", [])] if app.template == "runner" else []
    return [*_target_arguments(app, sources), *_cuda_arguments(app, plan), *runner]


def _ops_arguments(ops: PlannedOps, plan: BuildPlan) -> Arguments:
    arguments = _target_arguments(ops, ops.sources) + _cuda_arguments(ops, plan)
    if ops.python_module:
        arguments += [("PYTHON_MODULE", []), ("PYTHON_INCLUDE", quoted([plan.python.include or ""]))]
    headers = ops.headers
    if headers.lean:
        arguments += [("LEAN", quoted(headers.lean)), ("LEAN_PYTHON", quoted(headers.python))]
    if headers.precompiled:
        arguments += [("PRECOMPILE", quoted([headers.precompiled])), ("APART", quoted(headers.without_precompiled))]
    if ops.limited_api:
        major, minor = (int(part) for part in ops.limited_api.split("."))
        arguments.append(("LIMITED_API", quoted([f"0x{major:02x}{minor:02x}0000"])))
    return arguments


def _cuda_arguments(target: PlannedTarget, plan: BuildPlan) -> Arguments:
    """What a target with CUDA sources or cuDNN needs besides."""
    cuda = plan.cuda
    if cuda is None or not (target.with_cuda or target.cudnn):
        return []
    arguments: Arguments = [("CUDA_INCLUDE_DIRS", quoted(cuda.include_dirs))]
    if target.with_cuda:
        arguments += [("CUDA", []), ("CUDA_FLAGS", quoted(cuda.flags))]
    if target.separable_compilation:
        arguments.append(("SEPARABLE_COMPILATION", []))
    if target.cudnn:
        found = [f for f in (cuda.cudnn_include_dir, cuda.cudnn_library) if f]
        arguments.append(("CUDNN", quoted(found)))
    return arguments


def _target_arguments(target: PlannedTarget, sources: Sequence[str]) -> Arguments:
    """The keyword arguments that ts_add_ops and ts_add_app have in common."""
    pairs: list[tuple[str, Sequence[str]]] = [
        ("NAME", [target.name]),
        ("FILE_NAME", [target.file_name]),
        ("SOURCES", sources),
        ("OUTPUT_DIR", [target.output_dir]),
        ("DESTINATION", [target.output_dir] if target.install else []),
        ("OPS", target.ops),
        ("INSTALL_RPATH", target.install_rpath),
        ("INCLUDE_DIRS", target.include_dirs),
        ("DEFINITIONS", [d for d in target.definitions if _is_plain(d)]),
        ("DEFINITIONS_HEADER", [_definitions_header(target)] if not all(map(_is_plain, target.definitions)) else []),
        ("COMPILE_OPTIONS", _options(target, target.compile_options)),
        ("CXX_OPTIONS", _options(target, target.cxx_options)),
        ("CUDA_OPTIONS", _options(target, target.cuda_options)),
        ("LINK_LIBRARIES", [literal(v) for v in target.link_libraries]),
        ("LINK_DIRS", target.link_dirs),
    ]
    return [(keyword, quoted(values)) for keyword, values in pairs if values]


_PLAIN = re.compile(r"[\w .,:/+\-='\"]*", re.ASCII)
"""What passes through CMake's lists, its generators and the shell as it is; everything else travels in a file."""


def _is_plain(value: str) -> bool:
    return _PLAIN.fullmatch(value) is not None


def _definitions_header(target: PlannedTarget) -> str:
    return f"options/{target.name}.h"


def _options_file(target: PlannedTarget, options: Sequence[str]) -> tuple[str, bytes]:
    """A response file; its name changes with its content, so that a change compiles again."""
    lines = ['"' + re.sub(r'(["\\])', r"\\\1", option) + '"' for option in options]
    content = "".join(line + "\n" for line in lines).encode()
    return f"options/{target.name}-{hashlib.sha256(content).hexdigest()[:8]}.rsp", content


def _options(target: PlannedTarget, options: Sequence[str]) -> list[str]:
    """Compiler options as one argument: CMake drops one that it has seen before (``-include a -include b``)."""
    if not options:
        return []
    if all(map(_is_plain, options)):
        return ["SHELL:" + " ".join(map(shlex.quote, options))]
    return [f"@{_options_file(target, options)[0]}"]


def _awkward_files(target: PlannedTarget) -> FileSet:
    """Files for the definitions and options of a target that are not plain."""
    files = {}
    awkward = [d for d in target.definitions if not _is_plain(d)]
    if awkward:
        lines = ["#define {} {}\n".format(*(d.split("=", 1) if "=" in d else (d, "1"))) for d in awkward]
        files[_definitions_header(target)] = "".join(lines).encode()
    for options in (target.compile_options, target.cxx_options, target.cuda_options):
        if not all(map(_is_plain, options)):
            name, content = _options_file(target, options)
            files[name] = content
    return files


def _find_package_words(text: str) -> list[str]:
    """A ``find-packages`` entry as arguments of find_package, which must succeed."""
    name, *rest = text.split()
    version = rest[:1] if rest and rest[0][:1].isdigit() else []
    return [name, *version, "REQUIRED", *(word for word in rest[len(version) :] if word != "REQUIRED")]


def _presets(plan: BuildPlan) -> dict[str, Any]:
    """So that an editor or a person can build the generated folder by hand, as we do."""
    cache = {"CMAKE_BUILD_TYPE": plan.build_type, "CMAKE_EXPORT_COMPILE_COMMANDS": "ON"}
    preset: dict[str, Any] = {"name": "default", "binaryDir": "${sourceDir}/build", "cacheVariables": cache}
    if plan.toolchain.generator.name:
        preset["generator"] = plan.toolchain.generator.name
    return {
        "version": 2,
        "configurePresets": [preset],
        "buildPresets": [{"name": "default", "configurePreset": "default"}],
    }


# --- values said in CMake and C++ ----------------------------------------------------------------------------------


def cmake_quote(value: str) -> str:
    """A CMake quoted argument that stands for exactly this text."""
    escaped = re.sub(r'([\\"$])', r"\\\1", value).replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{escaped}"'


def quoted(values: Iterable[str]) -> list[str]:
    """Each value as a CMake quoted argument."""
    return [cmake_quote(v) for v in values]


def cmake_list(values: Iterable[object]) -> str:
    """Values as the elements of a ``set(variable …)``; paths with forward slashes."""
    texts = [v.as_posix() if isinstance(v, Path) else str(v) for v in values]
    return " ".join(quoted(texts)) if texts else '""'


def literal(value: str) -> str:
    """A definition or option that survives CMake's lists and generator expressions unharmed."""
    return re.sub(r"\$(?=<)|;", lambda m: "$<SEMICOLON>" if m.group() == ";" else "$<1:$>", value)


def cxx_quote(value: str) -> str:
    """A C++ string literal of the text's UTF-8 bytes."""
    out = []
    for byte in value.encode():
        char = chr(byte)
        out.append(char if char.isascii() and char.isprintable() and char not in '"\\?' else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def _target_name(project: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", project) or "project"


# --- templates -----------------------------------------------------------------------------------------------------


def render(template: str, **values: Any) -> bytes:
    """A template with its values; an undefined value is an error."""
    return _jinja().get_template(template).render(**values).encode()


@functools.cache
def _jinja() -> JinjaEnvironment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render_module(name: str, values: Mapping[str, object], lines: Sequence[str] = ()) -> bytes:
    """A Python module of ``templates/python`` with its constants replaced and lines added at its end.

    The template is itself valid Python; a build with nothing to do needs no template engine for it.
    """
    from pprint import pformat

    text = _static(f"python/{name}").decode()
    for constant, value in values.items():
        before, line, after = re.split(rf"^({constant} = ).*$", text, maxsplit=1, flags=re.MULTILINE)
        text = before + line + pformat(value, width=100, sort_dicts=False) + after
    return (text + "".join(line + "\n" for line in lines)).encode()


def _static(name: str) -> bytes:
    return (templates_dir() / name).read_bytes()


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=2) + "\n").encode()
