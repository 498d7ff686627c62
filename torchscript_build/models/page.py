"""What a model file holds, as one page that needs nothing else: tree, treemap, operators, constants, code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from torchscript_build.generate.templates import render
from torchscript_build.models.contents import Contents, Module
from torchscript_build.models.describe import KINDS, amount, describe_tensor, number
from torchscript_build.models.risks import devices_of, lowest_libtorch, provider_of, quantization_of, risks_of
from torchscript_build.records import dataclass

WIDTH, HEIGHT = 1000.0, 420.0
MOST_TILES = 400
LONGEST_CODE = 400_000
"""Characters of code on the page."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of the treemap."""

    label: str
    detail: str
    x: float
    y: float
    width: float
    height: float
    hue: int


def render_page(contents: Contents) -> bytes:
    """The HTML of the page; every text of the model is escaped."""
    return render(
        "inspect/page.html",
        title=escape(contents.path.name),
        kind=escape(KINDS[contents.kind]),
        facts=[(escape(k), escape(v)) for k, v in _facts(contents)],
        risks=list(map(escape, risks_of(contents))),
        methods=list(map(escape, contents.methods)),
        width=int(WIDTH),
        height=int(HEIGHT),
        tiles=[_plain(tile) for tile in lay_out(contents.root)],
        tree=list(_rows(contents.root, 0)),
        operators=[(escape(n), c, escape(provider_of(n))) for n, c in contents.operators.items()],
        classes=[(escape(n), escape(provider_of(n))) for n in contents.classes],
        constants=[escape(describe_tensor(c)) for c in contents.constants[:200]],
        devices=[(escape(d), n) for d, n in devices_of(contents).items()],
        quantization=list(map(escape, quantization_of(contents))),
        extra=[(escape(n), amount(s)) for n, s in contents.extra.items()],
        code=list(_code(contents)),
    )


def _facts(contents: Contents) -> Iterator[tuple[str, str]]:
    yield "file", amount(contents.size)
    yield "parameters and buffers", number(contents.count)
    if contents.format_version is not None:
        yield "file format", str(contents.format_version)
    if contents.made_by:
        yield "written by torch", contents.made_by
    yield "lowest libtorch that reads it", lowest_libtorch(contents)


def _plain(tile: Tile) -> dict[str, Any]:
    return {
        "label": escape(_fitting(tile)),
        "detail": escape(tile.detail),
        "hue": tile.hue,
        **{name: f"{getattr(tile, name):.1f}" for name in ("x", "y", "width", "height")},
    }


def _fitting(tile: Tile) -> str:
    """As much of the end of a tensor's name as the tile has room for."""
    parts = tile.label.split(".")
    names = (".".join(parts[i:]) for i in range(len(parts)))
    return next((n for n in names if tile.width > 7.5 * len(n) + 10), "") if tile.height > 18 else ""


def _rows(module: Module, level: int) -> Iterator[dict[str, Any]]:
    """The module tree as opening, tensor and closing rows, in the order of the page."""
    same = module.attributes.get("same as")
    size = f"the same as {same}" if same else f"{number(module.count)} · {amount(module.size)}" if module.count else ""
    yield {
        "open": True,
        "expanded": level < 2,
        "name": escape(module.name or "model"),
        "type": escape(module.type),
        "size": escape(size),
    }
    for name, tensor in module.tensors.items():
        yield {"open": None, "name": escape(name), "type": escape(describe_tensor(tensor)), "size": amount(tensor.size)}
    for name, value in module.attributes.items():
        if name != "same as":
            yield {"open": None, "name": escape(name), "type": escape(value), "size": ""}
    for child in module.children:
        yield from _rows(child, level + 1)
    yield {"open": False}


def _code(contents: Contents) -> Iterator[tuple[str, str]]:
    left = LONGEST_CODE
    for name, text in contents.code.items():
        yield escape(name), escape(text[:left] if left > 0 else "(left out; see --code)")
        left -= len(text)


# --- the treemap ---------------------------------------------------------------------------------------------------


def lay_out(root: Module) -> list[Tile]:
    """The tensors as rectangles, as large as they are in bytes; those of one module lie together."""
    tensors = [
        (f"{path}.{name}".lstrip("."), tensor.size, describe_tensor(tensor))
        for path, module in root.walk()
        for name, tensor in module.tensors.items()
        if tensor.size
    ]
    if len(tensors) > MOST_TILES:
        kept = set(sorted(range(len(tensors)), key=lambda i: -tensors[i][1])[:MOST_TILES])
        rest = sum(t[1] for i, t in enumerate(tensors) if i not in kept)
        count = len(tensors) - len(kept)
        tensors = [t for i, t in enumerate(tensors) if i in kept] + [(f"{count} small tensors", rest, "")]
    tops = list(dict.fromkeys(_top(name) for name, _, _ in tensors))
    hues = {top: round(i * 360 / max(1, len(tops))) for i, top in enumerate(tops)}
    tiles: list[Tile] = []
    _split(tensors, 0.0, 0.0, WIDTH, HEIGHT, hues, tiles)
    return tiles


def _top(name: str) -> str:
    """What tensors of one colour have in common."""
    return ".".join(name.split(".")[:-1][:2])


def _split(
    items: Sequence[tuple[str, int, str]],
    x: float,
    y: float,
    width: float,
    height: float,
    hues: dict[str, int],
    tiles: list[Tile],
) -> None:
    """Halve a rectangle along its longer side, and the tensors, in their order, where half of the bytes are."""
    if len(items) <= 1:
        for name, size, detail in items:
            words = f"{name}: {detail} {amount(size)}"
            tiles.append(Tile(name, words, x, y, width, height, hues[_top(name)]))
        return
    total, running, at, best = sum(i[1] for i in items), 0, 1, float("inf")
    for index in range(1, len(items)):
        running += items[index - 1][1]
        if abs(total / 2 - running) < best:
            at, best = index, abs(total / 2 - running)
    share = sum(i[1] for i in items[:at]) / total
    if width >= height:
        _split(items[:at], x, y, width * share, height, hues, tiles)
        _split(items[at:], x + width * share, y, width * (1 - share), height, hues, tiles)
    else:
        _split(items[:at], x, y, width, height * share, hues, tiles)
        _split(items[at:], x, y + height * share, width, height * (1 - share), hues, tiles)
