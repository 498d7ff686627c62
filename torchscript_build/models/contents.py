"""What a model file holds, read without torch: modules, tensors, methods, code, operators."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from torchscript_build import system
from torchscript_build.errors import ModelError
from torchscript_build.models.archive import UNREADABLE, read_archive
from torchscript_build.models.foreign import read_safetensors, recognize
from torchscript_build.models.unpickle import Opaque, TensorInfo, read_pickle
from torchscript_build.records import dataclass, field

CODE_LIMIT = 64 * 2**20
"""Bytes of a model's code; the largest seen has two megabytes."""
MOST_MODULES = 200_000
_HOOKS = ("_is_full_backward_hook", "_backward_hooks", "_forward_hooks")
"""What every module has, and nobody asks for."""


@dataclass(frozen=True)
class Module:
    """A module with what is its own."""

    name: str
    """Its attribute's name in the module above; empty for the topmost."""
    type: str
    """Its class without TorchScript's prefixes: ``torchvision.models.resnet.ResNet``."""
    tensors: Mapping[str, TensorInfo] = field(default_factory=dict)
    """Parameters and buffers by name."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Everything else, as short text."""
    children: tuple[Module, ...] = ()

    @property
    def count(self) -> int:
        """Elements of all its tensors and those below."""
        return sum(t.count for t in self.tensors.values()) + sum(c.count for c in self.children)

    @property
    def size(self) -> int:
        """Bytes of all its tensors and those below."""
        return sum(t.size for t in self.tensors.values()) + sum(c.size for c in self.children)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Pairs (path, module), this one first."""
        yield prefix, self
        for child in self.children:
            yield from child.walk(f"{prefix}.{child.name}" if prefix else child.name)


@dataclass(frozen=True)
class Contents:
    """All that is known of a model file."""

    path: Path
    kind: str
    """``TorchScript``, ``mobile``, ``pt2`` (torch.export), ``AOTInductor``, ``state dict``, ``safetensors`` or
    ``pickle``."""
    root: Module
    size: int
    """The file's bytes."""
    format_version: Optional[int] = None
    methods: tuple[str, ...] = ()
    """Schemas of the topmost module's methods: ``forward(x: Tensor) -> Tensor``."""
    code: Mapping[str, str] = field(default_factory=dict)
    """File in the archive → TorchScript, or the graph of an exported program."""
    operators: Mapping[str, int] = field(default_factory=dict)
    """Operator → how often the code calls it: ``aten::conv2d``."""
    classes: tuple[str, ...] = ()
    """Custom classes: ``my_ops::Stack``."""
    constants: tuple[TensorInfo, ...] = ()
    extra: Mapping[str, int] = field(default_factory=dict)
    """Files beside the model → bytes."""
    checksums: Mapping[str, int] = field(default_factory=dict)
    """Storage → CRC of its bytes."""
    made_by: str = ""
    """The torch that wrote it, where the file says so."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """All parameters and buffers by their full names."""
        return {
            f"{path}.{name}" if path else name: tensor
            for path, module in self.root.walk()
            for name, tensor in module.tensors.items()
        }

    @property
    def count(self) -> int:
        """Elements of all tensors; those that share their numbers count once."""
        return sum({t.key: t.count for t in self.tensors.values()}.values())


def read_contents(path: Path) -> Contents:
    """Read a model file of any kind that torch writes.

    :raises ModelError: it is missing, damaged, or nothing of torch's; the message says what it is instead.
    """
    if system.is_endless(path):
        raise ModelError(f"{path} is a pipe or a device, and no model's file")
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder, and no model's file") from error
    except OSError as error:
        raise ModelError(f"there is no model {path}: {error.strerror}") from error
    if not zipfile.is_zipfile(path):
        tensors = read_safetensors(path)
        if tensors is None:
            raise _not_a_zip(path, head)
        return Contents(path, "safetensors", tree_of_names(tensors), path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_zip(archive, path)
    except ModelError:
        raise
    except (*UNREADABLE, TypeError, AttributeError) as error:  # the latter: its records are of other shapes
        raise ModelError(f"{path} is damaged: {error}") from error


def _not_a_zip(path: Path, head: bytes) -> ModelError:
    if head[:2] == b"\x80\x02" and b"\x8a\nl\xfc\x9c" in head:
        return ModelError(
            f"{path} was written by torch.save in its format before 1.6 (no zip): it holds a state dict or a pickled "
            "object, no program; load it in Python, and save it again to look inside"
        )
    if head[:4] == b"PK\x03\x04":
        return ModelError(f"{path} is truncated: it begins as an archive and has no end")
    foreign = recognize(path, head)
    if foreign:
        return ModelError(f"{path} {foreign.what}", cures=[foreign.cure])
    return ModelError(f"{path} is no model of torch's: neither an archive nor a pickle of torch.save")


def _read_zip(archive: zipfile.ZipFile, path: Path) -> Contents:
    names = archive.namelist()
    roots = {name.partition("/")[0] for name in names}
    root = min(roots, key=lambda r: (f"{r}/data.pkl" not in names, r)) if roots else ""
    if any(
        name.endswith(("archive_format", "serialized_exported_program.json")) or "/aotinductor/" in name
        for name in names
    ):
        from torchscript_build.models.exported import read_exported

        return read_exported(archive, path)
    if f"{root}/data.pkl" not in names:
        read_archive(path, checksums=False)  # it knows why it is none
        raise ModelError(f"{path} is no model of torch's: the archive has no data.pkl")
    data = read_pickle(read_record(archive, f"{root}/data.pkl"), f"{path.name}: data.pkl")
    checksums = {i.filename.rpartition("/")[2]: i.CRC for i in archive.infolist() if f"{root}/data/" in i.filename}
    size = path.stat().st_size
    if f"{root}/constants.pkl" not in names:
        kind = "pickle" if isinstance(data, Opaque) and not _is_tensor_tree(data) else "state dict"
        return Contents(path, kind, _tree_of_pickle(data), size, checksums=checksums)
    plain = read_archive(path, checksums=False)
    code = _read_code(archive, f"{root}/code/")
    module = _module_of(data, "", "", {})
    constants = read_pickle(read_record(archive, f"{root}/constants.pkl"), f"{path.name}: constants.pkl")
    operators = _operators_of(code)
    is_mobile = f"{root}/bytecode.pkl" in names
    if is_mobile:
        operators = Counter(operators)
        bytecode = read_pickle(read_record(archive, f"{root}/bytecode.pkl"), f"{path.name}: bytecode.pkl")
        operators.update(name for name in _mobile_operators(bytecode) if name not in operators)
    extra = {n[len(f"{root}/extra/") :]: archive.getinfo(n).file_size for n in names if n.startswith(f"{root}/extra/")}
    return Contents(
        path,
        "mobile" if is_mobile else "TorchScript",
        module,
        size,
        format_version=plain.format_version,
        methods=tuple(_methods_of(code, getattr(data, "qualified", ""))),
        code=code,
        operators=dict(sorted(operators.items())),
        classes=plain.classes,
        constants=tuple(c for c in _flat(constants) if isinstance(c, TensorInfo)),
        extra=extra,
        checksums=checksums,
    )


def read_record(archive: zipfile.ZipFile, name: str, limit: int = CODE_LIMIT * 4) -> bytes:
    """One record of an archive, as long as it is not absurdly large when it is unpacked."""
    size = archive.getinfo(name).file_size
    if size > limit:
        raise ModelError(f"{name} has {size / 1e6:.0f} MB, which no model needs; it is not read")
    return archive.read(name)


def _read_code(archive: zipfile.ZipFile, folder: str) -> dict[str, str]:
    names = sorted(n for n in archive.namelist() if n.startswith(folder) and n.endswith(".py"))
    if sum(archive.getinfo(n).file_size for n in names) > CODE_LIMIT:
        raise ModelError("the model's code has more than 64 MB, which no model needs; it is not read")
    return {n[len(folder) :]: archive.read(n).decode("utf-8", errors="replace") for n in names}


def plain_type(qualified: str) -> str:
    """A class's name without what TorchScript puts before and into it."""
    return re.sub(r"(^|\.)(__torch__|___torch_mangle_\d+)(?=\.)", "", qualified).lstrip(".") or "object"


