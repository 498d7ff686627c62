"""``build_ts_app``: from the project's settings to built, checked and staged programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from setuptools import Command

from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.packaging.staging import staged_targets
from torchscript_build.packaging.wiring import project_root, read_spec, translated
from torchscript_build.specs import ProjectSpec
from torchscript_build.system import Environment


class _RunOption:
    """Lets ``--run`` live beside setuptools' method ``run``: setting it is the option, calling it the command."""

    def __get__(self, command: Any, owner: Any) -> Any:
        return owner._run if command is None else command._run

    def __set__(self, command: Any, value: object) -> None:
        command.runs_apps = bool(value)


class build_ts_app(Command):  # type: ignore[misc,unused-ignore]
    """Build the project's TorchScript apps; part of ``build`` for those that are packaged."""

    description = "build C++ apps that load TorchScript models"
    user_options = [  # noqa: RUF012 - setuptools' protocol
        ("libtorch=", None, "the libtorch to use: a folder (searched for by default)"),
        ("build-type=", None, "CMake's build type: Release, Debug, RelWithDebInfo, MinSizeRel"),
        ("jobs=", "j", "how many compilers run at once"),
        ("generator=", None, "CMake's generator"),
        ("run", None, "run the apps when they are built"),
        ("verify", None, "compare the apps' outputs with Python's"),
        ("inplace", "i", "put the results into the source tree as well"),
        ("dry-run", None, "print the plan as JSON and build nothing"),
        ("build-lib=", "b", "the folder to stage into"),
        ("build-base=", None, "the folder that build folders are made in"),
    ]
    boolean_options = ["run", "verify", "inplace", "dry-run"]  # noqa: RUF012

    run: Callable[[], None] = _RunOption()  # type: ignore[assignment]

    def initialize_options(self) -> None:
        self.libtorch: Optional[str] = None
        self.build_type: Optional[str] = None
        self.jobs: Optional[str] = None
        self.generator: Optional[str] = None
        self.runs_apps = False
        self.verify = False
        self.inplace = False
        self.dry_run = False
        self.build_lib: Optional[str] = None
        self.build_base: Optional[str] = None
        self.editable_mode = False
        self._spec: Optional[ProjectSpec] = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"), ("build_base", "build_base"))

    def read_spec(self) -> ProjectSpec:
        """The project's settings, with this command's options; read once.

        :raises SettingsError: with every problem.
        """
        if self._spec is None:
            options = {name: getattr(self, name) for name in ("libtorch", "build_type", "jobs", "generator")}
            self._spec = read_spec(self.distribution, options)
        return self._spec

    def _run(self) -> None:
        from torchscript_build.packaging.session import build_apps, print_plan

        try:
            spec = self.read_spec()
            if not spec.apps:
                return
            environment = Environment.current()
            root = project_root(self.distribution)
            described: Any = {
                "project": self.distribution.get_name(),
                "version": self.distribution.get_version(),
                "root": root,
                "build_base": Path(self.build_base or "build").absolute(),
            }
            if self.dry_run:
                print_plan(spec, environment, **described)
                return
            # As a part of `build`, only what is packaged is built.
            asked = "build_ts_app" in self.distribution.commands
            build_apps(
                spec,
                environment,
                **described,
                packaged_only=not asked,
                run=self.runs_apps,
                verify=self.verify,
                wheel_folder=None if self.inplace or self.editable_mode else self._in_build_lib,
                source_folder=self._in_source_tree if self.inplace or self.editable_mode else None,
            )
        except TorchScriptBuildError as error:
            raise translated(error) from error

    def _in_build_lib(self, target: str) -> Path:
        return Path(self.build_lib or "", target)

    def _in_source_tree(self, target: str) -> Path:
        """A path in the package tree → the same file among the sources, by the project's package_dir."""
        build_py: Any = self.get_finalized_command("build_py")
        package, rest = self._split(target)
        return Path(project_root(self.distribution), build_py.get_package_dir(package), rest)

    def _split(self, target: str) -> tuple[str, str]:
        """``my/package/bin/app`` → the package and the path inside it."""
        apps = self.read_spec().packaged_apps
        package = max(
            (a.package or "" for a in apps if target.startswith((a.package or "").replace(".", "/") + "/")), key=len
        )
        return package, target[len(package) + 1 :]

    # What setuptools asks of a sub-command of build (setuptools.command.build.SubCommand).

    def get_source_files(self) -> list[str]:
        """For sdists: the sources and model files that the settings name."""
        try:
            spec = self.read_spec()
        except TorchScriptBuildError as error:
            raise translated(error) from error
        files = [source for app in spec.apps for source in app.sources]
        files += [
            model.file
            for model in spec.models
            if model.file and (project_root(self.distribution) / model.file).is_file()
        ]
        files += [i for m in spec.models for i in m.example_inputs if (project_root(self.distribution) / i).is_file()]
        return sorted(set(files))

    def get_outputs(self) -> list[str]:
        """The files in build_lib."""
        return [str(self._in_build_lib(t)) for t in staged_targets(self.read_spec(), Environment.current().platform)]

    def get_output_mapping(self) -> dict[str, str]:
        """File in build_lib → the same among the sources, for editable installs."""
        if not self.editable_mode:
            return {}
        targets = staged_targets(self.read_spec(), Environment.current().platform)
        return {str(self._in_build_lib(t)): str(self._in_source_tree(t)) for t in targets}
