"""Which sizes of a model's inputs can vary in what ``torch.export`` records of it."""

import re
from typing import Any, Optional

from . import aoti, complaints

NESTED = "its arguments are not all tensors themselves"
TRIES = 12
"""How often a model is exported in search of bounds."""
_GUARD = re.compile(r"^\s*- Not all values of (\w+) = .* satisfy the generated guard (.*)\.$", re.MULTILINE)
_VIOLATED = re.compile(r"Constraints violated \(([^)]*)\)")


def dynamic_sizes(torch: Any, original: Any, args: Any) -> "tuple[dict[str, Any], Optional[str]]":
    """The sizes that vary: argument → dimension → ``[name, least, most]``; why others do not, if torch.export says so.

    Only arguments that are tensors themselves are looked at.
    """
    if aoti.is_scripted(torch, original):
        return {}, "from a TorchScript archive it is exported with the sizes of the example; a factory allows more"
    try:
        shapes = aoti.dynamic_shapes_of(torch, original, args, "auto")
        program = aoti.program_of(torch, aoti.fresh(original), args, shapes)
    except Exception as error:  # noqa: BLE001 - it exports with fixed sizes, this is only why
        return {}, complaints._essence(str(error).splitlines() or [type(error).__name__])
    about = {"names": aoti.names_of(original, len(args)), "symbols": {}}
    try:
        leaves = aoti.signature_of(torch, program, about)["inputs"]
    except aoti.NotCompiled as error:
        return {}, str(error)
    tensors = [(n, a) for n, a in zip(about["names"], args)]
    if len(leaves) != len(tensors):
        return {}, NESTED
    found: dict[str, Any] = {}
    called: dict[str, str] = {}
    for (name, arg), leaf in zip(tensors, leaves):
        for index, size in enumerate(leaf.get("shape", ())):
            if isinstance(size, list) and isinstance(arg, torch.Tensor):
                called.setdefault(size[0], f"{name}{index}")
                is_plain = re.fullmatch(r"\w+", size[0]) is not None
                if is_plain:
                    found.setdefault(name, {})[str(index)] = [called[size[0]], size[1], size[2]]
    return _with_bounds(torch, original, args, found)


def _with_bounds(
    torch: Any, original: Any, args: Any, found: "dict[str, Any]"
) -> "tuple[dict[str, Any], Optional[str]]":
    """The sizes with bounds that torch.export agrees to. Left to itself it notes conditions that no caller checks.

    A size below which the model would take another way begins above that, one with another condition stays fixed.
    """
    whys, step = [], 1
    for _ in range(TRIES):
        if not found:
            break
        try:
            shapes = aoti.dynamic_shapes_of(torch, original, args, setting_of(found))
            aoti.program_of(torch, aoti.fresh(original), args, shapes)
        except Exception as error:  # noqa: BLE001 - it exports with fixed sizes, this is only why not with others
            text = str(error) or type(error).__name__
        else:
            break
        said = _VIOLATED.search(text)
        if said is None:
            return {}, complaints._essence(text.splitlines())
        guards = dict(_GUARD.findall(text))
        for name in said[1].split(", "):
            guard = guards.get(name, "")
            if not guard or "==" in guard or not _raised(found, name, step, args, original):
                whys.append(f"{name} must satisfy {_named(guard)}" if guard else f"{name} is the same in every call")
                found = _without(found, name)
        step *= 2
    else:
        return {}, "no bounds were found that torch.export agrees to"
    return found, "; ".join(whys) or None


def _raised(found: "dict[str, Any]", name: str, step: int, args: Any, original: Any) -> bool:
    """Let a size begin later, not after that of the example; ``False``: it does begin there."""
    names = aoti.names_of(original, len(args))
    places = [
        (argument, index) for argument, sizes in found.items() for index, size in sizes.items() if size[0] == name
    ]
    changed = False
    for argument, index in places:
        size = found[argument][index]
        least = min(size[1] + step, args[names.index(argument)].shape[int(index)])
        changed = changed or least > size[1]
        size[1] = least
    return changed


def _without(found: "dict[str, Any]", name: str) -> "dict[str, Any]":
    """All sizes but those of a name."""
    left = {a: {i: size for i, size in sizes.items() if size[0] != name} for a, sizes in found.items()}
    return {argument: sizes for argument, sizes in left.items() if sizes}


def conditions(text: str) -> str:
    """What torch.export says of sizes that cannot vary as asked."""
    said = []
    for line in text.splitlines():
        if line.strip().startswith("- "):
            said.append(_named(line.strip()[2:]).rstrip("."))
    return "; ".join(said)


def _named(text: str) -> str:
    """Sizes in short: ``x.2``."""
    return re.sub(r"L\['(\w+)'\]\.size\(\)\[(\d+)\]", r"\1.\2", text)


def setting_of(dynamic: "dict[str, Any]") -> "dict[str, dict[str, str]]":
    """Sizes as the setting ``dynamic-shapes`` has them."""
    return {name: {index: size_text(*size) for index, size in sizes.items()} for name, sizes in dynamic.items()}


def size_text(name: str, least: int, most: int) -> str:
    """``batch``, or with bounds where they are not torch's own."""
    lower = str(least) if least > 2 else ""
    upper = str(most) if most < aoti.LARGEST - 1 else ""
    return f"{name}={lower}..{upper}" if lower or upper else name
