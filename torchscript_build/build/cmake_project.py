"""Builds an existing CMake project through the resolved Torch package."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import elf, log, system
from torchscript_build.build import cmake
from torchscript_build.build.pipeline import link_headers, relocated_folders
from torchscript_build.build.verify import verify_artifacts, verify_linked
from torchscript_build.generate.quoting import cmake_quote
from torchscript_build.generate.torch_package import render_torch_package
from torchscript_build.plan.build_plan import BuildPlan, PlannedProject
from torchscript_build.system import Environment
from torchscript_build.toolchain.programs import parse_version


def build_cmake_project(
    plan: BuildPlan, project: PlannedProject, environment: Environment, *, jobs: int, inplace: bool = False
) -> dict[str, Path]:
    """Configure, build, install and verify one project.

    :param inplace: for the source tree: what is installed also finds libtorch where it is on this machine.
    :returns: path below its install prefix → the installed file.
    :raises ConfigureError: its CMakeLists.txt fails.
    :raises VerificationError: it links a library of the other C++ ABI, or what it installs cannot be shipped.
    """
    folder = Path(plan.build_dir, "cmake", project.name)
    tree, prefix, state_file = folder / "tree", folder / ("inplace" if inplace else "install"), folder / "state.json"
    package_dir = folder / "torch"
    arguments = [
        *plan.cmake_args,
        f"-DTorch_DIR={package_dir.as_posix()}",
        f"-DCMAKE_PROJECT_INCLUDE={(package_dir / 'project_include.cmake').as_posix()}",
        *project.arguments,
        *_policy_arguments(plan, project),
    ]
    files = dict(render_torch_package(plan.libtorch, header_root=plan.header_root))
    files["project_include.cmake"] = _project_include(plan, arguments)
    link_headers(plan)
    system.materialize(files, package_dir)
    fingerprint = hashlib.sha256(json.dumps([plan.identity(), plan.build_type, arguments]).encode()).hexdigest()
    launcher = plan.toolchain.launcher
    wanted = [fingerprint, prefix.name, launcher.kind if launcher and launcher.kind else "-"]
    state = _read(state_file).split()
    if state != wanted or not (tree / "CMakeCache.txt").is_file():
        if state[:1] != wanted[:1]:
            system.remove_tree(tree)
        system.remove_tree(prefix)
        state_file.unlink(missing_ok=True)
        if inplace:
            arguments = [_with_rpath(argument, plan) for argument in arguments]
        with log.step(f"configure {project.name}"):
            cmake.configure(
                Path(project.source_dir),
                tree,
                plan.toolchain,
                build_type=plan.build_type,
                arguments=arguments,
                variables=environment.variables,
            )
        verify_linked(cmake.read_linked_files(tree, plan.build_type), plan.libtorch)
        system.write_atomically(state_file, "\n".join(wanted).encode())
    with log.step(f"build {project.name}"):
        changed = cmake.build(
            tree,
            plan.toolchain,
            build_type=plan.build_type,
            jobs=jobs,
            variables=environment.variables,
            targets=project.targets,
        )
    record = folder / f"{prefix.name}.json"
    stamps = {str(a.path): system.stamp(a.path) for a in cmake.read_artifacts(tree, plan.build_type)}
    # The artifacts are compared, too: an earlier build may have been killed before it installed them.
    if project.install and (changed or system.read_json(record) != stamps or not prefix.is_dir()):
        with log.step(f"install {project.name}", quiet=True):
            _install(plan, project, environment, tree, prefix)
        system.write_json(record, stamps)
    return {name: prefix / name for name in _installed(prefix, project.include)}


def _install(plan: BuildPlan, project: PlannedProject, environment: Environment, tree: Path, prefix: Path) -> None:
    system.remove_tree(prefix)
    components: Sequence[Optional[str]] = project.components or (None,)
    for component in components:
        cmake.install(
            tree,
            prefix,
            plan.toolchain,
            build_type=plan.build_type,
            variables=environment.variables,
            component=component,
        )
    binaries = [prefix / n for n in _installed(prefix, project.include) if elf.is_elf(prefix / n)]
    try:
        verify_artifacts(
            binaries,
            plan.libtorch,
            library_dirs=sorted({b.parent for b in binaries}),
            runpath=[
                *relocated_folders(environment),
                *(plan.libtorch.library_dirs if prefix.name == "inplace" else _named_folders(project)),
            ],
        )
    except BaseException:
        system.remove_tree(prefix)
        raise


def _with_rpath(argument: str, plan: BuildPlan) -> str:
    """The argument; if it sets the RUNPATH of what is installed, with libtorch's folders on this machine."""
    folders = [d.as_posix() for d in plan.libtorch.library_dirs]
    return ";".join([argument, *folders]) if argument.startswith("-DCMAKE_INSTALL_RPATH=") else argument


def _named_folders(project: PlannedProject) -> list[Path]:
    """Folders of this machine that the plan itself puts into RUNPATHs (``--prefix`` without libtorch in it)."""
    rpaths = [a.partition("=")[2] for a in project.arguments if a.startswith("-DCMAKE_INSTALL_RPATH=")]
    return [Path(entry) for rpath in rpaths for entry in rpath.split(";") if Path(entry).is_absolute()]


def _installed(prefix: Path, include: Sequence[str]) -> list[str]:
    """The installed files that are wanted, relative, sorted."""
    names = sorted(p.relative_to(prefix).as_posix() for p in prefix.rglob("*") if p.is_file())
    return [n for n in names if not include or any(fnmatch.fnmatch(n, pattern) for pattern in include)]


def _project_include(plan: BuildPlan, arguments: Sequence[str]) -> bytes:
    """Read by CMake after each project(): the ABI flag reaches targets that never heard of Torch, too.

    So does the launcher, whatever the project's languages are: cache entries of others would be told of as unused.
    """
    lines = []
    if plan.libtorch.cxx11_abi is not None:
        definition = f"_GLIBCXX_USE_CXX11_ABI={int(plan.libtorch.cxx11_abi)}"
        lines.append(f"add_compile_definitions({cmake_quote(definition)})\n")
    launcher = plan.toolchain.launcher
    for name, path in cmake.launcher_variables(launcher, launcher.languages if launcher else ()).items():
        if not cmake.is_set(name, arguments):
            lines.append(f"set({name} {cmake_quote(path)})\n")
    return "".join(lines).encode()


def _policy_arguments(plan: BuildPlan, project: PlannedProject) -> list[str]:
    """CMake 4 refuses projects that ask for 3.4 or older; they nearly always work all the same."""
    if parse_version(plan.toolchain.cmake.version) < (4,):
        return []
    log.say(
        f"-- {project.name}: CMAKE_POLICY_VERSION_MINIMUM=3.5, so that CMake 4 takes a project made for an older one"
    )
    return ["-DCMAKE_POLICY_VERSION_MINIMUM=3.5"]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
