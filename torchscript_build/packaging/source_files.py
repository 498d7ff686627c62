"""The files of a project that building needs and that no other command puts into an sdist."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional, Union

from torchscript_build.operators.includes import included_files
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp

HEADER_SUFFIXES = (".h", ".hpp", ".hh", ".hxx", ".cuh", ".inl", ".inc", ".ipp", ".tpp", ".tcc", ".txx", ".def")
LIBRARY = re.compile(r"\.(a|so(\.\d+)*|dylib|lib)\Z")

_CXX_SUFFIXES = (*HEADER_SUFFIXES, ".c", ".cc", ".cpp", ".cxx", ".cu")
_QUOTED = re.compile(r'"([\w./+-]{1,200})(?=\\?")')
_UPWARDS = re.compile(r"(?<![\w.])(?:\.\./)+[^\s\"();$<>]+")

_MADE_FOLDERS = re.compile(r"\..*|build|dist|__pycache__|node_modules|.*\.egg-info")
_MADE_FILES = re.compile(r"\.(?!clang|cmake|editorconfig|version).*|.*\.whl|.*\.pyc")


def source_files(spec: ProjectSpec, root: Path) -> list[str]:
    """Their paths, relative to the project; those outside of it begin with ``..``."""
    files: set[str] = set()
    targets: list[Union[OpLibrary, TorchScriptApp]] = [*spec.ops, *spec.apps]
    for target in targets:
        files.update(_of_target(target, root))
    for model in spec.models:
        files.update(_of_model(model, root))
    for project in spec.cmake:
        files.update(_of_project(root, project.source_dir))
    return sorted(files)


def outside_files(files: Iterable[str]) -> list[str]:
    """Those that no sdist can hold: it has the project's own folder only."""
    return [f for f in files if f.startswith("../") or os.path.isabs(f)]


def compiled_sources(spec: ProjectSpec) -> frozenset[str]:
    """The sources that are compiled, which a wheel needs not."""
    return frozenset(os.path.normpath(s) for t in (*spec.ops, *spec.apps) for s in t.sources)


def _of_target(target: Union[OpLibrary, TorchScriptApp], root: Path) -> Iterator[str]:
    yield from target.sources
    folders = dict.fromkeys([*target.include_dirs, *sorted({str(Path(s).parent) for s in target.sources})])
    for folder in folders:
        yield from _below(root, folder, HEADER_SUFFIXES)
    # Whatever its suffix: what is included is needed.
    sources = [root / s for s in target.sources]
    include_dirs = [root / d for d in target.include_dirs]
    included = included_files(sources, include_dirs)
    yield from (_relative(file, root) for file in included)
    yield from _named_in_text([*sources, *included], include_dirs, root)
    yield from (lib for lib in target.link_libraries if (root / lib).is_file())
    for folder in target.link_dirs:
        names = sorted(os.listdir(root / folder)) if (root / folder).is_dir() else []
        yield from (_relative(root / folder / n, root) for n in names if LIBRARY.search(n))


def _named_in_text(files: Iterable[Path], include_dirs: Sequence[Path], root: Path) -> Iterator[str]:
    """Files of the project that strings in C++ name: what a macro includes, what an assembler or #embed takes in."""
    for file in files:
        for name in set(_QUOTED.findall(_read(file))):
            paths = (_relative(folder / name, root) for folder in (file.parent, *include_dirs, root))
            yield from (p for p in paths if not p.startswith(("../", "/")) and _is_plain(root / p))


def _of_project(root: Path, source_dir: str) -> Iterator[str]:
    """A CMake project's folder, and what its files name of the rest of the project: ``../shared/x.cpp``."""
    below = _below(root, source_dir)
    yield from below
    texts = [f for f in below if f.endswith((".cmake", "CMakeLists.txt"))]
    for file in texts:
        for way in set(_UPWARDS.findall(_read(root / file))):
            for folder in {Path(file).parent, Path(source_dir)}:
                target = os.path.normpath(folder / way)
                if target == "." or target.startswith("/") or _MADE_FOLDERS.fullmatch(Path(target).parts[0]):
                    continue  # outside of the project, too
                if (root / target).is_dir():
                    yield from _below(root, target)
                else:
                    yield from (_relative(p, root) for p in sorted(root.glob(target)) if _is_plain(p))
    # What these include lies elsewhere, too.
    sources = [root / f for f in below if f.endswith(_CXX_SUFFIXES)]
    yield from (n for n in (_relative(f, root) for f in included_files(sources, ())) if not n.startswith("../"))


def _is_plain(path: Path) -> bool:
    """Is there a file that is neither hidden nor made?"""
    return path.is_file() and not _MADE_FILES.fullmatch(path.name)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _of_model(model: ScriptModel, root: Path) -> Iterator[str]:
    texts = (model.file or "", *model.example_inputs)
    for text in texts:
        # The runner's --input: a file, or one behind a word (args:all.pt, file:data), with a name, in a list.
        parts = [text, *(p.strip() for p in re.split(r"[=,()\[\]]", text))]
        for candidate in (c for p in parts for c in (p, p.partition(":")[2])):
            if candidate and (root / candidate).is_file():
                yield _relative(root / candidate, root)
    functions = [model.factory, *(t for t in model.example_inputs if re.fullmatch(r"[\w.]+:[\w.]+", t))]
    for function in filter(None, functions):
        yield from _of_module(function.partition(":")[0], model, root)


def _of_module(module: str, model: ScriptModel, root: Path) -> Iterator[str]:
    """The Python files of a factory's module: itself, or the package that it is in."""
    top, _, rest = module.partition(".")
    for folder in model.python_path:
        file, package = root / folder / f"{top}.py", root / folder / top
        if file.is_file():
            yield _relative(file, root)
            # Its neighbours are what it imports, where the folder is not the project's own.
            if folder not in (".", "src"):
                yield from _below(root, folder, (".py",))
            return
        if (rest or (package / "__init__.py").is_file()) and package.is_dir():
            yield from _below(root, os.path.join(folder, top), (".py",))
            return


def _below(root: Path, folder: str, suffixes: Optional[tuple[str, ...]] = None) -> list[str]:
    """The files below a folder of the project; what is hidden, built or a virtual environment is left out."""
    found = []
    for where, folders, names in os.walk(root / folder):
        folders[:] = [f for f in folders if not _is_made(Path(where, f), root)]
        if Path(where) != root / folder and {"pyvenv.cfg", "CMakeCache.txt"} & set(names):
            folders.clear()
            continue
        paths = (Path(where, name) for name in names if not _MADE_FILES.fullmatch(name))
        found += [_relative(p, root) for p in paths if suffixes is None or p.suffix in suffixes]
    return sorted(found)


def _is_made(folder: Path, root: Path) -> bool:
    """Is it hidden, or made by a build? A folder ``build`` further down may be a part of a CMake project."""
    if not _MADE_FOLDERS.fullmatch(folder.name):
        return False
    return folder.name.startswith(".") or folder.parent == root or not (folder / "CMakeLists.txt").is_file()


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
