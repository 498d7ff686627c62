"""What a wheel with native programs needs of bdist_wheel: its tag, the torch that it requires, and a last check."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchscript_build import system
from torchscript_build.errors import SettingsError, TorchScriptBuildError
from torchscript_build.packaging.distribution import TEMPORARY, is_packaged, project_root, read_spec, translated

if TYPE_CHECKING:
    from torchscript_build.settings.specs import ProjectSpec

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
EPOCH = "315532800"
"""The date of files in a wheel where nobody names one: 1980-01-01, the first that a zip file can have."""


def make_bdist_wheel(base: type[Any]) -> type[Any]:
    """A subclass of this environment's bdist_wheel for a project with our settings."""

    class bdist_wheel(base):  # type: ignore[misc]
        """Tags the wheel by the files in it, pins torch, and packs nothing that could not start.

        The same project makes the same bytes in another folder, at another time and with another umask.
        """

        _packing: Optional[ExitStack] = None

        def run(self) -> None:
            system.remove_tree(Path(self.bdist_dir))  # a killed build leaves files there, which would be packed
            with ExitStack() as self._packing:
                super().run()
            self._packing = None

        def get_tag(self) -> tuple[str, str, str]:
            plain: tuple[str, str, str] = super().get_tag()
            limited: Any
            if not is_packaged(self.distribution):
                return plain
            limited = self.py_limited_api
            self.py_limited_api: Any = False
            try:
                exact: tuple[str, str, str] = super().get_tag()
            finally:
                self.py_limited_api = limited
            return _tag(self, plain, exact, limited or None)

        def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
            """Both the wheel and PEP 517's metadata come through here; an sdist does not."""
            super().egg2dist(egginfo_path, distinfo_path)
            for file in Path(distinfo_path).glob(TEMPORARY):
                file.unlink()
            if not is_packaged(self.distribution):
                return
            try:
                requirement, series = torch_requirement(self)
                if requirement:
                    file = Path(distinfo_path, "METADATA")
                    text = add_requirement(file.read_text(encoding="utf-8"), requirement, series)
                    file.write_text(text, encoding="utf-8")
            except TorchScriptBuildError as error:
                raise translated(error) from error

        def write_wheelfile(self, wheelfile_base: str, *args: Any, **kwargs: Any) -> None:
            """The last step before everything is packed; an editable wheel comes by without its files."""
            super().write_wheelfile(wheelfile_base, *args, **kwargs)
            root = Path(self.bdist_dir)
            if self._packing is not None:  # what the project compiles has the real time
                system.normalize_modes(root)
                self._packing.enter_context(system.default_variable(EPOCH_VARIABLE, EPOCH))
            if root in Path(wheelfile_base).parents and is_packaged(self.distribution):
                try:
                    _check(self, root)
                except TorchScriptBuildError as error:
                    system.remove_tree(root)
                    raise translated(error) from error

    return bdist_wheel


def make_install_lib(base: type[Any]) -> type[Any]:
    """A subclass of this environment's install_lib for a project with our settings."""

    class install_lib(base):  # type: ignore[misc]
        """Collects a wheel's files; a model that is a link in build_lib is one there, too, and not written again."""

        def copy_tree(self, infile: str, outfile: str, *args: Any, **kwargs: Any) -> Any:
            packing = self.distribution.get_command_obj("bdist_wheel", create=False)
            is_wheel = packing is not None and Path(packing.bdist_dir) in Path(outfile, "-").parents
            for file in Path(infile).rglob("*") if is_wheel and not self.get_exclusions() else ():
                if not file.is_symlink() and file.is_file() and file.stat().st_nlink > 1:
                    system.link_if_changed(file, outfile / file.relative_to(infile))
            return super().copy_tree(infile, outfile, *args, **kwargs)

    return install_lib


