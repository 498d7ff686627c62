"""The licences of all that a bundle holds, as the packages on this machine bring them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from torchscript_build import system
from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.system import Environment

NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE")


def torch_licenses(libtorch: LibTorch) -> Mapping[str, Path]:
    """Torch's own: path below ``licenses`` → file.

    :raises VerificationError: there is none; a bundle without it would break its terms.
    """
    folders = [*sorted(libtorch.root.parent.glob("torch-*.dist-info")), libtorch.root]
    for folder in folders:
        found = _below(folder, "torch")
        if found:
            return found
    raise VerificationError(
        f"the licence of torch is not in {libtorch.root} nor beside it, and a bundle must hold it",
        cures=["pip install torch: its wheel has the licence", "put LICENSE into that folder"],
    )


def project_licenses(root: Path, project: str) -> Mapping[str, Path]:
    """The project's own, if it has any."""
    return {f"{project}/{p.name}": p for p in sorted(root.iterdir()) if p.is_file() and _is_license(p.name)}


def own_licenses() -> Mapping[str, Path]:
    """Ours, since the runner is our source."""
    from importlib.metadata import files

    members = files("torchscript-build") or []
    found = (Path(str(member.locate())) for member in members if _is_license(Path(str(member)).name))
    return {f"torchscript-build/{path.name}": path for path in found if path.is_file()}


def system_licenses(libraries: Iterable[Path], environment: Environment) -> Mapping[str, Path]:
    """Debian's copyright files of the system's libraries; nothing on other distributions."""
    if environment.which("dpkg") is None:
        return {}
    found: dict[str, Path] = {}
    for library in sorted(set(libraries)):
        package = _package_of(library, environment)
        copyright_file = Path("/usr/share/doc", package, "copyright") if package else None
        if copyright_file is not None and copyright_file.is_file():
            found[f"debian/{package}"] = copyright_file
    return found


def _package_of(library: Path, environment: Environment) -> str:
    """The Debian package of a file; its database may know it below ``/lib`` or ``/usr/lib``."""
    real = os.path.realpath(library)
    for path in dict.fromkeys((str(library), real, real.removeprefix("/usr"))):
        done = system.probe(["dpkg", "-S", path], variables=environment.variables)
        if done is not None and done.returncode == 0:
            return done.output.split(":")[0].split(",")[0].strip()
    return ""


def _below(folder: Path, name: str) -> Mapping[str, Path]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and _is_license(p.name)) if folder.is_dir() else []
    inside = [p for p in files if "third_party" not in p.parts or "licenses" in p.parts]
    return {f"{name}/{_short(p.relative_to(folder))}": p for p in inside}


def _short(path: Path) -> str:
    return path.as_posix().removeprefix("licenses/")


def _is_license(name: str) -> bool:
    return name.upper().startswith(NAMES)
