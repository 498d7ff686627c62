"""The pipeline from a plan to artifacts: materialize, configure, build, collect, install, verify."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.build import cmake
from torchscript_build.build.cmake import Artifact
from torchscript_build.build.compiler_cache import binutils, forget_compiler, keep_compiler, seed_tree
from torchscript_build.build.damage import DamagedTreeError, is_configured, is_obstructed, is_of_the_future
from torchscript_build.build.runner_cache import claim_runner, keep_runner
from torchscript_build.errors import BuildError, ConfigureError, SettingsError
from torchscript_build.generate import project
from torchscript_build.generate.templates import templates_digest
from torchscript_build.libtorch.steps import in_conda_build
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp, PlannedLibrary, PlannedOps, PlannedTarget
from torchscript_build.records import dataclass
from torchscript_build.system import Environment
from torchscript_build.toolchain.cuda.facts import CudaFacts
from torchscript_build.toolchain.cxx import locate_library

STATE = "state.json"


@dataclass(frozen=True)
class BuildResult:
    """What a build made."""

    artifacts: tuple[Artifact, ...]
    stage_dir: Path
    accelerated: frozenset[str] = frozenset()
    """The installed targets that a build of torch without their accelerator cannot load."""

    def built(self, target: str) -> Path:
        """The file of a target in the build tree; it finds libtorch where it is on this machine."""
        return next(a.path for a in self.artifacts if a.target == target)

    def installed(self, target: PlannedTarget) -> Path:
        """The file of a target as it is shipped, with a relative RUNPATH."""
        return installed_file(self.stage_dir, target)


def installed_file(stage_dir: Path, target: PlannedTarget) -> Path:
    """Where CMake installs a target."""
    return stage_dir / component_of(target) / target.path


def component_of(target: PlannedTarget) -> str:
    """The install component of a target, as in TorchScriptBuild.cmake."""
    if isinstance(target, PlannedLibrary):
        return "libraries"
    return "ops" if isinstance(target, PlannedOps) else "apps"


@contextmanager
def build_lock(plan: BuildPlan) -> Iterator[None]:
    """Only one build at a time in a build folder."""
    with system.locked(Path(plan.build_dir, ".lock"), f"the build folder {plan.build_dir}"):
        for folder in (Path(plan.build_dir), Path(plan.build_dir, "models"), *Path(plan.build_dir).glob("cmake/*")):
            system.remove_leftovers(folder)
        yield


@contextmanager
def build_locks(plans: Sequence[BuildPlan]) -> Iterator[None]:
    """The same for several, in the order of their names, so that no two builds wait for each other."""
    with ExitStack() as stack:
        for plan in sorted(plans, key=lambda plan: plan.build_dir):
            stack.enter_context(build_lock(plan))
        yield


def build_targets(
    plan: BuildPlan, environment: Environment, *, jobs: int, targets: Sequence[PlannedTarget]
) -> BuildResult:
    """Bring some targets of the build tree up to date, install and verify them.

    With nothing changed, neither CMake nor a compiler is started. A tree that was made for another libtorch, compiler,
    generator or place is thrown away, not trusted.
    """
    try:
        return _build_targets(plan, environment, jobs=jobs, targets=targets)
    except BuildError as error:
        if not (isinstance(error, DamagedTreeError) or "ninja: error: unknown target '" in error.output):
            raise
        log.say(f"-- {error.problem.splitlines()[0]}: starting afresh")
    _start_afresh(plan)
    return _build_targets(plan, environment, jobs=jobs, targets=targets)


def _build_targets(
    plan: BuildPlan, environment: Environment, *, jobs: int, targets: Sequence[PlannedTarget]
) -> BuildResult:
    state_file = Path(plan.build_dir, STATE)
    with claimed(plan, targets):
        state = _built(plan, environment, jobs=jobs, targets=targets)
        keep_compiled(plan, targets, state)
    artifacts = tuple(Artifact(target, kind, Path(path)) for target, kind, path in state["artifacts"])
    result = BuildResult(artifacts, plan.stage_dir)
    installed = dict(state.get("installed", {}))
    accelerated = dict(state.get("accelerated", {}))
    for component in sorted({component_of(t) for t in targets if t.install}):
        members = [t for t in plan.targets if t.install and component_of(t) == component]
        if installed.get(component) != _stamps(result, members):
            _install(plan, environment, plan.stage_dir / component, component)
            _renew_build_ids(plan, members)
            with log.step(f"verify {component}", quiet=True):
                _verify(plan, members, environment)
                accelerated[component] = _accelerated(plan, members)
            installed[component] = _stamps(result, members)
            system.write_json(state_file, {**state, "installed": installed, "accelerated": accelerated})
    return dataclasses.replace(result, accelerated=frozenset(n for names in accelerated.values() for n in names))


def _stamps(result: BuildResult, targets: Sequence[PlannedTarget]) -> dict[str, Any]:
    """The stamps of what was built and of what was installed from it: neither changes without us."""
    return {t.name: [system.stamp(result.built(t.name)), system.stamp(result.installed(t))] for t in targets}


def claimed(plan: BuildPlan, targets: Sequence[PlannedTarget]) -> AbstractContextManager[None]:
    """Where one of the targets is a runner, its library is taken from the cache, or compiled by this build alone."""
    return claim_runner(plan) if _with_runner(targets) else nullcontext()


def keep_compiled(plan: BuildPlan, targets: Sequence[PlannedTarget], state: Mapping[str, Any]) -> None:
    """Put the runner that a tree has made or linked into the cache."""
    if _with_runner(targets):
        keep_runner(plan, _compiled_runner(state))


def _with_runner(targets: Sequence[PlannedTarget]) -> bool:
    return any(isinstance(t, PlannedApp) and t.has_runner for t in targets)


def _built(plan: BuildPlan, environment: Environment, *, jobs: int, targets: Sequence[PlannedTarget]) -> dict[str, Any]:
    """The state of a tree in which the targets are up to date."""
    state = configure_tree(plan, environment, targets)
    with log.step("build"):
        cmake.build(
            plan.tree_dir,
            plan.toolchain,
            build_type=plan.build_type,
            jobs=jobs,
            variables=environment.variables,
            targets=[target.name for target in targets],
        )
    return state


def _start_afresh(plan: BuildPlan) -> None:
    system.remove_tree(Path(plan.build_dir, STATE))
    system.remove_tree(plan.tree_dir)
    system.remove_tree(plan.stage_dir)


def _read_state(file: Path) -> dict[str, Any]:
    """The state as it was written; none where it is damaged, or dated in the future.

    What was made while the clock was ahead is newer than what is changed now, and would never be made again.
    """
    state = system.read_json(file)
    if is_of_the_future(file):
        log.say(f"-- {file.parent} is dated in the future")
        return {}
    artifacts = state.get("artifacts")
    is_whole = isinstance(artifacts, list) and all(
        isinstance(a, list) and len(a) == 3 and all(isinstance(word, str) for word in a) for a in artifacts
    )
    installed, accelerated = state.get("installed", {}), state.get("accelerated", {})
    is_whole = is_whole and isinstance(installed, dict) and isinstance(accelerated, dict)
    return state if is_whole and all(isinstance(names, list) for names in accelerated.values()) else {}


def configure_tree(plan: BuildPlan, environment: Environment, targets: Sequence[PlannedTarget]) -> dict[str, Any]:
    """The state of a tree that is configured for exactly this plan."""
    state_file = Path(plan.build_dir, STATE)
    state = _read_state(state_file)
    # What CMake did not find on PATH once, it never looks for again in that tree.
    identity = [plan.identity(), *binutils(environment).values()]
    fingerprint = plan.fingerprint(templates_digest())
    if state.get("identity") != identity:
        if plan.tree_dir.exists():
            log.say(f"-- {log.shown(plan.build_dir)} belonged to another libtorch, compiler or folder: starting afresh")
        _start_afresh(plan)
        state = {}
    if is_obstructed(plan.tree_dir):
        log.say(f"-- the build tree {log.shown(plan.tree_dir)} is damaged: starting afresh")
        system.remove_tree(plan.tree_dir)
    is_ready = state.get("fingerprint") == fingerprint and is_configured(plan.tree_dir)
    if is_ready and not (_with_runner(targets) and _is_runner_elsewhere(plan, state)):
        return state
    from torchscript_build.build.verify import verify_linked

    system.remove_tree(state_file)
    named = check_link_libraries(plan, environment)
    link_headers(plan)
    with log.step("configure"):
        system.materialize(project.render_project(plan), plan.project_dir)
        system.date_now(plan.project_dir)
        _configure(plan, environment)
    verify_linked([*named, *cmake.read_linked_files(plan.tree_dir, plan.build_type)], plan.libtorch)
    artifacts = cmake.read_artifacts(plan.tree_dir, plan.build_type)
    state = {
        "identity": identity,
        "fingerprint": fingerprint,
        "artifacts": [[a.target, a.type, str(a.path)] for a in artifacts],
    }
    system.write_json(state_file, state)
    return state


def _configure(plan: BuildPlan, environment: Environment) -> None:
    """Configure with what is known of the compiler; where that fails, without, and keep what CMake finds out.

    A tree that was configured before may be damaged: where it fails, it is made anew.
    """
    is_old = plan.tree_dir.exists()
    known = seed_tree(plan)
    try:
        cmake.configure(
            plan.project_dir,
            plan.tree_dir,
            plan.toolchain,
            build_type=plan.build_type,
            arguments=[*known, *cuda_arguments(plan), *plan.cmake_args],
            variables=environment.variables,
            languages=project.languages(plan),
        )
    except ConfigureError:
        if not known and not is_old:
            raise
        log.say(f"-- configuring again, without what was known of the {'compiler' if known else 'tree'}")
        if known:
            forget_compiler(plan)
        system.remove_tree(plan.tree_dir)
        _configure(plan, environment)
        return
    if not known:
        keep_compiler(plan)


def _compiled_runner(state: Mapping[str, Any]) -> Optional[Path]:
    """The runner's library that the tree itself makes; ``None`` where it takes the cache's."""
    return next((Path(path) for target, _, path in state["artifacts"] if target == "ts_runner"), None)


def _is_runner_elsewhere(plan: BuildPlan, state: Mapping[str, Any]) -> bool:
    """Has the cache lost the runner that a configured tree takes from it, or gained the one that it would compile?"""
    if plan.runner_library is None:
        return False
    made, is_cached = _compiled_runner(state), Path(plan.runner_library).is_file()
    return not is_cached if made is None else is_cached and not made.exists()


def link_headers(plan: BuildPlan) -> None:
    """Make the link of ``plan.header_root`` point at libtorch."""
    link, root = plan.header_root, plan.libtorch.root
    if link != root and (not link.is_symlink() or Path(os.readlink(link)) != root):
        system.remove_tree(link)
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            link.symlink_to(root, target_is_directory=True)
        except OSError as error:  # a shared folder of a virtual machine, a memory stick
            problem = f"launcher: {link.parent} can hold no link, which a compiler cache needs ({error.strerror})"
            raise SettingsError([f"{problem}; set launcher to none"]) from error


def cuda_library_dirs(cuda: CudaFacts) -> list[Path]:
    """Where CUDA's libraries and cuDNN lie on this machine."""
    cudnn = [Path(cuda.cudnn_library).parent] if cuda.cudnn_library else []
    return [*map(Path, cuda.library_dirs), *cudnn]


