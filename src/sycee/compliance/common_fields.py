"""Fields that declarations, profiles and lists share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final, TypeVar

from sycee.compliance import territories, vocabulary
from sycee.compliance.vocabulary import Field, Type
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError

T = TypeVar("T")

NAME: Final = re.compile(vocabulary.NAME)
RULE_NAME: Final = re.compile(vocabulary.RULE_NAME)
TOPIC: Final = re.compile(vocabulary.TOPIC)
ISO_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def name(table: Table, key: str) -> str:
    """Read an id: small letters, digits and dashes."""
    value = table.text(key)
    check_name(table, key, value)
    return value


def check_name(table: Table, key: str, value: str) -> None:
    """Raise DocumentError at `key` unless the value has the form of an id."""
    if not NAME.fullmatch(value):
        right = 'small letters, digits and dashes, such as "first-rule"'
        raise table.error(key, f"found {documents.found(value)}", right=right)


def rule_name(table: Table, key: str) -> str:
    """Read the full name of a rule: PROFILE/RULE."""
    value = table.text(key)
    if not RULE_NAME.fullmatch(value):
        right = 'a profile and its rule, such as "first-profile/first-rule"'
        raise table.error(key, f"found {documents.found(value)}", right=right)
    return value


def check_text(table: Table, key: str, value: str, field: Field) -> None:
    """Raise DocumentError at `key` unless a text, code or id is allowed in this field."""
    if field.type in (Type.REFERENCE, Type.REFERENCES):
        check_name(table, key, value)
    elif field.type in (Type.STATE, Type.STATES):
        if value not in territories.codes():
            near = territories.nearest(value)
            suggestion = f'did you mean "{near}"? ' if near else ""
            right = f'{suggestion}A code of ISO 3166-1 in two upper-case letters, or a user-assigned one such as "XA"'
            raise table.error(key, f"found {documents.found(value)}, which is not the code of a state", right=right)
    elif field.words:
        check_word(table, key, value, field.words)
    elif field.pattern and not re.fullmatch(field.pattern, value):
        raise table.error(key, f"found {documents.found(value)}", right=field.meaning)


def check_word(table: Table, key: str, value: str, words: tuple[str, ...]) -> None:
    """Raise DocumentError at `key` unless the value is one of the words, or a profile's own: PROFILE/WORD."""
    if value not in words and not RULE_NAME.fullmatch(value):
        near = typos.nearest(value, words)
        allowed = ", ".join(f'"{word}"' for word in words)
        right = f"one of {allowed}, or PROFILE/WORD, a profile's own" + (f'; did you mean "{near}"?' if near else "")
        raise table.error(key, f"found {documents.found(value)}", right=right)


def words(table: Table, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Read a list of such words; empty if it is left out."""
    values = table.texts(key, default=())
    for value in values:
        check_word(table, key, value, allowed)
    return values


def optional_day(table: Table, key: str, default: date | None = None) -> date | None:
    """Read a date, or return the default if it is left out."""
    if key in table:
        return table.day(key)
    table.offer(key)
    return default


def read_tables(
    table: Table, key: str, read: Callable[[Table], T], *, required: bool = False, empty: bool = False
) -> tuple[T, ...]:
    """Read each table of a list with `read`, and refuse its other keys. An optional list may be left out.

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


def parse_day(text: str, name: str) -> date:
    """Return the date that a text like 2020-12-01 stands for. UsageError, about `name`, for any other form."""
    written = ISO_DAY.fullmatch(text) is not None
    try:
        if written:
            return date.fromisoformat(text)
    except ValueError:
        pass
    rule = "a date of the calendar" if written else "a date written as YYYY-MM-DD"
    raise UsageError(f'{name} must be {rule}; got "{text}"', hint="such as 2020-12-01")


def until(table: Table, key: str, start: date | None) -> date | None:
    """Read the first day on which something no longer counts, after its first day `start`."""
    end = optional_day(table, key)
    if start is not None and end is not None and end <= start:
        right = f"a day after {start.isoformat()}: the end is excluded, so it would never count"
        raise table.error(key, f"found {end.isoformat()}", right=right)
    return end


def place(table: Table) -> str:
    """Return the file and line of a table, for reports."""
    return f"{table.file}:{table.line()}"
