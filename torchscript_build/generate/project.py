"""``BuildPlan`` → the files of a CMake project, in memory."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchscript_build.generate.quoting import cmake_quote, cxx_quote, literal, quoted
from torchscript_build.generate.templates import FileSet, read_static, render, templates_dir
from torchscript_build.generate.torch_package import render_torch_package
from torchscript_build.plan.build_plan import (
    BuildPlan,
    PlannedApp,
    PlannedLibrary,
    PlannedOps,
    PlannedTarget,
    Wishes,
)
from torchscript_build.plan.planned_headers import LEFT_OUT, NamedParts

if TYPE_CHECKING:
    pass

CMAKE_FILES = ("TorchScriptBuild.cmake", "TorchScriptBuildHeaders.cmake")
"""What the generated CMakeLists.txt includes."""
INTRINSICS = "lean_without_intrinsics/c10/util/ApproximateClock.h"
"""What spares operators and the runner the header of all of x86's instructions."""
NAMES_HEADER = "torchscript_build_names.h"

Arguments = list[tuple[str, list[str]]]
"""Keyword arguments of a CMake function, the values quoted."""


def render_project(plan: BuildPlan) -> FileSet:
    """The whole generated project: CMakeLists.txt, presets, the Torch package, and the templates' sources."""
    files: dict[str, bytes] = dict(render_torch_package(plan.libtorch, folder="cmake/", header_root=plan.header_root))
    for name in CMAKE_FILES:
        files[f"cmake/{name}"] = read_static(f"cmake/{name}")
    if plan.with_runner:
        files.update(runner_sources())
    if plan.libraries:
        files["cmake/TorchScriptBuildLibrary.cmake"] = read_static("cmake/TorchScriptBuildLibrary.cmake")
    if any(app.template == "minimal" for app in plan.apps):
        files["minimal/main.cpp"] = read_static("apps/minimal/main.cpp")
    for target in plan.targets:
        files.update(_awkward_files(target))
    if any(ops.headers.lean for ops in plan.ops):
        files.update(_lean_files(plan))
    for app in plan.loaders:
        if app.has_runner:
            files[f"apps/{app.name}/app_info.cpp"] = render_app_info(app, plan.version)
        elif app.template is None:
            files[f"{_own_includes(app)}/torchscript_build/app.h"] = render_app_header(app)
    for library in plan.libraries:
        from torchscript_build.generate.library import render_library  # most projects have none

        files.update(render_library(library))
    files["CMakeLists.txt"] = render(
        "project/CMakeLists.txt",
        **project_values(plan),
        source_dir=cmake_quote(Path(plan.source_dir).as_posix()),
        runner_library=cmake_quote(Path(plan.runner_library).as_posix() if plan.runner_library else ""),
    )
    files["CMakePresets.json"] = _json(_presets(plan))
    return files


def project_values(plan: BuildPlan) -> dict[str, Any]:
    """What every CMakeLists.txt for a plan says, wherever the project lies."""
    packages = dict.fromkeys(p for target in plan.targets for p in target.find_packages)
    ops = [{"function": "ts_add_ops", "arguments": _ops_arguments(o, plan)} for o in plan.ops]
    apps = [{"function": "ts_add_app", "arguments": _app_arguments(a, plan)} for a in plan.apps]
    libraries = [{"function": "ts_add_library", "arguments": _library_arguments(c)} for c in plan.libraries]
    return {
        "project": cmake_quote(_target_name(plan.project)),
        "languages": languages(plan),
        "with_runner": plan.with_runner,
        "with_libraries": bool(plan.libraries),
        "find_packages": [_find_package(p, plan) for p in packages],
        "calls": [*ops, *apps, *libraries],
    }


