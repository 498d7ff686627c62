"""What CUDA sources and cuDNN need: toolkit, architectures, headers; nothing where no target asks for them."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from pathlib import Path
from typing import Optional, TypeVar, Union

from torchscript_build import log
from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.settings.cuda_sources import is_cuda_source, needs_cuda
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, TorchScriptApp
from torchscript_build.system import Environment
from torchscript_build.toolchain.cuda.facts import CudaFacts
from torchscript_build.toolchain.cxx import CxxCompiler

# What knows CUDA is imported when a target asks for it: every build comes by here, few have such a target.

Compiled = TypeVar("Compiled", OpLibrary, TorchScriptApp)


def without_cuda_sources(spec: ProjectSpec, libtorch: LibTorch) -> ProjectSpec:
    """The spec for a libtorch without CUDA: ``.cu`` sources are left out where the project says so.

    :raises SettingsError: a target needs them.
    """
    if libtorch.backend == "cuda":
        return spec
    problems: list[str] = []

    def left(target: Compiled) -> Compiled:
        sources = tuple(s for s in target.sources if not is_cuda_source(s))
        left_out = [*(s for s in target.sources if is_cuda_source(s)), *target.cuda_sources]
        if left_out and target.without_cuda == "refuse":
            cure = f'{_another_build(libtorch)}, or say without-cuda = "skip"'
            problems.append(f"{target.name!r} has CUDA sources, and {cure}")
        elif left_out and not sources:
            problems.append(f"{target.name!r} has CUDA sources only, and {_another_build(libtorch)}")
        elif left_out:
            log.say(f"-- {target.name}: without CUDA, left out: {', '.join(left_out)}")
        return dataclasses.replace(target, sources=sources, cuda_sources=())

    result = dataclasses.replace(spec, ops=tuple(map(left, spec.ops)), apps=tuple(map(left, spec.apps)))
    if problems:
        raise SettingsError(problems)
    return result


def _another_build(libtorch: LibTorch) -> str:
    from torchscript_build.libtorch.variants import variant_tag  # for errors only

    variant = f"torch=={libtorch.version}+{variant_tag(libtorch.version, True)}"
    found = f"libtorch {libtorch.full_version} in {libtorch.root}"
    return f"{found} was built without CUDA: use a CUDA build ({variant})"


def find_cuda(
    spec: ProjectSpec, environment: Environment, libtorch: LibTorch, cxx: CxxCompiler, build_base: Path
) -> Optional[CudaFacts]:
    """The CUDA toolkit and cuDNN, if a target needs one of them; checked against libtorch and the host compiler.

    :raises ToolNotFoundError: one is missing or does not fit.
    :raises SettingsError: an architecture is unknown to nvcc.
    """
    targets: tuple[Union[OpLibrary, TorchScriptApp], ...] = (*spec.ops, *spec.apps)
    with_cuda = any(map(needs_cuda, targets))
    with_cudnn = any(t.cudnn for t in targets)
    if not with_cuda and not with_cudnn:
        return None
    from torchscript_build.toolchain.cuda import parts
    from torchscript_build.toolchain.cuda.architectures import ArchitecturePlan, plan_architectures
    from torchscript_build.toolchain.cuda.check import check_toolkit
    from torchscript_build.toolchain.cuda.cudnn import find_cudnn
    from torchscript_build.toolchain.cuda.read import CudaToolkit
    from torchscript_build.toolchain.cuda.search import find_cuda_toolkit, locate_cuda_toolkit
    from torchscript_build.toolchain.cuda.tables import NVCC_FLAGS

    series = libtorch.cuda_version
    if with_cuda:
        toolkit = find_cuda_toolkit(spec.options.cuda_toolkit, environment, series=series)
    else:  # cuDNN's header includes CUDA's, which lie in wheels beside libtorch where there is no toolkit
        located, _ = locate_cuda_toolkit(spec.options.cuda_toolkit, environment, series=series)
        toolkit = located or CudaToolkit(libtorch.root, Path("nvcc"), series or "0", found_by="libtorch")
    found = parts.find_parts(toolkit, libtorch, environment)
    headers = parts.find_headers(toolkit, found)
    notes = list(check_toolkit(toolkit, libtorch, cxx, headers))
    architectures = ArchitecturePlan((), "")
    root, nvcc = toolkit.root, toolkit.nvcc
    if with_cuda:
        architectures = plan_architectures(spec.options.cuda_architectures, environment, libtorch, toolkit)
        if parts.needs_merging(toolkit):
            root = build_base / "torchscript" / f"cuda-{toolkit.release}"
            parts.write_merged_toolkit(parts.plan_merged_toolkit(toolkit, found), root)
            nvcc = root / "bin" / toolkit.nvcc.name
    cudnn = find_cudnn(environment, libtorch, headers=True) if with_cudnn else None
    for note in (*notes, *architectures.notes):
        log.say(f"-- CUDA: {note}")
    return CudaFacts(
        root=str(root),
        nvcc=str(nvcc),
        version=toolkit.version,
        architectures=architectures.cmake,
        include_dirs=tuple(map(str, (*toolkit.include_dirs, *headers.include_dirs))),
        library_dirs=tuple(map(str, toolkit.library_dirs)),
        runtime_dirs=cuda_runtime_dirs(libtorch, cudnn=with_cudnn),
        flags=tuple(flag.text for flag in NVCC_FLAGS),
        cudnn_include_dir=str(cudnn.include_dir) if cudnn else None,
        cudnn_library=str(cudnn.library) if cudnn else None,
    )


def cuda_runtime_dirs(libtorch: LibTorch, *, cudnn: bool) -> tuple[str, ...]:
    """Where CUDA's runtime (and cuDNN) lie beside an installed torch, as libtorch_cuda's own RPATH says.

    Relative to site-packages: ``nvidia/cu13/lib``; up to CUDA 12 ``nvidia/cuda_runtime/lib``.
    """
    from torchscript_build.system import elf

    library = next((p for p in libtorch.libraries if p.name.startswith("libtorch_cuda.")), None)
    if library is None or not elf.is_elf(library):
        return ()
    info = elf.read_elf(library)
    wanted = re.compile(r"nvidia/(cu\d+|cuda_runtime" + ("|cudnn" if cudnn else "") + r")/lib")
    entries = (
        posixpath.normpath(posixpath.join("torch/lib", e.partition("/")[2])) for e in (*info.rpath, *info.runpath)
    )
    return tuple(dict.fromkeys(e for e in entries if wanted.fullmatch(e)))
