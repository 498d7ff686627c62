"""A project on a machine: what one run of our commands works with."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from torchscript_build import log
from torchscript_build.build.discover import discover_plan
from torchscript_build.packaging.staging import Destination
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.plan.prefix import in_prefix
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import ProjectSpec
from torchscript_build.system import Environment
from torchscript_build.toolchain.jobs import choose_jobs


@dataclass(frozen=True)
class Session:
    """A project on a machine, and where its results go."""

    spec: ProjectSpec
    environment: Environment
    project: str
    version: str
    root: Path
    build_base: Path
    destination: Destination
    packaged_only: bool = False
    """Leave out what has ``install = false``."""

    @cached_property
    def plan(self) -> BuildPlan:
        """Find everything, and decide everything; once."""
        with log.step("find libtorch and the tools", quiet=True):
            plan = discover_plan(
                self.spec,
                self.environment,
                project=self.project,
                version=self.version,
                root=self.root,
                build_base=self.build_base,
            )
        place = self.destination.prefix
        return in_prefix(plan, place.root, self_contained=self.destination.is_bundle) if place else plan

    def jobs(self, plan: BuildPlan, *, beside: bool = False) -> int:
        """How many compilers run at once.

        :param beside: while models are made; none, where only one process shall work.
        """
        options = self.spec.options
        return choose_jobs(options.jobs, self.environment, plan.toolchain.launcher, beside=beside)