def cuda_arguments(plan: BuildPlan) -> list[str]:
    """CMake's cache entries for the CUDA language, where a target needs it."""
    if plan.cuda is None or not any(t.with_cuda for t in plan.targets):
        return []
    compiler = plan.toolchain.cxx.command
    return [
        f"-DCMAKE_CUDA_COMPILER={Path(plan.cuda.nvcc).as_posix()}",
        f"-DCMAKE_CUDA_ARCHITECTURES={';'.join(plan.cuda.architectures)}",
        *([f"-DCMAKE_CUDA_HOST_COMPILER={Path(compiler[-1]).as_posix()}"] if len(compiler) == 1 else []),
    ]


def _install(plan: BuildPlan, environment: Environment, folder: Path, component: str) -> None:
    with log.step(f"install {component}", quiet=True):
        system.remove_tree(folder)
        cmake.install(
            plan.tree_dir,
            folder,
            plan.toolchain,
            build_type=plan.build_type,
            variables=environment.variables,
            component=component,
        )


def _renew_build_ids(plan: BuildPlan, targets: Sequence[PlannedTarget]) -> None:
    if plan.libtorch.platform.startswith("linux"):
        from torchscript_build.build.build_id import renew_build_id

        for target in targets:
            renew_build_id(installed_file(plan.stage_dir, target))


