"""``build_ts_ops`` and ``build_ts_app``: setuptools commands around one session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Optional

from setuptools import Command

# setuptools imports this module in builds of projects that never heard of us (it validates [tool.setuptools] against
# every command there is), so everything else is imported when a command runs.
if TYPE_CHECKING:
    from torchscript_build.packaging.say import Product
    from torchscript_build.packaging.session import Session
    from torchscript_build.settings.specs import ProjectSpec

OPTIONS = ("libtorch", "build_type", "jobs", "generator")
"""Options that stand for settings of the same name."""


@contextmanager
def _translated(command: Optional[_Build] = None) -> Iterator[None]:
    """Our errors as setuptools prints its own: one clean ``error: …`` and exit code 1; signals end children first.

    :param command: the one that runs; a compiler's errors are explained.
    """
    from torchscript_build import system
    from torchscript_build.errors import TorchScriptBuildError, of_the_system
    from torchscript_build.packaging.distribution import translated

    try:
        with system.ending_by_signals():
            yield
    except TorchScriptBuildError as error:
        if command is not None:
            from torchscript_build.build.explain import explain

            explain(error, command.backend)
        raise translated(error) from error
    except OSError as error:  # a full disk, a folder that cannot be written
        raise translated(of_the_system(error)) from error


class _Build(Command):  # type: ignore[misc,unused-ignore]
    """What both commands have in common."""

    user_options: ClassVar[Any] = [
        ("libtorch=", None, "the libtorch to use: a folder (searched for by default)"),
        ("build-type=", None, "CMake's build type: Release, Debug, RelWithDebInfo, MinSizeRel"),
        ("jobs=", "j", "how many compilers run at once"),
        ("generator=", None, "CMake's generator"),
        ("inplace", "i", "put the results into the source tree as well"),
        (
            "prefix=",
            None,
            "install programs, models and libraries into this folder's bin, share and lib, without Python",
        ),
        ("dry-run", None, "print the plan as JSON and build nothing"),
        ("report=", None, "write what was done, step by step, into this JSON file"),
        (
            "trace=",
            None,
            "write what ran when into this JSON file, for ui.perfetto.dev; compilers one by one with Ninja only",
        ),
        ("build-lib=", "b", "the folder to stage into"),
        ("build-base=", None, "the folder that build folders are made in"),
    ]
    boolean_options: ClassVar[Any] = ["inplace", "dry-run"]

    def initialize_options(self) -> None:
        self.libtorch: Optional[str] = None
        self.build_type: Optional[str] = None
        self.jobs: Optional[str] = None
        self.generator: Optional[str] = None
        self.inplace = False
        self.prefix: Optional[str] = None
        self.dry_run = False
        self.report: Optional[str] = None
        self.trace: Optional[str] = None
        self.is_part = False  # of a command of ours, which tells of the whole
        self.build_lib: Optional[str] = None
        self.build_base: Optional[str] = None
        self.editable_mode = False
        self.staged: list[str] = []
        """Package-tree paths of what this run put into build_lib or the source tree."""
        self.products: list[Product] = []
        self._spec: Optional[ProjectSpec] = None
        self._made_session: Optional[Session] = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"), ("build_base", "build_base"))

    def read_spec(self) -> ProjectSpec:
        """The project's settings, with this command's options; read once.

        :raises SettingsError: with every problem.
        """
        from torchscript_build.packaging.distribution import read_spec

        if self._spec is None:
            self._spec = read_spec(self.distribution, {name: getattr(self, name) for name in OPTIONS})
        return self._spec

    def _refuse(self, spec: ProjectSpec) -> NoReturn:
        """:raises TorchScriptBuildError: there is nothing for this command to build."""
        from torchscript_build.packaging.distribution import project_root
        from torchscript_build.packaging.undeclared import nothing_declared

        raise nothing_declared(self.distribution, spec, project_root(self.distribution))

    def session(self) -> Session:
        """The project on this machine, by the command's options."""
        return self._session()

    def _session(self) -> Session:
        if self._made_session is None:
            self._made_session = self._make_session()
        return self._made_session

    @property
    def backend(self) -> str:
        """That of the libtorch that was found, ``cpu``, ``cuda``; empty where none has been looked for."""
        found = vars(self._made_session).get("plan") if self._made_session else None
        return found.libtorch.backend if found else ""

    def _make_session(self) -> Session:
        from torchscript_build.errors import SettingsError
        from torchscript_build.packaging.distribution import project_root
        from torchscript_build.packaging.session import Session
        from torchscript_build.packaging.staged import make_place
        from torchscript_build.packaging.staging import Destination
        from torchscript_build.system import Environment
        from torchscript_build.toolchain.sanitizers import with_sanitizers

        into_sources = bool(self.inplace or self.editable_mode)
        if self.prefix and into_sources:
            raise SettingsError(["--prefix, --bundle and --inplace: give one of them; each says where the results go"])
        root, base = project_root(self.distribution), Path(self.build_base or "build").absolute()
        if self.prefix:
            place = make_place(Path(self.prefix).absolute(), base, is_shared=True)
            destination = Destination(prefix=place, is_bundle=getattr(self, "bundle", None) is not None)
        elif into_sources:
            destination = Destination(source=make_place(root, base, self._in_source_tree))
        else:
            destination = Destination(wheel=make_place(Path(self.build_lib or "").absolute(), base, links=True))
        return Session(
            self.read_spec(),
            with_sanitizers(
                Environment.current().with_variables(TORCHSCRIPT_BUILD_RUNNING="1"),  # see templates/python/rebuild.py
                self.read_spec().options.sanitize,
            ),
            project=self.distribution.get_name(),
            version=self.distribution.get_version(),
            root=root,
            build_base=base,
            destination=destination,
            # As a part of `build`, only what is packaged is built.
            packaged_only=not {"build_ts_app", "build_ts_ops"} & set(self.distribution.commands),
        )

    def take_away_others(self) -> None:
        """Take away what earlier builds staged for parts of the project that the settings do not name any more."""
        from torchscript_build.packaging.staged import take_away_others
        from torchscript_build.packaging.staging import owners

        with _translated():
            destination = self._session().destination
            for place in destination.places:
                take_away_others(place, owners(self.read_spec(), in_prefix=place is destination.prefix))

    def _finish_source_tree(self) -> None:
        """After a build into the source tree: tell what git does not ignore; with ``ide``, link what editors read."""
        if not (self.inplace or self.editable_mode):
            return
        from torchscript_build import log
        from torchscript_build.build.compile_commands import link_commands
        from torchscript_build.packaging.say import say_unignored

        session = self._session()
        say_unignored(session.root, [self._in_source_tree(target) for target in self.staged], session.environment)
        trouble = link_commands(session.root, session.build_base) if session.spec.options.ide else None
        if trouble:
            log.warn(trouble)

    def _in_build_lib(self, target: str) -> Path:
        return Path(self.build_lib or "", target)

    def _package_dir(self, package: str) -> Path:
        """A package's folder among the sources, by the project's package_dir."""
        from torchscript_build.packaging.distribution import project_root

        build_py: Any = self.get_finalized_command("build_py")
        return Path(project_root(self.distribution), build_py.get_package_dir(package))

    def _in_source_tree(self, target: str) -> Path:
        """A path in the package tree → the same file among the sources."""
        from torchscript_build.packaging import outputs

        package = outputs.package_of(self.read_spec(), target)
        return self._package_dir(package) / target[len(package) + 1 if package else 0 :]

    # What setuptools asks of a sub-command of build (setuptools.command.build.SubCommand).

    def _targets(self) -> list[str]:
        """The package-tree paths of this command's results, known before anything is built."""
        raise NotImplementedError

    def get_source_files(self) -> list[str]:
        """For sdists: the files of the project that the settings name."""
        from torchscript_build.packaging.distribution import project_root
        from torchscript_build.packaging.source_files import outside_files, source_files

        with _translated():
            found = source_files(self.read_spec(), project_root(self.distribution))
            # setuptools would copy those outside into the project's folder; the command sdist tells of them.
            return [f for f in found if f not in outside_files(found)]

    def _all_targets(self) -> list[str]:
        """Those known beforehand, and what a CMake project turned out to install."""
        return list(dict.fromkeys([*self._targets(), *self.staged]))

    def get_outputs(self) -> list[str]:
        """The files in build_lib."""
        return [str(self._in_build_lib(target)) for target in self._all_targets()]

    def get_output_mapping(self) -> dict[str, str]:
        """File in build_lib → the same among the sources, for editable installs."""
        if not self.editable_mode:
            return {}
        return {str(self._in_build_lib(t)): str(self._in_source_tree(t)) for t in self._all_targets()}


