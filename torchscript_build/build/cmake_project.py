"""Builds an existing CMake project through the resolved Torch package."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.build import cmake
from torchscript_build.build.compiler_cache import binutils
from torchscript_build.build.damage import DamagedTreeError, is_configured, is_of_the_future
from torchscript_build.build.install_tree import install_project, python_modules
from torchscript_build.build.pipeline import link_headers
from torchscript_build.build.runpath import ROOM
from torchscript_build.build.verify import verify_linked
from torchscript_build.errors import ConfigureError
from torchscript_build.generate.quoting import cmake_quote
from torchscript_build.generate.torch_package import render_torch_package
from torchscript_build.operators.loading import check_imports
from torchscript_build.plan.build_plan import BuildPlan, PlannedProject
from torchscript_build.system import Environment
from torchscript_build.toolchain.programs import parse_version

PYTHON_VARIABLES = ("Python_EXECUTABLE", "Python3_EXECUTABLE", "PYTHON_EXECUTABLE")
"""What find_package(Python), (Python3) and (PythonInterp) take the interpreter from."""


def build_cmake_project(
    plan: BuildPlan, project: PlannedProject, environment: Environment, *, jobs: int, inplace: bool = False
) -> dict[str, Path]:
    """Configure, build, install and verify one project; a tree that is damaged is made anew.

    :param inplace: for the source tree: what is installed also finds libtorch where it is on this machine.
    :returns: path below its install prefix → the installed file.
    :raises ConfigureError: its CMakeLists.txt fails.
    :raises VerificationError: it links a library of the other C++ ABI, or what it installs cannot be shipped.
    """
    folder = Path(plan.build_dir, "cmake", project.name)
    try:
        return _build(plan, project, environment, folder, jobs=jobs, inplace=inplace)
    except DamagedTreeError as error:
        log.say(f"-- {error.problem.splitlines()[0]}: starting afresh")
    system.remove_tree(folder / "tree")
    return _build(plan, project, environment, folder, jobs=jobs, inplace=inplace)


def _build(
    plan: BuildPlan, project: PlannedProject, environment: Environment, folder: Path, *, jobs: int, inplace: bool
) -> dict[str, Path]:
    tree, package_dir = folder / "tree", folder / "torch"
    arguments = [
        *plan.cmake_args,
        f"-DCMAKE_INSTALL_PREFIX={(folder / 'prefix').as_posix()}",
        f"-DTorch_DIR={package_dir.as_posix()}",
        f"-DCMAKE_PROJECT_INCLUDE={(package_dir / 'project_include.cmake').as_posix()}",
        *project.arguments,
        *_policy_arguments(plan, project),
    ]
    files = dict(render_torch_package(plan.libtorch, header_root=plan.header_root))
    files["project_include.cmake"] = _project_include(plan, arguments, environment, package_dir)
    link_headers(plan)
    system.materialize(files, package_dir)
    system.date_now(package_dir)
    variables = _inner_variables(plan, environment, package_dir, arguments)
    if plan.libtorch.platform == "darwin" and inplace:
        arguments = [_with_rpath(argument, plan) for argument in arguments]
    _configured(plan, project, environment, tree, arguments, files["project_include.cmake"], variables)
    with log.step(f"build {project.name}"):
        cmake.build(
            tree,
            plan.toolchain,
            build_type=plan.build_type,
            jobs=jobs,
            variables=variables,
            targets=project.targets,
        )
    if not project.install:
        return {}
    prefixes = [a.partition("=")[2] for a in arguments if cmake.is_set("CMAKE_INSTALL_PREFIX", [a])]
    with log.step(f"install {project.name}", quiet=True):
        installed = install_project(plan, project, environment, tree, configured=Path(prefixes[-1]), inplace=inplace)
    modules = {name: installed[name] for name in python_modules(installed)} if plan.libtorch.platform == "linux" else {}
    if modules:
        check_imports(plan, project.name, modules, environment)
    return installed


def _configured(
    plan: BuildPlan,
    project: PlannedProject,
    environment: Environment,
    tree: Path,
    arguments: Sequence[str],
    include: bytes,
    variables: dict[str, str],
) -> None:
    state_file = tree.parent / "state.json"
    state = system.read_json(state_file)
    if is_of_the_future(state_file):
        log.say(f"-- {state_file.parent} is dated in the future")
        state = {}
    # A tree survives another launcher or interpreter, which are configured anew; nothing else. And what CMake did not
    # find on PATH once, it never looks for again in that tree.
    words = [plan.identity(), plan.build_type, list(arguments), binutils(environment)]
    identity = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    wanted = {"identity": identity, "include": hashlib.sha256(include).hexdigest()}
    is_whole = is_configured(tree)
    if state == wanted and is_whole:
        return
    if state.get("identity") == identity and not is_whole:
        log.say(f"-- the build tree {tree} is damaged: starting afresh")
    if state.get("identity") != identity or not is_whole:
        system.remove_tree(tree)
    system.remove_tree(state_file)
    with log.step(f"configure {project.name}"):
        _configure(plan, project, tree, arguments, variables)
    if _sets_torch_dir(Path(project.source_dir)) and not _found_ours(tree):
        found = "sets Torch_DIR itself and may have found another Torch"
        log.warn(f"{project.name}: its CMakeLists.txt {found}: {_TORCH_DIR_CURE}")
    verify_linked(cmake.read_linked_files(tree, plan.build_type), plan.libtorch)
    system.write_json(state_file, wanted)


def _configure(
    plan: BuildPlan, project: PlannedProject, tree: Path, arguments: Sequence[str], variables: dict[str, str]
) -> None:
    """Configure; a tree that was configured before may be damaged: where it fails, it is made anew."""
    is_old = tree.exists()
    source = Path(project.source_dir)
    try:
        cmake.configure(
            source, tree, plan.toolchain, build_type=plan.build_type, arguments=arguments, variables=variables
        )
    except ConfigureError as error:
        if is_old:
            log.say(f"-- configuring {project.name} again, without what was known of the tree")
            system.remove_tree(tree)
            _configure(plan, project, tree, arguments, variables)
            return
        if not _sets_torch_dir(source):
            raise
        raise ConfigureError(str(error), cures=[_TORCH_DIR_CURE]) from error


_TORCH_DIR_CURE = (
    "remove set(Torch_DIR …) from its CMakeLists.txt; whoever builds it by hand says where Torch is with "
    "-DCMAKE_PREFIX_PATH=…"
)


def _sets_torch_dir(source: Path) -> bool:
    try:
        text = (source / "CMakeLists.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(r"^[^#\n]*\bset\s*\(\s*\"?Torch_DIR\b", text, re.IGNORECASE | re.MULTILINE) is not None


def _found_ours(tree: Path) -> bool:
    text = (tree / "CMakeCache.txt").read_text(encoding="utf-8", errors="replace")
    return "TORCHSCRIPT_BUILD_FOUND" in text


def _with_rpath(argument: str, plan: BuildPlan) -> str:
    """The argument; if it sets the RPATH of what is installed, with libtorch's folders on this machine."""
    folders = [d.as_posix() for d in plan.libtorch.library_dirs]
    return ";".join([argument, *folders]) if argument.startswith("-DCMAKE_INSTALL_RPATH=") else argument


