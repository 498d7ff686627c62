"""What a job used: files that it opened, modules that it imported, and the distributions that these belong to."""

import contextlib
import functools
import hashlib
import os
import re
import shlex
import sys
import sysconfig
from typing import Any, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = ("/dev/", "/etc/", "/proc/", "/sys/")
WRITING = os.O_WRONLY | os.O_RDWR
_STARTS: "dict[str, tuple[int, Optional[int]]]" = {
    "subprocess.Popen": (1, 2),
    "os.system": (0, None),
    "os.posix_spawn": (1, None),
}
"""Events of programs that are started → the places of the command and of its folder in their arguments."""
_TOP = re.compile("^[^,/\n]+", re.M)
"""The first part of the path that a line begins with; torch's RECORD has 12,000 lines."""


class Record:
    """Notes every file that this process opens for reading, from now on.

    What the process has written itself is no input. Python tells of its own ``open`` and of SQLite's, so the two
    loaders that open files behind it are watched besides: ``torch.jit.load`` and safetensors. Of programs that are
    started, the files that their arguments name are what they read, as far as it can be seen.
    """

    def __init__(self) -> None:
        self.read: dict[str, None] = {}
        self.listed: dict[str, None] = {}
        self.named: dict[str, None] = {}
        self.written: set[str] = set()
        sys.addaudithook(self._hook)
        sys.meta_path.insert(0, _Safetensors(self))
        self._watch_jit_load()

    def note(self, path: Any) -> None:
        """A file that is read."""
        try:
            name = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return  # an open file, a descriptor
        if name not in self.written:
            self.read[name] = None

    def _note_listed(self, path: Any) -> None:
        """A folder whose files are asked for: the newest checkpoint. Python's imports ask for folders, too."""
        if "importlib" in sys._getframe(2).f_code.co_filename or isinstance(path, int):
            return
        self.listed[os.path.abspath("." if path is None else os.fsdecode(path))] = None

    def _note_named(self, command: Any, folder: Any = None) -> None:
        """The files that a program's arguments name, or a shell's line."""
        for word in [command] if isinstance(command, (str, bytes, os.PathLike)) else command:
            for part in _words(os.fsdecode(word)):
                name = os.path.abspath(os.path.join(os.fsdecode(folder or "."), part))
                if name not in self.written and os.path.isfile(name):
                    self.named[name] = None

    def _hook(self, event: str, arguments: "tuple[Any, ...]") -> None:
        if event == "sqlite3.connect":
            name = _database(arguments[0])
            if name is not None and os.path.isfile(name):  # else it is made now
                self.note(name)
        elif event in _STARTS:
            command, folder = _STARTS[event]
            with contextlib.suppress(TypeError, ValueError, OSError):
                self._note_named(arguments[command], None if folder is None else arguments[folder])
        if event in ("os.listdir", "os.scandir"):
            self._note_listed(arguments[0])
        if event != "open" or isinstance(arguments[0], int):
            return
        path, mode, flags = arguments
        if isinstance(mode, str):
            writes = any(letter in mode for letter in "wax")
        else:
            writes = isinstance(flags, int) and bool(flags & WRITING)
        if not writes:
            self.note(path)
            return
        try:
            name = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return
        if name not in self.read:
            self.written.add(name)

    def _watch_jit_load(self) -> None:
        torch = sys.modules.get("torch")
        plain = getattr(getattr(torch, "jit", None), "load", None)
        if torch is None or plain is None:
            return

        def load(f: Any, *arguments: Any, **more: Any) -> Any:
            self.note(f)
            return plain(f, *arguments, **more)

        torch.jit.load = load

    def collect(self, torch: Any, site_dirs: "list[str]", ignored: "list[str]", root: str) -> "dict[str, Any]":
        """``{"files": {path: digest}, "folders": [path, …], "distributions": ["torch-2.13.0.dist-info", …]}``, sorted.

        The digest of a file that the project lacks is ``None``.

        :param ignored: folders whose files are followed otherwise.
        :param root: the project's folder: of other folders and missing files nothing is told.
        """
        listed, read = list(self.listed), list(self.read)  # what follows is no part of the job
        modules = [_file_of(module) for module in list(sys.modules.values())]
        folders = _site_folders(site_dirs)
        owners = _Owners(folders)
        standard = os.path.join(sysconfig.get_path("stdlib"), "")
        skipped = (*SYSTEM, HERE, *(os.path.join(os.path.abspath(folder), "") for folder in ignored))
        files: dict[str, Optional[str]] = {}
        distributions: set[str] = set()
        named = (name for name in self.named if _is_inside(name, root))
        for name in sorted({*read, *named, *(os.path.abspath(m) for m in modules if m)}):
            site = next((folder for folder in folders if name.startswith(folder)), None)
            owner = owners.of(site, name) if site else None
            if owner is not None:
                distributions.add(owner)
            elif name.startswith(skipped) or name.endswith(".pyc") or (site is None and name.startswith(standard)):
                continue
            elif os.path.isfile(name):
                files[name] = _digest(name)
            elif _is_inside(name, root) and not os.path.exists(name):
                files[name] = None
        elsewhere = (*skipped, *folders)
        inside = [name for name in listed if _is_inside(name, root)]
        seen = sorted(name for name in inside if not os.path.join(name, "").startswith(elsewhere))
        return {"files": files, "folders": seen, "distributions": sorted(distributions)}


