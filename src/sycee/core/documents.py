"""Reading of TOML documents, with errors that name file, line, key, the value found and a correct one.

`tomllib` parses the values. A `Table` reads them key by key and checks their types; `finish` then refuses every key
that was not read. Every error is a `DocumentError`::

    table = read(Path("programme.toml"))
    currency = table.text("currency")
    window = table.table("spending")
    until_ns = window.moment("until", zone)
    window.finish()
    table.finish()

Money is always text ("200.00"): a TOML float has lost the exact amount, and a bare integer leaves open whether it
counts yuan or fen.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sycee.core import money, nesting, typos
from sycee.core.errors import SyceeError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.money import Currency
from sycee.core.passwords import without_passwords
from sycee.core.toml_lines import KeyLines, Keys, syntax_error_line

T = TypeVar("T")

DOCUMENT_BYTES_MAX: Final = 64 << 20  # half a million declared entities; parsing needs ten times as much memory

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TABLE: Final = "a table: "
_TABLES: Final = "one or more tables: "
_MOMENT: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")
_SYNTAX_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_LONG_NUMBER: Final = re.compile(rb"[0-9_]{4300}")  # Python refuses to convert more digits
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_MAX: Final = 120  # characters of a value in an error; a longer one is cut with an ellipsis


class DocumentError(UsageError):
    """A document is not TOML, or has a wrong, missing or unknown key.

    For programs: `file`, `line` (from 1; 0 for the file as a whole), `key` (dotted path), `problem` (with the value
    found) and `hint` (a correct value). The message joins them.
    """

    def __init__(self, file: str, line: int, key: str, problem: str, *, right: str, excerpt: str = "") -> None:
        place = f"{file}:{line}" if line else file
        message = f"{place}: {key}: {problem}" if key else f"{place}: {problem}"
        if excerpt:
            message += f"\n  {line:>4} | {excerpt}"
        super().__init__(message, hint=right)
        self.file = file
        self.line = line
        self.key = key
        self.problem = without_passwords(problem)


def read(path: Path) -> Table:
    """Return the document in the TOML file at `path`. Errors as `content` and `parse`."""
    return parse(content(path), str(path))


def content(path: Path) -> bytes:
    """Return the bytes of the TOML file at `path`. Errors as `input_files.read_bytes`."""
    return read_bytes(path, DOCUMENT_BYTES_MAX, "TOML file")


def parse(content: bytes | str, file: str) -> Table:
    """Return the document in a TOML text, with or without byte order mark; `file` is the name for errors.

    Raises DocumentError if the text is not UTF-8, not TOML, or nested more than nesting.DEPTH_MAX levels.
    """
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = f"0x{raw[error.start]:02x}"
        raise DocumentError(file, line, "", f"byte {byte} is not UTF-8", right="save the file as UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(file, raw, str(error)) from error
    except ValueError as error:
        number = _LONG_NUMBER.search(raw)
        line = raw.count(b"\n", 0, number.start()) + 1 if number else 0
        raise DocumentError(file, line, "", f"a number cannot be read: {error}", right="fewer digits") from error
    except RecursionError as error:
        raise _too_deep(file, raw) from error
    if nesting.is_too_deep(values):
        raise _too_deep(file, raw)
    return Table(_Source(file, text.split("\n"), KeyLines(raw)), (), values)


@dataclass(frozen=True)
class _Source:
    """The file of a table: its name, its lines, and the line of each key."""

    file: str
    lines: list[str]
    key_lines: KeyLines

    def line(self, keys: Keys) -> int:
        """Return the line of a key, from 1; of the nearest table around it where the document lacks the key."""
        while keys:
            line = self.key_lines.line(keys)
            if line:
                return line
            keys = keys[:-1]
        return 1

    def error(self, keys: Keys, problem: str, right: str, key: str | None = None) -> DocumentError:
        """Return an error at the line of `keys`, about `key` if given: a missing key has no line."""
        line = self.line(keys)
        return DocumentError(
            self.file, line, key or dotted(keys), problem, right=right, excerpt=self.lines[line - 1].rstrip()
        )


@dataclass(frozen=True)
class _Layers:
    """The source of a document whose values are from two files; an error names the file that has the value."""

    base: _Source | _Layers
    over: _Source | _Layers
    places: dict[Keys, Keys]  # path in the document to path in `over`, for the values of `over`

    @property
    def file(self) -> str:
        return self.base.file

    def line(self, keys: Keys) -> int:
        return self.over.line(self.places[keys]) if keys in self.places else self.base.line(keys)

    def error(self, keys: Keys, problem: str, right: str, key: str | None = None) -> DocumentError:
        if keys in self.places:
            return self.over.error(self.places[keys], problem, right, key)
        return self.base.error(keys, problem, right, key)


def overlaid(base: Table, over: Table, *, only: Container[str] | None = None, without: Collection[str] = ()) -> Table:
    """Return the document `base` with the values of `over` instead of its own, to be read as one.

    Tables are merged key by key; every other value replaces the one of `base`. Where `base` has an array of tables
    and `over` a table, the keys of `over` are the `name` of a table of the array, or its number from 1. `only`: the
    dotted keys of `over` to use, as `leaves(over)` returns them; all without it. `without`: keys of `base` to leave
    out. Raises DocumentError for a name that no table has, with the nearest one. Reading errors at a value of `over`
    name its file and line.
    """
    places: dict[Keys, Keys] = {}

    def note(value: Any, path: Keys, place: Keys) -> Any:
        places[path] = place
        parts: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, dict):
            parts = value.items()
        elif isinstance(value, list):
            parts = enumerate(value)
        for key, part in parts:
            note(part, (*path, key), (*place, key))
        return value

    def is_used(value: Any, place: Keys) -> bool:
        return any(only is None or each in only for each in _leaves(value, place))

    def merged(old: Any, new: Any, path: Keys, place: Keys) -> Any:
        is_open = isinstance(old, dict) or (isinstance(old, list) and _is_list(old, dict, False))
        if not isinstance(new, dict) or not is_open:
            return note(new, path, place) if is_used(new, place) else old
        result = old.copy()
        for key, value in new.items():
            if isinstance(old, list):
                number = number_of(old, key, (*place, key))
                result[number] = merged(old[number], value, (*path, number), (*place, key))
            elif key in old:
                result[key] = merged(old[key], value, (*path, key), (*place, key))
            elif is_used(value, (*place, key)):
                result[key] = note(value, (*path, key), (*place, key))
        return result

    def number_of(tables: list[dict[str, Any]], key: str, place: Keys) -> int:
        names = [str(each.get("name", number)) for number, each in enumerate(tables, 1)]
        if key in names:
            return names.index(key)
        if key.isdecimal() and 1 <= int(key) <= len(tables):
            return int(key) - 1
        what = dotted(place[:-1])
        right = typos.hint(key, names, f"one of {', '.join(names)}")
        raise over._source.error(place, f"{what} has no table with this name or number", right)

    kept = {key: value for key, value in base._values.items() if key not in without}
    values = merged(kept, over._values, (), over.keys)
    return Table(_Layers(base._source, over._source, places), (), values)


def leaves(table: Table) -> tuple[str, ...]:
    """Return the dotted keys of all values below a table that are no tables, in the order of the document."""
    return tuple(_leaves(table._values, table.keys))


def _leaves(value: Any, path: Keys) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    else:
        yield dotted(path)


@dataclass
class Table:
    """One table of a document, to be read key by key.

    A reader without `default`, or with None, requires its key. All readers raise DocumentError.
    """

    _source: _Source | _Layers
    keys: Keys
    _values: dict[str, Any]
    _allowed: set[str] = field(default_factory=set)

    @property
    def file(self) -> str:
        """The name of the document's file, for errors."""
        return self._source.file

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def names(self) -> tuple[str, ...]:
        """Return the keys of this table, in the order of the document."""
        return tuple(self._values)

    def offer(self, key: str) -> None:
        """Allow an optional key without reading it: `finish` then accepts it and suggests it for a similar one."""
        self._allowed.add(key)

    def line(self, key: str | None = None) -> int:
        """Return the line of `key` in the file, from 1; of the table itself without a key."""
        return self._source.line(self.keys if key is None else (*self.keys, key))

    def error(self, key: str | None, problem: str, *, right: str) -> DocumentError:
        """Return an error at `key`, or at the table for None, for rules that a type cannot express."""
        return self._source.error(self.keys if key is None else (*self.keys, key), problem, right)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not blank."""
        right = 'a text that is not empty, such as "a text"'
        return self._read(key, right, str, default, is_right=str.strip)

    def boolean(self, key: str, default: bool | None = None) -> bool:
        """Return true or false."""
        return self._read(key, "true or false, without quotes", bool, default)

    def integer(
        self, key: str, default: int | None = None, *, least: int | None = None, most: int | None = None
    ) -> int:
        """Return an integer from `least` to `most`, inclusive."""
        right = f"a whole number{_range(least, most)}, without quotes or point"
        return self._read(key, right, int, default, is_right=lambda value: _is_within(value, least, most))

    def number(self, key: str, *, least: float, most: float) -> float:
        """Return a whole or decimal number from `least` to `most`, inclusive. Not for money, which is text."""
        right = f"a number from {least:g} to {most:g}, without quotes"
        value: Any = self._read(key, right, object)
        if type(value) not in (int, float) or not least <= value <= most:
            raise self._wrong(key, value, right)
        return float(value)

    def integers(self, key: str, *, least: int | None = None) -> tuple[int, ...]:
        """Return the integers of a list that is not empty, each at least `least`."""
        right = "a list of whole numbers" + _range(least, None)
        values = self._read(key, right, list, is_right=len)
        for value in values:
            if type(value) is not int or not _is_within(value, least, None):
                raise self._wrong(key, value, right)
        return tuple(values)

    def money(self, key: str, currency: Currency) -> int:
        """Return an amount in minor units, written as text in major units ("200.00")."""
        right = f'an amount of {currency.code} in quotes, such as "{money.format(20_000, currency)}"'
        value = self._read(key, right, str)
        try:
            return money.parse(value, currency)
        except SyceeError as error:
            raise self.error(key, f"{found(value)} is no amount of {currency.code}: {error}", right=right) from error

    def moment(self, key: str, zone: ZoneInfo | None = None) -> int:
        """Return a moment in nanoseconds since 1970-01-01T00:00Z.

        Written as a TOML date-time with offset; with a `zone` also as a local date-time, or as the text
        "2020-10-18 24:00", the end of that day. A local time that the zone skips or has twice is refused: with an
        offset it is unambiguous.
        """
        right = 'a moment such as 2020-10-12T18:00:00 (local time) or "2020-10-18 24:00" (the end of that day)'
        if zone is None:
            right = "a moment with its offset, such as 2020-10-12T18:00:00+08:00, without quotes"
        value = self._read(key, right, object)
        if isinstance(value, str) and zone is not None:
            value = self._moment_of_text(key, value, right)
        if not isinstance(value, datetime):
            note = "; a date alone has no time of day" if isinstance(value, date) else ""
            raise self._wrong(key, value, right + note)
        if value.tzinfo is None:
            if zone is None:
                raise self._wrong(key, value, right)
            value = self._in_zone(key, value, zone)
        return (value - _EPOCH) // timedelta(microseconds=1) * 1_000

    def day(self, key: str) -> date:
        """Return a date without a time, such as 2020-10-12."""
        return self._read(key, "a date such as 2020-10-12, without quotes", date)

    def zone(self, key: str) -> ZoneInfo:
        """Return the time zone of this name."""
        otherwise = 'a name of the time-zone database, such as "Asia/Shanghai"'
        value = self._read(key, otherwise, str)
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            from zoneinfo import available_timezones

            right = typos.hint(value, available_timezones(), otherwise)
            raise self.error(key, f"{found(value)} is not the name of a time zone", right=right) from error

    def currency(self, key: str) -> Currency:
        """Return the currency of this ISO 4217 code."""
        value = self.text(key)
        try:
            return money.currency(value)
        except SyceeError as error:
            right = error.hint or 'the ISO 4217 code of a currency, such as "CNY"'
            raise self.error(key, f"{found(value)} is not a currency code", right=right) from error

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """Return a text that is one of `choices`."""
        return self._chosen(key, self._read(key, _one_of(choices), object, default), choices)

    def texts(
        self,
        key: str,
        *,
        choices: Sequence[str] | None = None,
        default: Sequence[str] | None = None,
        empty: bool = False,
    ) -> tuple[str, ...]:
        """Return the texts of a list, all different, each one of `choices` if given; `empty` allows an empty list."""
        right = "a list of texts" + (f", each {_one_of(choices)}" if choices else ', such as ["a", "b"]')
        if default is not None and key not in self._values:
            self.offer(key)
            return tuple(default)
        values = self._read(key, right, list, is_right=lambda value: _is_list(value, str, empty) and all(value))
        for index, value in enumerate(values):
            if value in values[:index]:
                raise self.error(key, f"{found(value)} is in the list twice", right="each text once")
            if choices is not None:
                self._chosen(key, value, choices)
        return tuple(values)

    def value(self, key: str, right: str) -> object:
        """Return the value of a required key as TOML gives it, where it may be written in several ways.

        right: a correct value, for the error of a missing key.
        """
        return self._read(key, right, object)

    def table(self, key: str) -> Table:
        """Return the table [key]."""
        right = f"{_TABLE}[{dotted((*self.keys, key))}]"
        return Table(self._source, (*self.keys, key), self._read(key, right, dict))

    def tables(self, key: str, *, empty: bool = False) -> tuple[Table, ...]:
        """Return the array of tables [[key]], at least one, unless `empty` allows `key = []`."""
        right = f"{_TABLES}[[{dotted((*self.keys, key))}]]"
        values = self._read(key, right, list, is_right=lambda value: _is_list(value, dict, empty))
        return tuple(Table(self._source, (*self.keys, key, index), value) for index, value in enumerate(values))

    def finish(self) -> None:
        """Raise DocumentError at the first key that was neither read nor offered, with the most similar allowed key."""
        for key in self._values:
            if key not in self._allowed:
                # An allowed key that the document lacks is the more probable meaning of a mistyped one.
                near = typos.nearest(key, self._allowed - self._values.keys()) or typos.nearest(key, self._allowed)
                right = f'did you mean "{near}"?' if near else f"allowed here: {', '.join(sorted(self._allowed))}"
                raise self.error(key, f"unknown key, found {found(self._values[key])}", right=right)

    def _read(
        self,
        key: str,
        right: str,
        of: type[T],
        default: T | None = None,
        *,
        is_right: Callable[[T], object] = lambda value: True,
    ) -> T:
        """Return the value of `key`, of exactly this type (`object` for any); or the default where it is missing.

        `right` describes a correct value, for errors.
        """
        self._allowed.add(key)
        if key not in self._values:
            if default is None:
                raise self._missing(key, right)
            return default
        value: T = self._values[key]
        if (of is not object and type(value) is not of) or not is_right(value):
            raise self._wrong(key, value, right)
        return value

    def _missing(self, key: str, right: str) -> DocumentError:
        path = dotted((*self.keys, key))
        where = f"[{dotted(self.keys)}]" if self.keys else "the document"
        if near := typos.nearest(key, self._values.keys() - self._allowed):
            problem = f'missing in {where}; found "{near}"'
            return self._source.error((*self.keys, near), problem, f'write "{key}": {right}', path)
        added = right if right.startswith((_TABLE, _TABLES)) else f"{key} = {right}"
        return self._source.error(self.keys, f"missing in {where}", f"add {added}", path)

    def _wrong(self, key: str, value: object, right: str) -> DocumentError:
        return self.error(key, f"found {found(value)}", right=right)

    def _chosen(self, key: str, value: object, choices: Sequence[str]) -> str:
        """Return a value that is one of `choices`; raise for another, with the most similar choice."""
        if not isinstance(value, str) or value not in choices:
            near = typos.nearest(value, choices) if isinstance(value, str) else None
            raise self._wrong(key, value, _one_of(choices) + (f'; did you mean "{near}"?' if near else ""))
        return value

    def _moment_of_text(self, key: str, value: str, right: str) -> datetime:
        match = _MOMENT.fullmatch(value.strip())
        if match is None:
            raise self._wrong(key, value, right)
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        try:
            midnight = datetime.combine(date(year, month, day), time())
            if (hour, minute, second) == (24, 0, 0):
                return midnight + timedelta(days=1)
            return datetime.combine(midnight, time(hour, minute, second))
        except (ValueError, OverflowError) as error:
            raise self.error(key, f"{found(value)} does not exist: {error}", right=right) from error

    def _in_zone(self, key: str, moment: datetime, zone: ZoneInfo) -> datetime:
        first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
        if first.utcoffset() == second.utcoffset():
            return first
        # Where clocks go forward, a local time is skipped: a conversion to UTC and back changes it.
        is_skipped = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment
        problem = f"{'does not exist' if is_skipped else 'exists twice'} in {zone.key}, where the clocks change"
        right = f"give the offset: {first.isoformat()} or {second.isoformat()}"
        raise self.error(key, f"{found(moment)} {problem}", right=right)


def dotted(keys: Keys) -> str:
    """Return a path of keys as people write it: `packets[2].amount`, with tables counted from 1."""
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key + 1}]"
        else:
            name = key if _BARE_KEY.fullmatch(key) else f'"{key}"'
            path += f".{name}" if path else name
    return path


def found(value: object) -> str:
    """Return a value as a document would show it, cut to 120 characters."""
    if isinstance(value, str):
        shown = '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"'
    elif isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, int) and value.bit_length() > 256:
        shown = f"a number of {value.bit_length():,} bits"  # Python refuses to write more than 4,300 digits
    elif isinstance(value, dict):
        shown = "a table"
    elif isinstance(value, list):
        shown = "[" + ", ".join(found(item) for item in value) + "]"
    else:
        shown = value.isoformat() if isinstance(value, date | datetime | time) else str(value)
    return shown if len(shown) <= _SHOWN_MAX else shown[: _SHOWN_MAX - 1] + "…"


def shown_moment(moment_ns: int, zone: ZoneInfo) -> str:
    """Return a moment (nanoseconds since 1970-01-01T00:00Z) as local time in `zone`, to the second, with its offset."""
    return (_EPOCH + timedelta(seconds=moment_ns // 1_000_000_000)).astimezone(zone).isoformat(sep=" ")


def _is_within(value: int, least: int | None, most: int | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _is_list(values: list[Any], of: type, may_be_empty: bool) -> bool:
    return bool(values or may_be_empty) and all(isinstance(each, of) for each in values)


def _range(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    return f" of at most {most}" if most is not None else ""


def _one_of(choices: Iterable[str]) -> str:
    return "one of " + ", ".join(f'"{choice}"' for choice in choices)


# Hints, by the beginning of tomllib's message.
_SYNTAX_HINTS: Final = (
    ("Invalid value", 'write a value after "=": text in double quotes, a number, true, false or a date-time'),
    ("Cannot overwrite a value", "each key once: remove one of the two, or rename it"),
    ("Cannot declare", "each table once: put both parts under one heading"),
    ("Cannot mutate immutable", "an inline table is closed: add the key between its braces"),
    ("Expected '=' after a key", "write key = value; a text of several words needs double quotes around it"),
    ("Expected ']'", 'close the heading with "]"'),
    ("Expected newline", "one key and value a line; a date-time is 2020-10-12T18:00:00, a number has no leading zero"),
    ("Illegal character", "close the text with a double quote on the same line"),
    ("Unterminated", "close the text with a double quote"),
    ("Expected", "close what was opened: a quote, a bracket or a brace"),
    ("Unclosed array", 'close the list with "]" and put commas between its values'),
    ("Unclosed inline table", 'close the inline table with "}" on the same line'),
    ("Invalid statement", "write key = value or a [heading]; is this the right file? its format is TOML"),
    ("Invalid initial character", "a key is letters, digits, - and _, or any text in double quotes"),
    ("Invalid date or datetime", "a date-time that exists, such as 2020-10-12T18:00:00"),
)


def _syntax_error(file: str, raw: bytes, message: str) -> DocumentError:
    """Return a syntax error with its line. tomllib names none where the document ends inside a value."""
    match = _SYNTAX_PLACE.search(message)
    problem = message[: match.start()] if match else message
    lines = raw.decode().split("\n")
    line = min(int(match[1]) if match and match[1] else syntax_error_line(raw), len(lines))
    right = next((hint for start, hint in _SYNTAX_HINTS if problem.startswith(start)), "valid TOML 1.0")
    return DocumentError(file, line, "", f"not TOML: {problem}", right=right, excerpt=lines[line - 1].rstrip())


def _too_deep(file: str, raw: bytes) -> DocumentError:
    line = nesting.line_of_excess(raw)
    return DocumentError(
        file, line, "", f"more than {nesting.DEPTH_MAX} levels of lists and tables", right=nesting.TOO_DEEP_HINT
    )
