"""What a bundle says of itself: ``bundle.json`` and the bill of materials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.models.compare import Compared
from torchscript_build.packaging.bundle.origins import Origin
from torchscript_build.packaging.bundle.sbom import Component, render_sbom
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.records import dataclass
from torchscript_build.system import elf


@dataclass(frozen=True)
class Needs:
    """What a bundle needs of the machine."""

    glibc: str
    """The lowest that will do."""
    machine: str
    cpu: str
    """The lowest processor that the compiler was told of; libtorch chooses its own code at run time."""
    gcc: str = ""
    """The lowest GCC whose libstdc++ will do; empty where the bundle has its own."""
    libraries: tuple[str, ...] = ()
    """Those that the machine brings."""


def render_bundle_json(
    plan: BuildPlan, tree: Path, needs: Needs, compared: Sequence[Compared], verified: Optional[Sequence[str]]
) -> bytes:
    """The bundle as data; the same bundle gives the same bytes.

    :param compared: the comparisons with Python that its programs passed.
    :param verified: what was run in an empty root; ``None`` where nobody asked for it.
    """
    files = [p for p in sorted(tree.rglob("*")) if p.is_file() and p.name != "bundle.json"]
    libtorch = plan.libtorch
    data: dict[str, Any] = {
        "name": plan.project,
        "version": plan.version,
        "libtorch": {
            "version": libtorch.full_version,
            "variant": libtorch.variant,
            "cxx11_abi": libtorch.cxx11_abi,
            "cuda": libtorch.cuda_version,
        },
        "build_type": plan.build_type,
        "needs": {
            "glibc": needs.glibc,
            "machine": needs.machine,
            "cpu": needs.cpu,
            "libstdc++": f"of GCC {needs.gcc}" if needs.gcc else None,
            "libraries": list(needs.libraries),
        },
        "parity": [_parity(one) for one in compared],
        "verified": None if verified is None else list(verified),
        "files": {p.relative_to(tree).as_posix(): {"sha256": digest(p), "size": p.stat().st_size} for p in files},
    }
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _parity(one: Compared) -> Mapping[str, str]:
    case = one.verdict.case
    return {
        "app": one.verdict.app,
        "model": case.model,
        "method": case.method,
        "inputs": case.label,
        "original_exported": one.verdict.exported,
        "exported_native": one.verdict.native,
    }


def render_bom(plan: BuildPlan, tree: Path, libraries: Mapping[str, Path], origins: Mapping[Path, Origin]) -> bytes:
    """The bill of materials: libtorch, every library with the package that brought it, every model.

    :param libraries: what came from elsewhere: its name in ``lib`` → where it was.
    """
    libtorch = plan.libtorch
    components = [Component("library", "torch", libtorch.full_version, license="BSD-3-Clause", purl=_purl(libtorch))]
    for name, path in libraries.items():
        origin = origins.get(path)
        version, purl = (origin.version, origin.purl) if origin else (None, None)
        components.append(Component("library", name, version, sha256=digest(tree / "lib" / name), purl=purl))
    known = {tree / "lib" / name for name in libraries}
    own = [p for p in sorted((tree / "lib").rglob("*")) if p.is_file() and p not in known and elf.is_elf(p)]
    components += [Component("library", p.name, plan.version, sha256=digest(p)) for p in own]
    for path in sorted(p for pattern in ("*.pt", "*.pt2") for p in (tree / "share").rglob(pattern)):
        components.append(Component("machine-learning-model", path.stem, None, sha256=digest(path)))
    return render_sbom(Component("application", plan.project, plan.version), components)


def _purl(libtorch: LibTorch) -> str:
    return f"pkg:pypi/torch@{libtorch.full_version}".replace("+", "%2B")


def digest(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    value = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            value.update(block)
    return value.hexdigest()