def _tag(
    command: Any, plain: tuple[str, str, str], exact: tuple[str, str, str], limited: Optional[str]
) -> tuple[str, str, str]:
    """From the files, where they are there; before (an editable wheel, PEP 517's metadata) from the settings."""
    from torchscript_build.packaging.outputs import ops_targets
    from torchscript_build.packaging.wheel_files import NativeFiles, find_native_files, promised_pythons, wheel_tag
    from torchscript_build.system import Environment

    spec = read_spec(command.distribution)
    modules = [o for o in spec.packaged_ops if o.python_module]
    building = f"{sys.version_info[0]}.{sys.version_info[1]}"
    root = Path(command.bdist_dir)
    if not root.is_dir():
        if command.distribution.ext_modules:
            return plain if all(o.limited_api for o in modules) else exact
        files = NativeFiles(
            exact=tuple(o.name for o in modules if not o.limited_api),
            limited=tuple(o.name for o in modules if o.limited_api),
        )
        return wheel_tag(files, exact, promised=[o.limited_api or "" for o in modules], building=building)
    files = find_native_files(root)
    own = {t for t in ops_targets(spec, Environment.current()) if t in files.limited}
    promised = promised_pythons(spec, files.limited, own, limited, building)
    return wheel_tag(files, exact, promised=promised, building=building)


def _check(command: Any, root: Path) -> None:
    from torchscript_build.build.discover import find_project_libtorches
    from torchscript_build.packaging.outputs import app_targets, external_targets, ops_targets, series_parts
    from torchscript_build.packaging.wheel_files import check_wheel_files
    from torchscript_build.system import Environment

    environment = Environment.current()
    spec: ProjectSpec = command.get_finalized_command("build_ts_app").read_spec()
    parts = series_parts(spec, environment)
    staged = [
        target
        for name in ("build_ts_ops", "build_ts_app")
        for target in getattr(command.distribution.get_command_obj(name, create=False), "staged", ())
    ]
    declared = [*ops_targets(spec, environment), *app_targets(spec, environment), *staged]
    own = set(declared) - set(external_targets(spec, environment))
    base = project_root(command.distribution).resolve()
    targets = (*spec.packaged_ops, *spec.packaged_apps)
    folders = [(base / d).resolve() for t in targets for d in t.link_dirs]
    files = [base / name for t in targets for name in t.link_libraries if (base / name).is_file()]
    files += [file for folder in folders for file in folder.glob("*.so*")]
    for libtorch, part in zip(find_project_libtorches(spec, environment), parts):
        others = set(parts) - {part}
        check_wheel_files(
            root,
            libtorch,
            declared=dict.fromkeys(declared),
            own=own,
            link_dirs=[d for d in folders if base not in d.parents],
            own_libraries=[f for f in files if base in f.parents],
            # what is for any torch is looked at once
            without=others if part == parts[0] else {*others, ""},
        )


def torch_requirement(command: Any) -> tuple[Optional[str], Sequence[str]]:
    """What the wheel requires of torch, from what it is built for, and the series of torch if those are several."""
    from torchscript_build.build.discover import find_project_libtorches
    from torchscript_build.system import Environment

    spec: ProjectSpec = command.get_finalized_command("build_ts_app").read_spec()
    oldest = oldest_torch_of(spec)
    if oldest is not None and spec.options.pin != "none":
        return f"torch >={oldest}", ()
    libtorches = find_project_libtorches(spec, Environment.current())
    if len(libtorches) == 1 or spec.options.pin == "none":
        return pin(libtorches[0].version, spec.options.pin), ()
    series = [libtorch.series for libtorch in libtorches]
    return pin_series(series), series


def oldest_torch_of(spec: ProjectSpec) -> Optional[str]:
    """The oldest torch that all native files will do for, where all keep to the stable ABI; else ``None``."""
    from torchscript_build.plan.decide import STABLE_SINCE
    from torchscript_build.toolchain.programs import parse_version

    bound = spec.packaged_apps or spec.packaged_libraries or any(project.install for project in spec.cmake)
    if bound or not spec.packaged_ops:
        return None
    if any(ops.abi != "stable" for ops in spec.packaged_ops):
        return None
    targets = (ops.torch_target or STABLE_SINCE for ops in spec.packaged_ops)
    return max(targets, key=parse_version)


