"""Reads ``.pt2`` files: programs of torch.export; packages that AOTInductor compiled are read by ``compiled``.

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
from torchscript_build.models.compiled import read_compiled
from torchscript_build.models.contents import Contents, read_record, tree_of_names
from torchscript_build.models.exported_graph import (
    argument,
    device,
    dict_keys,
    items,
    lines,
    mapping,
    nodes_of,
    operator,
    ranges,
    scalar_type,
    size,
)
from torchscript_build.models.unpickle import TensorInfo


def read_exported(archive: zipfile.ZipFile, path: Path) -> Contents:
    """What a ``.pt2`` file holds.

    :raises ModelError: its JSON cannot be read.
    """
    names = archive.namelist()
    programs = [n for n in names if n.endswith((".json",)) and ("/models/" in n or "serialized_exported_program" in n)]
    extra = {n.partition("/extra/")[2]: archive.getinfo(n).file_size for n in names if "/extra/" in n}
    checksums = {i.filename.rpartition("/")[2]: i.CRC for i in archive.infolist() if "/weights/" in i.filename}
    if not programs:
        return read_compiled(archive, path, extra)
    total = path.stat().st_size
    operators: Counter[str] = Counter()
    code, tensors, methods, made_by = {}, {}, [], ""
    for name in programs:
        program = _load(archive, name)
        made_by = str(program.get("torch_version", made_by))
        module = mapping(program.get("graph_module"))
        graph = mapping(module.get("graph"))
        calls = [operator(str(node.get("target"))) for node in nodes_of(graph)]
        operators.update(call for call in calls if "::" in call and not call.startswith("higher_order::"))
        code[name.partition("/")[2]] = "\n".join(lines(graph))
        signature = mapping(module.get("signature"))
        metas = mapping(graph.get("tensor_values"))
        for target, named in _weights(signature):
            if named in metas:
                tensors[target] = _tensor(metas[named], target)
        limits = ranges(program.get("range_constraints"))
        methods.append(
            _method(signature, graph, _output_names(module)) + (f" where {', '.join(limits)}" if limits else "")
        )
    return Contents(
        path,
        "pt2",
        tree_of_names(tensors),
        total,
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
    return mapping(data)


def _weights(signature: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs (name of a parameter or buffer in the module, its name in the graph)."""
    for entry in items(signature.get("input_specs")):
        for kind, spec in mapping(entry).items():
            target = next((v for k, v in mapping(spec).items() if k.endswith("_name") and isinstance(v, str)), None)
            name = mapping(mapping(spec).get("arg")).get("name")
            if kind in ("parameter", "buffer", "tensor_constant") and target and name:
                yield target, str(name)


def _tensor(meta: Any, key: str) -> TensorInfo:
    data = mapping(meta)
    dtype, bytes_each = scalar_type(data.get("dtype", 0))
    shape = tuple(size(s)[0] for s in items(data.get("sizes")))
    return TensorInfo(dtype, shape, device(data.get("device")), key, bytes_each)


def _output_names(module: Mapping[str, Any]) -> list[str]:
    """The keys of a dict that the program returns."""
    whole = next((mapping(e) for e in items(module.get("module_call_graph")) if mapping(e).get("fqn") == ""), {})
    return dict_keys(str(mapping(whole.get("signature")).get("out_spec")))


def _method(signature: Mapping[str, Any], graph: Mapping[str, Any], names: list[str]) -> str:
    """``forward(x: float32[s0, 8], n=2) -> float32[s0, 4]``; a size that is not fixed has a name.

    :param names: of the outputs, where they have some.
    """
    inputs = []
    for entry in items(signature.get("input_specs")):
        given = mapping(mapping(entry).get("user_input")).get("arg")
        constant = mapping(mapping(entry).get("constant_input"))
        if given is not None:
            name = argument(given)
            inputs.append(f"{name}: {_type(graph, name)}" if _is_named(given) else name)
        elif constant:
            inputs.append(f"{constant.get('name')}={argument(constant.get('value'))}")
    outputs = []
    for entry in items(signature.get("output_specs")):
        given = mapping(mapping(entry).get("user_output")).get("arg")
        if given is not None:
            outputs.append(_type(graph, argument(given)) if _is_named(given) else argument(given))
    if names and len(names) == len(outputs):
        outputs = [f"{name}: {output}" for name, output in zip(names, outputs)]
    return f"forward({', '.join(inputs)}) -> {', '.join(outputs) or 'None'}"


def _is_named(given: Any) -> bool:
    return any("name" in mapping(inner) or "as_name" in mapping(inner) for inner in mapping(given).values())


def _type(graph: Mapping[str, Any], name: str) -> str:
    metas = mapping(graph.get("tensor_values"))
    if name not in metas:
        numbers = (("sym_int_values", "int"), ("sym_float_values", "float"), ("sym_bool_values", "bool"))
        return next((kind for values, kind in numbers if name in mapping(graph.get(values))), "value")
    meta = mapping(metas[name])
    return f"{scalar_type(meta.get('dtype'))[0]}[{', '.join(size(s)[1] for s in items(meta.get('sizes')))}]"
