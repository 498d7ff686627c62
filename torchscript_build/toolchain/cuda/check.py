"""Does a CUDA toolkit suit libtorch and the host compiler? Every problem at once, before anything is compiled."""

from __future__ import annotations

from typing import Optional

from torchscript_build.errors import ToolNotFoundError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.variants import pip_cure, variant_tag
from torchscript_build.toolchain.cuda.parts import Headers
from torchscript_build.toolchain.cuda.read import CudaToolkit
from torchscript_build.toolchain.cxx import CxxCompiler
from torchscript_build.toolchain.programs import parse_version


def check_toolkit(
    toolkit: CudaToolkit,
    libtorch: LibTorch,
    compiler: Optional[CxxCompiler],
    headers: Optional[Headers] = None,
) -> tuple[str, ...]:
    """Check what would fail late or at run time; returns notes, sentences that a log should have.

    :param compiler: the host compiler that nvcc will be given; ``None`` where it is not known.
    :param headers: what ``find_headers`` found.
    :raises ToolNotFoundError: with every problem: libtorch without CUDA, another major version, a host compiler that is
        too new for nvcc, headers that are missing.
    """
    problems: list[str] = []
    cures: list[str] = []
    notes: list[str] = []
    if libtorch.backend != "cuda":
        problems.append(
            f"libtorch {libtorch.full_version} in {libtorch.root} was built without CUDA: sources in CUDA cannot be "
            "compiled against it"
        )
        tag = variant_tag(libtorch.version, toolkit.release)
        cures.append(pip_cure(libtorch.version, toolkit.release))
        cures.append(f"torchscript-build fetch {libtorch.version} --cuda {tag}")
    elif libtorch.cuda_version is not None:
        _compare_versions(toolkit, libtorch, problems, cures, notes)
    if compiler is not None:
        _compare_compiler(toolkit, compiler, problems, cures)
    for header in headers.missing if headers else ():
        problems.append(
            f"{header.name}, which torch's headers include, is neither in {toolkit.root} nor beside libtorch"
        )
    if headers and headers.missing:
        cures.extend(_header_cures(toolkit, headers))
    if not problems:
        return tuple(notes)
    raise ToolNotFoundError("\n".join(problems), cures=list(dict.fromkeys(cures)))


def _compare_versions(
    toolkit: CudaToolkit, libtorch: LibTorch, problems: list[str], cures: list[str], notes: list[str]
) -> None:
    version = libtorch.cuda_version or ""
    major = version.split(".")[0]
    where = f"{toolkit.root} (found by {toolkit.found_by or 'name'})"
    if major != str(toolkit.major):
        problems.append(
            f"CUDA {toolkit.release} in {where} does not suit libtorch {libtorch.full_version}, "
            f"which was built with CUDA {version}: the major versions must be the same"
        )
        cures.append(f"install a CUDA {major} toolkit and set CUDA_HOME to it")
        cures.append(
            f"use a libtorch for CUDA {toolkit.major} (--cuda {toolkit.major}), which torchscript-build fetch VERSION "
            f"--cuda cu{toolkit.release.replace('.', '')} can get"
        )
    elif "." in version and version != toolkit.release:
        notes.append(f"CUDA {toolkit.release} in {where}, libtorch was built with {version}: minor versions may differ")


def _compare_compiler(toolkit: CudaToolkit, compiler: CxxCompiler, problems: list[str], cures: list[str]) -> None:
    highest = {"GNU": toolkit.highest_gcc, "Clang": toolkit.highest_clang}.get(compiler.id)
    numbers = parse_version(compiler.version)
    if highest is None or not numbers or numbers[0] <= highest:
        return
    name, program = ("GCC", "g++") if compiler.id == "GNU" else ("Clang", "clang++")
    problems.append(
        f"nvcc {toolkit.release} takes {name} up to {highest} as its host compiler; {' '.join(compiler.command)} is "
        f"{compiler.version} (says {toolkit.witnesses.get('host_compilers', 'the table')})"
    )
    cures.append(f"install {name} {highest} and set CUDAHOSTCXX={program}-{highest}")
    cures.append("use a newer CUDA toolkit of the same major version")


def _header_cures(toolkit: CudaToolkit, headers: Headers) -> list[str]:
    suffix = "" if toolkit.major >= 13 else f"-cu{toolkit.major}"
    wheels = " ".join(dict.fromkeys(f"{h.wheel}{suffix}" for h in headers.missing))
    conda = " ".join(dict.fromkeys(h.conda for h in headers.missing))
    return [f"pip install {wheels}", f"conda install -c conda-forge {conda}", "install the whole CUDA toolkit"]