def pin(version: str, how: str) -> Optional[str]:
    """A torch release and a ``pin`` setting → a requirement: ``torch ==2.13.*``, ``torch ==2.13.0`` or none."""
    if how == "none":
        return None
    return f"torch =={version}" if how == "exact" else f"torch =={'.'.join(version.split('.')[:2])}.*"


def pin_series(series: Sequence[str]) -> str:
    """Several series of torch, oldest first → a requirement of just those: ``torch >=2.11,<2.14,!=2.12.*``."""
    from torchscript_build.libtorch.releases import RELEASES
    from torchscript_build.toolchain.programs import parse_version

    wanted = [parse_version(one) for one in series]
    oldest, newest = wanted[0], wanted[-1]
    known = {row.series for row in RELEASES} | {(newest[0], minor) for minor in range(newest[1])}
    left_out = sorted(s for s in known if oldest < s < newest and s not in wanted)
    without = [f"!={major}.{minor}.*" for major, minor in left_out]
    return "torch " + ",".join([f">={series[0]}", f"<{newest[0]}.{newest[1] + 1}", *without])


def add_requirement(metadata: str, requirement: str, series: Sequence[str] = ()) -> str:
    """A METADATA text that requires this torch, in one line together with what the project says of torch itself.

    :param series: those that the requirement is for, where they are several; the project must allow each.
    :raises SettingsError: the two cannot both be met.
    """
    from packaging.requirements import Requirement

    header, blank, body = metadata.partition("\n\n")
    # It stands in the sdist's metadata for what is added here.
    lines = [line for line in header.rstrip().splitlines() if line != "Dynamic: Requires-Dist"]
    ours = Requirement(requirement)
    wanted = requirement.partition(" ")[2].split(",")
    series = series or [s.version[:-2] for s in ours.specifier if s.version.endswith(".*")]
    releases = [[f"{one}.{n}" for n in range(1000)] for one in series] or [[s.version for s in ours.specifier]]
    extras: set[str] = set()
    more: set[str] = set()
    kept = []
    for line in lines:
        key, _, value = line.partition(": ")
        theirs = Requirement(value) if key == "Requires-Dist" and value[:5].lower() == "torch" else None
        if theirs is None or theirs.name.lower() != "torch" or theirs.marker or theirs.url:
            kept.append(line)
            continue
        named = [
            s.version for s in theirs.specifier if not s.version.endswith(".*") and ours.specifier.contains(s.version)
        ]
        for one in releases:
            own = [*one, *(version for version in named if not series or version.startswith(one[0][:-1]))]
            if not any(theirs.specifier.contains(release, prereleases=True) for release in own):
                cure = "build with a torch of that range, or change the requirement"
                raise SettingsError(
                    [f"the project requires {value}, but what libtorch it is built for makes {requirement}: {cure}"]
                )
        extras |= theirs.extras
        more |= {str(s) for s in theirs.specifier if not _implied(str(s), releases[0][0], releases[-1][-1])}
    name = f"torch[{','.join(sorted(extras))}]" if extras else "torch"
    text = ",".join([f"{name} {wanted[0]}", *wanted[1:], *sorted(more - set(wanted))])
    return "\n".join([*kept, f"Requires-Dist: {text}"]) + "\n" + (f"\n{body}" if blank else "")


def _implied(specifier: str, oldest: str, newest: str) -> bool:
    """Does a range of releases lie within a specifier as a whole?"""
    from packaging.specifiers import SpecifierSet

    one = SpecifierSet(specifier)
    return one.contains(oldest, prereleases=True) and one.contains(newest, prereleases=True) and "!=" not in specifier
