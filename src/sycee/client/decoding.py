"""Make typed values of the members of answers, from the annotations of their dataclasses.

A later release may add members, which are ignored. A member that is missing, or of another type, raises ValueError.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_origin

Value = TypeVar("Value")
_Fields: TypeAlias = Mapping[str, tuple[str, Callable[[Any], Any], bool]]
_WHOLE: Final = re.compile(r"-?[0-9]{1,20}")
_KNOWN: Final[dict[type, _Fields]] = {}


def of(kind: type[Value]) -> Callable[[Mapping[str, Any]], Value]:
    """Return what makes a value of a dataclass of the members of a JSON object.

    A whole number may be a text, since some readers of JSON have 53 bits of precision. The underscore at the end of a
    field's name is not in the member's name.
    """

    def make(members: Mapping[str, Any]) -> Value:
        values = {
            name: read(members[member])
            for name, (member, read, is_required) in _fields(kind).items()
            if is_required or member in members
        }
        return kind(**values)

    return make


def _fields(kind: type) -> _Fields:
    """Return member, reader and necessity of each field. Annotations are resolved once, at the first answer."""
    if kind in _KNOWN:
        return _KNOWN[kind]
    hints = typing.get_type_hints(kind)
    assert dataclasses.is_dataclass(kind)
    _KNOWN[kind] = {
        each.name: (
            each.name.removesuffix("_"),
            _reader(hints[each.name]),
            each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING,
        )
        for each in dataclasses.fields(kind)
    }
    return _KNOWN[kind]


def _reader(hint: Any) -> Callable[[Any], Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union):
        read = _reader(next(each for each in inner if each is not types.NoneType))
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        read_each = _reader(inner[0])
        return lambda value: tuple(read_each(each) for each in _typed(value, list))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        kind: type[Any] = hint
        make = of(kind)
        return lambda value: make(_typed(value, dict))
    if hint is int:
        return _whole
    return lambda value: _typed(value, dict if origin is not None else hint)


def _whole(value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return int(_typed(value, int))


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"a member is of type {type(value).__name__}, not {kind.__name__}")
    return value
