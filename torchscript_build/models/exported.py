"""Reads ``.pt2`` files: programs of torch.export, and packages that AOTInductor compiled.

Their parts are JSON, and weights in records of their own. Source: ``torch/export/pt2_archive/constants.py``,
``torch/_export/serde/schema.py``.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torchscript_build.errors import ModelError
from torchscript_build.models.contents import Contents, Module, read_record, tree_of_names
from torchscript_build.models.unpickle import TensorInfo

SCALAR_TYPES = (
    *(("unknown", 1), ("uint8", 1), ("int8", 1), ("int16", 2), ("int32", 4), ("int64", 8), ("float16", 2)),
    *(("float32", 4), ("float64", 8), ("complex32", 4), ("complex64", 8), ("complex128", 16), ("bool", 1)),
    ("bfloat16", 2),
)
"""``ScalarType`` of the schema, by its number: dtype and bytes of an element."""


def read_exported(archive: zipfile.ZipFile, path: Path) -> Contents:
    """What a ``.pt2`` file holds.

    :raises ModelError: its JSON cannot be read.
    """
    names = archive.namelist()
    programs = [n for n in names if n.endswith((".json",)) and ("/models/" in n or "serialized_exported_program" in n)]
    compiled = [n for n in names if "/aotinductor/" in n]
    extra = {n.partition("/extra/")[2]: archive.getinfo(n).file_size for n in names if "/extra/" in n}
    checksums = {i.filename.rpartition("/")[2]: i.CRC for i in archive.infolist() if "/weights/" in i.filename}
    size = path.stat().st_size
    if not programs:
        code = {n: archive.read(n).decode("utf-8", "replace") for n in compiled if n.endswith("metadata.json")}
        attributes = {n.rpartition("/")[2]: f"{archive.getinfo(n).file_size} bytes" for n in compiled}
        return Contents(path, "AOTInductor", Module("", "", attributes=attributes), size, code=code, extra=extra)
    operators: Counter[str] = Counter()
    code, tensors, methods, made_by = {}, {}, [], ""
    for name in programs:
        program = _load(archive, name)
        made_by = str(program.get("torch_version", made_by))
        module = _mapping(program.get("graph_module"))
        graph = _mapping(module.get("graph"))
        calls = [_operator(str(_mapping(node).get("target"))) for node in _items(graph.get("nodes"))]
        operators.update(call for call in calls if "::" in call)
        code[name] = "\n".join(_lines(graph))
        signature = _mapping(module.get("signature"))
        metas = _mapping(graph.get("tensor_values"))
        for target, argument in _weights(signature):
            if argument in metas:
                tensors[target] = _tensor(metas[argument], target)
        methods.append(_method(signature, metas))
    return Contents(
        path,
        "pt2",
        tree_of_names(tensors),
        size,
        methods=tuple(methods),
        code=code,
        operators=dict(sorted(operators.items())),
        extra=extra,
        checksums=checksums,
        made_by=made_by,
    )


def _load(archive: zipfile.ZipFile, name: str) -> Mapping[str, Any]:
    try:
        data = json.loads(read_record(archive, name))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} is no JSON: {error}") from error
    return _mapping(data)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _operator(target: str) -> str:
    """``torch.ops.aten.linear.default`` → ``aten::linear``."""
    words = target.split(".")
    return "::".join(words[2:4]) if words[:2] == ["torch", "ops"] and len(words) >= 4 else target


def _lines(graph: Mapping[str, Any]) -> Iterator[str]:
    """The graph as a text, a line for each node."""
    for entry in _items(graph.get("nodes")):
        node = _mapping(entry)
        inputs = ", ".join(_argument(_mapping(i).get("arg")) for i in _items(node.get("inputs")))
        outputs = ", ".join(_argument(o) for o in _items(node.get("outputs")))
        yield f"{outputs} = {node.get('target')}({inputs})"


def _argument(value: Any) -> str:
    """``{"as_tensor": {"name": "x"}}`` → ``x``."""
    for inner in _mapping(value).values():
        named = _mapping(inner).get("name")
        if named is not None:
            return str(named)
        if isinstance(inner, list):
            return "[" + ", ".join(str(_mapping(i).get("name", i)) for i in inner) + "]"
        return json.dumps(inner)
    return "?"


def _weights(signature: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs (name of a parameter or buffer in the module, its name in the graph)."""
    for entry in _items(signature.get("input_specs")):
        for kind, spec in _mapping(entry).items():
            target = next((v for k, v in _mapping(spec).items() if k.endswith("_name") and isinstance(v, str)), None)
            name = _mapping(_mapping(spec).get("arg")).get("name")
            if kind in ("parameter", "buffer", "tensor_constant") and target and name:
                yield target, str(name)


def _tensor(meta: Any, key: str) -> TensorInfo:
    data = _mapping(meta)
    number = data.get("dtype", 0)
    dtype, size = SCALAR_TYPES[number] if isinstance(number, int) and number < len(SCALAR_TYPES) else ("unknown", 1)
    shape = tuple(_mapping(s).get("as_int", -1) for s in _items(data.get("sizes")))
    device = _mapping(data.get("device"))
    index = device.get("index")
    return TensorInfo(dtype, shape, f"{device.get('type', 'cpu')}{'' if index is None else f':{index}'}", key, size)


def _method(signature: Mapping[str, Any], metas: Mapping[str, Any]) -> str:
    """``forward(x: float32[2, 8]) -> float32[2, 4]``; a size that is not fixed is ``…``."""
    inputs = []
    for entry in _items(signature.get("input_specs")):
        argument = _mapping(_mapping(_mapping(entry).get("user_input")).get("arg"))
        if argument:
            name = _argument(argument)
            inputs.append(f"{name}: {_type(metas, name)}")
    outputs = []
    for entry in _items(signature.get("output_specs")):
        argument = _mapping(_mapping(_mapping(entry).get("user_output")).get("arg"))
        if argument:
            outputs.append(_type(metas, _argument(argument)))
    return f"forward({', '.join(inputs)}) -> {', '.join(outputs) or 'None'}"


def _type(metas: Mapping[str, Any], name: str) -> str:
    if name not in metas:
        return "value"
    tensor = _tensor(metas[name], name)
    return f"{tensor.dtype}[{', '.join('…' if s < 0 else str(s) for s in tensor.shape)}]"