def _inner_variables(
    plan: BuildPlan, environment: Environment, package_dir: Path, arguments: Sequence[str]
) -> dict[str, str]:
    """The environment, in which projects within the project (ExternalProject) find the same Torch.

    Their links leave room for another RUNPATH, too: ``_project_include`` does not reach them.
    """
    variables = {**environment.variables, "Torch_DIR": str(package_dir), "Caffe2_DIR": str(package_dir)}
    if plan.libtorch.platform == "linux":
        variables["LDFLAGS"] = " ".join(filter(None, [variables.get("LDFLAGS"), f"-Wl,-rpath,{ROOM}"]))
    policy = [a.partition("=")[2] for a in arguments if a.startswith("-DCMAKE_POLICY_VERSION_MINIMUM=")]
    return {**variables, **({"CMAKE_POLICY_VERSION_MINIMUM": policy[-1]} if policy else {})}


def _project_include(plan: BuildPlan, arguments: Sequence[str], environment: Environment, package_dir: Path) -> bytes:
    """Read by CMake after each project(): the ABI flag reaches targets that never heard of Torch, too.

    So do the launcher, whatever the project's languages are, and the interpreter: cache entries that a project does not
    use would be told of. And each link leaves room for the RUNPATH of the place that a file is installed in.
    """
    lines = []
    if plan.libtorch.cxx11_abi is not None:
        definition = f"_GLIBCXX_USE_CXX11_ABI={int(plan.libtorch.cxx11_abi)}"
        lines.append(f"add_compile_definitions({cmake_quote(definition)})\n")
    launcher = plan.toolchain.launcher
    for name, path in cmake.launcher_variables(launcher, launcher.languages if launcher else ()).items():
        if not cmake.is_set(name, arguments):
            lines.append(f"set({name} {cmake_quote(path)})\n")
    entries = [(name, environment.python.executable.as_posix(), "FILEPATH") for name in PYTHON_VARIABLES]
    entries.append(("Caffe2_DIR", package_dir.as_posix(), "PATH"))
    for name, value, kind in entries:
        if not cmake.is_set(name, arguments):
            lines.append(f'set({name} {cmake_quote(value)} CACHE {kind} "" FORCE)\n')
    if plan.libtorch.platform == "linux":
        lines.append(f"add_link_options({cmake_quote(f'LINKER:-rpath,{ROOM}')})\n")
    return "".join(lines).encode()


def _policy_arguments(plan: BuildPlan, project: PlannedProject) -> list[str]:
    """CMake 4 refuses projects that ask for 3.4 or older; they nearly always work all the same."""
    if parse_version(plan.toolchain.cmake.version) < (4,):
        return []
    log.say(
        f"-- {project.name}: CMAKE_POLICY_VERSION_MINIMUM=3.5, so that CMake 4 takes a project made for an older one"
    )
    return ["-DCMAKE_POLICY_VERSION_MINIMUM=3.5"]
