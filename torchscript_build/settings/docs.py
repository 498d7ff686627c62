"""The settings' documentation, made from the specs: README's option tables and a JSON schema for editors."""

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Union

from torchscript_build.settings.near_misses import TABLE
from torchscript_build.settings.options import BUILD_TYPES, PINS
from torchscript_build.settings.read import ARRAYS, DEFAULTS
from torchscript_build.settings.rules import (
    ABIS,
    BINDINGS,
    BUNDLE_FORMATS,
    CPUS,
    CUDA_RUNTIMES,
    DETERMINISTIC,
    DTYPES,
    ENGINES,
    METHODS,
    PRECISIONS,
    TEMPLATES,
)
from torchscript_build.settings.specs import BuildOptions, BundleOptions, OpLibrary, ScriptModel, TorchScriptApp

_CHOICES: Mapping[tuple[type, str], Sequence[str]] = {
    (BuildOptions, "build_type"): BUILD_TYPES,
    (BuildOptions, "pin"): PINS,
    (ScriptModel, "method"): METHODS,
    (ScriptModel, "cpu"): CPUS,
    (ScriptModel, "default_dtype"): DTYPES,
    (ScriptModel, "quantized_engine"): ENGINES,
    (ScriptModel, "deterministic"): DETERMINISTIC,
    (ScriptModel, "matmul_precision"): PRECISIONS,
    (OpLibrary, "python_binding"): BINDINGS,
    (OpLibrary, "abi"): ABIS,
    (OpLibrary, "cuda_runtime"): CUDA_RUNTIMES,
    (TorchScriptApp, "template"): TEMPLATES,
    (BundleOptions, "format"): BUNDLE_FORMATS,
}


def field_docs(cls: type) -> dict[str, str]:
    """Field name → the text below it in specs.py, also of inherited fields."""
    docs: dict[str, str] = {}
    for base in (b for b in reversed(cls.__mro__) if dataclasses.is_dataclass(b)):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, text in zip(body.body, body.body[1:]):
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(target, ast.Name) and isinstance(text, ast.Expr):
                docs[target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return docs


def markdown_tables() -> str:
    """README's option tables."""
    parts = []
    for title, cls in _documented():
        docs = field_docs(cls)
        parts += [f"**`{title}`**: {inspect.getdoc(cls)}", "", "| key | default | meaning |", "|---|---|---|"]
        for f in dataclasses.fields(cls):
            meaning = docs[f.name].replace("|", "\\|")
            parts.append(f"| `{f.name.replace('_', '-')}` | {_default(f)} | {meaning} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def json_schema() -> dict[str, Any]:
    """A JSON schema of ``[tool.torchscript-build]``, for editors."""
    properties = _schema_properties(BuildOptions)
    properties["cuda"]["anyOf"].append({"type": "number"})  # cuda = 12, cuda = 12.4
    properties["libtorch"] = {
        "description": field_docs(BuildOptions)["libtorch"],
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "root": {"type": "string"},
                    "version": properties["libtorch-version"],
                    "cxx11-abi": properties["cxx11-abi"],
                    "cuda": properties["cuda"],
                },
            },
        ],
    }
    defaults: dict[str, Any] = {}
    for name, cls in ARRAYS.items():
        items: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": _schema_properties(cls),
        }
        properties[name] = {"type": "array", "description": inspect.getdoc(cls), "items": items}
        others = {key: value for key, value in items["properties"].items() if key != "name"}
        defaults[name] = {**items, "required": [], "properties": others}
    properties[DEFAULTS] = {
        "description": "Values for each entry of an array that does not give its own.",
        "type": "object",
        "additionalProperties": False,
        "properties": defaults,
    }
    properties["bundle"] = {
        "type": "object",
        "description": inspect.getdoc(BundleOptions),
        "additionalProperties": False,
        "properties": _schema_properties(BundleOptions),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"[{TABLE}]",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _documented() -> list[tuple[str, type]]:
    arrays = ((f"[[{TABLE}.{name}]]", cls) for name, cls in ARRAYS.items())
    return [(f"[{TABLE}]", BuildOptions), *arrays, (f"[{TABLE}.bundle]", BundleOptions)]


def _schema_properties(cls: type) -> dict[str, Any]:
    hints, docs = typing.get_type_hints(cls), field_docs(cls)
    properties = {}
    for f in dataclasses.fields(cls):
        schema = {"description": docs[f.name], **_schema_type(hints[f.name])}
        if (cls, f.name) in _CHOICES:
            schema["enum"] = list(_CHOICES[cls, f.name])
        properties[f.name.replace("_", "-")] = schema
    return properties


def _schema_type(hint: Any) -> dict[str, Any]:
    if typing.get_origin(hint) is Union:
        options = [_schema_type(a) for a in typing.get_args(hint) if a is not type(None)]
        return options[0] if len(options) == 1 else {"anyOf": options}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _schema_type(typing.get_args(hint)[0])}
    if typing.get_origin(hint) is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": _schema_type(typing.get_args(hint)[1])}
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean"}[hint]}


def _default(f: dataclasses.Field[Any]) -> str:
    if f.name in ("name", "source_dir"):
        return "required"
    value = f.default
    if value is None or value == () or value is dataclasses.MISSING:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
