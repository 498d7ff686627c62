"""Who brought a library to this machine: a wheel, a conda package, or the distribution; with its licence files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Optional
from urllib.parse import quote

from torchscript_build import system
from torchscript_build.records import dataclass, field
from torchscript_build.system import Environment

LICENSES = ("LICENSE", "LICENCE", "COPYING", "NOTICE")


@dataclass(frozen=True)
class Origin:
    """A package on this machine."""

    kind: str
    """``pypi``, ``conda``, ``deb``: the type of its package URL."""
    package: str
    version: str
    licenses: Mapping[str, Path] = field(default_factory=dict)
    """Path below a folder of the package's own → the file."""

    @property
    def purl(self) -> str:
        """Its package URL (the specification is package-url's)."""
        name = self.package.lower().replace("_", "-") if self.kind == "pypi" else self.package
        return f"pkg:{self.kind}/{'debian/' if self.kind == 'deb' else ''}{name}@{quote(self.version, safe='.-~')}"


def find_origins(files: Iterable[Path], environment: Environment) -> Mapping[Path, Origin]:
    """File → the package that brought it, for those that belong to one."""
    found: dict[Path, Origin] = {}
    wheels: dict[Path, Mapping[str, Path]] = {}
    condas: dict[Path, Mapping[str, Path]] = {}
    others = []
    for file in sorted(set(files)):
        origin = _of_wheel(file, wheels) or _of_conda(file, condas)
        if origin is None:
            others.append(file)
        else:
            found[file] = origin
    return {**found, **_of_debian(others, environment)}


def is_license(name: str) -> bool:
    """Is a file a licence by its name? A program about licences is none."""
    return name.upper().startswith(LICENSES) and not name.endswith((".py", ".pyc"))


def licenses_below(folder: Path) -> Mapping[str, Path]:
    """The licence files in a folder and below: path, without a ``licenses`` at its head → file."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and (is_license(p.name) or "licenses" in p.parts))
    return {p.relative_to(folder).as_posix().removeprefix("licenses/"): p for p in files}


def _of_wheel(file: Path, seen: dict[Path, Mapping[str, Path]]) -> Optional[Origin]:
    site = next((p for p in file.parents if p.name in ("site-packages", "dist-packages")), None)
    if site is None:
        return None
    if site not in seen:
        seen[site] = {name: info for info in sorted(site.glob("*.dist-info")) for name in _libraries_of(info)}
    info = seen[site].get(file.relative_to(site).as_posix())
    if info is None:
        return None
    name, _, version = info.name[: -len(".dist-info")].partition("-")
    return Origin("pypi", name, version, licenses_below(info))


def _libraries_of(info: Path) -> Iterable[str]:
    """The shared libraries that a wheel's RECORD names, relative to site-packages."""
    try:
        lines = (info / "RECORD").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        name = line.rsplit(",", 2)[0].strip('"')
        if ".so" in name:
            yield name


def _of_conda(file: Path, seen: dict[Path, Mapping[str, Path]]) -> Optional[Origin]:
    prefix = next((p for p in file.parents if (p / "conda-meta").is_dir()), None)
    if prefix is None:
        return None
    if prefix not in seen:
        records = sorted((prefix / "conda-meta").glob("*.json"))
        seen[prefix] = {name: record for record in records for name in system.read_json(record).get("files", ())}
    record = seen[prefix].get(file.relative_to(prefix).as_posix())
    if record is None:
        return None
    told = json.loads(record.read_text("utf-8"))
    folder = Path(str(told.get("extracted_package_dir") or ""), "info", "licenses")
    return Origin("conda", str(told["name"]), str(told["version"]), licenses_below(folder) if folder.is_dir() else {})


def _of_debian(files: Iterable[Path], environment: Environment) -> Mapping[Path, Origin]:
    """By dpkg, asked once for all; its database may know a file below ``/lib`` or ``/usr/lib``."""
    names: dict[str, Path] = {}
    for file in files:
        real = os.path.realpath(file)
        names.update(dict.fromkeys((str(file), real, real.removeprefix("/usr"), f"/usr{file}"), file))
    if not names or environment.which("dpkg-query") is None:
        return {}
    done = system.probe(["dpkg-query", "-S", *names], variables=environment.variables)
    lines = [line.rpartition(": ") for line in done.output.splitlines()] if done is not None else []
    owners = {names[path]: owner.split(",")[0].split(":")[0] for owner, _, path in lines if path in names}
    if not owners:
        return {}
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *sorted(set(owners.values()))]
    asked = system.probe(command, variables=environment.variables)
    pairs = [line.partition(" ") for line in asked.output.splitlines()] if asked is not None else []
    versions = {package: version for package, _, version in pairs}
    found = {}
    for file, package in owners.items():
        text = Path("/usr/share/doc", package, "copyright")
        licenses = {"copyright": text} if text.is_file() else {}
        found[file] = Origin("deb", package, versions.get(package, ""), licenses)
    return found
