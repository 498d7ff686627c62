"""What a model file holds, as text for a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torchscript_build.models.contents import Contents, Module
from torchscript_build.models.risks import devices_of, lowest_libtorch, provider_of, quantization_of, risks_of
from torchscript_build.models.unpickle import TensorInfo

KINDS = {
    "TorchScript": "a TorchScript program",
    "mobile": "a TorchScript program for the mobile interpreter, which libtorch loads, too",
    "pt2": "a program of torch.export",
    "AOTInductor": "a package that AOTInductor compiled (its code is machine code)",
    "state dict": "tensors without a program, as a state dict is. In Python, make the module, load_state_dict(), "
    "and save torch.jit.script(module)",
    "safetensors": "tensors without a program, in the format of safetensors. In Python, make the module, "
    "load_state_dict(safetensors.torch.load_file(FILE)), and save torch.jit.script(module)",
    "pickle": "a Python object that torch.save pickled: only Python with its classes can load it. "
    "Save torch.jit.script(module) instead",
}


def amount(size: int) -> str:
    """Bytes for people."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size} bytes"


def number(count: int) -> str:
    """Elements for people."""
    for unit, power in (("G", 9), ("M", 6), ("k", 3)):
        if count >= 10**power:
            return f"{count / 10**power:.1f} {unit}"
    return str(count)


def describe_tensor(tensor: TensorInfo) -> str:
    """``float32[8, 3, 3, 3]``, with its device where that is not the CPU."""
    device = f" on {tensor.device}" if tensor.device not in ("cpu", "") else ""
    return f"{tensor.dtype}[{', '.join(map(str, tensor.shape))}]{device}"


def describe(contents: Contents, *, depth: int = 3, code: bool = False) -> str:
    """The page for a terminal.

    :param depth: how many levels of modules are shown.
    :param code: also the program's text.
    """
    return "\n".join(_lines(contents, depth, code))


def _lines(contents: Contents, depth: int, code: bool) -> Iterator[str]:
    yield f"{contents.path}: {KINDS[contents.kind]}"
    by = f", written by torch {contents.made_by}" if contents.made_by else ""
    version = f", file format {contents.format_version}" if contents.format_version is not None else ""
    yield f"  {amount(contents.size)}, {number(contents.count)} parameters and buffers{version}{by}"
    yield f"  lowest libtorch that reads it: {lowest_libtorch(contents)}"
    yield from _section("methods", contents.methods)
    yield from _section("modules", _tree(contents.root, depth, 0))
    operators = [(name, f"{count}", provider_of(name)) for name, count in contents.operators.items()]
    foreign = [row for row in operators if row[2] != "libtorch"]
    own = [name for name, _, provider in operators if provider == "libtorch"]
    if own:
        yield from _section(f"operators of libtorch ({len(own)})", _wrapped(own))
    yield from _section("operators of others", [f"{name} ×{count}: {who}" for name, count, who in foreign])
    yield from _section("custom classes", [f"{name}: {provider_of(name)}" for name in contents.classes])
    yield from _section("constants", [describe_tensor(c) for c in contents.constants[:20]])
    yield from _section("devices in the code", [f"{d} ×{n}" for d, n in devices_of(contents).items()])
    yield from _section("quantization", quantization_of(contents))
    yield from _section("extra files", [f"{name} ({amount(size)})" for name, size in contents.extra.items()])
    yield from _section("worth knowing", risks_of(contents))
    for name, text in contents.code.items() if code else ():
        yield ""
        yield f"--- {name}"
        yield text.rstrip("\n")


def _section(title: str, lines: Any) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)


def _wrapped(words: list[str], width: int = 96) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) + 2 > width:
            yield line
            line = ""
        line = f"{line}, {word}" if line else word
    if line:
        yield line


def _tree(module: Module, depth: int, level: int) -> Iterator[str]:
    name = "  " * level + (module.name or module.type or "the whole")
    same = module.attributes.get("same as")
    kind = f" ({module.type})" if module.name and module.type else ""
    what = f"the same as {same}" if same else f"{number(module.count)}, {amount(module.size)}" if module.count else "–"
    yield f"{name + kind:<56}  {what}"
    if level >= depth:
        if module.children:
            yield "  " * (level + 1) + f"… {sum(1 for _ in module.walk()) - 1} modules below (--depth)"
        return
    for key, tensor in module.tensors.items():
        yield f"{'  ' * (level + 1) + key:<56}  {describe_tensor(tensor)}"
    for child in module.children:
        yield from _tree(child, depth, level + 1)


def to_json(contents: Contents) -> dict[str, Any]:
    """Plain data."""
    return {
        "path": str(contents.path),
        "kind": contents.kind,
        "size": contents.size,
        "parameters": contents.count,
        "format_version": contents.format_version,
        "made_by": contents.made_by or None,
        "lowest_libtorch": lowest_libtorch(contents),
        "methods": list(contents.methods),
        "tensors": {name: describe_tensor(tensor) for name, tensor in contents.tensors.items()},
        "operators": {
            name: {"calls": count, "provider": provider_of(name)} for name, count in contents.operators.items()
        },
        "classes": {name: provider_of(name) for name in contents.classes},
        "constants": [describe_tensor(tensor) for tensor in contents.constants],
        "devices": devices_of(contents),
        "quantization": quantization_of(contents),
        "extra_files": dict(contents.extra),
        "risks": risks_of(contents),
    }
