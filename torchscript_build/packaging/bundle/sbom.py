"""The bill of materials of a bundle, as CycloneDX 1.5 (JSON)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional

from torchscript_build.records import dataclass


@dataclass(frozen=True)
class Component:
    """One thing that a bundle holds."""

    kind: str
    """CycloneDX's type: ``application``, ``library``, ``machine-learning-model``."""
    name: str
    version: Optional[str]
    sha256: Optional[str] = None
    """Hexadecimal; of a file."""
    license: Optional[str] = None
    """An SPDX expression, where one is known."""
    purl: Optional[str] = None


def render_sbom(main: Component, components: Sequence[Component]) -> bytes:
    """The document; the same components give the same bytes, so it has no serial number and no time."""
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _plain(main)},
        "components": [_plain(c) for c in sorted(components, key=lambda c: (c.kind, c.name))],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _plain(component: Component) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "type": component.kind,
        "name": component.name,
        "bom-ref": f"{component.kind}:{component.name}",
    }
    if component.version:
        plain["version"] = component.version
    if component.sha256:
        plain["hashes"] = [{"alg": "SHA-256", "content": component.sha256}]
    if component.license:
        plain["licenses"] = [{"expression": component.license}]
    if component.purl:
        plain["purl"] = component.purl
    return plain
