"""What ``build_ts_app --bundle`` does before and after the build: options checked, the bundle proven and written."""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

from torchscript_build import log, system
from torchscript_build.errors import SettingsError
from torchscript_build.models.compare import Compared
from torchscript_build.packaging.bundle.client import make_client
from torchscript_build.packaging.bundle.describe import render_bundle_json
from torchscript_build.packaging.bundle.formats import (
    ARCHITECTURES,
    FORMATS,
    DebianFacts,
    check_output,
    debian_name,
    debian_version,
    format_of,
    write_deb,
    write_folder,
    write_tar,
)
from torchscript_build.packaging.bundle.make import Bundle, complete_tree
from torchscript_build.packaging.bundle.report import say_bundle
from torchscript_build.packaging.bundle.verify import plan_opened, plan_runs, verify_bundle
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import BundleOptions, ProjectSpec
from torchscript_build.system import Environment


@dataclasses.dataclass(frozen=True)
class Bundler:
    """A bundle to make: from what, in which folder, where it goes, and how."""

    spec: ProjectSpec
    plan: BuildPlan
    environment: Environment
    tree: Path
    """The prefix that the build installs into, which becomes the bundle."""
    output: Path
    options: BundleOptions
    maintainer: str

    def begin(self) -> None:
        """Before minutes of compiling.

        :raises BuildError: the bundle would take the place of something else.
        :raises SettingsError: there are no bundles for this platform.
        """
        if self.plan.libtorch.platform != "linux":
            raise SettingsError(["--bundle: bundles are made for Linux only"])
        check_output(self.output)
        system.remove_tree(self.tree)

    def finish(self, compared: Sequence[Compared], *, verify: bool) -> None:
        """Complete the installed prefix, prove it where asked, and write it: a bundle that fails is never written.

        :param compared: the comparisons with Python that its programs passed.
        :raises VerificationError: a library cannot be found, torch has no licence, or the proof fails.
        :raises ParityError: its outputs differ from Python's.
        :raises ToolNotFoundError: a program that this needs is missing.
        """
        plan, tree = self.plan, self.tree
        bundle = complete_tree(plan, tree, self.options, self.environment)
        system.normalize_modes(tree)
        for folder in (tree, *(p for p in sorted(tree.rglob("*")) if p.is_dir())):
            folder.chmod(0o755)
        shown = self._prove(bundle, compared) if verify else None
        system.write_if_changed(tree / "bundle.json", render_bundle_json(plan, tree, bundle.needs, compared, shown))
        (tree / "bundle.json").chmod(0o644)
        for name, held in paths_in(tree, machine_paths(plan, self.environment)).items():
            log.warn(f"{name} in the bundle names {held}, a folder of this machine; --strip removes it from binaries")
        with log.step(f"write {self.output.name}"):
            _write(plan, bundle, self.output, self.environment, self.maintainer)
        say_bundle(bundle, self.output, plan, self.options)

    def _prove(self, bundle: Bundle, compared: Sequence[Compared]) -> Sequence[str]:
        runs = plan_runs(bundle, self.spec.apps, compared, self.plan)
        client = make_client(self.plan, self.environment) if self.plan.libraries else None
        opened = [] if client is None else plan_opened(self.plan, client)
        with log.step("verify the bundle in an empty root"):
            root = Path(self.plan.build_dir, "empty-root")
            shown = verify_bundle(bundle, [*runs, *opened], root, self.environment)
        for line in shown:
            log.say(f"-- in an empty root, {line}")
        return shown


class Asked(Protocol):
    """The options of the command."""

    bundle: Optional[str]
    format: Optional[str]
    strip: bool
    cxx_runtime: bool
    prefix: Optional[str]
    distribution: Any
    """Setuptools' own, which knows who maintains the project."""


def make_bundler(spec: ProjectSpec, plan: BuildPlan, environment: Environment, asked: Asked) -> Bundler:
    """What the settings say, and the command's options before them.

    :raises SettingsError: the output's name and its format do not agree.
    """
    options = dataclasses.replace(
        spec.bundle,
        strip=spec.bundle.strip or bool(asked.strip),
        cxx_runtime=spec.bundle.cxx_runtime or bool(asked.cxx_runtime),
    )
    output = choose_output(
        asked.bundle or "", options, plan.project, plan.version, plan.libtorch.machine, kind=asked.format or ""
    )
    tree = Path(asked.prefix or "").absolute()
    of_project = asked.distribution.get_maintainer() or asked.distribution.get_author() or ""
    return Bundler(spec, plan, environment, tree, output, options, options.maintainer or of_project)


def choose_output(named: str, options: BundleOptions, project: str, version: str, machine: str, *, kind: str) -> Path:
    """Where the bundle goes: as named, or into ``dist`` under the project's name, in the format of the settings.

    :param kind: the format that the command names; empty where it names none.
    :raises SettingsError: the name has the suffix of another format, or there is no such format.
    """
    wanted = kind or options.format
    if wanted not in FORMATS:
        where = "--format" if kind else "[tool.torchscript-build.bundle] format"
        raise SettingsError([f"{where}: there is no format {wanted!r}; there are {', '.join(FORMATS)}"])
    if named:
        output = Path(named).absolute()
        if kind and FORMATS[kind] != (FORMATS[format_of(output)]):
            suffix = FORMATS[kind]
            wish = f"a name that ends in {suffix}" if suffix else "a name without a suffix of an archive"
            raise SettingsError([f"--format {kind} and {output.name!r} do not agree: it takes {wish}"])
        return output
    if wanted == "deb":
        architecture = ARCHITECTURES.get(machine, machine)
        return Path("dist", f"{debian_name(project)}_{debian_version(version)}_{architecture}.deb").absolute()
    return Path("dist", f"{project}-{version}-linux-{machine}{FORMATS[wanted]}").absolute()


def machine_paths(plan: BuildPlan, environment: Environment) -> Sequence[str]:
    """The folders of this machine that nothing in a bundle should name."""
    home = environment.get("HOME") or ""
    folders = [plan.source_dir, plan.build_dir, str(plan.libtorch.root), home if home.count("/") > 1 else ""]
    return [folder for folder in dict.fromkeys(folders) if len(folder) > 1]


def paths_in(tree: Path, paths: Sequence[str]) -> Mapping[str, str]:
    """Files of a tree that hold one of the paths: name → the first that it holds."""
    found: dict[str, str] = {}
    for file in (p for p in sorted(tree.rglob("*")) if p.is_file() and p.stat().st_size):
        with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            held = next((path for path in paths if data.find(path.encode()) >= 0), None)
        if held is not None:
            found[file.relative_to(tree).as_posix()] = held
    return found


def _write(plan: BuildPlan, bundle: Bundle, output: Path, environment: Environment, maintainer: str) -> None:
    kind = format_of(output)
    if kind == "dir":
        write_folder(bundle.tree, output)
    elif kind == "deb":
        facts = DebianFacts(
            package=debian_name(plan.project),
            version=plan.version,
            machine=plan.libtorch.machine,
            glibc=bundle.needs.glibc,
            cxx_runtime=bundle.needs.gcc,
            maintainer=maintainer,
            description=f"{plan.project}, with libtorch {plan.libtorch.full_version}",
            programs=tuple(bundle.programs),
        )
        write_deb(bundle.tree, output, facts)
    else:
        write_tar(bundle.tree, output, f"{plan.project}-{plan.version}", environment)
