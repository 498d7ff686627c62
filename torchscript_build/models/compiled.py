"""Reads packages that AOTInductor compiled: for which machine, and what its C++ wrapper says of inputs and weights.

Beside the machine code, a package has the wrapper's source, whose checks of the inputs and table of constants are lines
of a form (``torch/_inductor/codegen/cpp_wrapper_cpu.py``), and a file with what it was compiled for.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torchscript_build.models.contents import Contents, read_record, tree_of_names
from torchscript_build.models.exported_graph import SCALAR_TYPES, dict_keys, mapping
from torchscript_build.models.unpickle import TensorInfo

FACTS = {
    "AOTI_DEVICE_KEY": "device",
    "AOTI_PLATFORM": "platform",
    "AOTI_MACHINE": "machine",
    "AOTI_CPU_ISA": "processor's instructions",
    "AOTI_COMPUTE_CAPABILITY": "GPU's compute capability",
}
"""Key in the metadata → what it is called here."""

_SIZES = dict(SCALAR_TYPES.values())
_CONSTANT = re.compile(
    r'constants_info_\[(\d+)\]\.(dtype|shape|original_fqn) = (?:\w*dtype_(\w+)|\{([^}]*)\}|"([^"]*)")'
)


def read_compiled(archive: zipfile.ZipFile, path: Path, extra: Mapping[str, int]) -> Contents:
    """What a package holds.

    :raises ModelError: a file in it is damaged.
    """
    compiled = [n for n in archive.namelist() if "/aotinductor/" in n]
    facts: dict[str, str] = {}
    texts = {}
    for name in compiled:
        if name.endswith("metadata.json"):
            facts.update(_facts(read_record(archive, name)))
        elif name.endswith(".cpp"):
            texts[name.partition("/")[2]] = read_record(archive, name).decode("utf-8", "replace")
    wrappers = [text for name, text in texts.items() if name.endswith("wrapper.cpp")]
    tensors = {key: tensor for text in wrappers for key, tensor in _constants(text, facts.get("device", "cpu"))}
    files = {n.rpartition("/")[2]: f"{archive.getinfo(n).file_size} bytes" for n in compiled}
    root = replace(tree_of_names(tensors), attributes={**facts, **files})
    return Contents(
        path,
        "AOTInductor",
        root,
        path.stat().st_size,
        methods=tuple(_method(text) for text in wrappers),
        code=texts,
        extra=extra,
    )


def _facts(record: bytes) -> dict[str, str]:
    try:
        data = mapping(json.loads(record))
    except (ValueError, RecursionError):
        return {}
    return {name: str(data[key]) for key, name in FACTS.items() if data.get(key)}


def _constants(text: str, device: str) -> Iterator[tuple[str, TensorInfo]]:
    found: dict[str, dict[str, str]] = {}
    for number, key, dtype, shape, name in _CONSTANT.findall(text):
        found.setdefault(number, {})[key] = dtype or shape or name
    for number, entry in found.items():
        shape = tuple(int(s) for s in re.findall(r"\d+", entry.get("shape", "")))
        dtype = entry.get("dtype", "unknown")
        name = entry.get("original_fqn") or f"constant {number}"
        yield name, TensorInfo(dtype, shape, "" if device == "cpu" else device, name, _SIZES.get(dtype, 1))


def _method(text: str) -> str:
    """``run(arg8_1: float32[2…64, 4]) -> out, drop``, as the wrapper checks it."""
    names = dict(re.findall(r'\binputs_info_\[(\d+)\]\.name = "([^"]*)"', text))
    inputs = [f"{name}: {_input(text, name)}" for _, name in sorted(names.items(), key=lambda pair: int(pair[0]))]
    count = len(set(re.findall(r"\boutputs_info_\[(\d+)\]\.name", text)))
    spec = re.search(r'\bout_spec_ = R"\((.*)\)";', text)
    keys = dict_keys(spec[1]) if spec else []
    outputs: Sequence[Any] = keys if len(keys) == count else [f"output {n}" for n in range(count)]
    return f"run({', '.join(inputs)}) -> {', '.join(outputs) or 'nothing'}"


def _input(text: str, name: str) -> str:
    dtype = re.search(rf"\b{re.escape(name)}_expected_dtype = aoti_torch_dtype_(\w+)\(", text)
    size = rf"{re.escape(name)}_size\[(\d+)\]"
    sizes = {int(d): n for n, d in re.findall(rf"\((\d+) != {size}\)", text)}
    low = {int(d): n for d, n in re.findall(rf"\({size} < (\d+)\)", text)}
    high = {int(d): n for d, n in re.findall(rf"\({size} > (\d+)\)", text)}
    ranges = {d: f"{low.get(d, '')}…{high.get(d, '')}" for d in {*low, *high}}
    known = {**ranges, **sizes}
    shape = ", ".join(known.get(d, "…") for d in range(max(known, default=-1) + 1))
    return f"{dtype[1] if dtype else 'tensor'}[{shape}]"
