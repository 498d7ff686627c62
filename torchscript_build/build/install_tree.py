"""What an existing CMake project installs, below one folder: checked, and fit for the place where it will lie."""

from __future__ import annotations

import filecmp
import fnmatch
import os
import posixpath
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.build import cmake
from torchscript_build.build.as_installed import (
    Place,
    describe_missing,
    find_unstartable,
    is_python_module,
    site_with_torch,
)
from torchscript_build.build.cmake import Artifact
from torchscript_build.build.links import replace_links
from torchscript_build.build.pipeline import relocated_folders
from torchscript_build.build.runpath import set_runpath, wanted_entries
from torchscript_build.build.verify import PYTHON_LIBRARIES, verify_artifacts
from torchscript_build.errors import VerificationError
from torchscript_build.plan.build_plan import BuildPlan, PlannedProject
from torchscript_build.system import Environment, elf


def install_project(
    plan: BuildPlan, project: PlannedProject, environment: Environment, tree: Path, *, configured: Path, inplace: bool
) -> dict[str, Path]:
    """Install a built tree, give each file its RUNPATH, and check that all can start where they will lie.

    :param configured: the CMAKE_INSTALL_PREFIX that the tree was configured with; nothing is written into it.
    :param inplace: for the source tree: files find libtorch where it is on this machine.
    :returns: path below the prefix → the file.
    :raises VerificationError: nothing is installed, or outside of the prefix, or what could not start there.
    """
    fresh = tree.parent / "fresh"
    system.remove_tree(fresh)
    artifacts = cmake.read_artifacts(tree, plan.build_type)
    if project.artifacts:
        _take_artifacts(project, artifacts, fresh)
    else:
        _run_install(plan, project, environment, tree, configured, fresh)
    everything = _files_below(fresh)
    names = [n for n in everything if not project.include or any(fnmatch.fnmatch(n, p) for p in project.include)]
    _check_taken(project, artifacts, everything, names)
    binaries = [n for n in names if elf.is_elf(fresh / n) and _is_dynamic(fresh / n)]
    programs = [n for n in binaries if elf.read_elf(fresh / n).interpreter and not n.endswith(".so")]
    _make_executable(fresh, [*programs, *(n for n in project.programs if n in names)])
    if plan.libtorch.platform == "linux":
        _repair(plan, project, environment, tree, fresh, names, binaries, configured=configured, inplace=inplace)
    _verify(plan, project, environment, fresh, binaries, inplace=inplace)
    final = tree.parent / ("inplace" if inplace else "install")
    _replace(final, fresh, names)
    return {name: final / name for name in names}


def python_modules(files: Mapping[str, Path]) -> list[str]:
    """Those of a project's files that Python imports."""
    return [n for n, p in files.items() if ".so" in n and elf.is_elf(p) and is_python_module(n, elf.read_elf(p))]


def _run_install(
    plan: BuildPlan, project: PlannedProject, environment: Environment, tree: Path, configured: Path, fresh: Path
) -> None:
    """Run the install step with a DESTDIR, so that also what has an absolute destination is caught."""
    root = tree.parent / "root"
    system.remove_tree(root)
    contained = plan.libtorch.platform != "win32"  # DESTDIR does not exist there
    empty: list[str] = []
    for component in project.components or (None,):
        before = _files_below(root)
        cmake.install(
            tree,
            configured,
            plan.toolchain,
            build_type=plan.build_type,
            variables=environment.variables,
            component=component,
            destdir=root if contained else None,
        )
        if component and contained and _files_below(root) == before and not _manifest(tree, component):
            empty.append(component)
    inside = root / configured.relative_to(configured.anchor) if contained else configured
    own_prefix = tree.parent in configured.parents
    if contained and own_prefix and configured.is_dir():  # by install(CODE), which knows nothing of DESTDIR
        shutil.copytree(configured, inside, dirs_exist_ok=True)
        system.remove_tree(configured)
    if inside.is_dir():
        shutil.move(str(inside), str(fresh))
        replace_links(fresh, configured)
    outside = ["/" + n for n in _files_below(root)]
    system.remove_tree(root)
    if empty and len(empty) < len(project.components):  # else nothing at all is installed, which is told below
        raise VerificationError(
            f"{project.name}: components: its CMakeLists.txt installs nothing of {', '.join(map(repr, empty))}"
        )
    if outside:
        raise VerificationError(
            f"{project.name}: its install rules put files outside of the install prefix, where no package can take "
            f"them:\n" + "\n".join(f"  - {name}" for name in outside[:10]),
            cures=[
                "give a relative DESTINATION (lib, bin), or one below ${CMAKE_INSTALL_PREFIX}",
                'take the targets\' files from the build tree: artifacts = ["…"]',
            ],
        )


