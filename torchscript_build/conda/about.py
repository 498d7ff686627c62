"""``[project]`` → the recipe's ``about``: summary, licence, addresses; and what conda-forge would miss there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from torchscript_build.records import dataclass

URL_LABELS: Mapping[str, tuple[str, ...]] = {
    "home": ("homepage",),
    "dev_url": ("source", "repository", "sourcecode", "github"),
    "doc_url": ("documentation", "docs"),
}
"""The recipe's word → the labels of ``project.urls``, as packaging.python.org lists the well-known ones."""


@dataclass(frozen=True)
class About:
    """What the recipe tells of the project."""

    summary: str
    """Quoted for YAML."""
    license: Optional[str]
    """An SPDX expression."""
    license_files: tuple[str, ...]
    home: Optional[str]
    dev_url: Optional[str]
    doc_url: Optional[str]
    notes: tuple[str, ...]
    """What conda-forge asks for and the project does not say."""


def read_about(project: Mapping[str, Any], license_files: Sequence[str]) -> About:
    """What ``[project]`` says; what it lacks becomes a note, not an error."""
    license_ = _license(project)
    urls = _urls(project)
    notes = []
    if license_ is None:
        notes.append('about.license: write license = "MIT" or another SPDX expression into [project]')
    if not license_files:
        notes.append("about.license_file: there is no file LICENSE beside pyproject.toml")
    if urls["home"] is None:
        notes.append('about.home: write Homepage = "https://…" into [project.urls]')
    return About(
        summary=yaml_text(str(project.get("description") or project["name"])),
        license=license_,
        license_files=tuple(license_files),
        notes=tuple(notes),
        **urls,
    )


def yaml_text(text: str) -> str:
    """A text in quotes, of which neither YAML nor Jinja nor conda-build's selectors read anything but the text."""
    quoted = json.dumps(" ".join(text.split()), ensure_ascii=False)
    for character in "{[#":
        quoted = quoted.replace(character, f"\\u{ord(character):04x}")
    return quoted


def _license(project: Mapping[str, Any]) -> Optional[str]:
    """The licence, if it is written as an SPDX expression."""
    license_ = project.get("license")
    text = license_.get("text") if isinstance(license_, Mapping) else license_
    if not isinstance(text, str):
        return None
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ImportError:  # before packaging 24.2, which knows the list
        name = r"\(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*"
        return text if re.fullmatch(rf"{name}( (AND|OR|WITH) {name})*", text) else None
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None


def _urls(project: Mapping[str, Any]) -> dict[str, Optional[str]]:
    """``project.urls`` under the recipe's words; the home is where the source is if nothing else is said."""
    given = project.get("urls")
    by_label = {
        re.sub(r"[^a-z0-9]", "", str(label).lower()): url
        for label, url in (given.items() if isinstance(given, Mapping) else ())
        if isinstance(url, str) and re.fullmatch(r"[a-z]+://[^\s\"'{}\[\]]+", url)
    }
    found = {word: next((by_label[k] for k in labels if k in by_label), None) for word, labels in URL_LABELS.items()}
    return {**found, "home": found["home"] or found["dev_url"] or found["doc_url"]}
