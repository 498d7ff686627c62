"""What can be told before anything is compiled: models too new for libtorch, operators that nobody seems to have.

A file format is read from the file and from libtorch's header, so it can refuse. Operators are read from text: that
warns, and the program's own load of its model decides (proof.py).
"""

from __future__ import annotations

import dataclasses
import mmap
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build import log, system
from torchscript_build.errors import ModelError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.releases import release_row
from torchscript_build.libtorch.versions import release_of
from torchscript_build.models.archive import ModelArchive, read_archive
from torchscript_build.models.code import NamedDevice
from torchscript_build.models.namespaces import NAMESPACES
from torchscript_build.models.package import FIRST_RELEASE, Package
from torchscript_build.operators.registrations import Registrations, read_registrations
from torchscript_build.plan.build_plan import BuildPlan, PlannedApp
from torchscript_build.records import dataclass
from torchscript_build.settings.specs import TorchScriptApp

CURES = (
    "name the operator library that has it in the app's ops",
    "name its library in the app's external-ops, which carries it: { namespace = 'package:file.so' }",
    "name its namespace in the app's external-ops, if it is loaded at run time (--ops FILE)",
)
RECORD = "archives.json"


@dataclass(frozen=True)
class Missing:
    """An operator or custom class that neither libtorch nor the app seems to have."""

    app: str
    model: str
    name: str
    """``"my_ops::warp"``."""


def read_archives(plan: BuildPlan, names: Sequence[str]) -> Mapping[str, ModelArchive]:
    """What the archives of models say, by name; one that has not changed is not read again.

    :raises ModelError: one is missing, or another kind of file.
    """
    record_file = Path(plan.build_dir, RECORD)
    record = system.read_json(record_file)
    archives, kept = {}, {}
    for name in names:
        file = Path(plan.model(name).file)
        stamp = system.stamp(file)
        if stamp is None or record.get(name, {}).get("stamp") != stamp:
            archives[name] = read_archive(file, checksums=False)
            _say_devices(name, archives[name])
        else:
            archives[name] = _from_json(file, record[name]["archive"])
        kept[name] = {"stamp": stamp, "archive": {**dataclasses.asdict(archives[name]), "path": str(file)}}
    if {**record, **kept} != record:
        system.write_json(record_file, {**record, **kept})
    return archives


def check_formats(archives: Mapping[str, ModelArchive], plan: BuildPlan) -> None:
    """Compare the archives' file format with what this libtorch reads (``kMaxSupportedFileFormatVersion``).

    :raises ModelError: names every model that is too new.
    """
    highest = _highest_format(plan.libtorch)
    problems = [
        f"model {name!r} has file format {archive.format_version}; "
        f"libtorch {plan.libtorch.version} reads up to {highest}"
        for name, archive in archives.items()
        if archive.format_version > highest
    ]
    if problems:
        raise ModelError(
            "\n".join(problems),
            cures=["save the model with an older torch", "use a newer libtorch (--libtorch, libtorch-version)"],
        )


def find_missing(
    apps: Mapping[str, TorchScriptApp],
    plan: BuildPlan,
    archives: Mapping[str, ModelArchive],
    registrations: Mapping[str, Registrations],
    schemas: Mapping[str, object],
) -> tuple[Missing, ...]:
    """Operators and custom classes of each app's models that nobody seems to provide.

    :param apps: the apps to look at, by name.
    :param registrations: what the sources of each operator library register.
    :param schemas: what each library registered when it was loaded, as far as that is known.
    """
    missing = []
    for app in (a for a in plan.loaders if a.name in apps):
        provided = set(NAMESPACES) | set(apps[app.name].external_ops) | _linked(app, plan, registrations, schemas)
        provided |= read_registrations(map(Path, app.sources)).namespaces
        for bundled in app.models:
            archive = archives[bundled.name]
            missing += [
                Missing(app.name, bundled.name, name)
                for name in (*archive.operators, *archive.classes)
                if name.split("::")[0] not in provided and not _in_libtorch(name, plan.libtorch)
            ]
    return tuple(missing)


