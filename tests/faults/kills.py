"""Builds that are killed at some moment; the next one must be as good as if nothing had been."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from torchscript_build.system import stamp

from .figures import Figure
from .world import (
    COMMANDS,
    PHASES,
    SECONDS,
    World,
    build,
    fresh_project,
    leftovers,
    members_of,
    phase_of,
    results,
    start,
)

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
REACHED_BY: Mapping[str, list[str]] = {"package": ["wheel"], "export": ["wheel", "inplace", "prefix", "run"]}
"""The commands that come to a phase, where not all do."""
CHANGES: Mapping[str, tuple[str, ...]] = {
    "build": ("answer.cpp", "ops.cpp", "native/nat.cpp"),
    "export": ("mymodel.py",),
    "install": ("answer.cpp", "mymodel.py", "native/CMakeLists.txt"),
    "package": ("answer.cpp", "mymodel.py", "native/CMakeLists.txt"),
}
"""What is changed in a tree that was built before, so that a phase has work to do; nothing of it shows in the end."""
GENTLE = 20.0
"""Seconds within which a build that was asked to end must have ended, with all that it started."""


class Killer:
    """Kills builds, one after the other.

    :param seed: the same seed kills in the same ways, as far as the machine is as fast.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.figures = {name: Figure(f"killed in phase {name}") for name in PHASES}
        self.signals = Figure("asked to end (TERM, HUP, INT)")
        self.kinds: Counter[str] = Counter()
        self._clean: dict[str, tuple[Mapping[str, str], float, list[str]]] = {}

    def clean(self, command: str) -> tuple[Mapping[str, str], float, list[str]]:
        """What a command makes when nobody disturbs it, how long it takes, and the files that appear meanwhile."""
        if command not in self._clean:
            folder = fresh_project(self.world)
            before = set(folder.rglob("*"))
            code, seconds = build(self.world, command, self.world.folder / "clean.log")
            if code:
                raise RuntimeError((self.world.folder / "clean.log").read_text())
            appeared = [str(p.relative_to(folder)) for p in sorted(set(folder.rglob("*")) - before)]
            subprocess.run(["cp", "-a", folder, self._built(command)], check=True)
            self._clean[command] = results(command, folder), seconds, appeared
        return self._clean[command]

    def _built(self, command: str) -> Path:
        """The project as a command has left it; its build folder is good in the project's own place alone."""
        return self.world.folder / f"built-{command}"

    def round(self) -> str | None:
        """Kill a build, and perhaps the next ones, and let the last one end; what was wrong."""
        least = min(self.figures, key=lambda name: (self.figures[name].rounds, self.random.random()))
        command = self.random.choice(REACHED_BY.get(least, list(COMMANDS)))
        expected, usual, appeared = self.clean(command)
        folder, log = fresh_project(self.world), self.world.folder / "build.log"
        if self.random.random() < (0.7 if least in CHANGES else 0.3):  # a tree that has been built before
            shutil.rmtree(folder)
            subprocess.run(["cp", "-a", self._built(command), folder], check=True)
            changed = folder / self.random.choice(CHANGES.get(least, ("answer.cpp",)))
            changed.write_text(changed.read_text() + "\n")
        failure, hits = None, []
        for _ in range(self.random.choice((1, 2, 3))):
            hit, problem = self._kill(command, usual, appeared, log, least)
            failure = failure or problem
            hits += [hit] if hit else []
        if not hits:  # they had all ended before
            if failure:
                self.figures[least].add(failure, 0)
            return failure
        code, seconds = build(self.world, command, log)
        if code:
            failure = failure or f"{command}, rerun: exit code {code}: {log.read_text(errors='replace')[-600:]}"
        else:
            made = results(command, folder)
            different = sorted(n for n in {*made, *expected} if made.get(n) != expected.get(n))
            failure = failure or (f"{command}, rerun: {different} are not as in a clean build" if different else None)
            failure = failure or (f"{command}: left {leftovers(folder)}" if leftovers(folder) else None)
        for phase in hits[:-1]:
            self.figures[phase].add(None, 0)
        self.figures[hits[-1]].add(failure, seconds)
        return failure

    def _kill(
        self, command: str, usual: float, appeared: list[str], log: Path, least: str
    ) -> tuple[str | None, str | None]:
        """Kill one build; the phase that it was in, and what was wrong with how it ended.

        ``None`` where it had ended before, which it must have done well.
        """
        child = start(self.world, command, log)
        self._wait_for_the_moment(child, usual, appeared, log, least)
        if child.poll() is not None:
            text = log.read_text(errors="replace")[-600:]
            return None, f"{command}: exit code {child.returncode}: {text}" if child.returncode else None
        phase = phase_of(log.read_text(errors="replace"))
        number = self.random.choices(SIGNALS, (60, 20, 10, 10))[0]
        began = time.monotonic()
        if number == signal.SIGKILL and self.random.random() < 0.4:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
        else:
            child.send_signal(number)
        self.kinds[signal.Signals(number).name] += 1
        try:
            child.wait(GENTLE)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return phase, f"{command}: still there {GENTLE} s after {signal.Signals(number).name}"
        problem = None
        if number != signal.SIGKILL:
            left = members_of(child.pid)
            if left:
                problem = f"{command}: {len(left)} processes are left after {signal.Signals(number).name}"
            wanted = {0, -number} | ({1, 130} if number == signal.SIGINT else set())
            if child.returncode not in wanted:
                problem = f"{command}: exit code {child.returncode} after {signal.Signals(number).name}"
            self.signals.add(problem, time.monotonic() - began)
        return phase, problem

    def _wait_for_the_moment(
        self, child: subprocess.Popen[bytes], usual: float, appeared: list[str], log: Path, least: str
    ) -> None:
        """At random, when a file appears or changes, or shortly after the phase began that has been hit least."""
        way = self.random.random()
        until = time.monotonic() + SECONDS  # a machine may do other things, too
        if way < 0.1:
            until = time.monotonic() + self.random.uniform(0, usual)
            while time.monotonic() < until and child.poll() is None:
                time.sleep(0.005)
        elif way < 0.3:
            file = self.world.project / self.random.choice(appeared)
            before = stamp(file)
            while stamp(file) == before and child.poll() is None and time.monotonic() < until:
                time.sleep(0.001)
        else:
            while child.poll() is None and time.monotonic() < until:
                if re.search(PHASES[least], log.read_text(errors="replace"), re.MULTILINE):
                    break
                time.sleep(0.002)
            time.sleep(self.random.choice((0, 0.01, 0.05)))
