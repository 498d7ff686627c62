"""The files of a project that building needs and that no other command puts into an sdist."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional, Union

from torchscript_build.operators.includes import included_files
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp

HEADER_SUFFIXES = (".h", ".hpp", ".hh", ".hxx", ".cuh", ".inl", ".inc", ".ipp", ".tpp", ".tcc", ".txx", ".def")
LIBRARY = re.compile(r"\.(a|so(\.\d+)*|dylib|lib)\Z")

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
        files.update(_below(root, project.source_dir))
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
    for file in included_files(sources, [root / d for d in target.include_dirs]):
        yield _relative(file, root)
    yield from (lib for lib in target.link_libraries if (root / lib).is_file())
    for folder in target.link_dirs:
        names = sorted(os.listdir(root / folder)) if (root / folder).is_dir() else []
        yield from (_relative(root / folder / n, root) for n in names if LIBRARY.search(n))


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
        folders[:] = [f for f in folders if not _MADE_FOLDERS.fullmatch(f)]
        if Path(where) != root / folder and {"pyvenv.cfg", "CMakeCache.txt"} & set(names):
            folders.clear()
            continue
        paths = (Path(where, name) for name in names if not _MADE_FILES.fullmatch(name))
        found += [_relative(p, root) for p in paths if suffixes is None or p.suffix in suffixes]
    return sorted(found)


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