def _manifest(tree: Path, component: str) -> str:
    """What an install step says that it installed, also what was there already."""
    try:
        return (tree / f"install_manifest_{component}.txt").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _make_executable(fresh: Path, names: Sequence[str]) -> None:
    """``install(FILES …)`` takes a program's right to be started away; nobody can want that of one."""
    for path in (fresh / name for name in names):
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)


def _take_artifacts(project: PlannedProject, artifacts: Sequence[Artifact], fresh: Path) -> None:
    by_name = {a.target: a for a in artifacts}
    unknown = [n for n in project.artifacts if n not in by_name]
    if unknown:
        raise VerificationError(
            f"{project.name}: artifacts: there is no target {', '.join(map(repr, unknown))} that makes a file "
            f"(there are {', '.join(sorted(by_name)) or 'none'})"
        )
    for name in project.artifacts:
        artifact = by_name[name]
        if not artifact.path.is_file():
            raise VerificationError(f"{project.name}: artifacts: the target {name!r} was not built: {artifact.path}")
        info = elf.read_elf(artifact.path) if elf.is_elf(artifact.path) else None
        file = (info.soname if info else None) or artifact.path.name
        if artifact.type == "EXECUTABLE":
            folder = "bin"
        else:
            folder = "" if info and is_python_module(artifact.path.name, info) else "lib"
        target = fresh / folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(artifact.path, target)


def _check_taken(
    project: PlannedProject, artifacts: Sequence[Artifact], everything: Sequence[str], names: Sequence[str]
) -> None:
    """An empty result is a mistake somewhere, and so is a program that was promised and is not there."""
    if not everything:
        built = [f"  - {a.target}: {a.path}" for a in artifacts if a.path.is_file()]
        wanted = f" of the components {', '.join(project.components)}" if project.components else ""
        raise VerificationError(
            f"{project.name}: its CMakeLists.txt installs nothing{wanted}, so the package would get nothing of it\n"
            + ("built was:\n" + "\n".join(built) if built else "nothing was built, either"),
            cures=[
                "add install() rules to it",
                f"name the targets whose files are wanted: artifacts = [{artifacts[0].target if artifacts else '…'!r}]",
                "say install = false, if nothing of it belongs into the package",
            ],
        )
    if not names:
        raise VerificationError(
            f"{project.name}: include: none of {', '.join(map(repr, project.include))} matches what it installs: "
            + ", ".join(everything[:20])
        )
    for program in project.programs:
        if not {program, program + ".exe"} & set(names):
            raise VerificationError(
                f"{project.name}: console-script: it installs no {program!r}; it installs " + ", ".join(names[:20])
            )


def _is_dynamic(path: Path) -> bool:
    """Not an object file or a program without a loader, which need no library."""
    info = elf.read_elf(path)
    return bool(info.needed or info.soname or info.interpreter)