class build_ts_ops(_Build):
    """Build the project's operator libraries; part of ``build`` for those that are packaged."""

    description = "build C++ operator libraries for TorchScript"

    def finalize_options(self) -> None:
        super().finalize_options()
        self.set_undefined_options("build_ts_app", *((name, name) for name in (*OPTIONS, "prefix")))
        app = self._app()
        self.inplace = self.inplace or app.inplace
        self.editable_mode = self.editable_mode or app.editable_mode

    def read_spec(self) -> ProjectSpec:
        return self._app().read_spec() if self._is_like_app(OPTIONS) else super().read_spec()

    def _session(self) -> Session:
        """With the same options, the app's: then everything is looked for once."""
        places = ("prefix", "inplace", "editable_mode", "build_lib", "build_base")
        return self._app()._session() if self._is_like_app((*OPTIONS, *places)) else super()._session()

    def _app(self) -> Any:
        return self.get_finalized_command("build_ts_app")

    def _is_like_app(self, names: Sequence[str]) -> bool:
        return all(getattr(self, name) == getattr(self._app(), name) for name in names)

    def run(self) -> None:
        from torchscript_build.packaging.make_ops import build_ops
        from torchscript_build.packaging.say import recorded, say_plans, say_unloaded

        with _translated(self), recorded(self):
            spec = self.read_spec()
            if not spec.ops:
                if "build_ts_ops" in self.distribution.commands:
                    self._refuse(spec)
                return
            session = self._session()
            if self.dry_run:
                say_plans(session.plans)
                return
            self.staged, self.products = build_ops(session)
            self._finish_source_tree()
            if self.prefix:
                return
            packages = sorted({o.package for o in spec.packaged_ops if o.package})
            say_unloaded(spec, {package: self._package_dir(package) for package in packages})

    def _targets(self) -> list[str]:
        from torchscript_build.packaging import outputs
        from torchscript_build.system import Environment

        return outputs.ops_targets(self.read_spec(), Environment.current())


