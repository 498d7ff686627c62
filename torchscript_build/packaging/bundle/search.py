"""Where the libraries of a bundle are looked for on the machine that makes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torchscript_build.errors import VerificationError
from torchscript_build.models.external import external_files
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment, elf


def library_folders(plan: BuildPlan, tree: Path, environment: Environment) -> Sequence[Path]:
    """Beside what the files name themselves: the bundle's own, libtorch's, and those that the linker had.

    What is installed into a bundle has lost the folders that it was linked in; the build tree's files have them.
    """
    found = [tree / "lib", *plan.libtorch.library_dirs]
    for target in plan.targets:
        found += _named_by(plan.out_dir / target.path)
        found += [Path(folder) for folder in target.link_dirs]
        found += [Path(name).parent for name in target.link_libraries if os.path.isabs(name)]
    for project in plan.cmake:
        folder = Path(plan.build_dir, "cmake", project.name, "tree")
        built = (p for p in sorted(folder.rglob("*")) if "CMakeFiles" not in p.parts and p.is_file() and elf.is_elf(p))
        found += [entry for path in built for entry in _named_by(path)]
    for source in carried_sources(plan, tree, environment).values():
        found += [source.parent, *_named_by(source)]
    found += [Path(f) for f in (environment.get("LD_LIBRARY_PATH") or "").split(os.pathsep) if f]
    return tuple(dict.fromkeys(found))


def carried_sources(plan: BuildPlan, tree: Path, environment: Environment) -> Mapping[Path, Path]:
    """Operator library from elsewhere, in the bundle → the file of the package that it was copied from."""
    sources = external_files(plan.loaders, environment)
    pairs = [pair for one in plan.loaders for pair in zip(one.external_ops, sources[one.name])]
    return {tree / "lib" / Path(library.relative).name: Path(source) for library, source in pairs}


def system_folders() -> Sequence[Path]:
    """Where the loader looks for what names no folder: those of ld.so.conf(5), and its own."""
    return tuple(dict.fromkeys([*_configured(Path("/etc/ld.so.conf")), *map(Path, elf.DEFAULT_FOLDERS)]))


def _named_by(path: Path) -> Iterable[Path]:
    try:
        info = elf.read_elf(path)
    except VerificationError:  # not built, or no ELF file: an object, a script
        return ()
    return elf.expand_origin((*info.rpath, *info.runpath), path.parent)


def _configured(file: Path, depth: int = 0) -> list[Path]:
    """The folders of ld.so.conf(5), with what it includes."""
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in (text.partition("#")[0].strip() for text in lines):
        words = line.split()
        if words[:1] == ["include"] and depth < 3:
            for pattern in words[1:]:
                base = Path("/") if os.path.isabs(pattern) else file.parent
                found += [f for p in sorted(base.glob(pattern.lstrip("/"))) for f in _configured(p, depth + 1)]
        elif line:
            found.append(Path(line.split("=")[0].strip()))
    return found