def _repair(
    plan: BuildPlan,
    project: PlannedProject,
    environment: Environment,
    tree: Path,
    fresh: Path,
    names: Sequence[str],
    binaries: Sequence[str],
    *,
    configured: Path,
    inplace: bool,
) -> None:
    libtorch = plan.libtorch
    defaults = [a.partition("=")[2].split(";") for a in project.arguments if a.startswith("-DCMAKE_INSTALL_RPATH=")]
    here = [str(d) for d in libtorch.library_dirs]
    dropped = [
        *here,
        *(os.path.realpath(d) for d in here),
        str(tree),
        str(fresh),
        str(configured),
        *elf.DEFAULT_FOLDERS,
        *(e for entries in defaults for e in entries if "/torch/lib" in e or "../../.." in e),
    ]
    libtorch_names = [p.name for d in libtorch.library_dirs for p in d.glob("*.so*")]
    for name in binaries:
        folder = posixpath.join(project.package_dir, posixpath.dirname(name))
        relative = [d if posixpath.isabs(d) else _entry(d, folder) for d in project.libtorch_dirs]
        info = elf.read_elf(fresh / name)
        wanted = wanted_entries(
            info,
            posixpath.dirname(name),
            shipped=names,
            libtorch_names=libtorch_names,
            to_libtorch=[*relative, *here] if inplace else relative,
            dropped=[d for d in dropped if d not in map(str, relocated_folders(environment))],
        )
        program = info.interpreter is not None
        if (info.rpath, info.runpath) != ((wanted, ()) if program else ((), wanted)):
            set_runpath(fresh / name, wanted, environment, program=program)


def _entry(target: str, folder: str) -> str:
    return f"$ORIGIN/{posixpath.relpath(target, folder or '.')}"


def _verify(
    plan: BuildPlan,
    project: PlannedProject,
    environment: Environment,
    fresh: Path,
    binaries: Sequence[str],
    *,
    inplace: bool,
) -> None:
    paths = [fresh / n for n in binaries]
    modules = {fresh / n for n in _loaded_by_python(project, fresh, binaries)}
    here = [*plan.libtorch.library_dirs] if inplace else [Path(d) for d in project.libtorch_dirs if d.startswith("/")]
    verify_artifacts(
        paths,
        plan.libtorch,
        library_dirs=sorted({p.parent for p in paths}),
        python_modules=modules,
        runpath=[*relocated_folders(environment), *here],
    )
    if plan.libtorch.platform != "linux":
        return
    place = site_with_torch(plan.libtorch, {project.package_dir: fresh})
    if not project.package_dir:
        prefix = next((d for d in project.libtorch_dirs if not d.startswith("/")), None)
        place = Place({"/prefix": fresh, **({f"/prefix/{prefix}": plan.libtorch.library_dirs[0]} if prefix else {})})
    root = posixpath.join("/site-packages", project.package_dir) if project.package_dir else "/prefix"
    missing = find_unstartable(binaries, place, root)
    if missing:
        raise VerificationError(
            f"{project.name}: what it installs could not start where it will lie:\n"
            + "\n".join(f"  - {line}" for line in describe_missing(missing)),
            cures=["install those libraries with it, or set INSTALL_RPATH to where they will be, from $ORIGIN on"],
        )


def _loaded_by_python(project: PlannedProject, fresh: Path, binaries: Sequence[str]) -> list[str]:
    """Modules, and in a package the libraries that no program needs: they may need Python's part of torch."""
    infos = {n: elf.read_elf(fresh / n) for n in binaries}
    todo = [n for n, info in infos.items() if info.interpreter]
    reached = set(todo)
    while todo:
        needed = infos[todo.pop()].needed
        found = [n for n in infos if posixpath.basename(n) in needed and n not in reached]
        todo += found
        reached.update(found)
    modules = [n for n, info in infos.items() if is_python_module(n, info)]
    libraries = [n for n in infos if n not in reached and n not in modules] if project.package_dir else []
    for name in libraries:
        python = [lib for lib in infos[name].needed if lib.startswith(PYTHON_LIBRARIES)]
        if python:
            log.say(f"-- {project.name}: {name} needs {', '.join(python)}: Python alone can load it")
    return [*modules, *libraries]


def _files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _replace(final: Path, fresh: Path, names: Sequence[str]) -> None:
    """Bring a folder to what a fresh one holds; files of the same content keep their time."""
    for name in _files_below(final):
        if name not in names:
            (final / name).unlink()
    for name in names:
        new, old = fresh / name, final / name
        same = old.is_file() and old.stat().st_mode == new.stat().st_mode and filecmp.cmp(new, old, shallow=False)
        if not same:
            old.parent.mkdir(parents=True, exist_ok=True)
            os.replace(new, old)
    system.remove_tree(fresh)