def _database(database: Any) -> Optional[str]:
    """The file of a SQLite database, which may be named by a URI."""
    try:
        name = os.fsdecode(database)
    except TypeError:
        return None
    if not name.startswith("file:"):
        return name
    from urllib.parse import unquote, urlsplit

    return unquote(urlsplit(name).path)


def _words(text: str) -> "list[str]":
    """What may be a path in an argument: itself, the words of a shell's line, and what stands after ``=``."""
    try:
        words = shlex.split(text)
    except ValueError:  # a quote without its end
        words = text.split()
    return [part for word in (text, *words) for part in (word, word.partition("=")[2]) if part]


def _file_of(module: Any) -> str:
    """The file of a module, without asking it: one that is imported when it is asked stays as it is."""
    return str(getattr(module, "__dict__", {}).get("__file__") or "")


def _is_inside(name: str, root: str) -> bool:
    """Is this the project's folder or something in it, and nothing hidden?"""
    path = os.path.relpath(name, os.path.abspath(root))
    return path == os.curdir or (not path.startswith(os.curdir) and f"{os.sep}." not in path)


def _site_folders(site_dirs: "list[str]") -> "list[str]":
    """The folders of installed packages, each with a separator at its end; the deepest first."""
    named = [folder for folder in sys.path if os.path.basename(folder) in ("site-packages", "dist-packages")]
    folders = {os.path.join(os.path.abspath(folder), "") for folder in (*site_dirs, *named)}
    return sorted(folders, key=len, reverse=True)


def prepare(site_dirs: "list[str]") -> None:
    """Read what belongs to whom before there are several processes that want to know."""
    for folder in _site_folders(site_dirs):
        tops_in(folder)


class _Owners:
    """Which distribution of a folder a file belongs to, by the first part of its path."""

    def __init__(self, folders: "list[str]") -> None:
        self._tops = {folder: tops_in(folder) for folder in folders}

    def of(self, folder: str, file: str) -> Optional[str]:
        top = file[len(folder) :].split(os.sep)[0]
        return self._tops[folder].get(top)


@functools.cache
def tops_in(folder: str) -> "dict[str, str]":
    """The first parts of the paths in a folder, and the distribution that each belongs to."""
    tops: dict[str, str] = {}
    names = os.listdir(folder) if os.path.isdir(folder) else []
    for name in sorted(n for n in names if n.endswith((".dist-info", ".egg-info"))):
        for top in _tops_of(os.path.join(folder, name)):
            tops.setdefault(top, name)
    return tops


def _tops_of(info: str) -> "set[str]":
    """The first parts of the paths that a distribution installed."""
    for listing in ("RECORD", "top_level.txt"):
        try:
            with open(os.path.join(info, listing), encoding="utf-8", errors="replace") as file:
                tops = {top.strip() for top in set(_TOP.findall(file.read()))}
        except OSError:
            continue
        return {t for top in tops for t in (top, f"{top}.py")} if listing == "top_level.txt" else tops
    return set()


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


class _Safetensors:
    """Finds safetensors as Python does, and lets its ``safe_open`` tell which file it opens."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "safetensors":
            return None
        import importlib.machinery

        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Watched(spec.loader, self._record)  # type: ignore[assignment]
        return spec


class _Watched:
    """A loader whose module's ``safe_open`` is watched."""

    def __init__(self, loader: Any, record: Record) -> None:
        self._loader = loader
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        plain = getattr(module, "safe_open", None)
        if plain is None:
            return

        def safe_open(filename: Any, *arguments: Any, **more: Any) -> Any:
            self._record.note(filename)
            return plain(filename, *arguments, **more)

        module.safe_open = safe_open
