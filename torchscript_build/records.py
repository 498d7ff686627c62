"""Frozen records, as ``dataclass(frozen=True)`` makes them, without what that costs in a build with nothing to do.

``dataclasses`` writes six methods for each class and has Python compile them, which takes 0.4 ms; some seventy classes
are imported before ninja is asked. Here all classes share their methods. ``dataclasses.fields``, ``replace`` and
``asdict`` work as always: what they look at is made when they do.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass, field

__all__ = ["dataclass", "field"]

FIELDS, PARAMETERS = "__dataclass_fields__", "__dataclass_params__"
_NONE: Any = object()
"""No default."""


class _Field:
    """A field's name, and how it was asked for."""

    __slots__ = ("compare", "default", "factory", "hash", "name")

    def __init__(self, name: str, default: Any, factory: Any, hash: Any, compare: bool) -> None:
        self.name, self.default, self.factory, self.hash, self.compare = name, default, factory, hash, compare


class _Made:
    """An attribute of a class that ``dataclasses`` looks for, made by ``dataclasses`` itself."""

    def __init__(self, cls: type[Any], name: str) -> None:
        self._cls, self._name = cls, name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        made = _as_dataclass(self._cls, init=False, repr=False, eq=False)
        for name in (FIELDS, PARAMETERS):
            setattr(self._cls, name, getattr(made, name))
        return getattr(made, self._name)


class _Signature:
    """The same for ``inspect``."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        import inspect

        return inspect.signature(_as_dataclass(owner))


def _as_dataclass(cls: Any, **options: Any) -> Any:
    """A class of the same fields, made by ``dataclasses``."""
    import dataclasses

    kinds = {name: kind for base in reversed(cls.__mro__) for name, kind in _annotations(base).items()}
    fields = []
    for one in cls._fields_of_record:
        more = {"default": one.default} if one.default is not _NONE else {}
        more.update({"default_factory": one.factory} if one.factory is not None else {})
        fields.append((one.name, kinds[one.name], dataclasses.field(hash=one.hash, compare=one.compare, **more)))
    return dataclasses.make_dataclass(cls.__name__, fields, namespace={"__doc__": cls.__name__}, **options)


def _annotations(cls: type[Any]) -> dict[str, Any]:
    own = vars(cls) if sys.version_info < (3, 10) else {"__annotations__": getattr(cls, "__annotations__", {})}
    found: dict[str, Any] = own.get("__annotations__", {})
    return found


def _init(self: Any, *args: Any, **kwargs: Any) -> None:
    fields, values = self._fields_of_record, self.__dict__
    for at, one in enumerate(fields):
        if at < len(args):
            values[one.name] = args[at]
        elif one.name in kwargs:
            values[one.name] = kwargs[one.name]
        elif one.factory is not None:
            values[one.name] = one.factory()
        elif one.default is not _NONE:
            values[one.name] = one.default
    if not len(values) == len(fields) == len(args) + len(kwargs.keys() | {f.name for f in fields[len(args) :]}):
        _check_arguments(type(self), args, kwargs)


def _check_arguments(cls: Any, args: Any, kwargs: Any) -> None:
    try:
        cls.__signature__.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None


def _repr(self: Any) -> str:
    values = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in self._fields_of_record)
    return f"{type(self).__qualname__}({values})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return all(getattr(self, f.name) == getattr(other, f.name) for f in self._fields_of_record if f.compare)


def _hash(self: Any) -> int:
    return hash(
        tuple(
            getattr(self, one.name) for one in self._fields_of_record if (one.compare if one.hash is None else one.hash)
        )
    )


def _setattr(self: Any, name: str, value: Any) -> None:
    _refuse(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    _refuse(f"cannot delete field {name!r}")


def _refuse(words: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(words)


_METHODS = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
}

if not TYPE_CHECKING:

    def field(*, default=_NONE, default_factory=None, hash=None, compare=True):
        """As ``dataclasses.field``."""
        return _Field("", default, default_factory, hash, compare)

    def dataclass(*, frozen):
        """As ``dataclasses.dataclass``, for what is frozen."""
        assert frozen
        return _make

    def _make(cls):
        inherited = {
            one.name: one for base in reversed(cls.__mro__[1:]) for one in vars(base).get("_fields_of_record", ())
        }
        own = {}
        for name, kind in _annotations(cls).items():
            if "ClassVar[" in str(kind):
                continue
            default = vars(cls).get(name, _NONE)
            if isinstance(default, _Field):
                default.name = name
                own[name] = default
                if default.default is _NONE:
                    delattr(cls, name)
                else:
                    setattr(cls, name, default.default)
            else:
                own[name] = _Field(name, default, None, None, True)
        cls._fields_of_record = tuple({**inherited, **own}.values())
        for name, method in _METHODS.items():
            if name not in vars(cls) or (name == "__hash__" and vars(cls)[name] is None):
                setattr(cls, name, method)
        for name in (FIELDS, PARAMETERS):
            setattr(cls, name, _Made(cls, name))
        cls.__signature__ = _Signature()
        cls.__match_args__ = tuple(one.name for one in cls._fields_of_record)
        return cls
