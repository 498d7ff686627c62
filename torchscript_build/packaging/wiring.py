"""Puts our commands into the Distribution of a project that opted in."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from setuptools import Distribution
from setuptools.errors import BaseError

from torchscript_build.errors import SettingsError, TorchScriptBuildError
from torchscript_build.packaging import commands
from torchscript_build.packaging.distribution import (
    OWN_INIT,
    is_built,
    is_collecting_requirements,
    is_packaged,
    own_package,
    project_root,
    read_spec,
    translated,
)
from torchscript_build.packaging.source_commands import make_build_ext, make_build_py, make_sdist
from torchscript_build.packaging.wheel import make_bdist_wheel, make_install_lib
from torchscript_build.settings.coerce import closest
from torchscript_build.settings.read import read_pyproject
from torchscript_build.system import Environment, write_if_changed

OWN = ("build_ts_app", "build_ts_ops")
_MARK = "_torchscript_build_wired"


def wire(dist: Any) -> None:
    """Extend ``build``, ``egg_info`` and ``bdist_wheel`` of this one distribution; a second call changes nothing.

    Each is extended when it is first asked for, and our own need no search: setuptools looks through every installed
    package to find a command.
    """
    if getattr(dist, _MARK, False):
        return
    setattr(dist, _MARK, True)
    _check_toml(dist)
    if is_collecting_requirements(dist):
        _request_tools(dist)
    plain_class: Callable[[str], Any] = dist.get_command_class
    extensions = {
        "build": _make_build,
        "build_ext": make_build_ext,
        "build_py": make_build_py,
        "egg_info": _make_egg_info,
        "sdist": make_sdist,
        "bdist_wheel": make_bdist_wheel,
        "install_lib": make_install_lib,
    }

    def get_command_class(command: str) -> Any:
        if command in OWN:
            dist.cmdclass.setdefault(command, getattr(commands, command))
        found = plain_class(command)
        if command in extensions and not getattr(found, _MARK, False):
            found = dist.cmdclass[command] = extensions[command](found)
            setattr(found, _MARK, True)
        return found

    dist.get_command_class = get_command_class
    plain_parse: Callable[[], Any] = dist.parse_command_line

    def parse_command_line() -> Any:
        try:
            return plain_parse()
        except BaseError as error:
            raise type(error)(f"{error}{_meant(str(error), dist.commands)}") from error

    dist.parse_command_line = parse_command_line
    plain: Callable[[], Any] = dist.has_ext_modules
    dist.has_ext_modules = lambda: plain() or is_packaged(dist)
    _mark_requirement_dynamic(dist)
    _give_own_package(dist)


def _give_own_package(dist: Any) -> None:
    """Keep setuptools from taking folders of C++ for packages in a project without Python.

    An editable install needs the package that our programs get among the sources.
    """
    plain: Callable[[str], None] = dist.run_command

    def run_command(command: str) -> None:
        if dist.packages is None and dist.py_modules is None:
            own = own_package(dist)
            if own and is_packaged(dist):
                dist.packages = []
                if command == "editable_wheel":
                    file = project_root(dist) / own[0] / "__init__.py"
                    write_if_changed(file, OWN_INIT)
                    dist.packages = own
        plain(command)

    dist.run_command = run_command


def _mark_requirement_dynamic(dist: Any) -> None:
    """Tell in an sdist's metadata that its wheels require more (PEP 643): uv and others believe it."""
    plain: Callable[[Any], None] = dist.metadata.write_pkg_file

    def write_pkg_file(file: Any) -> None:
        text = io.StringIO()
        plain(text)
        packaged = is_packaged(dist) and read_spec(dist).options.pin != "none"
        file.write(with_dynamic_requirement(text.getvalue()) if packaged else text.getvalue())

    dist.metadata.write_pkg_file = write_pkg_file


def with_dynamic_requirement(metadata: str) -> str:
    """A PKG-INFO text with ``Dynamic: Requires-Dist``, which metadata know from 2.2 on."""
    head, blank, body = metadata.partition("\n\n")
    found = re.match(r"Metadata-Version: (\d+)\.(\d+)", head)
    if found is None or (int(found[1]), int(found[2])) < (2, 2) or "dynamic: requires-dist" in head.lower():
        return metadata
    return f"{head.rstrip()}\nDynamic: Requires-Dist\n{blank[1:]}{body}"