def _verify(plan: BuildPlan, targets: Sequence[PlannedTarget], environment: Environment) -> None:
    from torchscript_build.build.verify import verify_artifacts  # it reads ELF, which an unchanged build does not

    own = {installed_file(plan.stage_dir, t).parent for t in plan.targets if t.install}
    notes = verify_artifacts(
        [installed_file(plan.stage_dir, t) for t in targets],
        plan.libtorch,
        library_dirs=[*sorted(own), *(cuda_library_dirs(plan.cuda) if plan.cuda else ())],
        link_dirs=_linked_folders(plan),
        python_modules={
            installed_file(plan.stage_dir, t)
            for t in targets
            if isinstance(t, PlannedOps) and (t.python_module or "torch_python" in t.link_libraries)
        },
        runpath=[*relocated_folders(environment), *(Path(e) for t in targets for e in t.install_rpath)],
    )
    for note in notes:
        log.warn(note)


def _linked_folders(plan: BuildPlan) -> list[Path]:
    """Where the project has libraries that it links: link-dirs, and those of files in link-libraries."""
    files = [Path(name) for t in plan.targets for name in t.link_libraries if os.path.isfile(name)]
    return [*(Path(d) for t in plan.targets for d in t.link_dirs), *dict.fromkeys(f.parent for f in files)]


