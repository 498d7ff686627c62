"""Compiles apps while their models are made: neither needs the other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.build import cmake
from torchscript_build.build.damage import DamagedTreeError
from torchscript_build.build.pipeline import claimed, configure_tree, keep_compiled
from torchscript_build.log import columns
from torchscript_build.plan.build_plan import BuildPlan, PlannedTarget
from torchscript_build.system import Environment


class HeadStart:
    """A build that goes on in the background once it has begun; ended with the ``with`` block where it has not been.

    What it has made, the build that follows finds done; what fails in it fails there again, and is told there.

    :param jobs: how many compilers may run at once beside what makes the models; with none nothing begins.
    """

    def __init__(self, plan: BuildPlan, environment: Environment, jobs: int, targets: Sequence[PlannedTarget]) -> None:
        self._plan = plan
        self._environment = environment
        self._jobs = jobs
        self._targets = targets
        self._stack = contextlib.ExitStack()
        self._child: Optional[system.Child] = None
        self._state: Mapping[str, Any] = {}
        self._output = Path(plan.build_dir, "beside.log")
        self._began = 0.0
        self.seconds = 0.0
        """From its begin until it was waited for."""

    def __enter__(self) -> HeadStart:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def is_at_work(self) -> bool:
        """Does something run beside what makes the models? Compiling the runner is then what takes longest."""
        return self._child is not None and self._child.poll() is None

    def begin(self) -> None:
        """Configure the tree and start the build tool.

        :raises ConfigureError: with CMake's own words at its end.
        """
        if self._child is not None or self._jobs < 1 or not self._targets:
            return
        self._began = time.monotonic()
        plan, environment = self._plan, self._environment
        self._stack.enter_context(claimed(plan, self._targets))
        try:
            self._state = configure_tree(plan, environment, self._targets)
        except DamagedTreeError:
            return  # the build that follows makes it anew
        command, variables = cmake.build_command(
            plan.tree_dir,
            plan.toolchain,
            build_type=plan.build_type,
            jobs=self._jobs,
            variables=environment.variables,
            targets=[target.name for target in self._targets],
        )
        log.say_command([*command, "&"])
        self._stack.enter_context(cmake.edges_kept(plan.tree_dir))
        self._child = self._stack.enter_context(system.beside(command, self._output, variables=variables))

    def finish(self) -> None:
        """Wait for it."""
        if self._child is not None:
            with log.step("build what does not need the models"):
                self._child.wait()
                self._show()
            if self._child.returncode == 0:
                keep_compiled(self._plan, self._targets, self._state)
            self.seconds = time.monotonic() - self._began
        self._stack.close()

    def _show(self) -> None:
        """What it printed, warnings above all, up to what failed."""
        show = log.ToolLines()
        for line in self._output.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            if columns.plain(line).startswith("FAILED: "):
                break
            show(line)