def _meant(message: str, names: Sequence[str]) -> str:
    """What was probably meant by an option or a command that setuptools does not know.

    :param names: the commands so far; an option is the last one's.
    """
    option = re.search(r"option (--?[\w-]+) not recognized", message)
    command = re.search(r"invalid command '([\w-]+)'", message)
    if option and names and names[-1] in OWN:
        known = [name.rstrip("=") for name, *_ in getattr(commands, names[-1]).user_options]
        meant = closest(option[1].lstrip("-"), known)
        return f"; did you mean --{meant}?" if meant else f"; see python setup.py {names[-1]} --help"
    meant = closest(command[1], [name.replace("_", "-") for name in OWN]) if command else None
    return f"; did you mean {meant.replace('-', '_')}?" if meant else ""


def _check_toml(dist: Any) -> None:
    """setuptools is about to read the same file, and would tell of a mistake in it with its own frames.

    :raises setuptools.errors.SetupError: it is no TOML.
    """
    from setuptools.errors import SetupError

    try:
        read_pyproject(project_root(dist) / "pyproject.toml")
    except TorchScriptBuildError as error:
        raise SetupError(str(error)) from error


def _request_tools(dist: Distribution) -> None:
    """Ask PEP 517's front end for cmake and ninja where the machine has none."""
    from torchscript_build.toolchain.programs import locate_cmake, locate_ninja

    environment = Environment.current()
    wanted = [] if locate_cmake(environment)[0] else ["cmake>=3.18"]
    if locate_ninja(environment) is None and not environment.get("CMAKE_GENERATOR"):
        wanted.append("ninja>=1.5")
    if wanted:
        dist.fetch_build_eggs(wanted)  # raises SetupRequirementsError, from which build_meta takes the list


def _make_build(base: type[Any]) -> type[Any]:
    class build(base):  # type: ignore[valid-type,misc,unused-ignore]
        """setuptools' build, with ours after its own sub-commands."""

        sub_commands = [  # noqa: RUF012 - setuptools' protocol
            *base.sub_commands,
            ("build_ts_ops", lambda self: is_packaged(self.distribution)),
            ("build_ts_app", lambda self: is_built(self.distribution)),
        ]

        def run(self) -> None:
            super().run()
            if not is_packaged(self.distribution):  # any more
                command: Any = self.get_finalized_command("build_ts_app")
                command.take_away_others()

    return build


def _make_egg_info(base: type[Any]) -> type[Any]:
    class egg_info(base):  # type: ignore[valid-type,misc,unused-ignore]
        """setuptools' egg_info, which also writes the console scripts of the apps.

        By now every configuration file has been read, so nothing that we add can be taken for a static field.
        """

        def finalize_options(self) -> None:
            super().finalize_options()
            from torchscript_build.generate.launcher import console_scripts

            try:
                scripts = console_scripts(read_spec(self.distribution))
            except TorchScriptBuildError as error:
                raise translated(error) from error
            if not scripts:
                return
            points = self.distribution.entry_points
            if isinstance(points, str):
                lines = "".join(f"{script}\n" for script in scripts)
                self.distribution.entry_points = f"{points}\n[console_scripts]\n{lines}"
                return
            points = dict(points or {})
            present = points.get("console_scripts") or []
            present = present.splitlines() if isinstance(present, str) else list(present)
            _refuse_names_twice(present, scripts)
            points["console_scripts"] = list(dict.fromkeys([*present, *scripts]))
            self.distribution.entry_points = points

    return egg_info


def _refuse_names_twice(present: Iterable[str], ours: Iterable[str]) -> None:
    """:raises BaseError: one of our console scripts has the name of one of the project's own."""
    own = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in present)}
    pairs = [tuple(map(str.strip, script.split("=", 1))) for script in ours]
    problems = [
        f"console script {name!r}: the project has one of that name ({own[name]}); give the program's another by "
        'console-script = "…", or none by console-script = false'
        for name, value in pairs
        if own.get(name, value) != value
    ]
    if problems:
        raise translated(SettingsError(problems))