def _accelerated(plan: BuildPlan, targets: Sequence[PlannedTarget]) -> list[str]:
    """The names of those that need a library which only builds of torch for an accelerator have."""
    from torchscript_build.build.verify import needs_accelerator

    return [t.name for t in targets if needs_accelerator(installed_file(plan.stage_dir, t))]


def relocated_folders(environment: Environment) -> list[Path]:
    """Folders of this machine that may stand in a RUNPATH, because the packager makes them relative.

    conda's compilers put the host prefix there (``LDFLAGS``); conda-build and rattler-build relocate it.
    """
    return [Path(environment.variables["PREFIX"], "lib")] if in_conda_build(environment) else []


def check_link_libraries(plan: BuildPlan, environment: Environment) -> list[tuple[str, Path]]:
    """Look for every library that the project names, before the linker misses it.

    Names that CMake has to make sense of (``OpenCV::core``, anything beside ``find-packages``) are left to it.

    :returns: pairs (target, file) of those that a name stands for, in the project's own link directories.
    :raises SettingsError: with every library that is not there.
    """
    if plan.libtorch.platform == "win32":
        return []
    problems = []
    found = []
    for target in plan.targets:
        for name in target.link_libraries if not target.find_packages else ():
            if "::" in name or (name.startswith("-") and not name.startswith("-l")) or Path(name).is_file():
                continue
            plain = name[2:] if name.startswith("-l") else name
            file = locate_library(plan.toolchain.cxx, plain, target.link_dirs, environment)
            if file is not None and str(file.parent) in target.link_dirs:
                found.append((target.name, file))
            elif file is None:
                looked = ", ".join([*target.link_dirs, "the compiler's own folders"])
                problems.append(f"{target.name!r}: link-libraries: there is no library {plain!r} (looked in {looked})")
    if problems:
        raise SettingsError(problems)
    return found
