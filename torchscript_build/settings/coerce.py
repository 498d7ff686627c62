"""Values as a user wrote them → the typed fields of a spec, with a message for each that does not fit."""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import functools
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union


def read_spec(cls: type, value: Any, where: str, problems: list[str], *, toml: bool) -> Any:
    """One entry of any source → a spec, or ``None`` where it is beyond repair."""
    if isinstance(value, cls):
        value, toml = {f.name: getattr(value, f.name) for f in dataclasses.fields(cls)}, False
    elif not isinstance(value, Mapping):
        problems.append(f"{where}: must be a {cls.__name__} or a table, not {kind_of(value)}")
        return None
    name = value.get("name")
    if isinstance(name, str) and name:
        where = f"{where} ({name!r})"
    before = len(problems)
    fields = read_fields(cls, value, where, problems, toml=toml)
    if not fields.get("name") and len(problems) == before:
        problems.append(f"{where}: name is missing")
        return None
    return cls(**fields) if len(problems) == before else None


def read_fields(cls: type, value: Mapping[str, Any], where: str, problems: list[str], *, toml: bool) -> dict[str, Any]:
    """A table's values, checked by the dataclass's types."""
    hints = _type_hints(cls)
    result: dict[str, Any] = {}
    for key, given in value.items():
        if not isinstance(key, str):
            problems.append(f"{where}: a key must be a string, not {kind_of(key)}")
            continue
        name = key.replace("-", "_") if toml else key
        if name not in hints or (toml and "_" in key):
            known = [n.replace("_", "-") if toml else n for n in hints]
            problems.append(f"{where}: unknown key {key!r}{suggestion(key, known)}")
            continue
        try:
            result[name] = _coerce(given, hints[name])
        except TypeError as error:
            problems.append(f"{where}: {key} must be {error}, not {kind_of(given)}")
            continue
        for text in _texts(result[name]):
            check_text(text, f"{where}: {key}", problems)
    return result


MOST_CHARACTERS = 30_000
"""Of one value; no system takes a longer word of a command line than 128 KiB."""


def check_text(text: str, where: str, problems: list[str]) -> bool:
    """Can a text be written into files, and given to programs? Else the problem is added."""
    if len(text) > MOST_CHARACTERS:
        problems.append(f"{where}: {shortened(text)} has {len(text)} characters")
    elif "\0" in text:
        problems.append(f"{where}: {shortened(text)} has a NUL in it")
    elif not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        problems.append(f"{where}: {shortened(text)} is not UTF-8")
    else:
        return True
    return False


def shortened(text: str) -> str:
    """A text as a message shows it."""
    return repr(text if len(text) <= 200 else text[:200] + "…")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for text in pair if isinstance(text, str)]
    return [text for text in value if isinstance(text, str)] if isinstance(value, tuple) else []


@functools.cache
def _type_hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def _coerce(value: Any, hint: Any) -> Any:
    """A value in the type that a field wants.

    :raises TypeError: with the words for what was wanted.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union:
        for option in arguments:
            if option is type(None):
                if value is None:
                    return None
                continue
            try:
                return _coerce(value, option)
            except TypeError:
                continue
        raise TypeError(" or ".join(_words(a) for a in arguments if a is not type(None)))
    if origin is tuple:
        if isinstance(value, (list, tuple)):
            return tuple(_coerced_elements(value, arguments[0], hint))
    elif origin is collections.abc.Mapping:
        plain = typing.get_args(hint)[1]
        if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
            return {k: _coerce(v, plain) for k, v in value.items()}
    elif hint is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):
                return float(value)
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(value, hint):
        return value
    raise TypeError(_words(hint))


def _coerced_elements(values: Sequence[Any], element: Any, hint: Any) -> list[Any]:
    """:raises TypeError: one of them does not fit; the words are those of the whole."""
    try:
        return [_coerce(v, element) for v in values]
    except TypeError as error:
        raise TypeError(_words(hint)) from error


def _words(hint: Any) -> str:
    if typing.get_origin(hint) is Union:
        return " or ".join(_words(a) for a in typing.get_args(hint) if a is not type(None))
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        return "a list of strings" if element is str else "a list of lists of strings"
    if typing.get_origin(hint) is collections.abc.Mapping:
        value = typing.get_args(hint)[1]
        scalars = value == Union[str, bool, int]
        return "a table of strings, numbers and booleans" if scalars else f"a table, each entry {_words(value)}"
    return {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}.get(hint, str(hint))


def kind_of(value: Any) -> str:
    """What a wrong value is, for a message."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    if isinstance(value, (int, float, bool)):
        return repr(value)
    if isinstance(value, (list, tuple)) and value:
        return f"a {type(value).__name__} of {', '.join(sorted({type(v).__name__ for v in value}))}"
    return {list: "a list", tuple: "a tuple", dict: "a table", type(None): "None"}.get(
        type(value), type(value).__name__
    )


def closest(word: str, known: Iterable[str]) -> Optional[str]:
    """The known word that was probably meant."""
    import difflib  # for mistakes only

    known = list(known)
    close = difflib.get_close_matches(word.replace("_", "-"), known, n=1) or difflib.get_close_matches(word, known, n=1)
    return close[0] if close else None


def suggestion(word: str, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown word: what was probably meant, or all that there is."""
    meant = closest(word, known)
    return f"; did you mean {meant!r}?" if meant else f" (known: {', '.join(known)})"
