"""The runner, compiled once with plain g++, and small models for it to run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from children import run_child

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "templates" / "apps" / "runner"


@dataclass(frozen=True)
class Runner:
    program: Path
    folder: Path  # where it runs, and where its files go

    @property
    def models(self) -> Path:
        return self.program.parent / "models"

    def __call__(self, *arguments: object, model: str = "linear", code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(self.program), "--model", model, *map(str, arguments)]
        return self.bare(*command[1:], code=code)

    def bare(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        result = run_child(
            [str(self.program), *arguments],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result

    def json(self, *arguments: object, model: str = "linear", code: int = 0) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self(*arguments, "--json", model=model, code=code).stdout)
        return report

    def output(self, *arguments: object, model: str = "linear") -> Any:
        return self.json(*arguments, model=model)["output"]

    def error(self, *arguments: object, model: str = "linear", code: int) -> str:
        """What it says on stderr: one line, and at most a hint."""
        lines = self(*arguments, model=model, code=code).stderr.splitlines()
        assert lines[0].startswith("test-app: error: ")
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
        return "\n".join(lines)


def torch_sources() -> list[str]:
    """The sources that may see torch, as the runner's CMakeLists.txt has them."""
    listed = (SOURCES / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.findall(r"\S+\.cpp", listed.partition("TORCH_SOURCES")[2])


def compile_runner(torch_root: Path, folder: Path) -> Path:
    program = folder / "test-app"
    together = folder / "with_torch.cpp"  # one translation unit, as in a build
    together.write_text("".join(f'#include "{name}"\n' for name in torch_sources()), encoding="utf-8")
    plain = [
        path for path in sorted(SOURCES.rglob("*.cpp")) if path.relative_to(SOURCES).as_posix() not in torch_sources()
    ]
    objects = []
    for source in [*plain, together, HERE / "app_info.cpp"]:
        objects.append(folder / f"{source.stem}.o")
        flags = ["-std=c++14", f"-I{SOURCES}", "-O0", "-Wall", "-Wextra", "-Werror"]
        if source == together:
            flags[0] = "-std=c++17"
            for include in ("include", "include/torch/csrc/api/include"):
                flags += ["-isystem", str(torch_root / include)]
        run_child(["g++", *flags, "-c", str(source), "-o", str(objects[-1])], check=True)
    lib = torch_root / "lib"
    link = [f"-L{lib}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{lib}", "-ldl", "-pthread"]
    run_child(["g++", "-o", str(program), *map(str, objects), *link], check=True)
    return program


def save_models(folder: Path) -> None:
    folder.mkdir()
    with quiet():
        import models

        models.save_all(folder)


class quiet(warnings.catch_warnings):
    """torch.jit warns that it is deprecated."""

    def __enter__(self) -> None:  # type: ignore[override]
        super().__enter__()
        warnings.simplefilter("ignore")


@pytest.fixture(scope="session")
def built_runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    folder = tmp_path_factory.mktemp("runner")
    program = compile_runner(Path(spec.origin).parent, folder)
    save_models(folder / "models")
    return program


@pytest.fixture
def runner(built_runner: Path, tmp_path: Path) -> Runner:
    return Runner(built_runner, tmp_path)


@pytest.fixture
def save(tmp_path: Path) -> Iterator[Callable[[str, Any], str]]:
    """save(NAME, VALUE) writes VALUE with numpy or torch into the runner's folder."""
    import numpy
    import torch

    def write(name: str, value: Any) -> str:
        if name.endswith(".npy"):
            numpy.save(tmp_path / name, value)
        else:
            torch.save(value, tmp_path / name)
        return name

    return write
