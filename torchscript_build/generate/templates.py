"""Renders the package's templates; a template prints values and decides nothing."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment as JinjaEnvironment

FileSet = Mapping[str, bytes]
"""Relative path with forward slashes → content."""


@functools.cache
def templates_dir() -> Path:
    """The folder of the package ``torchscript_build.templates``, wherever an installation put it."""
    from importlib.util import find_spec

    spec = find_spec("torchscript_build.templates")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package torchscript_build.templates is missing: this installation is incomplete")
    return Path(spec.origin).parent


@functools.cache
def templates_digest() -> bytes:
    """A digest of every template, so that an upgraded plugin reconfigures."""
    digest = hashlib.sha256()
    start = len(str(templates_dir())) + 1
    for folder, folders, files in os.walk(templates_dir()):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                digest.update(path[start:].replace(os.sep, "/").encode() + b"\0" + file.read() + b"\0")
    return digest.digest()


def render(template: str, **values: Any) -> bytes:
    """A template with its values; an undefined value is an error."""
    return _jinja().get_template(template).render(**values).encode()


@functools.cache
def _jinja() -> JinjaEnvironment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render_module(name: str, values: Mapping[str, object], lines: Sequence[str] = ()) -> bytes:
    """A Python module of ``templates/python`` with its constants replaced and lines added at its end.

    The template is itself valid Python; a build with nothing to do needs no template engine for it.
    """
    from pprint import pformat

    text = read_static(f"python/{name}").decode()
    for constant, value in values.items():
        before, line, after = re.split(rf"^({constant} = ).*$", text, maxsplit=1, flags=re.MULTILINE)
        text = before + line + pformat(value, width=100, sort_dicts=False) + after
    return (text + "".join(line + "\n" for line in lines)).encode()


def read_static(name: str) -> bytes:
    return (templates_dir() / name).read_bytes()