class _RunOption:
    """Lets ``--run`` live beside setuptools' method ``run``: setting it is the option, calling it the command."""

    def __get__(self, command: Any, owner: Any) -> Any:
        return owner._run if command is None else command._run

    def __set__(self, command: Any, value: object) -> None:
        command.runs_apps = bool(value)


class build_ts_app(_Build):
    """Build the project's apps and CMake projects, after its operator libraries; part of ``build``."""

    description = "build C++ apps that load TorchScript models"
    user_options: ClassVar[Any] = [
        *_Build.user_options,
        ("run", None, "run the apps when they are built"),
        ("verify", None, "compare the apps' outputs with Python's; a bundle's in an empty root, too"),
        ("bundle=", None, "make a folder, .tar.gz, .tar.zst or .deb that needs no Python; empty: into dist"),
        ("format=", None, "the bundle's format: dir, tar (tar.gz), tar.zst, deb"),
        ("strip", None, "remove symbols that only debuggers read from what is bundled"),
        ("cxx-runtime", None, "bring libstdc++ and libgcc along in the bundle"),
    ]
    boolean_options: ClassVar[Any] = [*_Build.boolean_options, "run", "verify", "strip", "cxx-runtime"]

    run: Callable[[], None] = _RunOption()  # type: ignore[assignment]

    def initialize_options(self) -> None:
        super().initialize_options()
        self.runs_apps = False
        self.verify = False
        self.bundle: Optional[str] = None
        self.format: Optional[str] = None
        self.strip = False
        self.cxx_runtime = False

    def finalize_options(self) -> None:
        from setuptools.errors import OptionError

        super().finalize_options()
        if self.bundle is None and (self.strip or self.cxx_runtime or self.format):
            raise OptionError("--strip, --cxx-runtime and --format are of --bundle, which is not given")
        if self.bundle is not None:
            if self.prefix:
                raise OptionError("--prefix, --bundle and --inplace: give one of them; each says where the results go")
            self.prefix = str(Path(self.build_base or "build", "torchscript/bundle", Path(self.bundle).name or "dist"))

    def _run(self) -> None:
        from torchscript_build.packaging.make_apps import build_loaders
        from torchscript_build.packaging.say import recorded, say_plans

        with _translated(self), recorded(self):
            spec = self.read_spec()
            if not spec.is_buildable:
                self._refuse(spec)
            if self.dry_run:
                say_plans(self._session().plans)
                return
            bundler = None
            if self.bundle is not None:
                from torchscript_build.packaging.bundle.command import make_bundler

                bundler = make_bundler(self._session().spec, self._session().plan, self._session().environment, self)
                bundler.begin()
            self.take_away_others()
            if spec.ops:
                ops: Any = self.get_finalized_command("build_ts_ops")
                ops.is_part = True
                self.run_command("build_ts_ops")
                self.products = [*ops.products]
            made = None
            if spec.apps or spec.cmake or spec.libraries:
                made = build_loaders(self._session(), run=self.runs_apps, verify=self.verify)
                self.staged = made.staged
                self.products += made.products
                self._finish_source_tree()
            if bundler:
                from torchscript_build.packaging.say import Product

                bundler.finish(made.compared if made else (), verify=self.verify)
                self.products = [Product("bundle", bundler.output.name, bundler.output)]

    def _targets(self) -> list[str]:
        from torchscript_build.packaging import outputs
        from torchscript_build.system import Environment

        return outputs.app_targets(self.read_spec(), Environment.current())
