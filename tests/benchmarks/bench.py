"""What the cases share: environments, and projects that are built once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from . import projects
from .environments import VirtualEnvironment
from .figures import Sample
from .measure import BenchmarkError, Finished, run

SHAPE = ("1", "16")
"""The small model's input."""
INPUT = "ones:" + "x".join(SHAPE)


@dataclass(frozen=True)
class Bench:
    """Where measurements take place."""

    work: Path
    ours: VirtualEnvironment
    peers: VirtualEnvironment
    our_torch: Mapping[str, str]
    """Facts of the torch in our environment; the tutorial's program is built against it, too."""
    their_torch: Mapping[str, str]
    """Facts of the one in the peers' environment."""
    quick: bool = False
    rounds: int = 5
    ops_rounds: int = 3
    """Of the case that takes minutes a round."""
    ops_settings: Sequence[str] = ()
    """Further lines for our operator library's table."""
    done: set[str] = field(default_factory=set)
    """What has been built in this run."""

    @property
    def cache(self) -> Path:
        """The cache of compiled runners, warm once an app was built."""
        return self.work / "cache"

    def our_variables(self, cache: Path | None = None) -> dict[str, str]:
        """The variables of our builds."""
        return self.ours.variables(TORCHSCRIPT_BUILD_CACHE_DIR=str(cache or self.cache))

    def run_ours(self, command: Sequence[object], cwd: Path, *, cache: Path | None = None) -> Finished:
        """A command in our environment."""
        return run(command, cwd=cwd, variables=self.our_variables(cache))

    def run_theirs(self, command: Sequence[object], cwd: Path) -> Finished:
        """A command in the peers' environment."""
        return run(command, cwd=cwd, variables=self.peers.variables())

    def setup_ours(self, *arguments: str) -> list[object]:
        """``python setup.py …`` of a project of ours."""
        return [self.ours.python, "setup.py", *arguments]

    @property
    def setup_theirs(self) -> list[object]:
        """BuildExtension's usual command."""
        return [self.peers.python, "setup.py", "build_ext", "--inplace"]

    def configure_tutorial(self, source: Path, *, release: bool = True) -> Finished:
        """The tutorial's first command, in a build folder that is fresh."""
        build = projects.fresh(source / "build")
        prefix = f"-DCMAKE_PREFIX_PATH={self.our_torch['prefix']}"
        build_type = ["-DCMAKE_BUILD_TYPE=Release"] if release else []
        return self.run_theirs(["cmake", prefix, *build_type, "-G", "Ninja", ".."], build)

    def build_tutorial(self, source: Path, *, release: bool = True) -> Sample:
        """Both of the tutorial's commands."""
        configured = self.configure_tutorial(source, release=release)
        return configured.sample + self.run_theirs(["cmake", "--build", "."], source / "build").sample

    @cached_property
    def model(self) -> Path:
        """The small model's file."""
        file = self.work / "small.pt"
        if not file.is_file():
            self.run_theirs([self.peers.python, projects.SCRIPTS / "make_model.py", file], self.work)
        return file

    def app(self) -> Path:
        """A project of ours with one app, built."""
        project = projects.write_app(self.work / "app", "bench-app", self.model)
        return self._built("app", self.setup_ours("build_ts_app"), project)

    def library(self) -> Path:
        """A prefix with a runner and a C library of the small model, and ``bin/call_library``, which calls that."""
        project = projects.write_library(self.work / "library", self.model)
        prefix = project / "out"
        self._built("library", self.setup_ours("build_ts_app", "--prefix", str(prefix)), project)
        flags = [f"-I{prefix}/include", f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-lbench"]
        source, program = projects.SCRIPTS / "call_library.c", prefix / "bin/call_library"
        self.run_ours(["cc", "-std=c99", "-O2", source, *flags, "-o", program], project)
        return prefix

    def ops(self) -> Path:
        """Our operator library of eight sources, built."""
        project = projects.write_ops(self.work / "ops", self.ops_settings)
        return self._built("ops", self.setup_ours("build_ts_ops"), project)

    def extension(self) -> Path:
        """BuildExtension's, built."""
        project = projects.write_extension(self.work / "extension")
        if "extension" not in self.done:
            self.run_theirs(self.setup_theirs, project)
            self.done.add("extension")
        return project

    def tutorial(self) -> Path:
        """The tutorial's program, built."""
        source = projects.write_tutorial(self.work / "tutorial")
        if "tutorial" not in self.done:
            self.build_tutorial(source)
            self.done.add("tutorial")
        return source / "build/tutorial"

    def installed_runner(self) -> Path:
        """The runner of ``app`` as users have it: installed from its wheel, beside torch."""
        if "wheel" not in self.done:
            wheel = self.wheel()
            pip = [self.ours.python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel]
            self.run_ours(pip, self.work)
            self.done.add("wheel")
        programs = sorted(self.ours.folder.glob("lib/python3*/site-packages/bench_app/bin/bench-app-1"))
        if not programs:
            raise BenchmarkError("the wheel has no program bench_app/bin/bench-app-1")
        return programs[0]

    def wheel(self) -> Path:
        """The wheel of ``app``, made afresh."""
        project, folder = self.app(), projects.fresh(self.work / "wheels")
        self.run_ours(self.pip_wheel(folder), project)
        return next(folder.glob("bench_app-*.whl"))

    def pip_wheel(self, folder: Path) -> list[object]:
        """``pip wheel`` of the project in the current folder, into another."""
        pip: list[object] = [self.ours.python, "-m", "pip", "wheel", "--quiet"]
        return [*pip, "--no-build-isolation", "--no-deps", "-w", folder, "."]

    def _built(self, name: str, command: Sequence[object], project: Path) -> Path:
        if name not in self.done:
            self.run_ours(command, project)
            self.done.add(name)
        return project


def configure_command(output: str, *, known: bool = True) -> list[str]:
    """The words of the last CMake configure that our build printed.

    :param known: keep what makes CMake take what it found out about the compiler in another tree.
    :raises BenchmarkError: it printed none.
    """
    for line in reversed(output.splitlines()):
        words = shlex.split(line[2:]) if line.startswith("+ ") else []
        if "-S" in words and "-B" in words:
            if "-C" in words and not known:
                at = words.index("-C")
                words = [w for w in (*words[:at], *words[at + 2 :]) if "PLATFORM_INFO" not in w]
            return words
    raise BenchmarkError("our build printed no command that configures")