def needs_operators_of_run_time(app: TorchScriptApp, archive: ModelArchive) -> tuple[str, ...]:
    """Namespaces that a model needs and whose library is only given when the program runs, sorted."""
    if isinstance(app.external_ops, Mapping):
        return ()
    return tuple(sorted(set(app.external_ops) & set(archive.namespaces)))


def _say_devices(name: str, archive: ModelArchive) -> None:
    """Tell of a device that the code names: the model runs there only."""
    for file, device in archive.devices:
        if device.device.partition(":")[0] not in ("cpu", "meta"):
            count = len(archive.devices)
            more = f", and {count - 1} more" if count > 1 else ""
            log.warn(
                f"model {name!r} was made for {device.device}, which stands in its code ({file}:{device.line}: "
                f"{device.text}{more}): it will run there only; export it with module and inputs on the CPU, or write "
                "device=x.device in the model"
            )
            return


def _from_json(file: Path, data: Mapping[str, Any]) -> ModelArchive:
    return ModelArchive(
        path=file,
        format_version=data["format_version"],
        operators=tuple(data["operators"]),
        classes=tuple(data["classes"]),
        devices=tuple((name, NamedDevice(**device)) for name, device in data["devices"]),
        uses_autograd=data["uses_autograd"],
        package=_package_from_json(data.get("package")),
    )


def _package_from_json(data: Optional[Mapping[str, Any]]) -> Optional[Package]:
    if data is None:
        return None
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return Package(**fields)


def check_packages(archives: Mapping[str, ModelArchive], plan: BuildPlan) -> None:
    """Compare what ``.pt2`` packages say of themselves with the libtorch that will load them.

    :raises ModelError: names every package that cannot be loaded.
    """
    libtorch = plan.libtorch
    problems, cures = [], []
    for name, archive in archives.items():
        package = archive.package
        if package is None:
            continue
        if release_of(libtorch.version)[:2] < FIRST_RELEASE:
            problems.append(
                f"model {name!r} is a .pt2 package, and libtorch {libtorch.version} has no loader for those"
            )
            cures.append("use libtorch 2.6 or newer (--libtorch, libtorch-version), or the TorchScript model alone")
        elif package.machine and (package.platform, package.machine) != _machine_of(libtorch):
            here = " on ".join(_machine_of(libtorch))
            problems.append(
                f"model {name!r} was compiled for {package.platform} on {package.machine}, libtorch is {here}"
            )
            cures.append("compile the package on such a machine")
        elif package.torch and release_of(package.torch)[:2] != release_of(libtorch.version)[:2]:
            log.warn(f"model {name!r} was compiled by torch {package.torch}, the app links libtorch {libtorch.version}")
    if problems:
        raise ModelError("\n".join(problems), cures=tuple(dict.fromkeys(cures)))


def _machine_of(libtorch: LibTorch) -> tuple[str, str]:
    machine = {"AMD64": "x86_64"}.get(libtorch.machine or "", libtorch.machine or "")
    return libtorch.platform, machine


def _highest_format(libtorch: LibTorch) -> int:
    """By libtorch's header, else by the table of releases."""
    header = libtorch.root / "include/caffe2/serialize/versions.h"
    try:
        text = header.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"kMaxSupportedFileFormatVersion\s*=\s*(0x[0-9A-Fa-f]+|\d+)", text)
    return int(found[1], 0) if found else release_row(release_of(libtorch.version)).archive_format


def _linked(
    app: PlannedApp,
    plan: BuildPlan,
    registrations: Mapping[str, Registrations],
    schemas: Mapping[str, object],
) -> set[str]:
    """The namespaces of the operator libraries that an app links, also through others."""
    found: set[str] = set()
    for name in plan.linked_ops(app):
        found |= registrations[name].namespaces
        known = schemas.get(name, ())
        found |= {str(s).split("::")[0] for s in known} if isinstance(known, (list, tuple)) else set()
    return found


def _in_libtorch(name: str, libtorch: LibTorch) -> bool:
    """Does a library of libtorch hold the operator's name? For namespaces that a newer release may have added."""
    for path in libtorch.libraries:
        if path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content.find(name.encode()) >= 0:
                    return True
    return False
