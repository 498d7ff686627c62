"""What the tests with a local channel share: building a recipe, installing packages, looking into them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
import zstandard
from children import run_child
from local_channel import find_patchelf
from meta_yaml import Recipe, to_v1

from torchscript_build.system.elf import read_elf

CHILD = Path(__file__).with_name("rattler_child.py")


class BuildFailed(Exception):
    """A build or an installation failed; the words are its log."""


@dataclass(frozen=True)
class Workshop:
    """A channel to build from, and a place to build in."""

    channel: Path
    folder: Path
    cache: Path
    """rattler's cache of unpacked packages."""

    @property
    def output(self) -> Path:
        """The channel of the packages that were built here."""
        return self.folder / "output"

    def build(self, recipe: Recipe, *, source: Path | None = None, test: bool = True) -> Path:
        """Build one variant of a recipe; returns the package."""
        return self._build(to_v1(recipe, source=source), recipe.folder, {"python_min": "3.9"}, test=test)

    def build_v1(self, folder: Path, **variant: str) -> Path:
        """Build a ``recipe.yaml`` as it is written; returns the package."""
        recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
        recipe["source"]["path"] = str((folder / recipe["source"]["path"]).resolve())
        return self._build(recipe, folder, variant, test=True)

    def _build(self, recipe: Mapping[str, Any], folder: Path, variant: Mapping[str, str], *, test: bool) -> Path:
        name = recipe["package"]["name"]
        recipe_dir = self.folder / "recipes" / name
        shutil.rmtree(recipe_dir, ignore_errors=True)
        shutil.copytree(folder, recipe_dir)
        answer = self._ask(
            {
                "do": "build",
                "recipe": recipe,
                "recipe_dir": str(recipe_dir),
                "variant": variant,
                "test_strategy": "native" if test else "skip",
                "output": str(self.output),
            }
        )
        [package] = answer["packages"]
        self.log_of(name).write_text(answer["log"], encoding="utf-8")
        return Path(package)

    def log_of(self, name: str) -> Path:
        """The log of the last build of a package."""
        return self.folder / f"{name}.log"

    def install(self, prefix: Path, *specs: str) -> list[str]:
        """Install packages into a new prefix; returns the names of all that came."""
        answer = self._ask({"do": "install", "specs": list(specs), "prefix": str(prefix)})
        return sorted(answer["installed"])

    def _ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return ask_rattler({**request, "channels": self.channels()}, self.folder, self.cache)

    def channels(self) -> list[str]:
        """The channels to build from and to install from, as URLs."""
        return [f.resolve().as_uri() for f in (self.output, self.channel) if (f / "noarch").is_dir()]


def ask_rattler(request: Mapping[str, Any], folder: Path, cache: Path) -> Mapping[str, Any]:
    """Let a child process do something with rattler; see ``rattler_child``.

    :raises BuildFailed: it did not, for whatever reason.
    """
    file = folder / "request.json"
    answer_file = file.with_suffix(".answer.json")
    answer_file.unlink(missing_ok=True)
    file.write_text(json.dumps(request), encoding="utf-8")
    # patchelf alone, and nothing else that lies beside this interpreter.
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "patchelf").is_symlink():
        (tools / "patchelf").symlink_to(find_patchelf())
    kept = ("HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")
    done = run_child(
        [sys.executable, str(CHILD), str(file)],
        env={
            **{name: os.environ[name] for name in kept if name in os.environ},
            "PATH": os.pathsep.join([str(tools), "/usr/local/bin", "/usr/bin", "/bin"]),
            "RATTLER_CACHE_DIR": str(cache),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    print(done.stdout)
    answer: Mapping[str, Any] = (
        json.loads(answer_file.read_text(encoding="utf-8")) if answer_file.is_file() else {"error": "no answer"}
    )
    if "error" in answer:
        raise BuildFailed(f"{answer['error']}\n{done.stdout}")
    return {**answer, "log": done.stdout}


def unpack(package: Path, folder: Path) -> list[str]:
    """Unpack a ``.conda`` file; returns the paths of its own files, sorted.

    Without ``info``, and without the files of its tests, which rattler-build keeps in ``etc/conda/test-files``.
    """
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if name.endswith(".tar.zst"):
                data = zstandard.ZstdDecompressor().stream_reader(archive.read(name)).read()
                with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                    tar.extractall(folder, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))
    files = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())
    return sorted(f for f in files if not f.startswith(("info/", "etc/conda/test-files/")))


def package_index(folder: Path) -> dict[str, Any]:
    """``info/index.json`` of an unpacked package."""
    data: dict[str, Any] = json.loads((folder / "info/index.json").read_text(encoding="utf-8"))
    return data


def run_bare(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program with an empty environment."""
    return run_child([str(program), *arguments], env={}, capture_output=True, encoding="utf-8", check=False)


def rpaths(file: Path) -> list[str]:
    """The entries of a binary's RPATH and RUNPATH."""
    info = read_elf(file)
    return [*info.rpath, *info.runpath]


def texts_inside(file: Path, needles: Sequence[str]) -> list[str]:
    """Which of the needles are in a file."""
    data = file.read_bytes()
    return [needle for needle in needles if needle.encode() in data]
