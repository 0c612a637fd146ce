"""Keys of documents, described once: by fields of the vocabulary, or by annotated fields of data classes.

`read` returns the data class in a table; the JSON Schemas are made from the same annotations::

    class Waiver:
        rule: RuleName
        role: str
        from_date: date
        until_date: Annotated[date, end_of("from_date")]

    waiver = read(Waiver, table)

The key of `from_date` is `from`. Lists, fields with a default and values that may be None are optional.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

from sycee.compliance import territories, vocabulary
from sycee.compliance.vocabulary import Field, NamedEnum, Type
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError

T = TypeVar("T")

NAME: Final = Field("", Type.TEXT, 'small letters, digits and dashes, such as "first-rule"', pattern=vocabulary.NAME)
Name = Annotated[str, NAME]
_OF_RULE: Final = 'a profile and its rule, such as "first-profile/first-rule"'
RuleName = Annotated[str, Field("", Type.TEXT, _OF_RULE, pattern=vocabulary.RULE_NAME)]

_TYPES: Final[Mapping[Any, Type]] = {str: Type.TEXT, bool: Type.BOOLEAN, int: Type.INTEGER, date: Type.DATE}
_TEXTS: Final = tuple[str, ...]
_NAME: Final = re.compile(vocabulary.NAME)  # compiled, because a network may have a million references
_OWN_WORD: Final = re.compile(vocabulary.RULE_NAME)
_ISO_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


# --- data classes ---


def one_of(words: tuple[str, ...], default: str | None = None) -> Field:
    """Return the annotation of a text that must be one of some words."""
    return Field("", Type.CHOICE, "", words=words, default=default)


def some_of(words: tuple[str, ...]) -> Field:
    """Return the annotation of a list of some words, and words of profiles."""
    return Field("", Type.WORDS, "", words=words, least=1)


def number(least: int | None = None, most: int | None = None, *, required: bool = False) -> Field:
    """Return the annotation of a whole number; a `required` one despite a default."""
    return Field("", Type.INTEGER, "", least=least, most=most, required=required)


def end_of(start: str) -> Field:
    """Return the annotation of the first day that no longer counts, which must be after that of the field `start`."""
    return Field("", Type.DATE, "", start=start)


@cache
def keys(kind: type) -> Mapping[str, Field]:
    """Return the keys of a data class by the names of its fields. A field of another type has no key."""
    hints = get_type_hints(kind, include_extras=True)
    found = {each.name: _key(each, hints[each.name]) for each in dataclasses.fields(kind) if each.name != "place"}
    return {name: key for name, key in found.items() if key is not None}


def _key(of: dataclasses.Field[Any], hint: Any) -> Field | None:
    hint, *annotations = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    kind = get_args(hint)[0] if isinstance(hint, UnionType) else hint  # the X of `X | None`
    if annotations:
        key: Field = annotations[0]
    elif isinstance(kind, type) and issubclass(kind, NamedEnum):
        key = replace(one_of(tuple(kind.words())), member=kind.of)
    elif kind == _TEXTS:
        key = Field("", Type.WORDS, "", least=1)
    elif kind in _TYPES:
        key = Field("", _TYPES[kind], "")
    else:
        return None
    default = () if kind == _TEXTS else key.default if of.default is dataclasses.MISSING else of.default
    required = key.required or (default is None and kind is hint)
    return replace(key, name=of.name.removesuffix("_date"), default=default, required=required)


def read(kind: type[T], table: Table, *, only: Container[str] | None = None, **given: Any) -> T:
    """Return the data class in a table; the fields that are `given` have no key there. The caller calls `finish`.

    With `only`, other fields have their defaults. DocumentError for a missing or invalid value.
    """
    values, data_class = dict(given), cast(type, kind)  # `type[T]` is not hashable for mypy
    for name, key in keys(data_class).items():
        if name in given or (only is not None and name not in only):
            continue
        if key.start:
            values[name] = until(table, key.name, values[key.start], required=key.required)
        elif key.required or key.name in table:
            values[name] = READERS[key.type](table, key)
        else:
            table.offer(key.name)
            values[name] = key.default
    if hasattr(kind, "place"):
        values["place"] = place(table)
    return kind(**values)


# --- values, by the type of their field ---


def _text(table: Table, field: Field) -> str:
    value = table.text(field.name)
    check_text(table, field.name, value, field)
    return value


def _texts(table: Table, field: Field) -> tuple[str, ...]:
    least, most = field.least or 0, field.most
    values = table.texts(field.name, empty=least != 1)
    for value in values:
        check_text(table, field.name, value, field)
    if len(values) < least or (most is not None and len(values) > most):
        many = f"{least}" if least == most else f"{least} to {most or 'any number'}"
        raise table.error(field.name, f"found {len(values)} ids", right=f"{many} different ones: {field.meaning}")
    return values


def _choice(table: Table, field: Field) -> str | NamedEnum:
    value = table.choice(field.name, field.words)
    return value if field.member is None else field.member(value)


READERS: Final[Mapping[Type, Callable[[Table, Field], Any]]] = {
    Type.TEXT: _text,
    Type.CHOICE: _choice,
    Type.WORDS: _texts,
    Type.STATE: _text,
    Type.STATES: _texts,
    Type.BOOLEAN: lambda table, field: table.boolean(field.name),
    Type.INTEGER: lambda table, field: table.integer(field.name, least=field.least, most=field.most),
    Type.DATE: lambda table, field: table.day(field.name),
    Type.MOMENT: lambda table, field: table.moment(field.name),
    Type.REFERENCE: _text,
    Type.REFERENCES: _texts,
}
assert set(READERS) | {Type.ELEMENTS} == set(Type)


def check_text(table: Table, key: str, value: str, field: Field) -> None:
    """Raise DocumentError at `key` unless a text, code or id is allowed in this field."""
    note = right = ""
    if field.type in (Type.REFERENCE, Type.REFERENCES):
        right = "" if _NAME.fullmatch(value) else NAME.meaning
    elif field.type in (Type.STATE, Type.STATES):
        if value not in territories.codes():
            near = territories.nearest(value)
            note = ", which is not the code of a state"
            right = 'A code of ISO 3166-1 in two upper-case letters, or a user-assigned one such as "XA"'
            right = f'did you mean "{near}"? {right}' if near else right
    elif field.words:
        if value not in field.words and not _OWN_WORD.fullmatch(value):
            near = typos.nearest(value, field.words)
            allowed = ", ".join(f'"{word}"' for word in field.words)
            right = f"one of {allowed}, or PROFILE/WORD, a profile's own" + (
                f'; did you mean "{near}"?' if near else ""
            )
    elif field.pattern and not re.fullmatch(field.pattern, value):
        right = field.meaning
    if right:
        raise table.error(key, f"found {documents.found(value)}{note}", right=right)


# --- parts of tables ---


def name(table: Table, key: str) -> str:
    """Read an id: small letters, digits and dashes."""
    return _text(table, replace(NAME, name=key))


def optional_day(table: Table, key: str, default: date | None = None) -> date | None:
    """Read a date, or return the default if it is omitted."""
    if key in table:
        return table.day(key)
    table.offer(key)
    return default


def until(table: Table, key: str, start: date | None, *, required: bool = False) -> date | None:
    """Read the first day on which something no longer counts, after its first day `start`."""
    end = table.day(key) if required else optional_day(table, key)
    if start is not None and end is not None and end <= start:
        right = f"a day after {start.isoformat()}: the end is excluded, so it would never count"
        raise table.error(key, f"found {end.isoformat()}", right=right)
    return end


def read_tables(
    table: Table, key: str, read: Callable[[Table], T], *, required: bool = False, empty: bool = False
) -> tuple[T, ...]:
    """Read each table of a list with `read`, and refuse its other keys. An optional list may be omitted.

    `empty` allows `key = []`.
    """
    if key not in table and not required:
        table.offer(key)
        return ()
    values = []
    for each in table.tables(key, empty=empty):
        values.append(read(each))
        each.finish()
    return tuple(values)


def place(table: Table) -> str:
    """Return the file and line of a table, for reports."""
    return f"{table.file}:{table.line()}"


def parse_day(text: str, name: str) -> date:
    """Return the date that a text like 2020-12-01 stands for. UsageError, about `name`, for any other form."""
    written = _ISO_DAY.fullmatch(text) is not None
    try:
        if written:
            return date.fromisoformat(text)
    except ValueError:
        pass
    rule = "a date of the calendar" if written else "a date written as YYYY-MM-DD"
    raise UsageError(f'{name} must be {rule}; got "{text}"', hint="such as 2020-12-01")
