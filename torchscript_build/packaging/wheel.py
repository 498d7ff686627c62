"""What a wheel with native programs needs of bdist_wheel: its tag, and the torch that it requires."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

from torchscript_build import system
from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.packaging.distribution import is_packaged, read_spec, translated
from torchscript_build.settings.specs import ProjectSpec

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
EPOCH = "315532800"
"""The date of files in a wheel where nobody names one: 1980-01-01, the first that a zip file can have."""


def make_bdist_wheel(base: type[Any]) -> type[Any]:
    """A subclass of this environment's bdist_wheel for a project with our settings."""

    class bdist_wheel(base):  # type: ignore[misc]
        """Tags the wheel ``py3-none-<platform>`` where nothing in it links libpython, and pins torch.

        The same project makes the same bytes in another folder, at another time and with another umask.
        """

        _packing: Optional[ExitStack] = None

        def run(self) -> None:
            system.remove_tree(Path(self.bdist_dir))  # a killed build leaves files there, which would be packed
            with ExitStack() as self._packing:
                super().run()
            self._packing = None

        def write_wheelfile(self, *arguments: Any, **options: Any) -> None:
            """The last step before everything is packed; what the project compiles has the real time.

            editable_wheel calls it, too, and packs by itself.
            """
            super().write_wheelfile(*arguments, **options)
            if self._packing is None:
                return
            system.normalize_modes(Path(self.bdist_dir))
            self._packing.enter_context(system.default_variable(EPOCH_VARIABLE, EPOCH))

        def get_tag(self) -> tuple[str, str, str]:
            exact: tuple[str, str, str] = super().get_tag()
            if self.distribution.ext_modules or not is_packaged(self.distribution):
                return exact
            return wheel_tag(read_spec(self.distribution), exact)

        def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
            """Both the wheel and PEP 517's metadata come through here; an sdist does not."""
            super().egg2dist(egginfo_path, distinfo_path)
            if not is_packaged(self.distribution):
                return
            try:
                requirement = torch_requirement(self)
            except TorchScriptBuildError as error:
                raise translated(error) from error
            if requirement:
                file = Path(distinfo_path, "METADATA")
                file.write_text(add_requirement(file.read_text(encoding="utf-8"), requirement), encoding="utf-8")

    return bdist_wheel


def wheel_tag(spec: ProjectSpec, exact: tuple[str, str, str]) -> tuple[str, str, str]:
    """``py3-none`` without Python modules, abi3 where all of them keep to the limited API, else the exact tag."""
    modules = [o for o in spec.packaged_ops if o.python_module]
    if not modules:
        return "py3", "none", exact[2]
    if all(o.limited_api for o in modules):
        newest = max(tuple(map(int, (o.limited_api or "").split("."))) for o in modules)
        return f"cp{newest[0]}{newest[1]}", "abi3", exact[2]
    return exact


def torch_requirement(command: Any) -> Optional[str]:
    """What the wheel requires of torch, from the libtorch that it is built for."""
    from torchscript_build.build.discover import find_project_libtorch
    from torchscript_build.system import Environment

    spec = command.get_finalized_command("build_ts_app").read_spec()
    return pin(find_project_libtorch(spec, Environment.current()).version, spec.options.pin)


def pin(version: str, how: str) -> Optional[str]:
    """A torch release and a ``pin`` setting → a requirement: ``torch ==2.13.*``, ``torch ==2.13.0`` or none."""
    if how == "none":
        return None
    return f"torch =={version}" if how == "exact" else f"torch =={'.'.join(version.split('.')[:2])}.*"


def add_requirement(metadata: str, requirement: str) -> str:
    """A METADATA text with one more ``Requires-Dist``, at the end of its headers."""
    head, blank, body = metadata.partition("\n\n")
    line = f"Requires-Dist: {requirement}"
    if line in head.splitlines():
        return metadata
    return f"{head.rstrip()}\n{line}\n" + (f"\n{body}" if blank else "")
