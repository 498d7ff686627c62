"""Records behave as frozen dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Optional

import pytest
from children import run_child

from torchscript_build.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Point:
    """A record."""

    KIND: ClassVar[str] = "point"

    x: int
    y: int = 2
    notes: Mapping[str, str] = field(default_factory=dict, hash=False)
    source: Optional[str] = field(default=None, compare=False)

    @cached_property
    def sum(self) -> int:
        """What is computed once."""
        return self.x + self.y


@dataclass(frozen=True)
class Named(Point):
    """A record of more."""

    y: int = 5
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Plain:
    """The same fields as ``Point``, as ``dataclasses`` makes them."""

    KIND: ClassVar[str] = "point"

    x: int
    y: int = 2
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    source: Optional[str] = dataclasses.field(default=None, compare=False)


def test_fields_are_given_by_place_by_name_or_by_default() -> None:
    assert (Point(1), Point(1, 3).y, Point(x=4, y=5).x) == (Point(1, 2, {}), 3, 4)
    assert Point(1).notes is not Point(1).notes


def test_text_equality_and_hash() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2, notes={}, source=None)"
    assert Point(1, source="a") == Point(1, source="b")
    assert Point(1) != Point(2)
    assert Point(1) != Named(1, 2)
    assert Point(1) != (1, 2, {}, None)
    assert hash(Point(1, notes={"a": "b"})) == hash(Point(1, source="c"))


def test_nothing_is_assigned_or_deleted() -> None:
    point: Any = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'y'"):
        del point.y
    assert (point.sum, point.sum, point.x) == (3, 3, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Named(), "Named: missing a required argument: 'x'"),  # type: ignore[call-arg]
        (lambda: Point(1, z=2), "Point: got an unexpected keyword argument 'z'"),  # type: ignore[call-arg]
        (lambda: Point(1, x=2), "Point: multiple values for argument 'x'"),  # type: ignore[misc]
        (lambda: Point(1, 2, {}, "", 5), "Point: too many positional arguments"),  # type: ignore[call-arg]
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call()


def test_fields_are_inherited_in_their_order() -> None:
    assert repr(Named(1)) == "Named(x=1, y=5, notes={}, source=None, name='')"
    assert [f.name for f in dataclasses.fields(Named)] == ["x", "y", "notes", "source", "name"]


def test_the_functions_of_dataclasses_work() -> None:
    point = Point(1, notes={"a": "b"})
    assert dataclasses.is_dataclass(Point)
    assert dataclasses.replace(point, y=7) == Point(1, 7, {"a": "b"})
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "notes": {"a": "b"}, "source": None}
    assert [(f.name, f.type, f.default) for f in dataclasses.fields(Point)] == [
        (f.name, f.type, f.default) for f in dataclasses.fields(Plain)
    ]
    assert inspect.signature(Point) == inspect.signature(Plain)


def test_records_are_copied_and_pickled() -> None:
    point = Point(1, notes={"a": "b"})
    assert copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


def test_finding_libtorch_imports_neither_dataclasses_nor_subprocess() -> None:
    code = "import sys, torchscript_build.libtorch; print({'dataclasses', 'subprocess'} & {*sys.modules})"
    done = run_child([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"
