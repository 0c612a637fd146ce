"""What declarations, profiles and lists have in common when they are read."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from sycee.compliance import territories, vocabulary
from sycee.compliance.vocabulary import Field, Type
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError

NAME: Final = re.compile(vocabulary.NAME)
RULE_NAME: Final = re.compile(vocabulary.RULE_NAME)
TOPIC: Final = re.compile(vocabulary.TOPIC)
ISO_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def name(table: Table, key: str) -> str:
    """An id: small letters, digits and dashes."""
    value = table.text(key)
    check_name(table, key, value)
    return value


def check_name(table: Table, key: str, value: str) -> None:
    """DocumentError at `key` unless the value looks like an id."""
    if not NAME.fullmatch(value):
        right = 'small letters, digits and dashes, such as "first-rule"'
        raise table.error(key, f"found {documents.found(value)}", right=right)


def rule_name(table: Table, key: str) -> str:
    """The full name of a rule: PROFILE/RULE."""
    value = table.text(key)
    if not RULE_NAME.fullmatch(value):
        right = 'a profile and its rule, such as "first-profile/first-rule"'
        raise table.error(key, f"found {documents.found(value)}", right=right)
    return value


def check_text(table: Table, key: str, value: str, field: Field) -> None:
    """DocumentError at `key` unless the value is what a text, a code or an id of this field can be."""
    if field.type in (Type.REFERENCE, Type.REFERENCES):
        check_name(table, key, value)
    elif field.type in (Type.STATE, Type.STATES):
        if value not in territories.codes():
            near = territories.nearest(value)
            meant = f'did you mean "{near}"? ' if near else ""
            right = (
                f'{meant}One of ISO 3166-1, as two upper-case letters; what has none takes a user-assigned one: "XA"'
            )
            raise table.error(key, f"found {documents.found(value)}, which is no state's code", right=right)
    elif field.words:
        check_word(table, key, value, field.words)
    elif field.pattern and not re.fullmatch(field.pattern, value):
        raise table.error(key, f"found {documents.found(value)}", right=field.meaning)


def check_word(table: Table, key: str, value: str, words: tuple[str, ...]) -> None:
    """DocumentError at `key` unless the value is one of the words, or a profile's own: PROFILE/WORD."""
    if value not in words and not RULE_NAME.fullmatch(value):
        near = typos.nearest(value, words)
        known = ", ".join(f'"{word}"' for word in words)
        right = f"one of {known}, or PROFILE/WORD, a profile's own" + (f'; did you mean "{near}"?' if near else "")
        raise table.error(key, f"found {documents.found(value)}", right=right)


def words(table: Table, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """A list of such words, none where it is left out."""
    values = table.texts(key, default=())
    for value in values:
        check_word(table, key, value, known)
    return values


def optional(table: Table, key: str, default: str = "") -> str:
    """A text, or the default where it is left out."""
    if key in table:
        return table.text(key)
    table.offer(key)
    return default


def optional_day(table: Table, key: str, default: date | None = None) -> date | None:
    """A date, or the default where it is left out."""
    if key in table:
        return table.day(key)
    table.offer(key)
    return default


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


def optional_tables(table: Table, key: str) -> tuple[Table, ...]:
    """A list of tables, none where it is left out."""
    if key in table:
        return table.tables(key)
    table.offer(key)
    return ()


def until(table: Table, key: str, start: date | None) -> date | None:
    """The day on which something ends, itself excluded; it has to come after the day on which it starts."""
    end = optional_day(table, key)
    if start is not None and end is not None and end <= start:
        right = f"a day after {start.isoformat()}: it counts until then, that day excluded"
        raise table.error(key, f"found {end.isoformat()}, on which it could not have counted yet", right=right)
    return end