def _module_of(value: Any, name: str, path: str, seen: dict[int, str]) -> Module:
    """The tree of an object; one that stands in a second place is only named there."""
    if id(value) in seen:
        return Module(name, plain_type(value.qualified), attributes={"same as": seen[id(value)] or "the whole"})
    tensors: dict[str, TensorInfo] = {}
    attributes: dict[str, str] = {}
    children: list[Module] = []
    if len(seen) > MOST_MODULES:
        raise ModelError(f"the model has more than {MOST_MODULES} modules; it is not read")
    seen[id(value)] = path
    for key, item in value.attributes.items() if isinstance(value, Opaque) else ():
        if isinstance(item, TensorInfo):
            tensors[key] = item
        elif isinstance(item, Opaque) and item.attributes and path.count(".") < 100:
            children.append(_module_of(item, key, f"{path}.{key}".lstrip("."), seen))
        else:
            inner = [t for t in _flat(item) if isinstance(t, TensorInfo)]
            tensors.update({f"{key}[{i}]": t for i, t in enumerate(inner)})
            if not inner and key not in _HOOKS:
                attributes[key] = _short(item)
    return Module(name, plain_type(getattr(value, "qualified", "")), tensors, attributes, tuple(children))


def tree_of_names(tensors: Mapping[str, TensorInfo]) -> Module:
    """Tensors as the tree that their dotted names say."""
    tree: dict[str, Any] = {}
    for key, tensor in tensors.items():
        *above, last = key.split(".")
        place = tree
        for part in above[:100]:
            inner = place.setdefault(part, {})
            place = inner if isinstance(inner, dict) else place
        place.setdefault(last, tensor)

    def module(name: str, entries: Mapping[str, Any]) -> Module:
        own = {key: value for key, value in entries.items() if isinstance(value, TensorInfo)}
        return Module(name, "", own, {}, tuple(module(k, v) for k, v in entries.items() if isinstance(v, dict)))

    return module("", tree)


