"""A project on a machine: what one run of our commands works with."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from torchscript_build import log
from torchscript_build.build.discover import discover_plans
from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.series import asked_series
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
    def plans(self) -> tuple[BuildPlan, ...]:
        """Find everything, and decide everything; once. With ``series``, a plan for each of them."""
        place = self.destination.prefix
        if place is not None:
            self.refuse_series("a prefix has one libtorch, as has a bundle")
        with log.step("find libtorch and the tools", quiet=True):
            plans = discover_plans(
                self.spec,
                self.environment,
                project=self.project,
                version=self.version,
                root=self.root,
                build_base=self.build_base,
            )
        if place is None:
            return plans
        return (in_prefix(plans[0], place.root, self_contained=self.destination.is_bundle),)

    @property
    def plan(self) -> BuildPlan:
        """The only plan; of several, the one whose models are made."""
        return self.plans[0]

    @property
    def series(self) -> tuple[str, ...]:
        """The entries of ``series`` that are built into one wheel; none where there is one libtorch."""
        return asked_series(self.spec.options, self.environment)

    def refuse_series(self, what: str) -> None:
        """:raises SettingsError: the project has several libtorches, and what is made has one."""
        if self.series:
            raise SettingsError([f"series: {what}: name it, as in --libtorch fetched:{self.series[-1]}"])

    def jobs(self, plan: BuildPlan, *, beside: bool = False) -> int:
        """How many compilers run at once.

        :param beside: while models are made; none, where only one process shall work.
        """
        options = self.spec.options
        return choose_jobs(options.jobs, self.environment, plan.toolchain.launcher, beside=beside)