@functools.cache
def runner_sources() -> FileSet:
    """The runner's sources, the same in every app."""
    folder = templates_dir() / "apps" / "runner"
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".cpp", ".h", ".txt"))
    sources = {f"runner/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in files}
    return {**sources, f"runner/{INTRINSICS}": read_static(f"ops/{INTRINSICS}")}


def render_app_info(app: PlannedApp, version: str) -> bytes:
    """The only source that differs between two runner apps."""
    return render(
        "apps/app_info.cpp.in",
        is_program=not isinstance(app, PlannedLibrary),
        name=cxx_quote(app.name),
        version=cxx_quote(version),
        method=cxx_quote(app.method),
        models=[
            {"name": cxx_quote(m.name), "path": cxx_quote(m.relative), "process": _process(m.wishes)}
            for m in app.models
        ],
        libraries=[cxx_quote(library.relative) for library in app.external_ops],
        process=_process(app.wishes),
    )


def render_app_header(app: PlannedApp) -> bytes:
    """``torchscript_build/app.h`` for a program of the project's own."""
    models = [{"name": cxx_quote(m.name), "path": cxx_quote(m.relative)} for m in app.models]
    return render("apps/app.h.in", models=models)


def _own_includes(app: PlannedApp) -> str:
    return f"apps/{app.name}/include"


def _process(wishes: Wishes) -> str:
    """The runner's struct ``Process``, in braces."""
    return ", ".join(
        (
            "true" if wishes.grad else "false",
            _cxx_or_null(wishes.default_dtype),
            _cxx_or_null(wishes.quantized_engine),
            "true" if wishes.flush_denormal else "false",
            str(wishes.threads or 0),
            str(wishes.interop_threads or 0),
            _cxx_or_null(wishes.deterministic),
            _cxx_or_null(wishes.matmul_precision),
        )
    ).join("{}")


def _cxx_or_null(text: Optional[str]) -> str:
    return "nullptr" if text is None else cxx_quote(text)


def languages(plan: BuildPlan) -> list[str]:
    """The languages that the project's sources need, and no other: each costs time to configure."""
    suffixes = {Path(source).suffix for target in plan.targets for source in target.sources}
    return [*(["C"] if ".c" in suffixes else []), "CXX", *(["CUDA"] if ".cu" in suffixes else [])]


def _app_arguments(app: PlannedApp, plan: BuildPlan) -> Arguments:
    sources = list(app.sources)
    if app.template is None:
        app = dataclasses.replace(app, include_dirs=(*app.include_dirs, _own_includes(app)))
    if app.template == "runner":
        sources = [f"apps/{app.name}/app_info.cpp"]
    elif app.template == "minimal":
        sources = ["minimal/main.cpp"]
    runner: Arguments = [("RUNNER", [])] if app.template == "runner" else []
    kept: Arguments = [("KEEP_TORCH", [])] if app.external_ops else []
    return [*_target_arguments(app, sources), *_cuda_arguments(app, plan), *runner, *kept]


def _library_arguments(library: PlannedLibrary) -> Arguments:
    from torchscript_build.generate.library import exports_file, library_folder, library_sources, symbols_file

    sources = [f"apps/{library.name}/app_info.cpp", *library_sources(library)]
    own = [("INCLUDE_DIRS", [library_folder(library)]), ("DEFINITIONS", [f"{library.prefix.upper()}_BUILDING"])]
    arguments = [*_target_arguments(library, sources), *((key, quoted(values)) for key, values in own)]
    kept: Arguments = [("KEEP_TORCH", [])] if library.external_ops else []
    exports = [("EXPORTS", quoted([exports_file(library)])), ("EXPORTED_SYMBOLS", quoted([symbols_file(library)]))]
    return [*arguments, *exports, *kept]


def _ops_arguments(ops: PlannedOps, plan: BuildPlan) -> Arguments:
    arguments = _target_arguments(ops, ops.sources) + _cuda_arguments(ops, plan)
    if plan.python.include:
        arguments.append(("PYTHON_INCLUDE", quoted([plan.python.include])))
    if ops.python_module:
        arguments.append(("PYTHON_MODULE", []))
    headers = ops.headers
    if headers.lean:
        arguments += [("LEAN", quoted(headers.lean)), ("LEAN_PYTHON", quoted(headers.python))]
    if headers.named:
        arguments += [
            ("NAMED", quoted(s for s, _ in headers.named)),
            ("NAMED_IN", quoted(_names_folder(ops, s, plan) for s, _ in headers.named)),
            *(
                (f"WITHOUT_{part.upper()}", quoted(s for s, named in headers.named if part in named.without))
                for part in LEFT_OUT
            ),
        ]
    if headers.precompiled:
        arguments += [("PRECOMPILE", quoted([headers.precompiled])), ("APART", quoted(headers.without_precompiled))]
    if ops.torch_target:
        major, minor = (int(part) for part in ops.torch_target.split("."))
        arguments.append(("STABLE", quoted([f"0x{major:02x}{minor:02x}000000000000"])))
    if ops.static_cuda_runtime:
        arguments.append(("STATIC_CUDA_RUNTIME", []))
    if ops.limited_api:
        major, minor = (int(part) for part in ops.limited_api.split("."))
        arguments.append(("LIMITED_API", quoted([f"0x{major:02x}{minor:02x}0000"])))
    return arguments


def _names_folder(ops: PlannedOps, source: str, plan: BuildPlan) -> str:
    """The folder of the header that includes what one source names of ATen."""
    place = os.path.relpath(source, plan.source_dir)
    digest = hashlib.sha256(place.replace(os.sep, "/").encode()).hexdigest()[:8]
    return f"names/{_target_name(ops.name)}/" + re.sub(r"\W", "_", Path(source).stem, flags=re.ASCII) + f"-{digest}"


def _render_names(named: NamedParts) -> bytes:
    head = "// The operators that a source names, as the last build found them.\n#pragma once\n"
    return "".join([head, *(f"#include <ATen/ops/{name}.h>\n" for name in named.operators)]).encode()


def _lean_files(plan: BuildPlan) -> FileSet:
    """What stands in the place of torch's heavy headers."""
    named = [(ops, source, parts) for ops in plan.ops for source, parts in ops.headers.named]
    folders = [
        "lean",
        "lean_without_python",
        *(["lean_named", *(f"lean_without_{p}" for p in LEFT_OUT)] if named else []),
    ]
    static = templates_dir() / "ops"
    headers = [file for folder in folders for file in sorted((static / folder).rglob("*.h"))]
    return {
        **{file.relative_to(static).as_posix(): file.read_bytes() for file in headers},
        **{f"{_names_folder(o, source, plan)}/{NAMES_HEADER}": _render_names(parts) for o, source, parts in named},
    }


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
        ("LINK_OPTIONS", _options(target, target.link_options)),
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
        lines = [_define(d) for d in awkward]
        files[_definitions_header(target)] = "".join(lines).encode()
    for options in (target.compile_options, target.cxx_options, target.cuda_options, target.link_options):
        if not all(map(_is_plain, options)):
            name, content = _options_file(target, options)
            files[name] = content
    return files


def _find_package(text: str, plan: BuildPlan) -> dict[str, Any]:
    """A ``find-packages`` entry for the template, with what the targets that name it link."""
    linked = dict.fromkeys(v for t in plan.targets if text in t.find_packages for v in t.link_libraries)
    words = quoted(_find_package_words(text))
    return {"name": words[0], "words": words, "linked": quoted([literal(v) for v in linked])}


def _define(definition: str) -> str:
    """A line of a header; one that ended in a backslash would swallow the next."""
    name, equals, value = definition.partition("=")
    end = "/**/" if value.endswith(("\\", "??/")) else ""
    return f"#define {name} {value if equals else '1'}{end}\n"


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


def _target_name(project: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", project) or "project"


# --- templates -----------------------------------------------------------------------------------------------------


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=2) + "\n").encode()
