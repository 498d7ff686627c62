"""The graph of a program of torch.export as a text that can be read, and its operators, those in branches included."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

SCALAR_TYPES: Mapping[int, tuple[str, int]] = {
    **dict(enumerate((("unknown", 1), ("uint8", 1), ("int8", 1), ("int16", 2), ("int32", 4), ("int64", 8)))),
    **dict(enumerate((("float16", 2), ("float32", 4), ("float64", 8)), 6)),
    **dict(enumerate((("complex32", 4), ("complex64", 8), ("complex128", 16), ("bool", 1), ("bfloat16", 2)), 9)),
    **dict(enumerate((("uint16", 2), ("float8_e4m3fn", 1), ("float8_e5m2", 1), ("float8_e4m3fnuz", 1)), 28)),
    **dict(enumerate((("float8_e5m2fnuz", 1), ("float8_e8m0fnu", 1), ("uint32", 4), ("uint64", 8)), 32)),
}
"""``ScalarType`` of the schema, by its number: dtype and bytes of an element."""


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a JSON object, else an empty one: a file may be damaged."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def scalar_type(number: Any) -> tuple[str, int]:
    """dtype and bytes of an element; ``unknown`` for a number that no schema has yet."""
    return SCALAR_TYPES.get(number if isinstance(number, int) else 0, SCALAR_TYPES[0])


def nodes_of(graph: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every node, those of branches and loops after the one that has them."""
    stack = [mapping(n) for n in reversed(items(graph.get("nodes")))]
    while stack:
        node = stack.pop()
        yield node
        for inner in _graphs(node):
            stack += [mapping(n) for n in reversed(items(mapping(inner.get("graph")).get("nodes")))]


def _graphs(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    arguments = (mapping(mapping(i).get("arg")) for i in items(node.get("inputs")))
    return [mapping(a["as_graph"]) for a in arguments if "as_graph" in a]


def operator(target: str) -> str:
    """``torch.ops.aten.linear.default`` → ``aten::linear``; what is no operator, as it is."""
    words = target.split(".")
    return "::".join(words[2:4]) if words[:2] == ["torch", "ops"] and len(words) >= 4 else target


def lines(graph: Mapping[str, Any]) -> Iterator[str]:
    """A line for each node; the graphs of branches and loops follow, as functions."""
    waiting = [("", graph)]
    while waiting:
        name, current = waiting.pop(0)
        if name:
            yield f"def {name}({', '.join(argument(i) for i in items(current.get('inputs')))}):"
        for entry in items(current.get("nodes")):
            node = mapping(entry)
            inputs = ", ".join(_named(mapping(i)) for i in items(node.get("inputs")))
            outputs = ", ".join(argument(o) for o in items(node.get("outputs")))
            yield f"{'  ' if name else ''}{f'{outputs} = ' if outputs else ''}{node.get('target')}({inputs})"
            waiting += [(str(g.get("name", "graph")), mapping(g.get("graph"))) for g in _graphs(node)]
        if name:
            yield f"  return {', '.join(argument(o) for o in items(current.get('outputs')))}"


def _named(entry: Mapping[str, Any]) -> str:
    value, name = argument(entry.get("arg")), str(entry.get("name") or "")
    return value if not name or name == value else f"{name}={value}"


def argument(value: Any) -> str:
    """``{"as_tensor": {"name": "x"}}`` → ``x``; numbers, texts, devices and dtypes as Python has them."""
    for kind, inner in mapping(value).items():
        if kind == "as_none":
            return "None"
        if kind == "as_scalar_type":
            return f"torch.{scalar_type(inner)[0]}"
        if kind == "as_device":
            return f'torch.device("{device(inner)}")'
        if isinstance(inner, list):
            return f"[{', '.join(_one(i) for i in inner)}]"
        return _one(inner)
    return "?"


def _one(value: Any) -> str:
    inner = mapping(value)
    for key in ("name", "as_name"):
        if key in inner:
            return str(inner[key])
    if inner:  # {"as_int": 2}, {"as_tensor": {…}}, and what no schema has yet
        return argument(inner) if next(iter(inner)).startswith("as_") else json.dumps(inner)
    return repr(value) if isinstance(value, (bool, int, float, str)) else json.dumps(value)


def device(value: Any) -> str:
    """``cuda:0``."""
    data = mapping(value)
    index = data.get("index")
    return f"{data.get('type', 'cpu')}{'' if index is None else f':{index}'}"


def size(value: Any) -> tuple[int, str]:
    """A dimension: its number, or -1, and how it is written: ``8``, ``s0``."""
    data = mapping(value)
    number: Optional[Any] = data.get("as_int")
    if isinstance(number, int):
        return number, str(number)
    return -1, expression(str(mapping(data.get("as_expr")).get("expr_str", "…")))


def expression(text: str) -> str:
    """``Add(Symbol('s0', positive=True), Integer(1))`` → ``s0 + 1``: sympy's own form, for people."""
    text = re.sub(r"Symbol\('(\w+)'[^()]*\)|Integer\((-?\d+)\)", lambda m: m[1] or m[2], text)
    for sign, name in (("*", "Mul"), (" + ", "Add")) * 4:
        text = re.sub(rf"{name}\(([^(),]+), ([^(),]+)\)", rf"\1{sign}\2", text)
    return text


def ranges(constraints: Any) -> list[str]:
    """``1 ≤ s0 ≤ 64`` for each size that may vary."""
    found = []
    for symbol, entry in sorted(mapping(constraints).items()):
        low, high = mapping(entry).get("min_val"), mapping(entry).get("max_val")
        below = f"{low} ≤ " if isinstance(low, int) else ""
        above = f" ≤ {high}" if isinstance(high, int) and high < 2**31 - 1 else ""
        found.append(f"{below}{symbol}{above}")
    return found


def dict_keys(spec: str) -> list[str]:
    """The keys of a dict that a tree's description, a JSON text, says to be the whole."""
    try:
        tree = mapping(items(json.loads(spec))[1])
        keys = json.loads(str(tree.get("context"))) if tree.get("type") == "builtins.dict" else []
    except (ValueError, IndexError, RecursionError):
        return []
    return [str(key) for key in items(keys)]