def _tree_of_pickle(data: Any) -> Module:
    """A state dict, or what else torch.save was given."""
    named = dict(_named_tensors(data, ""))
    tree = tree_of_names({name: value for name, value in named.items() if isinstance(value, TensorInfo)})
    attributes = {name: _short(value) for name, value in named.items() if not isinstance(value, TensorInfo)}
    return Module("", plain_type(getattr(data, "qualified", "dict")), tree.tensors, attributes, tree.children)


def _named_tensors(
    value: Any, prefix: str, seen: Optional[set[int]] = None, depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Pairs (dotted name, leaf); what stands in several places is there once."""
    seen = set() if seen is None else seen
    if isinstance(value, Opaque):
        entries: list[Any] = [
            *value.attributes.items(),
            *(e for e in value.entries if isinstance(e, tuple) and len(e) == 2),
        ]
    elif isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, (list, tuple)):
        entries = list(enumerate(value))
    else:
        yield prefix or "value", value
        return
    if id(value) in seen or depth >= 60:
        return
    seen.add(id(value))
    for key, item in entries:
        inner = prefix if key in ("_modules", "_parameters", "_buffers") else f"{prefix}.{key}".lstrip(".")
        yield from _named_tensors(item, inner, seen, depth + 1)


def _is_tensor_tree(data: Opaque) -> bool:
    return data.qualified.startswith("collections.")


def _flat(value: Any) -> Iterator[Any]:
    """The leaves of lists, tuples, mappings and objects, each of these once, however they hold each other."""
    stack, seen = [value], set()
    while stack:
        value = stack.pop()
        if isinstance(value, Opaque):
            inner = [*value.arguments, *value.entries, value.state]
        elif isinstance(value, dict):
            inner = list(value.values())
        elif isinstance(value, (list, tuple)):
            inner = list(value)
        else:
            yield value
            continue
        if id(value) not in seen:
            seen.add(id(value))
            stack.extend(reversed(inner))


def _short(value: Any, depth: int = 0) -> str:
    if isinstance(value, Opaque):
        return plain_type(value.qualified)
    if isinstance(value, (list, tuple, dict)) and (len(value) > 8 or depth == 3):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, (list, tuple)):
        text = ", ".join(_short(item, depth + 1) for item in value)
    else:
        text = f"dict of {len(value)}" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


# --- code ----------------------------------------------------------------------------------------------------------

_CALL = re.compile(r"\b(?:torch\.([A-Za-z_]\w*)|ops\.([A-Za-z_]\w*)\.([A-Za-z_]\w*))\(")
_NO_OPERATORS = ("device", "dtype", "layout", "memory_format")
_METHOD = re.compile(r"^  def (\w+)\(self: [\w.]+((?:[^()]|\([^()]*\))*)\) -> ([^\n]+?):$", re.MULTILINE)


def _operators_of(code: Mapping[str, str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for text in code.values():
        for aten, namespace, name in _CALL.findall(text):
            if namespace:
                found[f"{namespace}::{name}"] += 1
            elif aten not in _NO_OPERATORS:
                found[f"aten::{aten}"] += 1
    return found


def _methods_of(code: Mapping[str, str], qualified: str) -> Iterator[str]:
    """The schemas of a class's methods, from the file that has it."""
    module, _, name = qualified.rpartition(".")
    text = code.get(module.replace(".", "/") + ".py", "")
    begin = re.search(rf"^class {re.escape(name)}\(Module\):$", text, re.MULTILINE) if name else None
    if begin is None:
        return
    following = re.search(r"^class ", text[begin.end() :], re.MULTILINE)
    body = text[begin.end() : begin.end() + following.start() if following else len(text)]
    for method, arguments, result in _METHOD.findall(body):
        words = re.sub(r"\s+", " ", arguments).lstrip(", ")
        yield f"{method}({_plain(words)}) -> {_plain(result)}"


def _plain(text: str) -> str:
    return re.sub(r"__torch__(\.___torch_mangle_\d+)?\.", "", text)


def _mobile_operators(bytecode: Any) -> Iterator[str]:
    """``("operators", (("aten::add", "Tensor", …), …))`` somewhere in each method of bytecode.pkl."""
    stack, steps = [bytecode], 0
    while stack and steps < 1_000_000:
        steps += 1
        value = stack.pop()
        if not isinstance(value, (list, tuple)):
            continue
        if len(value) == 2 and value[0] == "operators" and isinstance(value[1], (list, tuple)):
            for entry in value[1]:
                if isinstance(entry, (list, tuple)) and entry and isinstance(entry[0], str):
                    yield entry[0]
        else:
            stack.extend(value)
