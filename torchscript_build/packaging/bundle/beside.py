"""Says what must lie beside what ``--prefix`` has installed, where libtorch is not in the prefix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torchscript_build import log
from torchscript_build.errors import VerificationError
from torchscript_build.packaging.staging import Destination
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment


def say_beside(plan: BuildPlan, destination: Destination, installed: Iterable[Path], environment: Environment) -> None:
    """Where libtorch is found, and which files belong into the prefix's ``lib`` on another machine."""
    place = destination.prefix
    if place is None or destination.is_bundle or any(place.root in d.parents for d in plan.libtorch.library_dirs):
        return
    from torchscript_build.packaging.bundle.closure import find_closure
    from torchscript_build.packaging.bundle.search import library_folders, system_folders
    from torchscript_build.system import elf  # it reads ELF, which an unchanged build does not

    where, here = plan.libtorch.library_dirs[0], place.root / "lib"
    log.say(f"-- libtorch is found in {where}; on another machine, its libraries must lie in {here}")
    files = [path for path in sorted(set(installed)) if elf.is_elf(path)]
    try:
        folders = library_folders(plan, place.root, environment)
        closure = find_closure(files, library_path=folders, cxx_runtime=False, system=system_folders())
    except VerificationError as error:
        log.say(f"-- which they are cannot be told: {error.problem}")
        return
    names = [name for name in closure.libraries if not (place.root / "lib" / name).exists()]
    if names:
        log.say(f"   they are {', '.join(names)}; torchscript-build bundle brings them along")
