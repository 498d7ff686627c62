"""The pipeline from a plan to artifacts: materialize, configure, build, collect, install, verify."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchscript_build import cmake, log, project, system
from torchscript_build.cmake import Artifact
from torchscript_build.plan import BuildPlan
from torchscript_build.system import Environment
from torchscript_build.verify import verify_artifacts

STATE = "state.json"
COMPONENT = "torchscript-build"


@dataclass(frozen=True)
class BuildResult:
    """What a build made."""

    artifacts: tuple[Artifact, ...]
    installed: Path
    """The folder that CMake installed into, laid out as in the package."""

    def artifact(self, target: str) -> Path:
        """The file of a target, in the build tree."""
        return next(a.path for a in self.artifacts if a.target == target)


@contextmanager
def build_lock(plan: BuildPlan) -> Iterator[None]:
    """Only one build at a time in a build folder."""
    with system.locked(Path(plan.build_dir, ".lock")):
        yield


def build_targets(plan: BuildPlan, environment: Environment, *, jobs: int, targets: Sequence[str] = ()) -> BuildResult:
    """Bring the build tree up to date. With nothing changed, neither CMake nor a compiler is started.

    A tree that was made for another libtorch, compiler, generator or place is thrown away, not trusted.
    """
    state_file = Path(plan.build_dir, STATE)
    state = _read_state(state_file)
    identity, fingerprint = plan.identity(), plan.fingerprint(project.templates_digest())
    if state.get("identity") != identity:
        if plan.tree_dir.exists():
            log.say(f"-- {plan.build_dir} belonged to another libtorch, compiler or folder: starting afresh")
        system.remove_tree(plan.tree_dir)
        system.remove_tree(plan.stage_dir)
        state = {}
    if state.get("fingerprint") != fingerprint or not (plan.tree_dir / "CMakeCache.txt").is_file():
        state_file.unlink(missing_ok=True)
        with log.step("configure"):
            materialize(project.render_project(plan), plan.project_dir)
            cmake.configure(
                plan.project_dir,
                plan.tree_dir,
                plan.toolchain,
                build_type=plan.build_type,
                arguments=plan.cmake_args,
                variables=environment.variables,
            )
        artifacts = cmake.read_artifacts(plan.tree_dir, plan.build_type)
        state = {
            "identity": identity,
            "fingerprint": fingerprint,
            "artifacts": [[a.target, a.type, str(a.path)] for a in artifacts],
        }
        _write_state(state_file, state)
    artifacts = tuple(Artifact(target, kind, Path(path)) for target, kind, path in state["artifacts"])
    with log.step("build"):
        cmake.build(
            plan.tree_dir,
            plan.toolchain,
            build_type=plan.build_type,
            jobs=jobs,
            variables=environment.variables,
            targets=targets,
        )
    stamps = {str(a.path): _stamp(a.path) for a in artifacts}
    if state.get("installed") != stamps or not plan.stage_dir.is_dir():
        system.remove_tree(plan.stage_dir)
        cmake.install(
            plan.tree_dir,
            plan.stage_dir,
            plan.toolchain,
            build_type=plan.build_type,
            variables=environment.variables,
            component=COMPONENT,
        )
        verify_artifacts(installed_binaries(plan), plan.libtorch, library_dirs=link_dirs(plan))
        _write_state(state_file, {**state, "installed": stamps})
    return BuildResult(artifacts, plan.stage_dir)


def installed_binaries(plan: BuildPlan) -> list[Path]:
    """The installed programs, as CMake laid them out."""
    suffix = ".exe" if plan.libtorch.platform == "win32" else ""
    return [plan.stage_dir / app.output_dir / (app.name + suffix) for app in plan.apps if app.install]


def link_dirs(plan: BuildPlan) -> list[Path]:
    """Every folder in which the project's targets look for libraries."""
    return [Path(d) for app in plan.apps for d in app.link_dirs]


def materialize(files: Mapping[str, bytes], folder: Path) -> None:
    """Write a FileSet into a folder: only what changed; files that are no longer part of it are removed."""
    for name, content in sorted(files.items()):
        system.write_if_changed(folder / name, content)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.as_posix() not in files and inside.parts[0] != "build":
            path.unlink()


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_state(path: Path, state: Mapping[str, Any]) -> None:
    system.write_atomically(path, json.dumps(state, indent=1).encode())
